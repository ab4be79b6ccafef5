"""Accuracy against compute: champion, chart and tables of one registered model."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard import charts, queries
from registry.store import Registry
from registry.versions import VersionInfo


def select_model(registry: Registry) -> tuple[str, list[VersionInfo]]:
    """Return the selected model and its versions; no versions if nothing is registered."""
    st.title("FLAN-MoE against dense")
    versions = registry.versions()
    if not versions:
        st.info("No version is registered yet. `flanmoe run` trains and registers the first.")
        return "", []
    # The default is the model of the newest registration.
    newest_first = sorted(versions, key=lambda version: version.created_at, reverse=True)
    names = list(dict.fromkeys(version.model for version in newest_first))
    model = st.sidebar.selectbox("Model", names) if len(names) > 1 else names[0]
    return model, [version for version in versions if version.model == model]


def show(versions: Sequence[VersionInfo]) -> None:
    """Show the chart, the versions, suites and tasks of a model."""
    _show_champion(versions)
    comparable = queries.select_comparable(versions)
    if len(comparable) < len(versions):
        st.caption(
            f"The chart shows {len(comparable)} of {len(versions)} versions: those evaluated on "
            "the same items as the newest version. Accuracies on other items are not comparable."
        )
    frame = queries.versions_frame(comparable)
    if frame["partial"].any():
        st.caption("**Partial**: evaluated on a part of the suites' items.")
    st.altair_chart(charts.accuracy_against_compute(frame))
    st.caption(
        "Filled: instruction-tuned; hollow: not tuned. Bars show one standard error; the dashed "
        "line is the score of random answers. GFLOPs per token: 2 per active weight, for 512 input "
        "and 114 target tokens, logits included."
    )
    _show_versions(queries.versions_frame(versions))
    _show_data_warnings(versions)
    _show_suites(queries.suites_frame(comparable))
    st.subheader("Tasks")
    tasks = queries.tasks_frame(comparable)
    suites = sorted(tasks["suite"].unique())
    suite = st.selectbox("Suite", suites) if len(suites) > 1 else suites[0]
    st.altair_chart(charts.accuracy_by_task(tasks[tasks["suite"] == suite]))


def _show_champion(versions: Sequence[VersionInfo]) -> None:
    champion = next((version for version in versions if version.is_champion), None)
    if champion is None:
        st.warning(f"**{versions[0].model}** has no champion: no version passed the gates yet.")
        return
    scores = champion.evaluation
    columns = st.columns([5, 4, 3, 4])
    columns[0].metric("Champion", f"{champion.name} · v{champion.version}")
    columns[1].metric(
        "Accuracy", f"{100 * scores.accuracy:.1f} ± {100 * scores.standard_error:.1f} %"
    )
    columns[2].metric(
        "Above chance, points", f"{100 * scores.accuracy - 100 * scores.random_score:+.1f}"
    )
    columns[3].metric("GFLOPs per token", f"{champion.run_record.flops_per_token / 1e9:.4g}")


def _show_versions(frame: pd.DataFrame) -> None:
    st.subheader("Versions")
    st.dataframe(
        frame,
        hide_index=True,
        column_order=(
            "version", "run", "seed", "state", "kind", "tuning", "accuracy", "standard_error",
            "random_score", "normalised", "gflops_per_token", "total_millions", "active_millions",
            "training_tflops", "own_training_tflops", "num_items", "partial", "num_contaminated",
            "precision", "milliseconds_per_item", "training_seconds", "registered",
        ),
        column_config={
            "accuracy": st.column_config.NumberColumn("accuracy %", format="%.1f"),
            "standard_error": st.column_config.NumberColumn("± %", format="%.1f"),
            "random_score": st.column_config.NumberColumn(
                "chance %", format="%.1f", help="Score of random answers."
            ),
            "normalised": st.column_config.NumberColumn(format="%.1f"),
            "gflops_per_token": st.column_config.NumberColumn("GFLOPs/token", format="%.4g"),
            "total_millions": st.column_config.NumberColumn("total params, M", format="%.2f"),
            "active_millions": st.column_config.NumberColumn("active params, M", format="%.2f"),
            "num_items": st.column_config.NumberColumn("items"),
            "num_contaminated": st.column_config.NumberColumn(
                "contaminated items",
                help="Evaluation items that overlap with the training mixture.",
            ),
            "precision": st.column_config.TextColumn(
                help="Precision and device of the evaluation; rounding can change answers."
            ),
            "milliseconds_per_item": st.column_config.NumberColumn(
                "ms/item", format="%.1f", help="Measured while nothing else ran; else empty."
            ),
            "training_tflops": st.column_config.TextColumn(
                "training TFLOPs",
                help="Of all runs that led to the weights; unknown after an import.",
            ),
            "own_training_tflops": st.column_config.NumberColumn(
                "this run, TFLOPs", format="%.3g", help="Training of the last run alone."
            ),
            "training_seconds": st.column_config.NumberColumn("training, s", format="%.0f"),
        },
    )  # fmt: skip


def _show_data_warnings(versions: Sequence[VersionInfo]) -> None:
    """Show failed expectations about the data that do not stop the pipeline."""
    labels_by_warning = queries.data_warnings(versions)
    if not labels_by_warning:
        return
    with st.expander(f"Data warnings: {len(labels_by_warning)}"):
        for warning, labels in labels_by_warning.items():
            st.markdown(f"- `{warning}` ({', '.join(labels)})")


def _show_suites(frame: pd.DataFrame) -> None:
    st.subheader("Suites")
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            "num_items": st.column_config.NumberColumn("items"),
            "accuracy": st.column_config.NumberColumn("score %", format="%.1f"),
            "standard_error": st.column_config.NumberColumn("± %", format="%.1f"),
            "normalised": st.column_config.NumberColumn(
                format="%.1f", help="100 × (score − random) / (maximum − random)"
            ),
            "normalised_standard_error": st.column_config.NumberColumn(
                "± normalised", format="%.1f"
            ),
            "num_contaminated": st.column_config.NumberColumn("contaminated items"),
            "clean": st.column_config.NumberColumn(
                "score %, clean",
                format="%.1f",
                help="Without the items that overlap with the training mixture.",
            ),
            "partial": st.column_config.TextColumn(help="Missing parts of the suite."),
        },
    )
