"""Lock the workspace in the first argument, print "locked" and wait for the end of stdin."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from flows.runtime.workspace import workspace_lock

with workspace_lock(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
