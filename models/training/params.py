"""Parameters of training: `models.training.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class OptimParams:
    """The optimizer and its schedule."""

    name: str = "adamw"
    """adamw or adafactor."""
    lr: float = 2e-3
    """Highest learning rate."""
    weight_decay: float = 0.0
    warmup_steps: int = 100
    """Steps of linear growth to `lr`."""
    decay_share: float = 0.4
    """Last part of the steps over which the rate falls linearly; 0 keeps it constant."""
    clip: float = 1.0
    """Largest norm of the whole gradient."""

    def __post_init__(self) -> None:
        if self.name not in ("adamw", "adafactor"):
            raise ValueError(f"name is {self.name!r}: it must be adamw or adafactor")
        if self.lr <= 0 or self.clip <= 0:
            raise ValueError("lr and clip must be above 0")
        if self.warmup_steps < 0 or not 0 <= self.decay_share <= 1:
            raise ValueError("warmup_steps must not be negative, decay_share lie in [0, 1]")


@dataclass(frozen=True, kw_only=True)
class TrainingParams:
    """What every run shares."""

    optim: OptimParams = field(default_factory=OptimParams)
    batch_rows: int = 16
    """Packed rows of an optimizer step, over all processes."""
    dropout: float = 0.0
    """Dropout of every layer; expert dropout belongs to the preset."""
    threads: int = 1
    """CPU threads of a process. Results are the same again only at the same number."""
    processes: int = 1
    """Data-parallel processes; above 1 the optimizer state is sharded over them (fairscale)."""
    dispatch: str = "native"
    """How tokens reach their experts: native, tutel or fairscale. The weights are the same."""
    precision: str = "float32"
    """float32, or bfloat16 autocast with float32 weights and router."""
    log_every: int = 20
    """Steps between log lines."""
    checkpoint_every: int = 200
    """Steps between checkpoints that a killed run continues from."""
    validate_rows: int = 256
    """Packed rows the final validation loss is measured on."""

    def __post_init__(self) -> None:
        for name in ("batch_rows", "threads", "processes", "log_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.batch_rows % self.processes:
            raise ValueError(
                f"batch_rows {self.batch_rows} cannot be shared evenly by "
                f"{self.processes} processes"
            )
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError("precision must be float32 or bfloat16")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must lie in [0, 1)")
