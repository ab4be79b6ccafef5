"""Pareto frontier of accuracy and cost, and the dense partner of each MoE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
import streamlit as st

from dashboard import charts
from registry.comparison.dense_partners import DensePartner
from registry.comparison.frontier import COSTS, Frontier
from registry.comparison.joint_draws import NUM_DRAWS
from registry.store import Registry


def show(registry: Registry, model: str) -> None:
    """Show the frontier with its uncertainty, and the dense partner of each MoE."""
    cost = st.selectbox("Cost", list(COSTS), format_func=lambda name: COSTS[name].title)
    pareto = registry.frontier(model, cost)
    for version in pareto.excluded:
        st.caption(f"{version.name} v{version.version} is excluded: {version.reason}.")
    if not pareto.points:
        return
    _show_points(pareto)
    st.subheader("MoE and its dense partner")
    st.caption("A dense partner has the same data, tasks, steps, seed and start chain.")
    for moe in pareto.without_partner:
        st.caption(f"{moe}: no partner.")
    if pareto.dense_partners:
        _show_dense_partners(pareto.dense_partners)


def _show_points(pareto: Frontier) -> None:
    frame = pd.DataFrame([asdict(point) for point in pareto.points])
    for column in ("accuracy", "standard_error", "probability"):
        frame[column] *= 100
    if frame["partial"].any():
        st.caption("**Partial**: evaluated on a part of the suites' items.")
    st.altair_chart(charts.accuracy_against_cost(frame, pareto.unit))
    method = (
        "with the covariance that the shared items cause"
        if pareto.paired
        else "from each version's standard error, as some answers are not stored"
    )
    st.caption(
        "★ marks the champion. The line is the Pareto frontier: no other version is at least as "
        "cheap and at least as accurate. The opacity of a point is its probability of being on "
        "the frontier, from "
        f"{NUM_DRAWS:,} draws ({method}). Versions that differ in their seed only are one point."
    )
    st.dataframe(
        frame,
        hide_index=True,
        column_order=("version", "name", "num_seeds", "kind", "is_champion", "cost", "accuracy",
                      "standard_error", "on_frontier", "probability"),
        column_config={
            "num_seeds": st.column_config.NumberColumn("seeds"),
            "is_champion": st.column_config.CheckboxColumn("champion"),
            "cost": st.column_config.NumberColumn(pareto.unit, format="%.4g"),
            "accuracy": st.column_config.NumberColumn("accuracy %", format="%.1f"),
            "standard_error": st.column_config.NumberColumn("± %", format="%.1f"),
            "on_frontier": st.column_config.CheckboxColumn("on the frontier"),
            "probability": st.column_config.NumberColumn("probability %", format="%.0f"),
        },
    )  # fmt: skip


def _show_dense_partners(partners: Sequence[DensePartner]) -> None:
    frame = pd.DataFrame([asdict(partner) for partner in partners])
    for column in ("difference", "low", "high"):
        frame[column] *= 100
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            "moe": st.column_config.TextColumn("MoE"),
            "moe_version": st.column_config.NumberColumn("MoE version"),
            "dense_version": st.column_config.NumberColumn("dense version"),
            "cost_ratio": st.column_config.NumberColumn("cost, MoE ÷ dense", format="%.3f"),
            "equal_cost": st.column_config.CheckboxColumn("equal cost", help="Within 10 %."),
            "difference": st.column_config.NumberColumn("MoE − dense, points", format="%+.1f"),
            "low": st.column_config.NumberColumn("95 % interval, low", format="%+.1f"),
            "high": st.column_config.NumberColumn("95 % interval, high", format="%+.1f"),
        },
    )
