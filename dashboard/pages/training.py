"""Training: the runs that go on now, followed live, and the curves of those that have ended."""

from __future__ import annotations

import streamlit as st

from dashboard import charts
from dashboard.queries import training_logs

EVERY_SECONDS = 3.0
SHOWN = 4
"""Of the runs that have ended, the last so many are drawn at first."""


@st.fragment(run_every=EVERY_SECONDS)
def show() -> None:
    """Redraws itself while the page is open."""
    logs = training_logs()
    if logs.empty:
        st.caption("No run has been trained here yet: start one with `flanmoe run`.")
        return
    running = logs[logs["running"]]
    for name, run in running.groupby("run"):
        last = run.iloc[-1]
        st.progress(
            min(1.0, last["step"] / max(last["steps"], 1)),
            text=f"**{name}** step {last['step']:,} of {last['steps']:,}",
        )
        columns = st.columns(4)
        columns[0].metric("Loss", f"{last['loss']:.3f}")
        columns[1].metric("Target tokens a second", f"{last['tokens_per_second']:,.0f}")
        known = last["mfu"] is not None and last["mfu"] == last["mfu"]
        columns[2].metric("MFU", f"{last['mfu']:.0%}" if known else "–")
        load = last["largest_load"]
        columns[3].metric("Busiest expert", f"{load:.2f} ×" if load == load and load else "–")
        for warning in last["warnings"] or []:
            st.warning(warning)
    latest = logs.groupby("run")["time"].max().sort_values(ascending=False).index
    going_on = latest[latest.isin(running["run"])]
    first = latest[:SHOWN] if going_on.empty else going_on
    runs = st.multiselect("Runs", latest, default=first, key="runs")
    chosen = st.selectbox("Value", ["loss", "validation_loss", "grad_norm", "lr",
                                    "tokens_per_second", "mfu", "largest_load"])  # fmt: skip
    shown = logs[logs["run"].isin(runs)].dropna(subset=[chosen])
    if shown.empty:
        st.caption(f"None of these runs has a {chosen}.")
    else:
        st.altair_chart(charts.curves(shown, chosen))
