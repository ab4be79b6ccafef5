"""Versions: registered versions, newest first, paged and filtered in the database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NoReturn

import streamlit as st

from dashboard import frames, url_state
from dashboard.cached_queries import RegistryView
from dashboard.figure import to_csv
from registry.query.search import VersionQuery
from registry.store import Registry

PAGE_SIZE = 50
MAX_EXPORTED = 100_000
NUMBER_FORMATS = {
    **{
        name: st.column_config.NumberColumn(format="%.1f")
        for name in ("accuracy %", "± %", "chance %", "normalised", "training, s")
    },
    **{
        name: st.column_config.NumberColumn(format="%.4g")
        for name in ("GFLOPs/token", "GFLOPs/item", "training TFLOPs")
    },
    **{
        name: st.column_config.NumberColumn(format="%.2f")
        for name in ("total params, M", "active params, M")
    },
}
_WHERE_HELP = (
    "The conditions of `flanmoe registry list --where`: `moe and suite.mmlu > 30`, "
    "`gflops_per_token < 2`, `tag.purpose = 'demo'`, `state != 'rejected'`. A score compares by "
    "its 95 % interval."
)


def show(view: RegistryView, model: str, *, open_version: Callable[[str, int], NoReturn]) -> None:
    """Show a page of the versions that match the filters.

    Args:
        view: the registry.
        model: the registered model.
        open_version: goes to the page of a version.
    """
    columns = st.columns([3, 2, 2])
    with columns[0]:
        where = url_state.enter(
            "Condition", key="where", placeholder="moe and score > 30", help_text=_WHERE_HELP
        )
    with columns[1]:
        search = url_state.enter(
            "Text", key="search", placeholder="in names, tags, descriptions and notes"
        )
    with columns[2]:
        sort = url_state.enter("Sort by", key="sort", placeholder="newest first; -score")
    with_partial = url_state.switch(
        "Show partial evaluations too",
        key="partial",
        help_text="Evaluations of a part of the items, such as trials.",
    )
    if not with_partial:
        where = f"({where}) and not partial" if where.strip() else "not partial"
    query = VersionQuery(where=where, text=search, sort=sort, model=model, limit=PAGE_SIZE)
    first = view.read(Registry.search, query)
    st.write(f"{first.num_matches:,} versions match.")
    if not first.versions:
        st.info("No version matches; change the condition, or show partial evaluations too.")
        return
    offset = url_state.choose_page(first.num_matches, PAGE_SIZE)
    page = view.read(Registry.search, replace(query, offset=offset)) if offset else first
    selected = st.dataframe(
        frames.versions_table(page.versions),
        hide_index=True,
        alt="Registered versions, newest first",
        on_select="rerun",
        selection_mode="single-row",
        key="versions-table",
        column_config=NUMBER_FORMATS,
    )
    st.markdown(
        "Accuracies compare only between versions of the same items. ± is one standard error. "
        "Select a row to open the version's own page."
    )
    st.download_button(
        "Save all matches as CSV",
        partial(_export, view, query),
        file_name="versions.csv",
        mime="text/csv",
        on_click="ignore",
    )
    rows = selected["selection"]["rows"]
    if rows:
        open_version(model, page.versions[rows[0]].version)


def _export(view: RegistryView, query: VersionQuery) -> bytes:
    """Return all matches as CSV; it is computed when the button is clicked."""
    page = view.registry.search(replace(query, limit=MAX_EXPORTED))
    return to_csv(frames.versions_table(page.versions))
