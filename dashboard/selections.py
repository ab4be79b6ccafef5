"""Selections that several pages share: items, baseline, and what they exclude."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard import text, url_state
from dashboard.cached_queries import RegistryView
from dashboard.frames import point_label
from registry.comparison.frontier import Frontier, FrontierPoint
from registry.comparison.model_set import ItemSet
from registry.store import Registry

CHAMPION_ITEMS = "champion"
CHAMPION = "champion"


def choose_items_and_baseline(read_frontier: Callable[[str], Frontier]) -> tuple[str, int | None]:
    """Let the user choose item set and baseline; both are in the URL.

    Args:
        read_frontier: returns the models of a set of items; empty: those of the champion.

    Returns:
        The digest of the items, empty for the champion's; and the version that others are compared
        with, None for the champion.
    """
    columns = st.columns(2)
    with columns[0]:
        items = _choose_items(read_frontier(""))
    with columns[1]:
        baseline = _choose_baseline(read_frontier(items))
    return items, baseline


def _choose_items(frontier: Frontier) -> str:
    titles = {item_set.digest: _item_set_title(item_set) for item_set in frontier.item_sets}
    chosen = url_state.choose(
        "Items of the evaluation",
        [CHAMPION_ITEMS, *titles],
        key="items",
        title=lambda digest: titles.get(digest, "those of the champion"),
        help_text="Scores compare only between versions that answered the same items.",
    )
    return "" if chosen == CHAMPION_ITEMS else chosen


def _item_set_title(item_set: ItemSet) -> str:
    part = ", partial" if item_set.partial else ""
    return (
        f"{item_set.num_items:,} items{part} ({item_set.num_versions} versions up to "
        f"v{item_set.newest}, {item_set.digest})"
    )


def _choose_baseline(frontier: Frontier) -> int | None:
    titles = {str(point.version): point_label(point) for point in frontier.points}
    chosen = url_state.choose(
        "Baseline",
        [CHAMPION, *titles],
        key="baseline",
        title=lambda number: titles.get(number, "the champion"),
        help_text="Every other model is compared with it, item by item.",
    )
    return None if chosen == CHAMPION else int(chosen)


def show_excluded(frontier: Frontier) -> None:
    """Say which versions are not shown, and why."""
    if frontier.excluded:
        with st.expander(f"Not shown: {len(frontier.excluded)} versions"):
            for version in frontier.excluded[:50]:
                st.text(
                    f"{text.name(version.name)} v{version.version}: {text.shorten(version.reason)}"
                )


def frontier_of(view: RegistryView, model: str, items: str) -> Frontier:
    """Return the models of a set of items, by FLOPs per token; empty: the champion's items."""
    return view.read(Registry.frontier, model, "token", items_digest=items)


def choose_pair(view: RegistryView, model: str) -> tuple[FrontierPoint, FrontierPoint] | None:
    """Let the user choose items and two models, A and B, all of which are in the URL.

    By default A is a sparse model and B its dense partner, else the champion.

    Returns:
        The models; None if there are not two.
    """
    items = _choose_items(frontier_of(view, model, ""))
    frontier = frontier_of(view, model, items)
    points = {str(point.version): point for point in frontier.points}
    if len(points) < 2:
        return None
    partners = {str(pair.moe_version): str(pair.dense_version) for pair in frontier.dense_partners}
    champions = [number for number, point in points.items() if point.is_champion]
    columns = st.columns(2)
    with columns[0]:
        a = _choose_model("A", [*partners, *champions, *points], points)
    with columns[1]:
        others = [*([partners[a]] if a in partners else []), *champions, *points]
        b = _choose_model("B", [number for number in others if number != a], points)
    return points[a], points[b]


def _choose_model(letter: str, numbers: list[str], points: dict[str, FrontierPoint]) -> str:
    """Let the user choose a model; the first number is the default."""
    return url_state.choose(
        f"Model {letter}",
        list(dict.fromkeys(numbers)),
        key=letter.lower(),
        title=lambda number: point_label(points[number]),
    )
