"""Streamlit app; `flanmoe dashboard` runs this file."""

from __future__ import annotations

import streamlit as st

from dashboard.pages import approvals, comparison, frontier, training
from dashboard.queries import open_registry
from registry.errors import RegistryError


def show_dashboard() -> None:
    """Show the tabs of the selected model; without versions only the training runs."""
    try:
        registry = open_registry()
        model, versions = comparison.select_model(registry)
        if not versions:
            training.show()
            return
        if num_open := approvals.count_open(registry, model):
            st.info(f"Waiting for approval: {num_open}. The tab *Approvals* has the details.")
        versions_tab, frontier_tab, training_tab, approvals_tab = st.tabs(
            ["Versions", "Equal compute", "Training", "Approvals"]
        )
        with versions_tab:
            comparison.show(versions)
        with frontier_tab:
            frontier.show(registry, model)
        with training_tab:
            training.show()
        with approvals_tab:
            approvals.show(registry, model)
    except RegistryError as error:
        st.error(str(error))


st.set_page_config(page_title="flanmoe", page_icon="★", layout="wide")
# With explicit navigation Streamlit does not list the modules of pages/ in the sidebar.
st.navigation([st.Page(show_dashboard, title="flanmoe")], position="hidden").run()
