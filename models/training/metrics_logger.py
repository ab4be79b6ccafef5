"""What one sees of a run while it lasts: a progress bar, a log of JSON lines, DVCLive's metrics."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from dvclive import Live as DvcLive
from tqdm import tqdm

from data_pipelines.files import write_bytes

PATIENCE = 3
"""Log lines that trouble must last for: a router's first steps are always uneven."""
PLOTTED = ("loss", "validation_loss", "lr", "grad_norm", "tokens_per_second", "mfu", "largest_load")


class Live:
    """`log`: where the lines go, one each `log_every` steps; `plots`: DVCLive's folder, or None."""

    def __init__(self, log: Path, plots: Path | None, steps: int) -> None:
        self.log, self.plots, self.steps = log, plots, steps
        self.lines: list[dict[str, Any]] = []
        self._bar = tqdm(total=steps, desc="train", unit="step")
        self._live: DvcLive | None = None
        self._lasting: dict[str, int] = {}

    def begin(self, step: int) -> None:
        """The run is at `step`: what was told of later steps is forgotten, it comes again."""
        told = _read(self.log) if self.log.is_file() else []
        self.lines = [line for line in told if line["step"] <= step]
        text = "".join(json.dumps(line) + "\n" for line in self.lines)
        write_bytes(self.log, text.encode())
        self._bar.n = step
        self._bar.refresh()
        if self.plots is not None:
            self._live = DvcLive(str(self.plots), save_dvc_exp=False, dvcyaml=None, report=None)
            for line in self.lines:
                self._plot(line)

    def moved(self) -> None:
        """One step more."""
        self._bar.update()

    def tell(self, line: dict[str, Any], warnings: dict[str, str]) -> None:
        """A log line, and what is wrong by then, by kind: told once it lasts for some lines."""
        self._lasting = {kind: self._lasting.get(kind, 0) + 1 for kind in warnings}
        lasting = [w for kind, w in warnings.items() if self._lasting[kind] >= PATIENCE]
        if lasting:
            line = {**line, "warnings": lasting}
        with self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.lines.append(line)
        self._plot(line)
        shown = [f"loss {line['loss']:.3f}", f"{line['tokens_per_second']:.0f} tokens/s"]
        if line["mfu"] is not None:
            shown.append(f"MFU {line['mfu']:.0%}")
        if line.get("largest_load"):
            shown.append(f"load {line['largest_load']:.1f}x")
        self._bar.set_postfix_str(" ".join(shown), refresh=False)
        for kind, warning in warnings.items():
            if self._lasting[kind] == PATIENCE:
                self.note(f"warning: step {line['step']}: {warning}")

    def note(self, text: str) -> None:
        """A line of its own above the bar."""
        self._bar.write(text)

    def close(self) -> None:
        """The bar stays as it is; DVCLive writes what is left."""
        self._bar.close()
        if self._live is not None:
            self._live.end()

    def _plot(self, line: dict[str, Any]) -> None:
        if self._live is None:
            return
        self._live.step = line["step"]
        for name in PLOTTED:
            if line.get(name) is not None:
                self._live.log_metric(name, line[name])
        self._live.make_summary()


def _read(path: Path) -> list[dict[str, Any]]:
    """Whole lines; one that a killed process left torn is no line."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines
