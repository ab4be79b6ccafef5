"""`python -m flows.runtime.service_process MODULE ARGUMENT…`: run a module as a service.

The service ends when the process that started it ends.
"""

from __future__ import annotations

import runpy
import sys

from flows.runtime.parent_watch import end_with_parent


def main() -> None:
    """Run the module in the first argument as `python -m MODULE ARGUMENT…` does."""
    end_with_parent()
    module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
