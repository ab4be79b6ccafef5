"""A stage that fails in the way that the first argument names, while its progress bar is open."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from data_pipelines.progress import progress_bar

bar = progress_bar(total=60, desc="rows", mininterval=0)
bar.update(20)
time.sleep(0.6)
if sys.argv[1] == "error":
    sys.stderr.write("error: file.jsonl: row 7 is no JSON; correct it\n")
elif sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
elif sys.argv[1] == "full_disk":
    try:
        Path("/dev/full").write_text("x")
    except OSError as error:
        sys.stderr.write(f"error: /dev/full: {error.strerror}\n")
elif sys.argv[1] == "dvc_killed":
    dvc = int(subprocess.check_output(["ps", "-o", "pgid=", "-p", str(os.getpid())]))
    os.kill(dvc, signal.SIGKILL)  # DVC leads the process group
    time.sleep(60)
sys.exit(1)
