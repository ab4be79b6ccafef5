"""`python -m benchmarks.orchestration_run FOLDER`: run the stages of a project as a flow.

Prints the seconds of the flow itself, without the start of the process, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main() -> None:
    """Run every stage of the folder in the first argument; register nothing."""
    from flows.runtime.graph import read_graph
    from flows.runtime.pipeline import pipeline

    folder = Path(sys.argv[1])
    targets = read_graph(folder).order
    start = time.perf_counter()
    pipeline(folder, targets=targets)
    print(json.dumps({"seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
