"""Child processes of a page: they sleep, start another, or need memory."""

import os
import subprocess
import sys
import time
from pathlib import Path

from dashboard.child_process import run_limited

MODULE = "tests.dashboard.slow_child"

if __name__ == "__main__":
    match sys.argv[1]:
        case "dashboard":
            run_limited(MODULE, ["sleep"], folder=Path(), timeout_s=600, memory_mb=256)
        case "start":
            subprocess.run([sys.executable, "-m", MODULE, "sleep"], check=True)
        case "sleep":
            Path("pid.partial").write_text(str(os.getpid()))
            Path("pid.partial").rename("pid")
            time.sleep(600)
        case "allocate":
            print(len(bytearray(int(sys.argv[2]) * 1024**2)), sys.stdin.read())
