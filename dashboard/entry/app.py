"""Script that Streamlit runs. It is not beside `pages/`, whose files Streamlit would run itself."""

from __future__ import annotations

from dashboard.navigation import run_page

run_page()
