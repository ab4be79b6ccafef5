"""Parameters of training: `models.training.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SCHEDULES = ("linear", "constant", "inverse_sqrt")
DATA_PARALLEL = ("oss", "ddp", "sharded", "fsdp")
FREEZE = ("gate", "experts", "moe", "all_but_gate", "all_but_experts", "all_but_moe")
FINAL = ("last", "best", "average")


@dataclass(frozen=True, kw_only=True)
class OptimParams:
    """The optimizer and its schedule."""

    name: str = "adamw"
    """adamw or adafactor, torch's own."""
    lr: float = 2e-3
    """Highest learning rate."""
    weight_decay: float = 0.0
    schedule: str = "linear"
    """After the warm-up: linear (constant, then falling over `decay_fraction`), constant, or
    inverse_sqrt (T5's: lr * sqrt(warmup_steps / step))."""
    warmup_steps: int = 100
    """Steps of linear growth to `lr`."""
    decay_fraction: float = 0.4
    """With `linear`: last part of the steps over which the rate falls to 0; 1 is all of them."""
    max_grad_norm: float = 1.0
    """Largest norm of the whole gradient."""

    def __post_init__(self) -> None:
        if self.name not in ("adamw", "adafactor"):
            raise ValueError(f"name is {self.name!r}: it must be adamw or adafactor")
        _one_of("schedule", self.schedule, SCHEDULES)
        if self.lr <= 0 or self.max_grad_norm <= 0:
            raise ValueError("lr and max_grad_norm must be above 0")
        if self.warmup_steps < 0 or not 0 <= self.decay_fraction <= 1:
            raise ValueError("warmup_steps must not be negative, decay_fraction lie in [0, 1]")
        if self.schedule == "inverse_sqrt" and self.warmup_steps < 1:
            raise ValueError("schedule inverse_sqrt needs warmup_steps of at least 1")


@dataclass(frozen=True, kw_only=True)
class LossParams:
    """What is added to the cross-entropy; the routers' losses belong to the preset."""

    label_smoothing: float = 0.0
    """Part of a target's probability that is spread over the vocabulary."""
    z_loss_weight: float = 0.0
    """Weight of (log Z)^2 of the output, Z the sum that its softmax divides by; 1e-4 in T5X."""

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1 or self.z_loss_weight < 0:
            raise ValueError("label_smoothing must lie in [0, 1), z_loss_weight not be negative")


@dataclass(frozen=True, kw_only=True)
class ParallelParams:
    """How several processes share the work."""

    data_parallel: str = "oss"
    """oss: torch DDP, optimizer state sharded by fairscale's OSS; sharded: gradients too, by
    fairscale's ShardedDataParallel; fsdp: weights too, torch FSDP2; ddp: nothing is sharded."""
    expert_parallel_size: int = 1
    """Processes that the experts of a layer are spread over; a divisor of all processes."""
    timeout_s: float = 600.0
    """Seconds after which a process that waits for the others gives up, naming who is late."""
    max_restarts: int = 3
    """Times torchrun starts the processes again, from the last checkpoint, when one dies."""

    def __post_init__(self) -> None:
        _one_of("data_parallel", self.data_parallel, DATA_PARALLEL)
        if self.expert_parallel_size < 1 or self.max_restarts < 0 or self.timeout_s <= 0:
            raise ValueError(
                "expert_parallel_size must be at least 1, max_restarts 0 or more, timeout_s above 0"
            )


@dataclass(frozen=True, kw_only=True)
class CheckpointParams:
    """What a killed run continues from, and which weights a run ends with."""

    save_every: int = 200
    """Steps between checkpoints."""
    keep_last: int = 2
    """Last checkpoints that are kept while the run lasts; the best one beside them."""
    asynchronous: bool = True
    """Write while training goes on, from a copy in memory."""
    final_weights: str = "last"
    """Weights the run ends with: the last; those of the best validation loss seen (needs
    `validate_every`); or the average of the last `keep_last` checkpoints."""

    def __post_init__(self) -> None:
        _one_of("final_weights", self.final_weights, FINAL)
        if self.save_every < 1 or self.keep_last < 1:
            raise ValueError("save_every and keep_last must be at least 1")


@dataclass(frozen=True, kw_only=True)
class GuardParams:
    """What happens when the loss explodes or is no number."""

    loss_spike_factor: float = 3.0
    """A loss above this many times the mean of the last 20 is an explosion; 0 looks for none."""
    max_skipped_batches: int = 3
    """Batches that are skipped, each after going back to the last checkpoint, before giving up."""

    def __post_init__(self) -> None:
        if self.max_skipped_batches < 0 or (
            self.loss_spike_factor != 0 and self.loss_spike_factor <= 1
        ):
            raise ValueError(
                "loss_spike_factor must be 0 or above 1, max_skipped_batches not negative"
            )


@dataclass(frozen=True, kw_only=True)
class TrainingParams:
    """What every run shares; a run's own `training` changes single values."""

    optim: OptimParams = field(default_factory=OptimParams)
    loss: LossParams = field(default_factory=LossParams)
    parallel: ParallelParams = field(default_factory=ParallelParams)
    checkpoint: CheckpointParams = field(default_factory=CheckpointParams)
    guard: GuardParams = field(default_factory=GuardParams)
    global_batch_size: int = 16
    """Packed rows of an optimizer step, over all processes and accumulated parts."""
    gradient_accumulation_steps: int = 1
    """Parts a process computes its rows in, one after the other, to hold fewer activations."""
    activation_checkpointing: bool = False
    """Keep only the blocks' inputs for the backward pass and compute the rest again."""
    dropout: float = 0.0
    """Dropout of every layer."""
    expert_dropout: float | None = None
    """Dropout inside experts; null: the preset's."""
    freeze: str | None = None
    """What is not trained: gate (the routers), experts, moe (whole MoE layers), or all_but_ one of
    these; null: everything is trained."""
    threads: int = 1
    """CPU threads of a process. Results are the same again only at the same number."""
    processes_per_node: int = 1
    """Processes on each machine."""
    dispatch: str = "native"
    """How tokens reach their experts: native, tutel or fairscale. The weights are the same."""
    precision: str = "float32"
    """float32, or bfloat16 autocast with float32 weights and router."""
    log_every: int = 20
    """Steps between log lines."""
    validate_every: int = 0
    """Steps between measurements of the validation loss; a multiple of `checkpoint.save_every`, as the
    best checkpoint is chosen by it; 0: only at the end."""
    validate_rows: int = 256
    """Packed rows the validation loss is measured on."""
    peak_flops: float = 0.0
    """FLOPs a second that a process's device can do, for MFU; 0: what a large matrix product
    reaches on it, measured at the start."""

    def __post_init__(self) -> None:
        for name in (
            "global_batch_size",
            "threads",
            "processes_per_node",
            "log_every",
            "gradient_accumulation_steps",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.global_batch_size % (self.processes_per_node * self.gradient_accumulation_steps):
            parts = (
                f" in {self.gradient_accumulation_steps} parts"
                if self.gradient_accumulation_steps > 1
                else ""
            )
            raise ValueError(
                f"global_batch_size {self.global_batch_size} cannot be shared evenly by "
                f"{self.processes_per_node} processes{parts}"
            )
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError("precision must be float32 or bfloat16")
        if self.freeze is not None:
            _one_of("freeze", self.freeze, FREEZE)
        for name in ("dropout", "expert_dropout"):
            if not 0 <= (getattr(self, name) or 0) < 1:
                raise ValueError(f"{name} must lie in [0, 1)")
        every = self.checkpoint.save_every
        if self.validate_every < 0 or self.validate_every % every:
            raise ValueError(
                f"validate_every is {self.validate_every}: it must be 0 or a multiple of "
                f"checkpoint.save_every, {every}"
            )
        if self.checkpoint.final_weights == "best" and not self.validate_every:
            raise ValueError("checkpoint.final_weights is best: set validate_every")


SCRATCH = "scratch"
NAME = "[A-Za-z0-9_]+"


@dataclass(frozen=True, kw_only=True)
class RunParams:
    """One trained model (`models.runs.NAME`)."""

    preset: str
    """Architecture: a name from `flanmoe models`."""
    start: str
    """`scratch` for random weights; the run whose weights this one continues from; or another
    folder `runs/NAME` with weights in it, e.g. imported ones. A dense model's weights become an MoE
    preset's by sparse upcycling. Always written out: dvc.yaml reads it to know which run needs
    which."""
    data: str = "train"
    """`pretrain` (plain text) or `train` (instructions)."""
    tasks: tuple[str, ...] = ()
    """Only examples of these tasks, names or patterns such as `cot_*`: fine-tuning on a task.
    Empty: the whole mixture."""
    steps: int = 1000
    """Optimizer steps; 0 takes the start's weights as they are, to evaluate them."""
    seed: int = 0
    """Weights, order of the data, dropout."""
    tuned: bool = True
    """Whether this is an instruction-tuned model; comparisons show it."""
    training: dict[str, Any] = field(default_factory=dict)
    """What is other than in `models.training` for this run, e.g. `{optim: {lr: 1e-4}, freeze:
    gate}`."""

    def __post_init__(self) -> None:
        if self.data not in ("pretrain", "train"):
            raise ValueError(f"data is {self.data!r}: it must be pretrain or train")
        if self.steps < (1 if self.start == SCRATCH else 0):
            raise ValueError("steps must be at least 1, or 0 to take another run's weights")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}: it must be one of {', '.join(known)}")
