"""Frontier: scores against costs, with the dense partner of each sparse model."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard import charts, frames, selections, url_state
from dashboard.cached_queries import RegistryView
from dashboard.figure import show_figure, show_table
from dashboard.palette import current_palette
from registry.comparison.frontier import Frontier
from registry.comparison.joint_draws import NUM_DRAWS
from registry.comparison.scores import describe_score
from registry.comparison.version_costs import COSTS
from registry.store import Registry


def show(view: RegistryView, model: str) -> None:
    """Show a score against a cost."""
    read_frontier = partial(selections.frontier_of, view, model)
    items, baseline = selections.choose_items_and_baseline(read_frontier)
    names = read_frontier(items).score_names
    columns = st.columns(2)
    with columns[0]:
        score = url_state.choose("Score", names or ("score",), key="score", title=describe_score)
    with columns[1]:
        cost = url_state.choose(
            "Cost", list(COSTS), key="cost", title=lambda name: COSTS[name].title
        )
    frontier = view.read(
        Registry.frontier, model, cost, score=score, items_digest=items, baseline=baseline
    )
    selections.show_excluded(frontier)
    if not frontier.points:
        st.info("No version has this cost; the reasons are above.")
        return
    _show_points(frontier)
    _show_dense_partners(frontier)


def _show_points(frontier: Frontier) -> None:
    points = frames.frontier_points(frontier)
    palette, title = current_palette(), describe_score(frontier.score)
    method = (
        "with the covariance that the shared items cause"
        if frontier.paired
        else "from each version's standard error, as some answers are not stored"
    )
    partial = " Partial scores: a part of the suites' items." if points["partial"].any() else ""
    show_figure(
        charts.frontier_chart(
            points,
            frames.frontier_lines(frontier),
            cost=frontier.unit,
            score=title.partition(" (")[0],
            palette=palette,
        ),
        points,
        name=f"frontier-{frontier.cost}",
        alternative=f"{title} against {frontier.unit} of {len(points)} models, with the Pareto "
        "frontier",
        reading="Up is better and left is cheaper. Circles are dense and diamonds MoE models, ★ is "
        "the champion, bars are one standard error, the dashed line shows random answers. "
        "The stepped line is the Pareto frontier: no other model is at least as cheap and as good. "
        "The fainter a point, the less probable it is that it is truly on the frontier "
        f"({NUM_DRAWS:,} draws, {method}). Solid lines lead from a model to those trained from it, "
        f"dotted ones join an MoE and its dense partner.{partial}",
        palette=palette,
    )


def _show_dense_partners(frontier: Frontier) -> None:
    st.header("Sparse models and their dense partners", anchor=False)
    for moe in frontier.without_partner:
        st.text(f"{moe}: no partner.")
    if frontier.dense_partners:
        show_table(
            frames.partners_table(frontier.dense_partners),
            name="dense-partners",
            alternative="Each sparse model and its dense partner with cost ratio and difference",
        )
        st.markdown(
            "A dense partner has the same data, tasks, steps, seeds and start chain. Cost ratio: "
            "MoE ÷ dense, “equal” within 10 %. Difference: MoE − dense in points, with the 95 % "
            "interval."
        )
