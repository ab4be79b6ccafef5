"""The training loop: steps, checkpoints, what goes wrong. Knows nothing of where data lies."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from data_pipelines.packed import PackedCorpus
from models.architecture.t5 import T5
from models.cost import flops
from models.errors import Diverged, Preempted
from models.training import checkpoint, optim
from models.training.averaging import average
from models.training.batches import Batch, parts, rows_of_step
from models.training.checkpoint import Checkpoints
from models.training.distributed import Group
from models.training.freezing import freeze
from models.training.loss import compute
from models.training.loss_guard import Guard
from models.training.metrics_logger import Live
from models.training.parallel import spread
from models.training.params import TrainingParams
from models.training.router_health import RouterHealth
from models.training.schedule import learning_rate
from models.training.validation import validation_loss

WEIGHT = "model."


@dataclass
class Progress:
    """What a run has done so far; part of every checkpoint."""

    step: int = 0
    seconds: float = 0.0
    """Time spent in steps, over all attempts."""
    target_tokens: int = 0
    resumed_from: int = 0
    """Step of the checkpoint that this attempt continued; 0 if it began at the beginning."""
    validation_loss: float | None = None
    """The last one measured."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One step, before it changes the weights; the same on every process."""

    loss: float
    """Mean cross-entropy of a target, in nats."""
    balance: float
    norm: float
    tokens: int


@dataclass
class Trainer:
    """Trains `model` on `corpus` for `steps`; continues a checkpoint of the same contents."""

    model: T5
    corpus: PackedCorpus
    params: TrainingParams
    steps: int
    seed: int
    folder: Path
    """Checkpoints and the log, while the run lasts."""
    contents: dict[str, Any] = field(default_factory=dict)
    """Everything the result depends on; a checkpoint of other contents is refused."""
    about: dict[str, Any] = field(default_factory=dict)
    validation: PackedCorpus | None = None
    group: Group = field(default_factory=Group)
    plots: Path | None = None
    """Where DVCLive writes; None: nowhere."""
    peak_flops: float = 0.0
    """FLOPs a second of one process's device; 0: MFU is not known."""
    stopping: Callable[[], bool] = lambda: False
    health: RouterHealth = field(default_factory=RouterHealth)
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self.guard = Guard(self.params.guard)
        self.live: Live | None = None
        config, manifest = self.model.config, self.corpus.manifest
        self._row_flops = flops.training(
            config,
            encoder_tokens=int(manifest["encoder_length"]),
            decoder_tokens=int(manifest["decoder_length"]),
            rows=1,
        )

    def fit(self, on_step: Callable[[int], None] | None = None) -> Progress:
        """Runs to the last step; `model` then holds the final weights on every process.

        Raises Diverged when too many batches give a loss that explodes, Preempted when stopped,
        CheckpointFailed, ProcessLost, and DataMismatch for a checkpoint of another run.
        """
        freeze(self.model, self.params.freeze)
        self.model.recompute = self.params.activation_checkpointing
        self.model.to(self.group.device)
        self.spread = spread(self.model, self.params, self.group)
        self.checkpoints = Checkpoints(
            self.folder, self.params.checkpoint, self.contents, self.group, self.about
        )
        torch.manual_seed(self.seed + 1000 * self.group.rank)
        try:
            self._begin()
            self.model.train()
            while self.progress.step < self.steps:
                self._one(self.progress.step)
                if on_step is not None:
                    on_step(self.progress.step)
            self._end()
        except BaseException:
            if self.group.world == 1:  # several may be lost to each other
                self.checkpoints.finish()
            raise
        return self.progress

    def _begin(self) -> None:
        """From the last checkpoint, or from step 0, whose checkpoint shows that one can write."""
        optim.make_state(self.spread.optimizers)
        self.checkpoints.prepare()
        if self.group.is_first:
            self.live = Live(self.folder / "log.jsonl", self.plots, self.steps)
        found = self.checkpoints.saved()
        if found:
            self._go_to(found[-1])
            self.progress.resumed_from = self.progress.step
        else:
            self._save(wait=True)
        if self.live is not None:
            self.live.begin(self.progress.step)
        self._count_from_here()

    def _count_from_here(self) -> None:
        """The next log line tells of what comes after this."""
        self._told = self.health.total(self.group), self.progress.target_tokens, time.perf_counter()

    def _one(self, step: int) -> None:
        """Step `step`, or what is done in its place where something is wrong."""
        began = time.perf_counter()
        batch = self.guard.batch_of(step)
        with self.group.waiting():
            self.group.sign(step)
            outcome = self._gradients(step, self._parts_of(batch))
        complaint = self.guard.complaint(outcome.loss, outcome.norm)
        if complaint is not None:
            self._roll_back(step, batch, complaint)
            return
        self._update(step, outcome.norm)
        self.guard.passed(outcome.loss)
        self.progress.step = step + 1
        self.progress.target_tokens += outcome.tokens
        self.progress.seconds += time.perf_counter() - began
        self._log(step, outcome)
        self.checkpoints.check()
        if self.live is not None:
            self.live.moved()
        if self.progress.step % self.params.checkpoint.save_every == 0:
            self._validate_and_save()

    def _parts_of(self, batch: int) -> list[Batch]:
        rows = rows_of_step(
            len(self.corpus),
            batch,
            self.params.global_batch_size,
            self.seed,
            self.group.rank,
            self.group.world,
        )
        return parts(self.corpus, rows, self.params.gradient_accumulation_steps, self.group.device)

    def _gradients(self, step: int, batches: list[Batch]) -> Outcome:
        """Forward and backward over all parts; the gradients are then those of the whole step."""
        own = sum((batch["decoder_segment_ids"] > 0).sum() for batch in batches)
        assert isinstance(own, Tensor)
        told = self.group.sum(torch.stack([own, own.new_tensor(int(self.stopping()))]))
        if int(told[1]):  # known to all at once, so that all stop at the same step
            self._stop(step)
        nats = balance = torch.zeros((), device=self.group.device)
        for number, batch in enumerate(batches):
            half = self.params.precision == "bfloat16"
            with (
                self.spread.accumulating(last=number == len(batches) - 1),
                torch.autocast(self.group.device.type, torch.bfloat16, enabled=half),
            ):
                loss = compute(
                    self.spread.forward,
                    self.model,
                    batch,
                    params=self.params.loss,
                    group=self.group,
                    targets=told[0],
                    parts=len(batches),
                )
                loss.total.backward()
            nats, balance = nats + loss.nats, balance + loss.balance / len(batches)
            self.health.update(self.model)
        self.spread.complete_gradients()
        sums = self.group.sum(torch.stack([nats, balance, self.spread.squared_norm()]).double())
        tokens = int(told[0])
        return Outcome(
            loss=float(sums[0]) / max(tokens, 1),
            balance=float(sums[1]) / self.group.world,
            norm=math.sqrt(float(sums[2])) if sums[2] >= 0 else math.nan,
            tokens=tokens,
        )

    def _update(self, step: int, norm: float) -> None:
        if norm > self.params.optim.max_grad_norm:
            self.spread.scale_gradients(self.params.optim.max_grad_norm / (norm + 1e-6))
        rate = learning_rate(step, self.steps, self.params.optim)
        for optimizer in self.spread.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        self._forget_gradients()

    def _forget_gradients(self) -> None:
        for weight in self.model.parameters():
            weight.grad = None

    def _roll_back(self, step: int, batch: int, complaint: str) -> None:
        """To the last checkpoint, and from there on without this batch."""
        self._forget_gradients()
        if not self.guard.skip(batch):
            raise Diverged(
                f"step {step + 1}: {complaint}; {len(self.guard.skipped)} batches were left out "
                "already. Lower models.training.optim.lr or raise its warmup_steps"
            )
        skipped = self.guard.skipped
        self.checkpoints.wait()
        self._go_to(self.checkpoints.saved()[-1])
        self.guard.skipped = skipped
        if self.live is not None:
            self.live.begin(self.progress.step)
            self.live.note(
                f"step {step + 1}: {complaint}: back to step {self.progress.step}, without batch "
                f"{batch} (left out so far: {len(skipped)} of at most {self.params.guard.max_skipped_batches})"
            )
        self._count_from_here()

    def _stop(self, step: int) -> None:
        self._save(wait=True)
        raise Preempted(
            f"stopped at step {step} of {self.steps}, all of it saved; start it again to go on"
        )

    def _log(self, step: int, outcome: Outcome) -> None:
        done = step + 1
        if done % self.params.log_every and done != self.steps:
            return
        earlier, tokens, at = self._told
        total, now = self.health.total(self.group), time.perf_counter()
        recent = total.since(earlier)
        steps = done % self.params.log_every or self.params.log_every
        rate = steps * self.params.global_batch_size * self._row_flops / (now - at)
        self._told = total, self.progress.target_tokens, now
        if self.live is None:
            return
        self.live.tell(
            {
                "step": done,
                "steps": self.steps,
                "loss": round(outcome.loss, 7),
                "balance": round(outcome.balance, 7),
                "lr": learning_rate(step, self.steps, self.params.optim),
                "grad_norm": round(outcome.norm, 7),
                "target_tokens": self.progress.target_tokens,
                "validation_loss": self.progress.validation_loss,
                "largest_load": recent.largest_load(),
                "tokens_per_second": round((self.progress.target_tokens - tokens) / (now - at), 1),
                "mfu": round(rate / self.peak_flops / self.group.world, 4)
                if self.peak_flops
                else None,
                "time": round(time.time(), 1),
            },
            recent.warnings(),
        )

    def _validate_and_save(self) -> None:
        loss, every = None, self.params.validate_every
        if every and self.progress.step % every == 0 and self.validation is not None:
            loss = validation_loss(
                self.model, self.validation, self.params.validate_rows, group=self.group
            )
            self.progress.validation_loss = loss
            self.model.train()
        self._save(loss=loss)

    def _tensors(self) -> dict[str, Tensor]:
        weights = {f"{WEIGHT}{name}": t for name, t in self.model.state_dict().items()}
        state = optim.named_state(self.model, self.spread.optimizers)
        return weights | state | checkpoint.random_state(self.group)

    def _save(self, *, wait: bool = False, loss: float | None = None) -> None:
        state = {
            # A copy: it is written while training goes on.
            "progress": dict(vars(self.progress)),
            "recent": self.guard.recent,
            "skipped": self.guard.skipped,
            "health": self.health.total(self.group).to_dict(),
        }
        self.checkpoints.save(self.progress.step, self._tensors(), state, loss=loss, wait=wait)

    def _go_to(self, saved: checkpoint.Saved) -> None:
        """The state of that checkpoint, on every process."""
        tensors = self._tensors()
        state = self.checkpoints.load(saved, tensors)
        checkpoint.restore_random(tensors, self.group)
        self.progress = Progress(**state["progress"])
        self.guard.recent, self.guard.skipped = state["recent"], state["skipped"]
        # Sums over all processes: the first one goes on with them, the others from nothing.
        kept = (
            state["health"]
            if self.group.is_first
            else {n: [0.0] * len(s) for n, s in state["health"].items()}
        )
        self.health = RouterHealth.from_dict(kept, self.group.device)

    def _end(self) -> None:
        """The final weights: the last, the best, or the average of the last checkpoints."""
        final = self.params.checkpoint.final_weights
        if final != "last" and self.steps:
            if self.progress.step % self.params.checkpoint.save_every:
                self._validate_and_save()
            self.checkpoints.wait()
            weights = {f"{WEIGHT}{name}": t for name, t in self.model.state_dict().items()}
            found = self.checkpoints.saved()
            best = self.checkpoints.best(found)
            if final == "average":
                average([s.folder for s in found[-self.params.checkpoint.keep_last :]], weights)
            elif best is not None:
                checkpoint.read_tensors(best.folder, weights, alone=self.group.world == 1)
        self.checkpoints.wait()
        if self.live is not None:
            self.live.close()
