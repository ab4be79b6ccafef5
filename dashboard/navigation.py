"""Pages of the dashboard, each of which answers one question, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import streamlit as st
from streamlit.navigation.page import Page

from dashboard import text, url_state
from dashboard.cached_queries import RegistryView, open_view, project_folder
from dashboard.pages import (
    compare,
    data,
    decision,
    frontier,
    pipeline,
    promotion,
    samples,
    training,
    try_it,
    version,
    versions,
)
from dashboard.pages import help as help_page
from registry.errors import RegistryError
from registry.store import Registry


@dataclass(frozen=True, kw_only=True)
class DashboardPage:
    """A page of the navigation."""

    path: str
    """Of its URL."""
    question: str
    """The question that it answers."""
    show_model: Callable[[RegistryView, str], None] | None = None
    """Shows the page of a registered model; None for a page that needs no registry."""
    show_project: Callable[[], None] | None = None

    @property
    def title(self) -> str:
        """Name of the page."""
        return self.path.replace("_", " ").capitalize()

    def show(self) -> None:
        """Show the page; a failure of the registry is one line."""
        st.title(self.title, anchor=False)
        st.markdown(f"*{self.question}*")
        try:
            if self.show_project is not None:
                self.show_project()
            if self.show_model is not None:
                _show_model(self.show_model)
        except RegistryError as error:
            st.error(text.escape(str(error)))


def _show_model(body: Callable[[RegistryView, str], None]) -> None:
    view = open_view()
    models = view.read(Registry.models)
    if not models:
        _show_empty_state()
        return
    names = [model.name for model in models]
    model = url_state.choose(
        "Registered model", names, key="model", title=text.name, is_remembered=True
    )
    body(view, model)
    st.markdown(
        f"As of {view.as_of:%Y-%m-%d %H:%M:%S} UTC, change {view.revision:,} of the registry."
    )


def _show_empty_state() -> None:
    st.info(
        "No version is registered yet in the project "
        f"{text.escape(str(project_folder().resolve()))}. Run `flanmoe run` in its folder: it "
        "prepares the data, trains, evaluates and registers the first versions. This page then "
        "shows them; `flanmoe check` tells beforehand whether the run can work."
    )


def open_version(model: str, number: int) -> NoReturn:
    """Go to the page of a version."""
    target = _streamlit_page(PAGE_BY_PATH["version"])
    st.switch_page(target, query_params={"model": model, "version": str(number)})


PAGES = (
    DashboardPage(
        path="decision",
        question="Is sparse worth it, and what do I promote?",
        show_model=decision.show,
    ),
    DashboardPage(path="frontier", question="What does accuracy cost?", show_model=frontier.show),
    DashboardPage(
        path="compare",
        question="Is A better than B, where, and at what cost?",
        show_model=compare.show,
    ),
    DashboardPage(
        path="samples",
        question="Which items does A get right and B wrong?",
        show_model=samples.show,
    ),
    DashboardPage(
        path="versions",
        question="Which versions are there?",
        show_model=partial(versions.show, open_version=open_version),
    ),
    DashboardPage(
        path="version",
        question="What is this version, and may it be promoted?",
        show_model=version.show,
    ),
    DashboardPage(
        path="promotion",
        question="Which candidate passes every gate, and what do I promote or undo?",
        show_model=promotion.show,
    ),
    DashboardPage(
        path="training",
        question="What is training now, and how did the curves run?",
        show_project=training.show,
    ),
    DashboardPage(
        path="data",
        question="What is the training data, and what was left out of it?",
        show_project=data.show,
    ),
    DashboardPage(
        path="pipeline",
        question="What runs, what failed, and what is out of date?",
        show_project=pipeline.show,
    ),
    DashboardPage(
        path="try_it",
        question="What do two versions answer to my instruction?",
        show_model=try_it.show,
    ),
    DashboardPage(path="help", question="What does a term mean?", show_project=help_page.show),
)
"""In the order of the navigation; the first is shown without a path."""
PAGE_BY_PATH = {page.path: page for page in PAGES}


def _streamlit_page(page: DashboardPage) -> Page:
    return st.Page(page.show, title=page.title, url_path=page.path, default=page is PAGES[0])


def run_page() -> None:
    """Show the page of the URL, and the navigation."""
    st.set_page_config(page_title="flanmoe", page_icon="⭐", layout="wide")
    st.navigation([_streamlit_page(page) for page in PAGES]).run()
