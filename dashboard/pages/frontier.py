"""Equal compute: which versions no other beats on both accuracy and cost, and how sure that is."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import charts
from registry.comparison.frontier import COSTS, RESAMPLES
from registry.store import Registry


def show(registry: Registry, model: str) -> None:
    """Chart with the Pareto front, its uncertainty, and MoE beside its dense twin."""
    cost = st.selectbox("Cost", list(COSTS), format_func=lambda name: COSTS[name][0])
    found = registry.frontier(model, cost)
    for left in found["left_out"]:
        st.caption(f"{left['name']} is left out: {left['reason']}.")
    if not found["points"]:
        return
    frame = pd.DataFrame(found["points"])
    for column in ("accuracy", "error", "probability"):
        frame[column] *= 100
    if frame["partial"].any():
        st.caption("**Partial**: scored on a part of the suites' items.")
    st.altair_chart(charts.accuracy_against_cost(frame, found["unit"]))
    how = (
        "drawing the same items anew for all"
        if found["paired"]
        else "each version's standard error alone, as not all answers were kept"
    )
    st.caption(
        "The line is the Pareto front: no other version is as cheap and as good. Strong points are "
        f"on it in most of {RESAMPLES:,} redraws ({how})."
    )
    st.dataframe(
        frame,
        hide_index=True,
        column_order=("version", "name", "kind", "cost", "accuracy", "error", "on_front",
                      "probability"),
        column_config={
            "cost": st.column_config.NumberColumn(found["unit"], format="%.4g"),
            "accuracy": st.column_config.NumberColumn("accuracy %", format="%.1f"),
            "error": st.column_config.NumberColumn("± %", format="%.1f"),
            "on_front": st.column_config.CheckboxColumn("on the front"),
            "probability": st.column_config.NumberColumn("probability %", format="%.0f"),
        },
    )  # fmt: skip
    st.subheader("MoE beside the dense version nearest in cost")
    if not found["twins"]:
        st.caption("No MoE has a dense version of the same tuning here.")
        return
    twins = pd.DataFrame(found["twins"])
    for column in ("difference", "low", "high"):
        twins[column] *= 100
    st.dataframe(
        twins,
        hide_index=True,
        column_config={
            "cost_ratio": st.column_config.NumberColumn("cost, MoE ÷ dense", format="%.3f"),
            "equal_cost": st.column_config.CheckboxColumn("equal cost", help="Within 10 %."),
            "difference": st.column_config.NumberColumn("MoE − dense, points", format="%+.1f"),
            "low": st.column_config.NumberColumn("from (95 %)", format="%+.1f"),
            "high": st.column_config.NumberColumn("to", format="%+.1f"),
        },
    )
