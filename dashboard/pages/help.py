"""Help: every term in a sentence, and what to run first."""

from __future__ import annotations

import streamlit as st

from dashboard.glossary import read_glossary

_FIRST_STEPS = """
1. `flanmoe run` prepares the data, trains, evaluates and registers versions.
2. **Decision** says whether sparse models are worth it, and which version to promote.
3. **Compare** and **Samples** show why; **Frontier** shows what accuracy costs.
4. `flanmoe registry promote VERSION` asks every gate and promotes; `flanmoe report VERSION` writes
   the numbers of a version into one HTML file.
"""


def show() -> None:
    """Show the first steps and the glossary."""
    st.markdown(_FIRST_STEPS)
    terms = read_glossary()
    if not terms:
        st.info("The glossary is docs/concepts.md of the project, which is not in this folder.")
        return
    search = st.text_input("Search for a term", key="term").casefold()
    for term, sentence in terms.items():
        if search in f"{term} {sentence}".casefold():
            st.markdown(f"**{term}**: {sentence}")
