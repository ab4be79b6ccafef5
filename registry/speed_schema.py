"""Schema of speed.json, the measured evaluation time per item; models.evaluation writes it."""

from __future__ import annotations

from pydantic import Field

from registry.schemas import RecordSchema


class SpeedSchema(RecordSchema):
    """runs/NAME/seed_N/speed.json: time per item, measured while nothing else ran."""

    weights_sha256: str
    seconds_per_item: float | None = Field(gt=0)
    """Median over the passes; None if it was not measured."""
    fastest: float | None = Field(gt=0)
    slowest: float | None = Field(gt=0)
    reason: str
    """Why it was not measured; empty if it was."""
    num_items: int = Field(gt=0)
    num_passes: int = Field(ge=0)
    other_load: float | None = Field(ge=0)
    """CPUs that other processes used, in the worst pass; None if unknown."""
    device: str
    processor: str
    precision: str
    threads: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    torch_version: str

    @property
    def conditions(self) -> tuple[str, str, str, int, int]:
        """Device, processor, precision, threads and batch size: times differ between them."""
        return self.device, self.processor, self.precision, self.threads, self.batch_size
