"""Accuracy against compute: the page a lead decides on."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import charts, queries
from registry.store import Registry


def choose(registry: Registry) -> tuple[str, list[dict[str, Any]]]:
    """The model to look at, and its versions; none where nothing is registered."""
    st.title("FLAN-MoE against dense")
    versions = registry.versions()
    if not versions:
        st.info("No version is registered yet. `flanmoe run` trains and registers the first.")
        return "", []
    # The model that was registered last comes first.
    newest = sorted(versions, key=lambda version: version["created_at"], reverse=True)
    names = list(dict.fromkeys(version["model"] for version in newest))
    model = st.sidebar.selectbox("Model", names) if len(names) > 1 else names[0]
    return model, [version for version in versions if version["model"] == model]


def show(registry: Registry, model: str, versions: list[dict[str, Any]]) -> None:
    """Scatter, table, suites and tasks of the model."""
    frame = queries.versions_frame(versions)
    champion = frame[frame["champion"]]
    if champion.empty:
        st.warning(f"**{model}** has no champion: no version passed the gates yet.")
    else:
        best = champion.iloc[0]
        columns = st.columns([5, 4, 3, 4])
        columns[0].metric("Champion", f"{best['run']} · v{best['version']}")
        columns[1].metric("Accuracy", f"{best['accuracy']:.1f} ± {best['error']:.1f} %")
        columns[2].metric("Above chance, points", f"{best['accuracy'] - best['chance']:+.1f}")
        columns[3].metric("GFLOPs per token", f"{best['gflops_per_token']:.4g}")
    drawn = queries.comparable(frame)
    if len(drawn) < len(frame):
        st.caption(
            f"The chart shows {len(drawn)} of {len(frame)} versions: those scored on the same "
            "items as the newest. Accuracies on other items do not compare."
        )
    if drawn["partial"].any():
        st.caption("**Partial**: scored on a part of the suites' items.")
    st.altair_chart(charts.accuracy_against_compute(drawn))
    st.caption(
        "Filled: instruction-tuned; hollow: not. Bars are one standard error; the dashed line is "
        "chance. GFLOPs per token: 2 per active weight, on 512 + 114 tokens, logits included."
    )
    _table(frame)
    _warnings(versions)
    _suites(queries.suites_frame(registry, model, drawn))
    st.subheader("By task")
    tasks = queries.tasks_frame(registry, model, drawn)
    suites = sorted(tasks["suite"].unique())
    suite = st.selectbox("Suite", suites) if len(suites) > 1 else suites[0]
    st.altair_chart(charts.accuracy_by_task(tasks[tasks["suite"] == suite]))


def _warnings(versions: list[dict[str, Any]]) -> None:
    """Expectations about the data that do not hold and did not stop the pipeline."""
    found = queries.data_warnings(versions)
    if not found:
        return
    with st.expander(f"Data warnings: {len(found)}"):
        for warning, trained in found.items():
            st.markdown(f"- `{warning}` ({', '.join(trained)})")


def _suites(frame: object) -> None:
    st.subheader("By suite")
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            "accuracy": st.column_config.NumberColumn("score %", format="%.1f"),
            "error": st.column_config.NumberColumn("± %", format="%.1f"),
            "normalised": st.column_config.NumberColumn(
                format="%.1f", help="100 × (score − random) / (maximum − random)"
            ),
            "normalised_error": st.column_config.NumberColumn("± normalised", format="%.1f"),
            "clean": st.column_config.NumberColumn(
                "score %, clean",
                format="%.1f",
                help="Without the items that the training mixture overlaps with.",
            ),
            "partial": st.column_config.TextColumn(help="What is missing of the whole suite."),
        },
    )


def _table(frame: object) -> None:
    st.subheader("Versions")
    st.dataframe(
        frame,
        hide_index=True,
        column_order=(
            "version", "run", "stage", "kind", "tuning", "accuracy", "error", "chance",
            "normalised", "gflops_per_token", "total_millions", "active_millions", "items",
            "partial", "contaminated", "training_seconds", "registered",
        ),
        column_config={
            "accuracy": st.column_config.NumberColumn("accuracy %", format="%.1f"),
            "error": st.column_config.NumberColumn("± %", format="%.1f"),
            "chance": st.column_config.NumberColumn("chance %", format="%.1f"),
            "normalised": st.column_config.NumberColumn(format="%.1f"),
            "gflops_per_token": st.column_config.NumberColumn("GFLOPs/token", format="%.4g"),
            "total_millions": st.column_config.NumberColumn("total params, M", format="%.2f"),
            "active_millions": st.column_config.NumberColumn("active params, M", format="%.2f"),
            "contaminated": st.column_config.NumberColumn(
                "contaminated items",
                help="Evaluation items that the training mixture overlaps with.",
            ),
            "training_seconds": st.column_config.NumberColumn("training, s", format="%.0f"),
        },
    )  # fmt: skip
