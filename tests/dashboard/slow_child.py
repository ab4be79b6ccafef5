"""A child process that starts a child of its own and sleeps, or that needs memory."""

import subprocess
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    match sys.argv[1]:
        case "start":
            command = [sys.executable, "-m", "tests.dashboard.slow_child", "sleep"]
            child = subprocess.Popen(command)
            Path("pid").write_text(str(child.pid))
            child.wait()
        case "sleep":
            time.sleep(600)
        case "allocate":
            print(len(bytearray(int(sys.argv[2]) * 1024**2)), sys.stdin.read())
