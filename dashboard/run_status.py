"""Whether an unfinished training run is alive, from the lease that its trainer renews."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

LEASE_S = 30.0
"""A trainer renews its lease every few seconds; after this time without, it does not run."""
STALL_FACTOR = 10
"""A run stalls if it logs nothing for so many times its usual interval between lines."""
MIN_STALL_S = 120.0

RunState = Literal["finished", "training", "stalled", "killed", "stopped"]


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """State of a run, and since when."""

    state: RunState
    since: float
    """Unix time of the last sign of life; 0 if it is not known."""

    @classmethod
    def finished(cls) -> RunStatus:
        """Return the status of a run whose result is stored."""
        return cls(state="finished", since=0.0)

    @property
    def is_finished(self) -> bool:
        """Whether the run's result is stored."""
        return self.state == "finished"

    def describe(self, now: float) -> str:
        """Return the state in words."""
        age = _describe_age(now - self.since) if self.since else "an unknown time"
        match self.state:
            case "finished":
                return "finished"
            case "training":
                return "training"
            case "stalled":
                return f"stalled: its process lives, but it has logged nothing for {age}"
            case "killed":
                return f"killed: no heartbeat for {age}; the same command resumes it"
            case "stopped":
                return f"stopped {age} ago; the same command resumes it"


def read_status(
    checkpoints: Path, lines: Sequence[Mapping[str, Any]], now: float | None = None
) -> RunStatus:
    """Return the state of a run that has no result yet.

    Args:
        checkpoints: folder of its checkpoints; the lease lies beside it.
        lines: its log.
        now: Unix time; None: the present.
    """
    now = time.time() if now is None else now
    times = [float(line["time"]) for line in lines if line.get("time")]
    last = times[-1] if times else 0.0
    lease = checkpoints.with_name(f"{checkpoints.name}.lease")
    try:
        renewed = lease.stat().st_mtime
    except OSError:
        return RunStatus(state="stopped", since=last)
    if now - renewed > LEASE_S or _is_gone(lease):
        return RunStatus(state="killed", since=renewed)
    if times and now - last > _longest_silence(times):
        return RunStatus(state="stalled", since=last)
    return RunStatus(state="training", since=renewed)


def _longest_silence(times: Sequence[float]) -> float:
    """Return after how many seconds without a line a run counts as stalled."""
    recent = times[-20:]
    interval = (recent[-1] - recent[0]) / (len(recent) - 1) if len(recent) > 1 else 0.0
    return max(MIN_STALL_S, STALL_FACTOR * interval)


def _is_gone(lease: Path) -> bool:
    """Return whether the holder of a lease was a process of this machine that has ended."""
    try:
        content = json.loads(lease.read_text(encoding="utf-8"))
        host, pid, started = content["host"], int(content["pid"]), content["process_start"]
        space = Path("/proc/self/ns/pid").readlink()
        if host != socket.gethostname() or content["process_space"] != str(space):
            return False
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return True
    except (OSError, ValueError, KeyError, TypeError):
        return False
    fields = stat.rsplit(")", 1)[1].split()
    return fields[0] == "Z" or fields[19] != started


def _describe_age(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
