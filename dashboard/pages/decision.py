"""Decision: whether sparse models are worth it, and which version to promote."""

from __future__ import annotations

import streamlit as st

from dashboard import charts, frames, selections, text
from dashboard.cached_queries import RegistryView
from dashboard.figure import show_figure, show_table
from dashboard.pages.promotion import list_requests
from dashboard.palette import current_palette
from registry.store import Registry
from registry.summary import JudgedVersion, ModelSummary


def show(view: RegistryView, model: str) -> None:
    """Show verdicts on sparse models, champion and challengers, and the last changes."""

    def read_summary(items: str, baseline: int | None = None) -> ModelSummary:
        return view.read(Registry.summary, model, items_digest=items, baseline=baseline)

    items, baseline = selections.choose_items_and_baseline(
        lambda items: read_summary(items).frontier
    )
    summary = read_summary(items, baseline)
    selections.show_excluded(summary.frontier)
    _show_pairs(summary)
    _show_promotion(summary)
    _show_waiting(view, model)
    _show_changes(summary)


def _show_pairs(summary: ModelSummary) -> None:
    st.header("Is sparse worth it?", anchor=False)
    for pair in summary.pairs:
        box = st.success if pair.is_sparse_worth_it else st.info
        box(text.escape(pair.sentence))
    for moe in summary.frontier.without_partner:
        st.markdown(
            f"{text.escape(moe)} has no dense partner: no dense version has its data, tasks, "
            "steps, seeds and start chain, so what its experts gain is unknown."
        )
    if not summary.pairs:
        st.info("There is no sparse model with a dense partner, so there is nothing to decide yet.")
        return
    table = frames.pairs_table(summary)
    palette = current_palette()
    show_figure(
        charts.difference_chart(
            table, list(table["label"]), title="MoE − dense, points", palette=palette
        ),
        table,
        name="sparse-and-dense",
        alternative="Accuracy of each sparse model minus that of its dense partner, with the 95 % "
        "interval",
        reading="Each row is a sparse model minus its dense partner, which was trained by the same "
        "recipe; the line is the 95 % interval over items, and over seeds if there are several. "
        "Right of 0 the sparse model is better; an interval that contains 0 shows no difference.",
        palette=palette,
    )


def _show_promotion(summary: ModelSummary) -> None:
    st.header("What do I promote?", anchor=False)
    champion = summary.champion
    if champion is None:
        st.warning(
            f"{text.escape(summary.model)} has no champion among these versions: none passed the "
            "gates yet, or the champion was evaluated on other items."
        )
    else:
        point = champion.point
        st.markdown(
            f"**Champion:** {text.escape(frames.point_label(point))}, accuracy "
            f"{100 * point.accuracy:.1f} ± {100 * point.standard_error:.1f} %, "
            f"{point.cost:.4g} GFLOPs per token."
        )
    best = summary.best_group
    if len(best) > 1:
        names = ", ".join(text.escape(frames.point_label(point)) for point in best)
        st.markdown(
            f"**Tie for the best accuracy:** {names}. No test tells them apart, so none is the "
            f"winner; the cheapest per token is {text.escape(frames.point_label(best[0]))}."
        )
    elif best:
        st.markdown(
            f"**Best accuracy:** {text.escape(frames.point_label(best[0]))}, shown to be better "
            "than every other model."
        )
    show_table(
        frames.judged_table(summary),
        name="champion-and-challengers",
        alternative="Champion and challengers with accuracy, tie group and gates",
    )
    st.markdown(
        "Models of one tie group are not shown to differ (95 %, corrected for the number of "
        "models). Gates: the last stored verdict; `flanmoe registry promote VERSION --dry-run` "
        "asks again."
    )
    for judged in summary.judged:
        _show_gates(judged)


def _show_gates(judged: JudgedVersion) -> None:
    if judged.verdict is None:
        return
    failed = len(judged.failed_gates)
    result = "all gates pass" if not failed else f"{failed} of {len(judged.verdict.gates)} fail"
    with st.expander(f"Gates of {text.escape(frames.point_label(judged.point))}: {result}"):
        show_table(
            frames.gates_table(judged.verdict),
            name=f"gates-of-v{judged.point.version}",
            alternative="Gates with their values and limits",
        )


def _show_waiting(view: RegistryView, model: str) -> None:
    st.header("What waits for approval?", anchor=False)
    waiting = [request for request in view.read(list_requests, model) if request.is_open]
    if not waiting:
        st.write("No promotion waits for approval.")
        return
    versions = ", ".join(f"v{request.version}" for request in waiting)
    st.info(
        f"Waiting for approval: {len(waiting)} ({versions}). The page *Promotion* has the details."
    )


def _show_changes(summary: ModelSummary) -> None:
    st.header("What changed this week?", anchor=False)
    if not summary.changes:
        st.write(f"Nothing since {summary.since:%Y-%m-%d}.")
        return
    show_table(
        frames.changes_table(summary.changes),
        name="changes",
        alternative="Changes of the last seven days, newest first",
    )
