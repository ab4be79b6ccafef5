"""Training: which runs are alive, the progress of unfinished runs, and training curves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import charts, text
from dashboard.cached_queries import project_folder
from dashboard.figure import show_figure
from dashboard.palette import current_palette
from dashboard.training_logs import TrainingRun, open_logs

REFRESH_SECONDS = 3.0
NUM_DEFAULT_RUNS = 4
"""Number of finished runs that are plotted by default."""
METRICS = (
    "loss", "validation_loss", "grad_norm", "lr", "tokens_per_second", "mfu", "max_expert_load",
)  # fmt: skip


@st.fragment(run_every=REFRESH_SECONDS)
def show() -> None:
    """Show progress and curves; the fragment refreshes itself while the page is open."""
    runs = open_logs(str(project_folder().resolve())).runs()
    if not runs:
        st.markdown("No run has been trained yet; `flanmoe run` starts one.")
        return
    unfinished = [run for run in runs if not run.status.is_finished]
    for run in unfinished:
        _show_progress(run)
    by_name = {run.name: run for run in reversed(runs)}
    names = list(dict.fromkeys(run.name for run in runs))
    alive = [run.name for run in unfinished if run.status.state in ("training", "stalled")]
    default = list(dict.fromkeys(alive)) or names[:NUM_DEFAULT_RUNS]
    chosen = st.multiselect("Runs", names, default=default, key="runs")
    metric = str(st.selectbox("Metric", METRICS))
    frames = [by_name[name].frame() for name in chosen if name in by_name]
    rows = pd.concat(frames) if frames else pd.DataFrame()
    if metric not in rows or rows[metric].isna().all():
        st.markdown(f"None of these runs has logged {metric}.")
        return
    palette = current_palette()
    rows = rows.dropna(subset=[metric])
    show_figure(
        charts.curves(rows, metric, palette),
        rows[["run", "step", metric]],
        name=f"training-{metric}",
        alternative=f"{metric} against steps of {len(chosen)} runs",
        reading="Each line is a run; runs without a result yet are dashed.",
        palette=palette,
    )


def _show_progress(run: TrainingRun) -> None:
    """Show the status and the last log line of a run without a result."""
    line = run.lines[-1]
    step, steps = int(line.get("step") or 0), int(line.get("steps") or 0)
    status = run.status.describe(time.time())
    st.progress(
        min(1.0, step / max(steps, 1)),
        text=f"**{text.escape(run.name)}** step {step:,} of {steps:,}: {text.escape(status)}",
    )
    if run.status.state not in ("training", "stalled"):
        return
    columns = st.columns(4)
    columns[0].metric("Loss", _number(line, "loss", ".3f"))
    columns[1].metric("Target tokens per second", _number(line, "tokens_per_second", ",.0f"))
    columns[2].metric("MFU", _number(line, "mfu", ".0%"))
    load = _number(line, "max_expert_load", ".2f")
    columns[3].metric("Max expert load", "–" if load in ("–", "0.00") else f"{load} ×")
    for warning in line.get("warnings") or []:
        st.warning(text.escape(str(warning)))


def _number(line: Mapping[str, Any], name: str, form: str) -> str:
    value = line.get(name)
    return "–" if value is None or pd.isna(value) else format(float(value), form)
