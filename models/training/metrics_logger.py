"""Metrics of a run in progress: a progress bar, a log of JSON lines and an optional sink.

`MetricsLogger` runs on rank 0; the other ranks use `NullLogger`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from data_pipelines.files import append_json_line, read_json_lines, write_json_lines
from data_pipelines.progress import progress_bar

WARNING_PATIENCE = 3
"""Consecutive log lines with a problem before a warning: routers are uneven in the first steps."""

LogLine = dict[str, Any]


class MetricsSink(Protocol):
    """Receiver of log lines, e.g. `dvclive_sink.DvcLiveSink`."""

    def restart(self) -> None:
        """Begin a new history; all lines before the current step follow."""

    def log(self, line: LogLine) -> None:
        """Receive a log line."""

    def close(self) -> None:
        """Flush pending output."""


class NullLogger:
    """Logger of the ranks other than 0: discards everything."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []
        self.streaks: dict[str, int] = {}

    def rewind(self, step: int) -> None:
        """Do nothing."""

    def advance(self) -> None:
        """Do nothing."""

    def log(self, line: LogLine, warnings: dict[str, str]) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class MetricsLogger:
    """Writes the log lines of a run and shows its progress."""

    def __init__(self, path: Path, num_steps: int, sink: MetricsSink | None = None) -> None:
        """Create the progress bar, which appears with the first call of `rewind`.

        Args:
            path: file of JSON lines; lines of an interrupted attempt are read by `rewind`.
            num_steps: steps of the run.
            sink: further receiver of the log lines.
        """
        self.path, self.sink = path, sink
        self.lines: list[LogLine] = []
        # The delay keeps the bar invisible until `rewind` knows the step that training begins at.
        self._bar = progress_bar(total=num_steps, desc="train", unit="step", delay=1e-3)
        self.streaks: dict[str, int] = {}
        """Number of consecutive lines with a problem, by kind."""

    def rewind(self, step: int) -> None:
        """Drop the log lines after `step`: training continues from there and writes them again."""
        lines, _ = read_json_lines(self.path)
        self.lines = [line for line in lines if line["step"] <= step]
        write_json_lines(self.path, self.lines)
        self._bar.n = step
        self._bar.refresh()
        if self.sink is not None:
            self.sink.restart()
            for line in self.lines:
                self.sink.log(line)

    def advance(self) -> None:
        """Move the progress bar by a step."""
        self._bar.update()

    def log(self, line: LogLine, warnings: dict[str, str]) -> None:
        """Write a log line.

        Args:
            line: metrics by name.
            warnings: current problems by kind; one that lasts for WARNING_PATIENCE lines is added
                to the line and shown once.
        """
        self.streaks = {kind: self.streaks.get(kind, 0) + 1 for kind in warnings}
        lasting = [w for kind, w in warnings.items() if self.streaks[kind] >= WARNING_PATIENCE]
        if lasting:
            line = {**line, "warnings": lasting}
        append_json_line(self.path, line)
        self.lines.append(line)
        if self.sink is not None:
            self.sink.log(line)
        self._bar.set_postfix_str(_postfix(line), refresh=False)
        for kind, warning in warnings.items():
            if self.streaks[kind] == WARNING_PATIENCE:
                self.note(f"warning: step {line['step']}: {warning}")

    def note(self, text: str) -> None:
        """Print a line above the progress bar."""
        self._bar.write(text)

    def close(self) -> None:
        """Close the bar, which stays visible, and the sink."""
        self._bar.close()
        if self.sink is not None:
            self.sink.close()


def _postfix(line: LogLine) -> str:
    """Return the figures at the end of the progress bar."""
    parts = [f"loss {line['loss']:.3f}", f"{line['tokens_per_second']:.0f} tokens/s"]
    if line["mfu"] is not None:
        parts.append(f"MFU {line['mfu']:.0%}")
    if line.get("max_expert_load"):
        parts.append(f"load {line['max_expert_load']:.1f}x")
    return " ".join(parts)
