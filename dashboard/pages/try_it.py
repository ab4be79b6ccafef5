"""Try it: one instruction, answered by two versions side by side."""

from __future__ import annotations

import streamlit as st

from dashboard import charts, frames, text, url_state
from dashboard.cached_queries import RegistryView
from dashboard.figure import show_figure
from dashboard.palette import current_palette
from dashboard.predictions import Answer, answer_instruction, experts_table
from registry.query.search import VersionQuery
from registry.store import Registry
from registry.version_summary import VersionSummary

MAX_TOKENS = 512
DEFAULT_TOKENS = 64
_ANSWERS = "answers"


def show(view: RegistryView, model: str) -> None:
    """Show the form, and what both versions answered."""
    champion = _first(view, model, "alias = 'champion'")
    newest = _first(view, model, "not partial") or _first(view, model, "")
    assert newest is not None  # the page of a model has a version
    challenger = _first(view, model, "not partial and alias != 'champion'") or newest
    columns = st.columns(3)
    with columns[0]:
        a = url_state.choose_number("Version A", key="a", default=(champion or newest).version)
    with columns[1]:
        b = url_state.choose_number("Version B", key="b", default=challenger.version)
    with columns[2]:
        max_new_tokens = url_state.choose_number(
            "Longest answer, tokens", key="tokens", default=DEFAULT_TOKENS, maximum=MAX_TOKENS
        )
    labels = {number: _label(view, model, number) for number in (a, b)}
    instruction = url_state.enter(
        "Instruction",
        key="instruction",
        placeholder="Is the following review positive or negative? …",
        help_text="A process of its own reads it; it is stored nowhere but in the URL.",
        has_lines=True,
    )
    question = (model, a, b, instruction, max_new_tokens)
    if st.button("Answer", type="primary") and _check(instruction):
        answers = {}
        for number in dict.fromkeys((a, b)):
            with st.spinner(f"Version {number} loads its weights and answers …"):
                answers[number] = answer_instruction(model, number, instruction, max_new_tokens)
        st.session_state[_ANSWERS] = (question, answers)
    shown, answers = st.session_state.get(_ANSWERS, (None, {}))
    if shown != question:
        st.markdown(
            "Without sampling: each token is the most probable one. `flanmoe predict "
            f"--version {a} --json` answers the same on the command line."
        )
        return
    sides = st.columns(2)
    for side, letter, number in zip(sides, "AB", (a, b), strict=True):
        with side:
            st.subheader(f"{letter}: {text.escape(labels[number])}", anchor=False)
            _show_answer(answers[number])
    for letter, number in dict(zip("AB", (a, b), strict=True)).items():
        _show_experts(letter, labels[number], answers[number])


def _first(view: RegistryView, model: str, where: str) -> VersionSummary | None:
    """Return the newest version that meets a condition."""
    page = view.read(Registry.search, VersionQuery(where=where, model=model, limit=1))
    return page.versions[0] if page.versions else None


def _label(view: RegistryView, model: str, number: int) -> str:
    """Return the label of a version.

    Raises:
        UnknownVersion: the version does not exist.
    """
    version = view.read(Registry.show, model, number)
    return frames.label(version.name, version.version, is_champion=version.is_champion)


def _check(instruction: str) -> bool:
    """Return whether there is an instruction; say so if there is none."""
    if not instruction.strip():
        st.warning("Instruction: empty; write a text that the versions answer.")
        return False
    return True


def _show_answer(answer: Answer) -> None:
    if answer.problem:
        st.warning(text.escape(answer.problem))
        return
    st.code(text.shorten(answer.text) or "(no text)", language=None, wrap_lines=True)
    speed = answer.tokens_per_second
    st.markdown(
        f"{answer.num_tokens:,} tokens in {answer.seconds:.2f} s"
        + ("" if speed is None else f", {speed:,.0f} tokens per second")
        + "."
    )
    if not answer.is_finished:
        st.markdown("The answer is cut: it reached the limit of its tokens.")
    if answer.is_truncated:
        st.markdown("The start of the instruction was cut off: it is longer than the model reads.")


def _show_experts(letter: str, label: str, answer: Answer) -> None:
    """Show how the tokens of the instruction and the answer were spread over the experts."""
    if answer.problem:
        return
    if not answer.tokens_by_layer:
        st.markdown(f"{letter} is dense: every token uses all its parameters.")
        return
    table, palette = experts_table(answer), current_palette()
    used = int((table["tokens"] > 0).sum())
    show_figure(
        charts.router_map(table, palette),
        table,
        name=f"experts-{letter.lower()}",
        alternative=f"Tokens of each expert of {label} in each MoE layer, relative to the mean",
        reading=f"{letter} used {used:,} of {len(table):,} experts. Each cell is an expert of an "
        "MoE layer: blue experts got fewer tokens of this instruction and answer than the mean of "
        "their layer, orange ones more.",
        palette=palette,
    )
