"""Samples: the answers of two versions to the same items, side by side."""

from __future__ import annotations

import dataclasses

import streamlit as st

from dashboard import selections, text, url_state
from dashboard.cached_queries import RegistryView
from registry.comparison.sample_pairs import (
    PairOfAnswers,
    SampleAnswer,
    SampleFilter,
    SamplePage,
    SamplePair,
)
from registry.store import Registry

PAGE_SIZE = 20
_ANY = "any"
_FLAGS = {_ANY: None, "yes": True, "no": False}
_MAX_TEXT = 8_000


def show(view: RegistryView, model: str) -> None:
    """Show the items that match the filters, with both answers."""
    pair = selections.choose_pair(view, model)
    if pair is None:
        st.info("There is only a single model, so there are no answers to set beside it.")
        return
    a, b = pair[0].version, pair[1].version
    first = view.read(Registry.samples, model, a, b, SampleFilter(limit=1))
    _show_counts(first)
    criteria = _choose_filter(first)
    matching = view.read(Registry.samples, model, a, b, criteria)
    st.write(f"{matching.num_matches:,} items match.")
    offset = url_state.choose_page(matching.num_matches, PAGE_SIZE)
    if offset:
        criteria = dataclasses.replace(criteria, offset=offset)
        matching = view.read(Registry.samples, model, a, b, criteria)
    for sample in matching.pairs:
        _show_sample(sample, a, b)


def _show_counts(page: SamplePage) -> None:
    for column, (kind, count) in zip(st.columns(4), page.counts.items(), strict=True):
        column.metric(kind, f"{count:,}")


def _choose_filter(page: SamplePage) -> SampleFilter:
    columns = st.columns(4)
    with columns[0]:
        task = url_state.choose("Task", [_ANY, *page.tasks], key="task", title=text.name)
    with columns[1]:
        right = url_state.choose(
            "Right", [_ANY, *(kind.value for kind in PairOfAnswers)], key="right"
        )
    with columns[2]:
        contaminated = url_state.choose(
            "Contaminated",
            list(_FLAGS),
            key="contaminated",
            help_text="Whether the item overlaps with a training mixture of A or B.",
        )
    with columns[3]:
        truncated = url_state.choose(
            "Prompt cut",
            list(_FLAGS),
            key="truncated",
            help_text="Whether the start of the prompt was cut off for A or B.",
        )
    return SampleFilter(
        task="" if task == _ANY else task,
        right=None if right == _ANY else PairOfAnswers(right),
        contaminated=_FLAGS[contaminated],
        truncated=_FLAGS[truncated],
        limit=PAGE_SIZE,
    )


def _show_sample(sample: SamplePair, a: int, b: int) -> None:
    with st.container(border=True):
        marks = [sample.right.value]
        marks += ["contaminated"] if sample.contaminated else []
        marks += ["prompt cut"] if sample.truncated else []
        st.text(f"{text.name(sample.task)} · {text.name(sample.id)} · {', '.join(marks)}")
        st.code(
            text.shorten(sample.prompt, _MAX_TEXT) or "(the prompt is not stored)",
            language=None,
            wrap_lines=True,
        )
        st.text(f"expected: {text.shorten(sample.expected)}")
        for column, letter, number, answer in zip(
            st.columns(2), "AB", (a, b), (sample.a, sample.b), strict=True
        ):
            with column:
                _show_answer(f"{letter}, v{number}", answer)


def _show_answer(title: str, answer: SampleAnswer) -> None:
    notes = ["not finished"] if answer.unfinished else []
    notes += ["no answer recognised"] if answer.unanswered else []
    st.text(f"{title}: score {answer.score:g}" + (f" ({', '.join(notes)})" if notes else ""))
    st.code(text.shorten(answer.answer) or "(empty)", language=None, wrap_lines=True)
    if answer.generated_text and answer.generated_text != answer.answer:
        with st.expander("Generated text"):
            st.code(text.shorten(answer.generated_text, _MAX_TEXT), language=None, wrap_lines=True)
