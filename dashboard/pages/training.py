"""Training: the progress of unfinished runs, and training curves."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import charts
from dashboard.palette import current_palette
from dashboard.training_logs import training_logs

REFRESH_SECONDS = 3.0
NUM_DEFAULT_RUNS = 4
"""Number of finished runs that are plotted by default."""
METRICS = (
    "loss", "validation_loss", "grad_norm", "lr", "tokens_per_second", "mfu", "max_expert_load",
)  # fmt: skip


@st.fragment(run_every=REFRESH_SECONDS)
def show() -> None:
    """Show progress and curves; the fragment refreshes itself while the page is open."""
    logs = training_logs()
    if logs.empty:
        st.markdown("No run has been trained yet; `flanmoe run` starts one.")
        return
    running = logs[logs["running"]]
    for name, run in running.groupby("run"):
        _show_progress(str(name), run.iloc[-1])
    newest_first = logs.groupby("run")["time"].max().sort_values(ascending=False).index
    in_progress = newest_first[newest_first.isin(running["run"])]
    default = newest_first[:NUM_DEFAULT_RUNS] if in_progress.empty else in_progress
    runs = st.multiselect("Runs", newest_first, default=default, key="runs")
    metric = st.selectbox("Metric", METRICS)
    rows = logs[logs["run"].isin(runs)].dropna(subset=[metric])
    if rows.empty:
        st.markdown(f"None of these runs has logged {metric}.")
    else:
        st.altair_chart(
            charts.curves(rows, metric, current_palette()), alt=f"{metric} against steps"
        )


def _show_progress(name: str, line: pd.Series) -> None:
    """Show the last log line of a run in progress."""
    st.progress(
        min(1.0, line["step"] / max(line["steps"], 1)),
        text=f"**{name}** step {line['step']:,} of {line['steps']:,}",
    )
    columns = st.columns(4)
    columns[0].metric("Loss", f"{line['loss']:.3f}")
    columns[1].metric("Target tokens per second", f"{line['tokens_per_second']:,.0f}")
    columns[2].metric("MFU", "–" if pd.isna(line["mfu"]) else f"{line['mfu']:.0%}")
    load = line["max_expert_load"]
    has_load = not pd.isna(load) and load > 0
    columns[3].metric("Max expert load", f"{load:.2f} ×" if has_load else "–")
    for warning in line["warnings"] or []:
        st.warning(warning)
