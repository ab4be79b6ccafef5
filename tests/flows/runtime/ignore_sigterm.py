"""Create the file in the first argument, then run on in spite of SIGTERM."""

import signal
import sys
import time
from pathlib import Path

signal.signal(signal.SIGTERM, signal.SIG_IGN)
Path(sys.argv[1]).touch()
time.sleep(120)
