"""Train two steps while packages that training must not need cannot be imported.

Argument: folder of the run.
"""

import sys

BLOCKED = (
    "prefect",
    "dvc",
    "dvclive",
    "lm_eval",
    "yaml",
    "great_expectations",
    "sqlalchemy",
    "fairscale",
    "transformers",
)
for package in BLOCKED:
    sys.modules[package] = None

from tests.models.training.factories import build_trainer  # noqa: E402

result = build_trainer(sys.argv[1], steps=2).fit()
assert result.progress.step == 2
