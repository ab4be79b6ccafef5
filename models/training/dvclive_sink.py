"""Log lines as DVCLive metrics and plots. The only module of training that imports dvclive.

Only rank 0 writes them, so the other ranks do not import it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvclive import Live

from data_pipelines.files import write_json

PLOTTED = (
    "loss",
    "validation_loss",
    "lr",
    "grad_norm",
    "max_expert_load",
)
"""Log line entries that are plotted: all are the same when the run is repeated."""


class DvcLiveSink:
    """Writes the log lines to DVCLive's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._live: Live | None = None

    def restart(self) -> None:
        """Begin a new history in the same folder."""
        from dvclive import Live  # a heavy import

        self._live = Live(str(self.folder), save_dvc_exp=False, dvcyaml=None, report=None)

    def log(self, line: dict[str, Any]) -> None:
        """Add a point to each plot and update the summary."""
        assert self._live is not None, "restart() precedes log()"
        self._live.step = line["step"]
        for name in PLOTTED:
            if line.get(name) is not None:
                self._live.log_metric(name, line[name])
        self._live.make_summary()

    def close(self) -> None:
        """Flush pending output; a run without log lines gets the empty files that DVC expects."""
        if self._live is not None:
            self._live.end()
        (self.folder / "plots" / "metrics").mkdir(parents=True, exist_ok=True)
        if not (self.folder / "metrics.json").is_file():
            write_json(self.folder / "metrics.json", {})
