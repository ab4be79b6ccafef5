"""Streamlit app; `flanmoe dashboard` runs this file."""

from __future__ import annotations

import streamlit as st

from dashboard.pages import comparison, frontier, training
from dashboard.queries import open_registry
from registry.errors import RegistryError

st.set_page_config(page_title="flanmoe", page_icon="★", layout="wide")
try:
    registry = open_registry()
    model, versions = comparison.select_model(registry)
    if versions:
        tabs = st.tabs(["Versions", "Equal compute", "Training"])
        with tabs[0]:
            comparison.show(versions)
        with tabs[1]:
            frontier.show(registry, model)
        with tabs[2]:
            training.show()
    else:
        training.show()
except RegistryError as error:
    st.error(str(error))
