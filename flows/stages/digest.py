"""Stage `digest`: write the digest of the code of every stage to data/code_digests.json.

The other stages depend on their own entry of this file (dvc.yaml, `params`), so a stage runs again
when the code of any module it imports changes, but not when only a comment does. This stage always
runs; it takes less than a second.
"""

from __future__ import annotations

import json
from pathlib import Path

from data_pipelines.files import write_json
from flows.runtime.code_digest import CodeBase, package_root

OUTPUT = Path("data/code_digests.json")
PACKAGES_WITH_STAGES = ("data_pipelines", "models")


def run(workspace: Path, root: Path | None = None) -> dict[str, str]:
    """Write the digests and return them by stage name.

    Args:
        workspace: the folder below which `data/code_digests.json` is written.
        root: the folder that holds the packages; by default where they are imported from.
    """
    digests = digest_by_stage(root or package_root())
    target = workspace / OUTPUT
    target.parent.mkdir(parents=True, exist_ok=True)
    # An unchanged file is left alone, so that DVC need not hash it again.
    if not target.is_file() or json.loads(target.read_text(encoding="utf-8")) != digests:
        write_json(target, digests)
    return digests


def digest_by_stage(root: Path) -> dict[str, str]:
    """Return the code digest of each module in the `stages` folders, by stage name."""
    code = CodeBase(root)
    return {
        path.stem: code.digest(f"{package}.stages.{path.stem}")
        for package in PACKAGES_WITH_STAGES
        for path in sorted((root / package / "stages").glob("*.py"))
        if path.name != "__init__.py"
    }
