"""The training loop: optimizer steps, checkpoints, roll-backs, log lines."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from data_pipelines.order import row_indices
from data_pipelines.packed import PackedCorpus
from models.architecture.t5 import T5
from models.errors import CheckpointFailed, Diverged, Preempted
from models.training.batches import Batch, count_tokens, load_microbatches
from models.training.checkpoint import Checkpointer
from models.training.distributed import DistributedContext
from models.training.final_weights import load_final_weights
from models.training.freezing import freeze
from models.training.log_lines import LogLineBuilder
from models.training.loss import compute_loss
from models.training.loss_guard import LossGuard
from models.training.metrics_logger import MetricsLogger, MetricsSink, NullLogger
from models.training.optim import initialize_optimizer_state, optimizer_state
from models.training.optimizer_files import load_optimizer
from models.training.parallel import parallelize
from models.training.params import TrainingParams
from models.training.random_state import get_random_state, set_random_state
from models.training.result import Progress, StepResult, TrainResult
from models.training.router_health import RouterHealth
from models.training.schedule import learning_rate
from models.training.validation import validation_loss

WEIGHT_PREFIX = "model."
"""Prefix of the weights' names in a checkpoint."""


class Trainer:
    """Trains a model on a packed corpus and resumes from the checkpoints of the same run."""

    def __init__(
        self,
        *,
        model: T5,
        corpus: PackedCorpus,
        params: TrainingParams,
        steps: int,
        seed: int,
        folder: Path,
        fingerprint: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        validation: PackedCorpus | None = None,
        dist: DistributedContext | None = None,
        metrics_sink: MetricsSink | None = None,
        peak_flops: float = 0.0,
        is_stop_requested: Callable[[], bool] = lambda: False,
        initial_optimizer: Path | None = None,
        require_lease: Callable[[], None] = lambda: None,
    ) -> None:
        """Distribute the model, build its optimizers and prepare the folder of checkpoints.

        Args:
            model: model to train, in place.
            corpus: packed rows to train on.
            params: settings of the run.
            steps: optimizer steps of the run.
            seed: seed of data order and dropout.
            folder: folder of checkpoints and log.jsonl during the run.
            fingerprint: settings and data that the result depends on, equal in all checkpoints.
            metadata: further values for the manifests.
            validation: packed rows of the validation loss.
            dist: ranks that train together; this process alone by default.
            metrics_sink: further receiver of rank 0's log lines.
            peak_flops: peak FLOP/s of one rank's device; 0: no MFU.
            is_stop_requested: polled in every step; if True on any rank, all save and stop.
            initial_optimizer: folder of the initial optimizer state; None: a fresh state.
            require_lease: raises if another process trains the run now.

        Raises:
            ConfigError: parallelism or freezing do not fit the model or the world size.
            CheckpointFailed: the folder cannot be written.
            DataMismatch: the initial optimizer state is of another optimizer or model.
        """
        self.model, self.corpus, self.validation = model, corpus, validation
        self.params, self.steps, self.seed = params, steps, seed
        self.dist = dist or DistributedContext()
        self.peak_flops, self.is_stop_requested = peak_flops, is_stop_requested
        freeze(model, params.freeze)
        model.activation_checkpointing = params.activation_checkpointing
        model.to(self.dist.device)
        self.parallel_model = parallelize(model, params, self.dist)
        initialize_optimizer_state(self.parallel_model.optimizers)
        if initial_optimizer is not None:
            load_optimizer(initial_optimizer, model, self.parallel_model.optimizers, self.dist)
        self.checkpointer = Checkpointer(
            folder, params.checkpoint, fingerprint=fingerprint, metadata=metadata, dist=self.dist,
            require_lease=require_lease,
        )  # fmt: skip
        self.logger: MetricsLogger | NullLogger = NullLogger()
        if self.dist.is_main:
            self.logger = MetricsLogger(folder / "log.jsonl", steps, metrics_sink)
        self.guard = LossGuard(params.guard)
        self.health = RouterHealth()
        self.progress = Progress()
        lengths = {
            name: int(corpus.manifest[name]) for name in ("encoder_length", "decoder_length")
        }
        peak_flops *= self.dist.world_size
        self._log_lines = LogLineBuilder(
            model.config, params, steps=steps, **lengths, peak_flops=peak_flops
        )

    def fit(self, on_step: Callable[[int], None] | None = None) -> TrainResult:
        """Train to the last step; the model then holds the final weights on every rank.

        Args:
            on_step: called after each step with the number of completed steps.

        Returns:
            Losses, router health and log lines of the run.

        Raises:
            Diverged: the loss stays anomalous after the allowed number of skipped batches.
            Preempted: a stop was requested; a checkpoint is saved.
            CheckpointFailed: a checkpoint could not be written.
            ProcessLost: another rank failed or timed out.
        """
        torch.manual_seed(self.seed + 1000 * self.dist.rank)
        try:
            self._restore_or_init()
            self.model.train()
            while self.progress.step < self.steps:
                self.train_step(self.progress.step)
                if on_step is not None:
                    on_step(self.progress.step)
            self._finalize()
        except BaseException:
            if self.dist.world_size == 1:  # otherwise the write may wait for a lost rank
                with suppress(CheckpointFailed):
                    self.checkpointer.close()
            raise
        return self._result()

    def train_step(self, step: int) -> None:
        """Run one optimizer step, or roll back to the last checkpoint if the loss is anomalous."""
        start = time.perf_counter()
        batch_index = self.guard.batch_index(step)
        with self.dist.translate_collective_errors():
            self.dist.heartbeat(step)
            result = self._compute_gradients(step, self._load_microbatches(batch_index))
        anomaly = self.guard.find_anomaly(result.loss, result.grad_norm)
        if anomaly is not None:
            self._roll_back(step, batch_index, anomaly)
            return
        self._apply_update(step, result.grad_norm)
        self.guard.record(result.loss)
        self.progress.step = step + 1
        self.progress.target_tokens += result.num_targets
        self.progress.seconds += time.perf_counter() - start
        self._log(result)
        self.checkpointer.poll()
        self.logger.advance()
        if self.progress.step % self.params.checkpoint.save_every == 0:
            self._validate_and_save()

    def _restore_or_init(self) -> None:
        """Load the last checkpoint, or save step 0, which fails early on an unwritable folder."""
        if self._load_newest_checkpoint():
            self.progress.resumed_from_step = self.progress.step
        else:
            self._log_lines.reset(RouterHealth(), self.progress)
            self._save_checkpoint(wait=True)
        self.logger.rewind(self.progress.step)

    def _load_microbatches(self, batch_index: int) -> list[Batch]:
        size, dist = self.params.global_batch_size, self.dist
        rows = row_indices(
            len(self.corpus), batch_index, size, self.seed, dist.rank, dist.world_size
        )
        number = self.params.gradient_accumulation_steps
        return load_microbatches(self.corpus, rows, number, self.dist.device)

    def _compute_gradients(self, step: int, microbatches: list[Batch]) -> StepResult:
        """Run forward and backward passes; reduce the gradients to those of the global batch."""
        columns = ("encoder_segment_ids", "decoder_segment_ids")
        counts = [count_tokens(microbatches, column) for column in columns]
        # One all-reduce: all ranks stop at the same step.
        own_sums = torch.stack([*counts, counts[0].new_tensor(int(self.is_stop_requested()))])
        num_inputs, num_targets, stop_requested = self.dist.all_reduce_sum(own_sums)
        if int(stop_requested):
            self._save_and_stop(step)
        cross_entropy_sum = load_balance_loss = torch.zeros((), device=self.dist.device)
        use_autocast = self.params.precision == "bfloat16"
        for number, batch in enumerate(microbatches):
            is_last = number == len(microbatches) - 1
            with (
                self.parallel_model.maybe_no_sync(is_last=is_last),
                torch.autocast(self.dist.device.type, torch.bfloat16, enabled=use_autocast),
            ):
                loss = compute_loss(
                    self.parallel_model.forward,
                    self.model,
                    batch,
                    params=self.params.loss,
                    dist=self.dist,
                    num_targets=num_targets,
                    num_inputs=num_inputs,
                )
                loss.total.backward()
            cross_entropy_sum = cross_entropy_sum + loss.cross_entropy_sum
            load_balance_loss = load_balance_loss + loss.load_balance_loss
            self.health.update(self.model)
        self.parallel_model.reduce_expert_gradients()
        losses = [cross_entropy_sum, load_balance_loss, self.parallel_model.squared_grad_norm()]
        sums = self.dist.all_reduce_sum(torch.stack(losses).double())
        return StepResult(
            loss=float(sums[0]) / max(int(num_targets), 1),
            load_balance_loss=float(sums[1]) / self.dist.world_size,
            grad_norm=math.sqrt(float(sums[2])) if sums[2] >= 0 else math.nan,
            num_targets=int(num_targets),
        )

    def _apply_update(self, step: int, grad_norm: float) -> None:
        """Clip the gradients, set the learning rate and step the optimizers."""
        max_grad_norm = self.params.optim.max_grad_norm
        if max_grad_norm is not None and grad_norm > max_grad_norm:
            self.parallel_model.scale_gradients(max_grad_norm / (grad_norm + 1e-6))
        lr = learning_rate(step, self.steps, self.params.optim)
        for optimizer in self.parallel_model.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
        self.parallel_model.zero_grad()

    def _roll_back(self, step: int, batch_index: int, anomaly: str) -> None:
        """Load the last checkpoint and exclude the batch from the data stream."""
        self.parallel_model.zero_grad()
        if not self.guard.skip(batch_index):
            raise Diverged(
                f"step {step + 1}: {anomaly}; {len(self.guard.skipped_batches)} batches were "
                "skipped already; lower models.training.optim.lr or raise its warmup_steps"
            )
        skipped_batches = self.guard.skipped_batches
        self.checkpointer.flush()
        self._load_newest_checkpoint()
        self.guard.skipped_batches = skipped_batches
        self.logger.rewind(self.progress.step)
        self.logger.note(
            f"step {step + 1}: {anomaly}: rolled back to step {self.progress.step}, skipping batch "
            f"{batch_index} ({len(skipped_batches)} of at most "
            f"{self.params.guard.max_skipped_batches} skipped)"
        )

    def _save_and_stop(self, step: int) -> None:
        self._save_checkpoint(wait=True)
        raise Preempted(
            f"stopped at step {step} of {self.steps}, checkpoint saved; rerun the same command to "
            "resume"
        )

    def _log(self, result: StepResult) -> None:
        """Write a log line if one is due."""
        if self._log_lines.is_due(self.progress.step):
            health = self.health.all_reduce(self.dist)
            line, warnings = self._log_lines.build(result, self.progress, health)
            self.logger.log(line, warnings)

    def _validate_and_save(self) -> None:
        loss, validate_every = None, self.params.validate_every
        if validate_every and self.progress.step % validate_every == 0:
            loss = self.progress.validation_loss = self._validation_loss()
            self.model.train()
        self._save_checkpoint(loss=loss)

    def _validation_loss(self) -> float | None:
        if self.validation is None:
            return None
        return validation_loss(
            self.model, self.validation, self.params.validate_rows, dist=self.dist
        )

    def _weights(self) -> dict[str, Tensor]:
        return {f"{WEIGHT_PREFIX}{name}": w for name, w in self.model.state_dict().items()}

    def _checkpoint_tensors(self) -> dict[str, Tensor]:
        optimizers = optimizer_state(self.model, self.parallel_model.optimizers)
        return self._weights() | optimizers | get_random_state(self.dist)

    def _save_checkpoint(self, *, wait: bool = False, loss: float | None = None) -> None:
        state = {
            # A copy, because it is written while training continues.
            "progress": dataclasses.asdict(self.progress),
            "recent_losses": self.guard.recent_losses,
            "skipped_batches": self.guard.skipped_batches,
            "health": self.health.all_reduce(self.dist).to_dict(),
            # The next log line is the same as without an interruption.
            "logged_health": self._log_lines.previous_health.to_dict(),
            "warning_streaks": self.logger.streaks,
        }
        tensors = self._checkpoint_tensors()
        self.checkpointer.save(self.progress.step, tensors, state, loss=loss, wait=wait)

    def _load_newest_checkpoint(self) -> bool:
        """Restore weights, optimizer, random states and counters; return whether there are any."""
        checkpoint = self.checkpointer.newest()
        if checkpoint is None:
            return False
        tensors = self._checkpoint_tensors()
        state = self.checkpointer.load(checkpoint, tensors)
        set_random_state(tensors, self.dist)
        self.progress = Progress(**state["progress"])
        self.guard.recent_losses = state["recent_losses"]
        self.guard.skipped_batches = state["skipped_batches"]
        # The saved sums are totals over all ranks: rank 0 takes them, the others restart at 0.
        sums = state["health"]
        if not self.dist.is_main:
            sums = {name: [0.0] * len(values) for name, values in sums.items()}
        self.health = RouterHealth.from_dict(sums, self.dist.device)
        logged_health = RouterHealth.from_dict(state["logged_health"], self.dist.device)
        self._log_lines.reset(logged_health, self.progress)
        self.logger.streaks = dict(state["warning_streaks"])
        return True

    def _finalize(self) -> None:
        """Set the final weights and complete the files of the run."""
        if self.params.checkpoint.final_weights != "last" and self.steps:
            if self.progress.step % self.params.checkpoint.save_every:
                self._validate_and_save()
            self.checkpointer.flush()
            load_final_weights(self.checkpointer, self._weights())
        self.checkpointer.flush()
        self.logger.close()

    def _result(self) -> TrainResult:
        losses = [line["loss"] for line in self.logger.lines[-5:]]
        return TrainResult(
            progress=dataclasses.replace(self.progress),
            train_loss=round(sum(losses) / len(losses), 5) if losses else None,
            validation_loss=self._validation_loss(),
            router_health=self.health.all_reduce(self.dist).summary(self.model.config),
            skipped_batches=list(self.guard.skipped_batches),
            peak_flops=self.peak_flops,
            log_lines=list(self.logger.lines),
        )
