"""Start a process that ignores SIGTERM in this process group, and end at once."""

import subprocess
import sys
from pathlib import Path

script = Path(__file__).with_name("ignore_sigterm.py")
subprocess.Popen([sys.executable, str(script), sys.argv[1]])
