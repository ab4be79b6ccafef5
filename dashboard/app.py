"""The Streamlit entry: `flanmoe dashboard` runs this file."""

from __future__ import annotations

import streamlit as st

from dashboard.queries import open_registry
from dashboard.views import comparison
from registry.errors import RegistryError

st.set_page_config(page_title="flanmoe", page_icon="★", layout="wide")
try:
    comparison.show(open_registry())
except RegistryError as error:
    st.error(str(error))
