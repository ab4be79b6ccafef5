"""A lease on the checkpoints of a run: a run has one trainer at a time.

The trainer's rank 0 holds a file beside the folder of checkpoints, with a number that grows with
each holder, and renews it. Another trainer of the run does not start while the lease is renewed. If
the holder is gone, the next one takes the lease over; should the former one have only been stalled,
it finds another number and writes nothing more (fencing). Clocks of machines are not compared.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from models.errors import RunInUse, RunTakenOver
from models.training.distributed import DistributedContext

RENEWAL_S = 5.0
LEASE_S = 30.0
"""A lease of another machine that is not renewed for so many seconds is void."""
SETTLE_S = 0.2
"""Time after which the last of several trainers that take a lease over has written it."""
_PROCESS_START = 21
"""Position of the start time in /proc/PID/stat, counted from 0 (man proc_pid_stat)."""


@dataclass(frozen=True, kw_only=True)
class LeaseContent:
    """Content of a lease file."""

    number: int
    """1 for the first holder, then one more for each."""
    holder: str
    """A random identifier of the holder."""
    host: str
    process_space: str
    """The holder's PID namespace: containers of a host have different ones."""
    pid: int
    process_start: str
    renewals: int


class TrainerLease:
    """The lease that this process holds."""

    def __init__(self, path: Path, content: LeaseContent) -> None:
        self.path, self.content = path, content

    def renew(self) -> None:
        """Renew the lease unless another process has taken it over."""
        if self._is_own():
            self.content = replace(self.content, renewals=self.content.renewals + 1)
            _write(self.path, self.content)

    def require(self) -> None:
        """Check that this process still holds the lease; call it before a file is completed.

        Raises:
            RunTakenOver: another process has taken it over.
        """
        if not self._is_own():
            other = _read(self.path)
            where = "another process" if other is None else _describe(other)
            raise RunTakenOver(
                f"{self.path.stem}: {where} trains this run now, as this process did not renew its "
                "lease; nothing more is written here"
            )

    def release(self) -> None:
        """Delete the lease if this process still holds it."""
        if self._is_own():
            self.path.unlink(missing_ok=True)

    def _is_own(self) -> bool:
        current = _read(self.path)
        return current is not None and current.holder == self.content.holder


@contextmanager
def lease_of_rank_0(path: Path, dist: DistributedContext) -> Iterator[Callable[[], None]]:
    """Hold the lease of a run on rank 0; a collective call.

    Args:
        path: the lease file, in a folder that all machines share.
        dist: the ranks that train together.

    Yields:
        `TrainerLease.require` on rank 0; on other ranks a function that does nothing.

    Raises:
        RunInUse: on every rank; another process trains the run.
    """
    with ExitStack() as stack:
        reason, require = "", _require_nothing
        if dist.is_main:
            try:
                require = stack.enter_context(hold_lease(path)).require
            except RunInUse as error:
                reason = str(error)
        reason = dist.broadcast(reason)
        if reason:
            raise RunInUse(reason)
        yield require


@contextmanager
def hold_lease(path: Path) -> Iterator[TrainerLease]:
    """Hold the lease of a run, renewed by a thread.

    Args:
        path: the lease file, in a folder that all machines share.

    Raises:
        RunInUse: another process trains the run.
        OSError: the file cannot be written.
    """
    lease = _acquire(path)
    is_done = threading.Event()

    def renew() -> None:
        while not is_done.wait(RENEWAL_S):
            with suppress(OSError):  # `require` tells what matters
                lease.renew()

    thread = threading.Thread(target=renew, name="trainer-lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        is_done.set()
        thread.join()
        with suppress(OSError):
            lease.release()


def _require_nothing() -> None:
    """Ranks other than 0 write what rank 0 completes."""


def _acquire(path: Path) -> TrainerLease:
    path.parent.mkdir(parents=True, exist_ok=True)
    current = _read(path)
    if current is not None and _is_alive(path, current):
        raise RunInUse(
            f"{path.stem}: {_describe(current)} trains this run; wait for it or stop it, then run "
            "the same command again"
        )
    own = LeaseContent(
        number=1 if current is None else current.number + 1,
        holder=uuid.uuid4().hex,
        host=socket.gethostname(),
        process_space=_process_space(),
        pid=os.getpid(),
        process_start=_process_start(os.getpid()),
        renewals=0,
    )
    _write(path, own)
    time.sleep(SETTLE_S)
    winner = _read(path)
    if winner is not None and winner.holder != own.holder:
        raise RunInUse(
            f"{path.stem}: {_describe(winner)} began to train this run at the same moment; wait "
            "for it or stop it, then run the same command again"
        )
    return TrainerLease(path, own)


def _is_alive(path: Path, lease: LeaseContent) -> bool:
    """Return whether the holder of a lease still runs."""
    if (lease.host, lease.process_space) == (socket.gethostname(), _process_space()):
        return _process_start(lease.pid) == lease.process_start != ""
    deadline = time.monotonic() + LEASE_S
    while time.monotonic() < deadline:
        time.sleep(RENEWAL_S / 5)
        current = _read(path)
        if current is None:
            return False
        if current != lease:
            return True
    return False


def _read(path: Path) -> LeaseContent | None:
    """Return the content of a lease file; None if it does not exist or is damaged."""
    try:
        return LeaseContent(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _write(path: Path, content: LeaseContent) -> None:
    """Write a lease atomically; each holder has a temporary file of its own."""
    partial = path.with_name(f"{path.name}.{content.holder}.partial")
    partial.write_text(json.dumps(asdict(content)), encoding="utf-8")
    os.replace(partial, path)


def _describe(lease: LeaseContent) -> str:
    return f"process {lease.pid} on {lease.host}"


def _process_start(pid: int) -> str:
    """Return when a process of this machine started, in clock ticks since boot; empty if gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    fields = stat.rsplit(")", 1)[1].split()  # the name before it can contain spaces
    is_zombie = fields[0] == "Z"
    return "" if is_zombie else fields[_PROCESS_START - 2]


def _process_space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
