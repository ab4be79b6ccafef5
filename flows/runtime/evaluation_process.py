"""`python -m flows.runtime.evaluation_process FOLDER`: evaluate the weights in a folder.

The folder is laid out as a workspace, with `job.json` as `flows.runtime.version_evaluation` writes
it. The process ends when the process that started it ends.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from flows.log_handler import configure_logging
from flows.runtime.parent_watch import end_with_parent


def main() -> None:
    """Evaluate; an expected failure prints one line and exits with 1."""
    end_with_parent()
    configure_logging()
    from data_pipelines.errors import DataError
    from models.errors import ModelError
    from models.evaluation.params import EvaluationParams
    from models.replicate import Replicate
    from models.stages import evaluate

    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    params = EvaluationParams(**{**job["params"], "suites": tuple(job["params"]["suites"])})
    try:
        replicate = Replicate(job["run"], job["seed"])
        evaluate.run(replicate, params, folder, is_data_known=job["is_data_known"])
    except (DataError, ModelError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
