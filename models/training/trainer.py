"""The training loop: steps, checkpoints, log. Knows nothing of where data or outputs lie."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from data_pipelines.packed import PackedCorpus
from models.architecture.t5 import T5
from models.errors import Diverged
from models.training import checkpoint, optim
from models.training.batches import Batch, batches, to_tensors
from models.training.health import RouterHealth
from models.training.loss import Loss, compute
from models.training.parallel import Group
from models.training.params import TrainingParams
from models.training.schedule import learning_rate


@dataclass
class Progress:
    """What a run has done so far; part of every checkpoint."""

    step: int = 0
    seconds: float = 0.0
    """Time spent in steps, over all attempts."""
    target_tokens: int = 0
    resumed_from: int = 0
    """Step of the checkpoint that this attempt continued; 0 if it began at the beginning."""
    log: list[dict[str, float]] = field(default_factory=list)


@dataclass
class Trainer:
    """Trains `model` on `corpus` for `steps`; continues a checkpoint of the same fingerprint."""

    model: T5
    corpus: PackedCorpus
    params: TrainingParams
    steps: int
    seed: int
    fingerprint: str
    checkpoints: Path
    group: Group = field(default_factory=Group)
    health: RouterHealth = field(default_factory=RouterHealth)
    progress: Progress = field(default_factory=Progress)

    def fit(self, on_step: Callable[[int], None] | None = None) -> Progress:
        """Runs to the last step. Raises Diverged when the loss is no finite number."""
        sharded = self.group.world > 1
        wrapped = self.group.wrap(self.model)
        optimizer = optim.build(self.model, self.params.optim, sharded=sharded)
        torch.manual_seed(self.seed + 1000 * self.group.rank)
        self._resume(optimizer)
        self.model.train()
        stream = batches(
            self.corpus,
            first=self.progress.step,
            last=self.steps,
            batch_rows=self.params.batch_rows,
            seed=self.seed,
            rank=self.group.rank,
            world=self.group.world,
        )
        bar = tqdm(
            total=self.steps,
            initial=self.progress.step,
            desc="train",
            unit="step",
            disable=not self.group.is_first,
        )
        for step, batch in stream:
            started = time.perf_counter()
            loss = self._step(wrapped, optimizer, step, batch)
            self.progress.seconds += time.perf_counter() - started
            self.progress.step = step + 1
            self._log(step, loss, bar)
            bar.update()
            done = step + 1 == self.steps
            if (step + 1) % self.params.checkpoint_every == 0 and not done:
                self._save(optimizer, sharded=sharded)
            if on_step is not None:
                on_step(step + 1)
        bar.close()
        return self.progress

    def _step(
        self,
        wrapped: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        step: int,
        batch: Batch,
    ) -> Loss:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, self.steps, self.params.optim)
        # The mean over all processes' targets: DDP then averages gradients exactly.
        tokens = self.group.sum((batch["target_segments"] > 0).sum())
        with torch.autocast("cpu", torch.bfloat16, enabled=self.params.precision == "bfloat16"):
            loss = compute(wrapped, self.model, batch, mean_over=tokens / self.group.world)
        loss.total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.params.optim.clip)
        if not math.isfinite(float(norm)) or not math.isfinite(float(loss.total)):
            raise Diverged(
                f"step {step + 1}: the loss is {float(loss.total):.4g}, the gradient's norm "
                f"{float(norm):.4g}; lower models.training.optim.lr or raise warmup_steps"
            )
        optimizer.step()
        optimizer.zero_grad()
        self.health.update(self.model)
        self.progress.target_tokens += int(tokens)
        return loss

    def _log(self, step: int, loss: Loss, bar: Any) -> None:
        done = step + 1
        if done % self.params.log_every and done != self.steps:
            return
        line = {
            "step": done,
            "loss": round(float(loss.nats / loss.tokens.clamp(min=1)), 5),
            "balance": round(float(loss.balance), 5),
            "lr": learning_rate(step, self.steps, self.params.optim),
        }
        self.progress.log.append(line)
        bar.set_postfix_str(f"loss {line['loss']:.3f}", refresh=False)

    def _resume(self, optimizer: torch.optim.Optimizer) -> None:
        state = checkpoint.load(self.checkpoints, self.fingerprint)
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        self.progress = Progress(**json.loads(state["progress"]))
        self.progress.resumed_from = self.progress.step
        self.health = RouterHealth(**state["health"])

    def _save(self, optimizer: torch.optim.Optimizer, *, sharded: bool) -> None:
        optimizer_state = optim.state_of(optimizer, sharded=sharded)
        if self.group.is_first:
            state = {
                "model": self.model.state_dict(),
                "optimizer": optimizer_state,
                "rng": torch.get_rng_state(),
                "progress": json.dumps(vars(self.progress)),
                "health": vars(self.health),
            }
            checkpoint.save(self.checkpoints, self.progress.step, self.fingerprint, state)
        self.group.barrier()


@torch.no_grad()
def validation_loss(model: T5, corpus: PackedCorpus, rows: int, batch_rows: int = 32) -> float:
    """Mean cross-entropy in nats over the targets of the first `rows` packed rows."""
    model.eval()
    nats = tokens = 0.0
    for start in range(0, min(rows, len(corpus)), batch_rows):
        chosen = np.arange(start, min(start + batch_rows, rows, len(corpus)), dtype=np.int64)
        loss = compute(model, model, to_tensors(corpus, chosen))
        nats += float(loss.nats)
        tokens += float(loss.tokens)
    return nats / max(tokens, 1.0)
