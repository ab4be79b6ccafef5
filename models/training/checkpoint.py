"""Checkpoints that a run resumes from: folders of safetensors, readable by any world size.

    step-00000120/   *.safetensors   weights, optimizer state, random states; each rank writes its
                                     shard (torch.distributed.checkpoint, no pickles)
                     state.json      step, counters, loss history, skipped batches
                     manifest.json   checksums, fingerprint of the run, validation loss

A checkpoint is written to a folder named `*.partial`, which is renamed when complete, so a process
killed at any moment leaves the earlier checkpoints intact. With `asynchronous`, a thread writes
from a copy in memory while training continues.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter

from data_pipelines.files import sha256, write_json
from data_pipelines.progress import print_note
from models.errors import CorruptCheckpoint, RanksDisagree, RunTakenOver
from models.training.agreement import SHARED_FOLDER_WAIT_S
from models.training.checkpoint_files import (
    PARTIAL,
    CheckpointInfo,
    find_manifests,
    read_checkpoint,
    sees_checkpoint,
    set_damaged_aside,
    verify_checkpoint,
)
from models.training.distributed import DistributedContext
from models.training.params import CheckpointParams
from models.training.set_aside import set_aside_other_checkpoints
from models.training.tensor_files import read_tensors, write_failure

FORMAT_VERSION = 3


class Checkpointer:
    """Writes, lists and loads the checkpoints of a run. All ranks call every method together."""

    def __init__(
        self,
        folder: Path,
        params: CheckpointParams,
        *,
        fingerprint: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        dist: DistributedContext | None = None,
        require_lease: Callable[[], None] = lambda: None,
    ) -> None:
        """Create the folder; remove partial checkpoints, set aside those of other settings.

        Args:
            folder: folder of this run's checkpoints.
            params: how many checkpoints to retain, and whether to write asynchronously.
            fingerprint: settings and data that the result depends on; checkpoints with another
                fingerprint, or of another release's format, are set aside.
            metadata: further values for the manifest, e.g. the git commit.
            dist: ranks that train together; this process alone by default.
            require_lease: called by rank 0 before a checkpoint is completed; it raises if another
                process trains the run now.

        Raises:
            CheckpointFailed: the folder cannot be written.
        """
        self.folder, self.params = folder, params
        self.fingerprint, self.metadata = fingerprint or {}, metadata or {}
        self.dist, self.require_lease = dist or DistributedContext(), require_lease
        # dcp warns that torch.distributed is off, which is intended at a world size of 1.
        warnings.filterwarnings("ignore", "torch.distributed is disabled")
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None
        self._process_group: torch.distributed.ProcessGroup | None = None
        if self.dist.world_size > 1:
            # A separate group: its collectives run in the writer thread, concurrent with training.
            timeout = timedelta(seconds=self.dist.timeout_s)
            self._process_group = torch.distributed.new_group(backend="gloo", timeout=timeout)
        if self.dist.is_main:
            try:
                for partial in folder.glob(f"*{PARTIAL}"):
                    shutil.rmtree(partial)
                note = set_aside_other_checkpoints(
                    folder, find_manifests(folder), self.fingerprint, FORMAT_VERSION
                )
                if note is not None:
                    print_note(note)
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise write_failure(folder, error) from None
        self.dist.barrier()

    def save(
        self,
        step: int,
        tensors: dict[str, Tensor],
        state: dict[str, Any],
        *,
        loss: float | None = None,
        wait: bool = False,
    ) -> None:
        """Start to write a checkpoint, after the previous one is complete.

        Args:
            step: completed optimizer steps.
            tensors: weights, optimizer state and random states by name, sharded or not.
            state: values for state.json.
            loss: validation loss at this step, if measured.
            wait: return only when the checkpoint is on disk.

        Raises:
            CheckpointFailed: this or the previous checkpoint could not be written.
        """
        self.flush()
        folder = self.folder / f"step-{step:08d}"
        if folder.is_dir():
            return  # written before a roll-back; training is deterministic, so it is the same
        partial = folder.with_name(folder.name + PARTIAL)
        writer = HuggingFaceStorageWriter(str(partial), save_distributed=True)
        try:
            tensors_written = dcp.async_save(  # type: ignore[attr-defined]
                tensors,
                storage_writer=writer,
                process_group=self._process_group,
                no_dist=self.dist.world_size == 1,
            )
        except (OSError, RuntimeError, CheckpointException) as error:
            raise write_failure(folder, error) from None
        assert isinstance(tensors_written, Future)
        manifest = {
            "format_version": FORMAT_VERSION,
            "step": step,
            "loss": loss,
            "fingerprint": self.fingerprint,
            "metadata": self.metadata,
        }
        self._pending = self._writer.submit(
            self._complete, tensors_written, partial, folder, state, manifest
        )
        if wait or not self.params.asynchronous:
            self.flush()

    def load(self, checkpoint: CheckpointInfo, tensors: dict[str, Tensor]) -> dict[str, Any]:
        """Load a checkpoint after checking its checksums, when all ranks see it.

        Args:
            checkpoint: checkpoint to load.
            tensors: tensors to fill in place, by name, sharded or not.

        Returns:
            The values of state.json.

        Raises:
            CorruptCheckpoint: a file is missing or does not match its checksum.
            RanksDisagree: a machine does not see the checkpoint of rank 0.
        """
        self._require_on_all_machines(checkpoint)
        if self.dist.is_main and not checkpoint.is_verified:
            verify_checkpoint(checkpoint.folder)
        self.dist.barrier()
        read_tensors(checkpoint.folder, tensors, no_dist=self.dist.world_size == 1)
        text = (checkpoint.folder / "state.json").read_text(encoding="utf-8")
        state: dict[str, Any] = json.loads(text)
        return state

    def list(self) -> tuple[CheckpointInfo, ...]:
        """Return the complete checkpoints that rank 0 sees, by ascending step.

        Raises:
            CorruptCheckpoint: a manifest is unreadable.
        """
        checkpoints = self._list() if self.dist.is_main else ()
        checkpoints = self.dist.broadcast(checkpoints)
        if isinstance(checkpoints, str):
            raise CorruptCheckpoint(checkpoints)
        return checkpoints

    def newest(self) -> CheckpointInfo | None:
        """Return the newest intact checkpoint that rank 0 sees; None without one.

        Damaged ones after it are set aside, with a warning: their steps are written again.

        Raises:
            CorruptCheckpoint: every checkpoint is damaged.
        """
        newest: CheckpointInfo | str | None = None
        if self.dist.is_main:
            newest = self._find_newest()
        newest = self.dist.broadcast(newest)
        if isinstance(newest, str):
            raise CorruptCheckpoint(newest)
        return newest

    def _list(self) -> tuple[CheckpointInfo, ...] | str:
        """Return the checkpoints that this rank sees, or why one is unreadable."""
        try:
            return tuple(read_checkpoint(manifest) for manifest in find_manifests(self.folder))
        except CorruptCheckpoint as error:
            return str(error)

    def _find_newest(self) -> CheckpointInfo | str | None:
        """Return the newest intact checkpoint, or why there is none."""
        damaged: list[tuple[Path, str]] = []
        for manifest in reversed(find_manifests(self.folder)):
            try:
                verify_checkpoint(manifest.parent)
            except CorruptCheckpoint as error:
                damaged.append((manifest.parent, str(error)))
                continue
            checkpoint = replace(read_checkpoint(manifest), is_verified=True)
            for folder, reason in damaged:
                target = set_damaged_aside(folder)
                print_note(
                    f"warning: {reason.split(';')[0]}; resuming from {checkpoint.folder.name}, the "
                    f"damaged checkpoint is now {target.name}"
                )
            return checkpoint
        return damaged[0][1] if damaged else None

    def _require_on_all_machines(self, checkpoint: CheckpointInfo) -> None:
        """Wait until every rank sees the checkpoint that rank 0 chose.

        Raises:
            RanksDisagree: a machine does not see it in time.
        """
        if self.dist.world_size == 1:
            return
        is_seen = sees_checkpoint(checkpoint, SHARED_FOLDER_WAIT_S)
        views = self.dist.gather((socket.gethostname(), is_seen))
        blind = ", ".join(dict.fromkeys(host for host, is_seen in views if not is_seen))
        if blind:
            raise RanksDisagree(
                f"{blind}: {checkpoint.folder} is not the checkpoint that rank 0 resumes from; "
                "mount one folder at this path on all machines"
            )

    def best(self, checkpoints: Sequence[CheckpointInfo] | None = None) -> CheckpointInfo | None:
        """Return the checkpoint of the lowest validation loss; among all on disk by default."""
        candidates = self.list() if checkpoints is None else checkpoints
        measured = [c for c in candidates if c.loss is not None]
        return min(measured, key=lambda c: (c.loss, c.step)) if measured else None

    def poll(self) -> None:
        """Raise the error of the pending write if it has failed; do not wait for it.

        Raises:
            CheckpointFailed: the pending checkpoint could not be written.
        """
        if self._pending is not None and self._pending.done():
            self._pending.result()

    def flush(self) -> None:
        """Wait until the pending checkpoint is on disk on all ranks.

        Raises:
            CheckpointFailed: it could not be written.
        """
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()
            self.dist.barrier()

    def close(self, *, delete: bool = False) -> None:
        """Flush, stop the writer thread and, if requested, delete all checkpoints of the run.

        Raises:
            CheckpointFailed: the pending checkpoint could not be written.
        """
        try:
            self.flush()
        finally:
            self._writer.shutdown(wait=False)
        if delete and self.dist.is_main:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _complete(
        self,
        tensors_written: Future[Any],
        partial: Path,
        folder: Path,
        state: dict[str, Any],
        manifest: dict[str, Any],
    ) -> None:
        """Add JSON files, rename the folder and delete old checkpoints, in the writer thread."""
        try:
            tensors_written.result()
            if not self.dist.is_main:
                return
            write_json(partial / "state.json", state)
            manifest["files"] = {path.name: sha256(path) for path in sorted(partial.iterdir())}
            write_json(partial / "manifest.json", manifest)
            self.require_lease()
            os.replace(partial, folder)
            self._delete_old()
        except RunTakenOver:
            raise
        except BaseException as error:
            # CheckpointException derives from BaseException. flush() or poll() raises this again.
            raise write_failure(folder, error) from None

    def _delete_old(self) -> None:
        checkpoints = self._list()
        if isinstance(checkpoints, str):  # the next start reports it
            return
        best = self.best(checkpoints)
        retained = {c.step for c in checkpoints[-self.params.keep_last :]}
        if best is not None:
            retained.add(best.step)
        for old in checkpoints:
            if old.step not in retained:
                # Renamed first: a folder deleted halfway must not count as a checkpoint.
                partial = old.folder.with_name(old.folder.name + PARTIAL)
                os.replace(old.folder, partial)
                shutil.rmtree(partial)
