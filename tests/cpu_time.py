"""Run a command and print the CPU time of all processes that it started.

    python -m tests.cpu_time pytest tests/registry

Servers that several tests share belong to none of them: when the process that started one has
ended, the kernel hands it over to this process, which waits for it (Linux; elsewhere such servers
are not counted). Orphans are reaped as soon as they end, as by any init process: tests ask whether
a process is gone. Exits as the command did.
"""

import ctypes
import os
import resource
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
ORPHAN_TIMEOUT_S = 15


def call(command):
    """Return the exit code of a command; Ctrl-C, which reaches the command too, ends only that."""
    process = subprocess.Popen(command)
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except KeyboardInterrupt:
            continue
        if pid == process.pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode


def wait_for_orphans():
    """Wait for the processes that outlived the command, as servers do for a moment."""
    deadline = time.monotonic() + ORPHAN_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.1)
        except ChildProcessError:
            return


def main():
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    code = call(sys.argv[1:])
    wait_for_orphans()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    minutes, seconds = divmod(round(used.ru_utime + used.ru_stime), 60)
    print(
        f"CPU time: {minutes} min {seconds:02d} s "
        f"(user {used.ru_utime:.0f} s, system {used.ru_stime:.0f} s)"
    )
    sys.exit(code)


if __name__ == "__main__":
    main()
