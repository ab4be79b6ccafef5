"""Parameters of training: `models.training.*` and `models.runs.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from data_pipelines.bounds import Count, CountOrZero, Processes, Rate, Retries, Share
from models.choices import DispatchBackend, OptimizerName
from models.training.recipes import RecipeName

Schedule = Literal["linear", "constant", "inverse_sqrt", "t5"]
DataParallel = Literal["oss", "ddp", "sharded", "fsdp"]
FreezePolicy = Literal["gate", "experts", "moe", "all_but_gate", "all_but_experts", "all_but_moe"]
FinalWeights = Literal["last", "best", "average"]
Precision = Literal["float32", "bfloat16"]
TrainingCorpus = Literal["span_corruption", "prefix_lm", "train"]
PRETRAINING_CORPORA: tuple[TrainingCorpus, ...] = ("span_corruption", "prefix_lm")
"""Packed corpora of plain text, by pre-training objective."""


@dataclass(frozen=True, kw_only=True)
class OptimParams:
    """The optimizer and its learning-rate schedule."""

    name: OptimizerName = "adamw"
    """adamw, torch's implementation, or adafactor as in T5X."""
    lr: Annotated[float, Field(gt=0, le=100)] = 2e-3
    """Peak learning rate. With adafactor it is relative to the root mean square of each weight."""
    weight_decay: Annotated[float, Field(ge=0, le=100)] = 0.0
    schedule: Schedule = "linear"
    """After the warm-up: linear (constant, then linear decay to 0 over `decay_fraction`), constant,
    inverse_sqrt (lr * sqrt(warmup_steps / step)), or t5 (inverse_sqrt, at `lr` already during the
    warm-up; Raffel et al., arXiv 1910.10683, section 3.1.2: lr 0.01, warmup_steps 10000)."""
    warmup_steps: CountOrZero = 100
    """Steps of linear warm-up to `lr`; with t5 at `lr`."""
    decay_fraction: Share = 0.4
    """With `linear`: fraction of the steps, at the end, over which the rate decays to 0; 1 is all
    of them."""
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Global gradient norm above which gradients are clipped; null: never."""

    def __post_init__(self) -> None:
        if self.schedule in ("inverse_sqrt", "t5") and self.warmup_steps < 1:
            raise ValueError(f"warmup_steps: 0 must be at least 1 with schedule {self.schedule}")


@dataclass(frozen=True, kw_only=True)
class LossParams:
    """Terms added to the cross-entropy; the weights of the router losses belong to the preset."""

    label_smoothing: Rate = 0.0
    """Probability mass that label smoothing moves from the target to the whole vocabulary."""
    z_loss_weight: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """Weight of the output z-loss, (log Z)^2 with Z the denominator of the softmax; 1e-4 in T5X."""


@dataclass(frozen=True, kw_only=True)
class ParallelParams:
    """Data parallelism, expert parallelism, and handling of lost ranks."""

    data_parallel: DataParallel = "oss"
    """ddp: torch DDP, nothing is sharded; oss: DDP with the optimizer state sharded by fairscale's
    OSS; sharded: gradients too, by fairscale's ShardedDataParallel; fsdp: weights too, by torch
    FSDP2."""
    expert_parallel_size: Processes = 1
    """Ranks that share the experts of a layer; must divide the world size."""
    timeout_s: Annotated[float, Field(gt=0, le=1e8)] = 600.0
    """Seconds after which a collective fails; the error names the ranks that are behind."""
    max_restarts: Retries = 3
    """Times torchrun restarts all ranks from the last checkpoint after one of them dies."""


@dataclass(frozen=True, kw_only=True)
class CheckpointParams:
    """Checkpoints that an interrupted run resumes from, and the weights that a run ends with."""

    save_every: Count = 200
    """Steps between checkpoints."""
    keep_last: Count = 2
    """Number of most recent checkpoints on disk during a run; the best one is retained as well."""
    asynchronous: bool = True
    """Write in a background thread, from a copy in memory, while training continues."""
    final_weights: FinalWeights = "last"
    """last: weights of the last step; best: weights of the lowest validation loss (needs
    `validate_every`); average: mean of the last `keep_last` checkpoints."""
    save_optimizer: bool = False
    """Write the optimizer state of the last step beside the final weights, for runs with
    `start_optimizer`."""

    def __post_init__(self) -> None:
        if self.save_optimizer and self.final_weights != "last":
            raise ValueError(
                f"save_optimizer: the state is that of the last step, final_weights is "
                f"{self.final_weights!r}; set it to last"
            )


@dataclass(frozen=True, kw_only=True)
class GuardParams:
    """Reaction to a loss that spikes or is not finite."""

    loss_spike_factor: Annotated[float, Field(ge=0)] = 3.0
    """A loss above this multiple of the mean of the last 20 losses is an anomaly; 0 disables the
    check."""
    max_skipped_batches: Retries = 3
    """Batches that a run may skip before it fails; each skip rolls back to the last checkpoint."""

    def __post_init__(self) -> None:
        if 0 < self.loss_spike_factor <= 1:
            raise ValueError(
                f"loss_spike_factor: {self.loss_spike_factor} must be above 1, or 0 for no check"
            )


@dataclass(frozen=True, kw_only=True)
class TrainingParams:
    """Settings of all runs; `training` of a run overrides single values."""

    recipe: RecipeName | None = None
    """Published settings that take the place of the defaults below; `flanmoe models recipe NAME`
    lists them. Keys written beside it take precedence."""
    optim: OptimParams = field(default_factory=OptimParams)
    loss: LossParams = field(default_factory=LossParams)
    parallel: ParallelParams = field(default_factory=ParallelParams)
    checkpoint: CheckpointParams = field(default_factory=CheckpointParams)
    guard: GuardParams = field(default_factory=GuardParams)
    global_batch_size: Count = 16
    """Packed rows of an optimizer step, summed over all ranks and microbatches."""
    gradient_accumulation_steps: Count = 1
    """Microbatches into which each rank splits its rows, to hold fewer activations."""
    activation_checkpointing: bool = False
    """Store only the inputs of each block and recompute the rest in the backward pass."""
    dropout: Rate | None = None
    """Dropout of every layer; null: the preset's, and 0 in pre-training."""
    expert_dropout: Rate | None = None
    """Dropout inside experts; null: the preset's, and `dropout` in pre-training."""
    freeze: FreezePolicy | None = None
    """Parameters that are not trained: gate (the routers), experts, moe (complete MoE layers), or
    all_but_ one of these; null: every parameter is trained."""
    threads: Processes = 1
    """CPU threads of each rank. Results are reproducible only at the same number of threads."""
    processes_per_node: Processes = 1
    """Ranks on each machine."""
    dispatch: DispatchBackend = "native"
    """Dispatch backend of the MoE layers: native, tutel or fairscale. The weights are the same."""
    precision: Precision = "float32"
    """float32, or bfloat16: autocast with float32 weights and router."""
    log_every: Count = 20
    """Steps between log lines."""
    validate_every: CountOrZero = 0
    """Steps between measurements of the validation loss; a multiple of `checkpoint.save_every`, as
    the best checkpoint is chosen by it; 0: only at the end."""
    validate_rows: Count = 256
    """Packed rows on which the validation loss is measured."""
    peak_flops: Annotated[float, Field(ge=0)] = 0.0
    """Peak FLOP/s of the device of one rank, for MFU; 0: measured at the start with a large matrix
    product."""

    def __post_init__(self) -> None:
        if self.global_batch_size % (self.processes_per_node * self.gradient_accumulation_steps):
            microbatches = (
                f" in {self.gradient_accumulation_steps} microbatches"
                if self.gradient_accumulation_steps > 1
                else ""
            )
            raise ValueError(
                f"global_batch_size: {self.global_batch_size} cannot be shared evenly by "
                f"{self.processes_per_node} processes{microbatches}"
            )
        save_every = self.checkpoint.save_every
        if self.validate_every % save_every:
            raise ValueError(
                f"validate_every: {self.validate_every} must be 0 or a multiple of "
                f"checkpoint.save_every, {save_every}"
            )
        if self.checkpoint.final_weights == "best" and not self.validate_every:
            raise ValueError(
                "checkpoint.final_weights: best needs validate_every; set it to a multiple of "
                f"checkpoint.save_every, {save_every}"
            )


SCRATCH = "scratch"
IMPORTED = "imported"
NAME = "[A-Za-z0-9_]{1,100}"


@dataclass(frozen=True, kw_only=True)
class RunParams:
    """One kind of trained model (`models.runs.NAME`); every seed of `models.seeds` trains one."""

    preset: str
    """Architecture: a name listed by `flanmoe models`, or `imported`: that of the imported weights
    in `runs/START/weights`."""
    start: str
    """Initial weights: `scratch` for random ones; the name of another run, of which each seed takes
    the weights of the same seed; or the NAME of a folder `runs/NAME` with imported weights. Weights
    of a dense model initialize an MoE preset by sparse upcycling. Required, because dvc.yaml
    derives from it which run depends on which."""
    model: dict[str, Any] = field(default_factory=dict)
    """Changes of the preset for this run only, e.g. `{d_ff: 128, moe: {num_experts: 4}}`; with
    `moe: null` the model is dense. Not with `preset: imported`."""
    start_optimizer: bool = False
    """Continue with the optimizer state of the run `start`, which it wrote with
    `training.checkpoint.save_optimizer`; false: a fresh state."""
    data: TrainingCorpus = "train"
    """Packed corpus: plain text as `span_corruption` or as `prefix_lm`, or instructions, `train`.
    T5 v1.1 is pre-trained by span corruption; its LM adaptation is a second run, on prefix LM."""
    tasks: tuple[str, ...] = ()
    """Fine-tune on these tasks only: names or patterns such as `cot_*`. Empty: the full mixture."""
    steps: CountOrZero = 1000
    """Optimizer steps; 0 evaluates the initial weights unchanged. Imported weights then need no
    training data, and are evaluated with their own tokenizer and maximum input."""
    tuned: bool = True
    """Whether the model is instruction-tuned; shown in comparisons."""
    training: dict[str, Any] = field(default_factory=dict)
    """Overrides of `models.training` for this run only, e.g. `{optim: {lr: 1e-4}}`."""

    def __post_init__(self) -> None:
        if self.steps == 0 and self.start == SCRATCH:
            raise ValueError("steps: 0 must be at least 1; only a run with a start may have 0")
        if self.start_optimizer and self.start == SCRATCH:
            raise ValueError("start_optimizer: random weights have no optimizer state; set start")
        if self.model and self.preset == IMPORTED:
            raise ValueError("model: imported weights have the architecture they have; remove it")
