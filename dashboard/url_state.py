"""State of a page in its URL, so that a link leads to what its sender saw.

The URL is the only state: every run of the page sets its widgets to what the URL says, also after
the back button, and a widget that a person changes changes the URL.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import streamlit as st

_ON = "true"


def choose(
    label: str,
    options: Sequence[str],
    *,
    key: str,
    title: Callable[[str], str] = str,
    help_text: str | None = None,
    is_remembered: bool = False,
) -> str:
    """Show a selection whose value is in the URL.

    Args:
        label: label of the widget.
        options: at least one value; the first is the default, which the URL does not name. Other
            values in the URL are ignored.
        key: name of the parameter in the URL.
        title: shows a value.
        help_text: explanation of the selection.
        is_remembered: whether other pages without the parameter have the same value.
    """
    memory = f"remembered-{key}"
    value = st.query_params.get(key, st.session_state.get(memory) if is_remembered else None)
    chosen = value if value is not None and value in options else options[0]
    if is_remembered:
        st.session_state[memory] = chosen
        _write(key, chosen, default=options[0])
    return str(
        st.selectbox(
            label,
            options,
            format_func=title,
            help=help_text,
            key=_set_widget(key, chosen),
            on_change=_store,
            args=(key, options[0], memory if is_remembered else None),
        )
    )


def enter(
    label: str,
    *,
    key: str,
    placeholder: str = "",
    help_text: str | None = None,
    has_lines: bool = False,
) -> str:
    """Show a field for a text that is in the URL.

    Args:
        label: label of the widget.
        key: name of the parameter in the URL.
        placeholder: example of a text.
        help_text: explanation of the field.
        has_lines: whether the text may have several lines.
    """
    show_field = st.text_area if has_lines else st.text_input
    return str(
        show_field(
            label,
            placeholder=placeholder,
            help=help_text,
            max_chars=2000,
            key=_set_widget(key, st.query_params.get(key, "")[:2000]),
            on_change=_store,
            args=(key, ""),
        )
    )


def switch(label: str, *, key: str, help_text: str | None = None) -> bool:
    """Show a switch, off by default, whose state is in the URL.

    Args:
        label: label of the widget.
        key: name of the parameter in the URL.
        help_text: explanation of the switch.
    """
    return st.toggle(
        label,
        help=help_text,
        key=_set_widget(key, st.query_params.get(key) == _ON),
        on_change=_store,
        args=(key, False),
    )


def choose_number(label: str, *, key: str, default: int, maximum: int | None = None) -> int:
    """Show a field for a number from 1 that is in the URL.

    Args:
        label: label of the widget.
        key: name of the parameter in the URL.
        default: the number that the URL does not name.
        maximum: the largest number; None: any.
    """
    text = st.query_params.get(key, "")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default
    number = max(1, number if maximum is None else min(number, maximum))
    return int(
        st.number_input(
            label,
            min_value=1,
            max_value=maximum,
            width=160,
            key=_set_widget(key, number),
            on_change=_store,
            args=(key, default),
        )
    )


def choose_page(num_matches: int, page_size: int) -> int:
    """Show a field for the page of a list, if it has several; the page is in the URL.

    Args:
        num_matches: length of the list.
        page_size: entries of a page.

    Returns:
        The number of entries before the page.
    """
    num_pages = math.ceil(num_matches / page_size)
    if num_pages <= 1:
        return 0
    number = choose_number(f"Page, 1 to {num_pages}", key="page", default=1, maximum=num_pages)
    return (number - 1) * page_size


def _set_widget(key: str, value: object) -> str:
    """Set a widget to the value of the URL; return the widget's key."""
    widget = f"url-{key}"
    st.session_state[widget] = value
    return widget


def _store(key: str, default: object, memory: str | None = None) -> None:
    """Write what a person chose into the URL."""
    value = st.session_state[f"url-{key}"]
    if memory is not None:
        st.session_state[memory] = value
    _write(key, value, default=default)


def _write(key: str, value: object, *, default: object) -> None:
    if value == default:
        st.query_params.pop(key, None)
    else:
        st.query_params[key] = _ON if value is True else str(value)
