"""What a killed run continues from: folders of safetensors, read by any number of processes.

    step-00000120/   *.safetensors   weights, optimizer state, random states; each process writes
                                     its part (torch's distributed checkpoint, without pickles)
                     state.json      step, counters, which batches were skipped
                     manifest.json   checksums of all these, what the run is of, its loss

A folder is written under another name and renamed when all of it is there, so a process killed at
any moment leaves the earlier checkpoints as they were. With `asynchronous` that happens while
training goes on, from a copy in memory.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import (
    HuggingFaceStorageReader,
    HuggingFaceStorageWriter,
)

from data_pipelines.files import sha256, write_json
from models.errors import CheckpointFailed, CorruptCheckpoint, DataMismatch
from models.training.distributed import Group
from models.training.params import CheckpointParams

PARTIAL = ".partial"
RANDOM = "random."


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A checkpoint on disk."""

    folder: Path
    step: int
    loss: float | None
    """Validation loss when it was written, if measured."""
    contents: dict[str, Any]
    """What the run is of: params, data, model."""


@dataclass
class Checkpoints:
    """The checkpoints of one run. All processes call every method alike."""

    folder: Path
    params: CheckpointParams
    contents: dict[str, Any]
    """Everything the run's result depends on: another run must not continue it."""
    group: Group = field(default_factory=Group)
    about: dict[str, Any] = field(default_factory=dict)
    """What else to note beside, e.g. the git commit."""

    def __post_init__(self) -> None:
        # Of a single process that saves as a single process.
        warnings.filterwarnings("ignore", "torch.distributed is disabled")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None
        self._processes: dist.ProcessGroup | None = None
        if self.group.world > 1:
            # Of its own: it works beside the training's collectives, in another thread.
            timeout = timedelta(seconds=self.group.timeout_s)
            self._processes = dist.new_group(backend="gloo", timeout=timeout)

    def prepare(self) -> None:
        """Makes the folder and removes what a killed process left. Raises CheckpointFailed."""
        if self.group.is_first:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                for left in self.folder.glob(f"*{PARTIAL}"):
                    shutil.rmtree(left)
            except OSError as error:
                raise _failed(self.folder, error) from None
        self.group.barrier()

    def save(
        self,
        step: int,
        tensors: dict[str, Tensor],
        state: dict[str, Any],
        *,
        loss: float | None = None,
        wait: bool = False,
    ) -> None:
        """Starts writing; raises CheckpointFailed if this or the one before could not be."""
        self.wait()
        folder = self.folder / f"step-{step:08d}"
        if folder.is_dir():
            return  # of a step this run came to before: the same, as it continues exactly
        partial = folder.with_name(folder.name + PARTIAL)
        writer = HuggingFaceStorageWriter(str(partial), save_distributed=True)
        try:
            written = dcp.async_save(  # type: ignore[attr-defined]
                tensors,
                storage_writer=writer,
                process_group=self._processes,
                no_dist=self.group.world == 1,
            )
        except (OSError, RuntimeError, CheckpointException) as error:
            raise _failed(folder, error) from None
        assert isinstance(written, Future)
        note = {"step": step, "loss": loss, "contents": self.contents, "about": self.about}
        self._pending = self._thread.submit(self._finish, written, partial, folder, state, note)
        if wait or not self.params.asynchronous:
            self.wait()

    def wait(self) -> None:
        """Until what was started is on disk, for all processes. Raises CheckpointFailed."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()
            self.group.barrier()

    def check(self) -> None:
        """Raises CheckpointFailed once it is known that what was started cannot be written."""
        if self._pending is not None and self._pending.done():
            self._pending.result()

    def finish(self) -> None:
        """Lets what was started be written where another error ends the run, which is told."""
        with suppress(CheckpointFailed):
            self.wait()

    def saved(self) -> list[Saved]:
        """What is on disk, the last one last. Raises CorruptCheckpoint for an unreadable index."""
        found = []
        for path in sorted(self.folder.glob("step-*/manifest.json")):
            try:
                read = json.loads(path.read_text(encoding="utf-8"))
                found.append(
                    Saved(
                        folder=path.parent,
                        step=int(read["step"]),
                        loss=read["loss"],
                        contents=dict(read["contents"]),
                    )
                )
            except (ValueError, KeyError, TypeError) as error:
                raise CorruptCheckpoint(self._advice(path, str(error))) from None
        return found

    def best(self, among: list[Saved] | None = None) -> Saved | None:
        """The one of the lowest validation loss; `among`: what is on disk, if read already."""
        found = self.saved() if among is None else among
        measured = [s for s in found if s.loss is not None]
        return min(measured, key=lambda s: (s.loss, s.step)) if measured else None

    def load(self, saved: Saved, tensors: dict[str, Tensor]) -> dict[str, Any]:
        """Fills `tensors` in place; returns the state that was saved with them.

        Raises DataMismatch for a checkpoint of another run, naming what differs; CorruptCheckpoint
        for a file that is missing or differs from its checksum.
        """
        differs = _differences(saved.contents, self.contents)
        if differs:
            raise DataMismatch(
                f"{saved.folder} is a checkpoint of other params: {'; '.join(differs[:3])}. Put "
                f"them back to continue it, or delete {self.folder} to train anew"
            )
        if self.group.is_first:
            self._verify(saved.folder)
        self.group.barrier()
        read_tensors(saved.folder, tensors, alone=self.group.world == 1)
        state: dict[str, Any] = json.loads((saved.folder / "state.json").read_text("utf-8"))
        return state

    def discard(self) -> None:
        """Remove the checkpoints of a finished run."""
        self.wait()
        if self.group.is_first:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _finish(
        self,
        written: Future[Any],
        partial: Path,
        folder: Path,
        state: dict[str, Any],
        note: dict[str, Any],
    ) -> None:
        """After all processes have written their parts: checksums, the new name, old ones away."""
        try:
            written.result()
            if not self.group.is_first:
                return
            write_json(partial / "state.json", state)
            note["files"] = {path.name: sha256(path) for path in sorted(partial.iterdir())}
            write_json(partial / "manifest.json", note)
            os.replace(partial, folder)
            self._remove_old()
        except BaseException as error:
            # CheckpointException is no Exception. Told where the trainer waits for it.
            raise _failed(folder, error) from None

    def _remove_old(self) -> None:
        found = self.saved()
        best = self.best(found)
        kept = {s.step for s in found[-self.params.keep_last :]} | ({best.step} if best else set())
        for old in found:
            if old.step not in kept:
                # Renamed first: half a folder must not look like a checkpoint.
                gone = old.folder.with_name(old.folder.name + PARTIAL)
                os.replace(old.folder, gone)
                shutil.rmtree(gone)

    def _verify(self, folder: Path) -> None:
        files = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
        for name, digest in files.items():
            path = folder / name
            if not path.is_file() or sha256(path) != digest:
                raise CorruptCheckpoint(self._advice(path, "it is missing, cut or changed"))

    def _advice(self, path: Path, why: str) -> str:
        earlier = [p.name for p in sorted(self.folder.glob("step-*")) if p != path.parent]
        instead = f"to continue from {earlier[-1]}" if earlier else "to train from the start"
        return f"{path} cannot be used: {why}; delete {path.parent} {instead}"


def read_tensors(folder: Path, tensors: dict[str, Tensor], *, alone: bool = True) -> None:
    """Fills `tensors`, sharded or not, in place. `alone`: not together with other processes."""
    present = HuggingFaceStorageReader(str(folder))
    known = present.read_metadata().state_dict_metadata
    wanted = {name: tensor for name, tensor in tensors.items() if name in known}
    lacking = [n for n in tensors if n not in known and not n.startswith(RANDOM)]
    if lacking:
        raise CorruptCheckpoint(f"{folder} holds no {lacking[0]}; delete it")
    try:
        dcp.load(  # type: ignore[attr-defined]
            wanted, storage_reader=present, no_dist=alone
        )
    except CheckpointException as error:
        raise CorruptCheckpoint(f"{folder} cannot be read: {_reason(error)}; delete it") from None


def random_state(group: Group) -> dict[str, Tensor]:
    """State of this process's random numbers, under its own name."""
    state = {f"{RANDOM}{group.rank}": torch.get_rng_state()}
    if group.device.type == "cuda":
        state[f"{RANDOM}cuda.{group.rank}"] = torch.cuda.get_rng_state(group.device)
    return state


def restore_random(state: dict[str, Tensor], group: Group) -> None:
    """Random numbers go on as they would have."""
    torch.set_rng_state(state[f"{RANDOM}{group.rank}"])
    if group.device.type == "cuda":
        torch.cuda.set_rng_state(state[f"{RANDOM}cuda.{group.rank}"], group.device)


def _differences(there: dict[str, Any], here: dict[str, Any], path: str = "") -> list[str]:
    """`KEY is A there, B now` for each value that differs."""
    found = []
    for key in sorted({*there, *here}):
        a, b = there.get(key), here.get(key)
        where = f"{path}.{key}" if path else str(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += _differences(a, b, where)
        elif a != b:
            found.append(f"{where} is {a} there, {b} now")
    return found


def _reason(error: BaseException) -> str:
    if isinstance(error, CheckpointException):  # one process's error is the reason of all
        error = next(iter(error.failures.values()))[0]
    return " ".join(str(error).split()) or type(error).__name__


def _failed(folder: Path, error: BaseException) -> CheckpointFailed:
    return CheckpointFailed(
        f"{folder} could not be written: {_reason(error)}; earlier checkpoints are as they were: "
        "make room, or make the folder writable, and start again to continue from the last one"
    )
