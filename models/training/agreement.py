"""Do all ranks train the same run, in the same folder? Checked before the first step.

Ranks on several machines that read other parameters, code or data would train together, average
their gradients and end without an error. And on folders of their own, a checkpoint would count as
complete with half of its shards.
"""

from __future__ import annotations

import hashlib
import secrets
import socket
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from models.errors import RanksDisagree
from models.training.distributed import DistributedContext

MAX_DIFFERENCES = 5
POLL_S = 0.2
SHARED_FOLDER_WAIT_S = 60.0
"""Longest time until a machine sees a file that another has written; NFS remembers the entries of
a folder for up to 60 s."""


def require_same_run(dist: DistributedContext, values: Mapping[str, Any]) -> None:
    """Check that all ranks have the same values; a collective call.

    Args:
        dist: the ranks that train together.
        values: settings, hashes and versions by name; nested mappings have dotted names.

    Raises:
        RanksDisagree: on every rank, with each difference and the hosts that have each value.
    """
    if dist.world_size == 1:
        return
    gathered = dist.gather((_host(), dict(_flatten(values))))
    differences = list(_differences(gathered))
    if differences:
        more = len(differences) - MAX_DIFFERENCES
        text = "; ".join(differences[:MAX_DIFFERENCES]) + (f"; and {more} more" if more > 0 else "")
        raise RanksDisagree(f"{text}; start every machine with the same project and packages")


def require_shared_folder(
    dist: DistributedContext, folder: Path, timeout_s: float = SHARED_FOLDER_WAIT_S
) -> None:
    """Check that a folder is the same on all machines; a collective call.

    Rank 0 writes a random number, which every rank must read.

    Args:
        dist: the ranks that train together.
        folder: the folder, created if it does not exist.
        timeout_s: longest time until a rank sees the file, in seconds.

    Raises:
        RanksDisagree: on every rank, with the hosts that see another folder.
        OSError: rank 0 cannot write to the folder.
    """
    if dist.world_size == 1:
        return
    nonce = secrets.token_hex(16)
    name = f".shared-{nonce}"
    if dist.is_main:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(nonce, encoding="utf-8")
    name, main_host = dist.broadcast((name, _host()))
    seen = dist.gather((_host(), _sees(folder, name, timeout_s)))
    if dist.is_main:
        (folder / name).unlink()
    blind = sorted({host for host, is_seen in seen if not is_seen})
    if blind:
        raise RanksDisagree(
            f"{', '.join(blind)}: {folder} is not the folder that {main_host} sees there; mount "
            "one folder at this path on all machines"
        )


def digest_code(packages: Sequence[Path]) -> str:
    """Return the SHA-256 of all Python files of packages, by their path in the package."""
    digest = hashlib.sha256()
    for package in packages:
        for file in sorted(package.rglob("*.py")):
            digest.update(f"{package.name}/{file.relative_to(package).as_posix()}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _sees(folder: Path, name: str, timeout_s: float) -> bool:
    """Return whether a file appears in a folder in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        if folder.is_dir() and any(path.name == name for path in folder.iterdir()):
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)


def _host() -> str:
    return socket.gethostname()


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + str(name), str(value)


def _differences(gathered: Sequence[tuple[str, dict[str, str]]]) -> Iterator[str]:
    """Yield `NAME is A on HOST (rank 0) and B on HOST (rank 1)` for each value that differs."""
    for name in sorted({name for _, values in gathered for name in values}):
        ranks_by_value: dict[str, list[int]] = defaultdict(list)
        for rank, (_, values) in enumerate(gathered):
            ranks_by_value[values.get(name, "absent")].append(rank)
        if len(ranks_by_value) > 1:
            places = (
                f"{value} on {_describe_ranks(gathered, ranks)}"
                for value, ranks in ranks_by_value.items()
            )
            yield f"{name} is {' and '.join(places)}"


def _describe_ranks(gathered: Sequence[tuple[str, Any]], ranks: Sequence[int]) -> str:
    hosts = ", ".join(dict.fromkeys(gathered[rank][0] for rank in ranks))
    noun = "rank" if len(ranks) == 1 else "ranks"
    return f"{hosts} ({noun} {', '.join(map(str, ranks))})"
