"""Texts from data as plain text."""

import pandas as pd
import pytest

from dashboard.figure import to_csv
from dashboard.text import MAX_LENGTH, escape, name, shorten


@pytest.mark.parametrize(
    "markup",
    ["**b**", "<b>", "[a](b)", "`x`", ":red[x]", "$x$", "# h", "- a", "![i](u)", "a_b_c"],
)
def test_escape_leaves_no_character_of_markdown(markup):
    shown = escape(markup)
    plain = shown.replace("\\\\", "")
    for character in "*_`[]()<>#:$!-":
        assert plain.count(character) == plain.count(f"\\{character}")


def test_escape_isolates_text_of_other_direction():
    assert escape("مرحبا\n\u202eabc") == "\u2068مرحبا \ufffdabc\u2069"


def test_shorten_cuts_long_texts():
    assert len(shorten("x" * 100_000)) == MAX_LENGTH + 1
    assert name("  a\tb ") == "a b"
    assert name("") == "(empty)"


def test_to_csv_has_no_formula():
    table = pd.DataFrame({"a": ["=1+1", "b", "@x"], "n": [1, -2, 3]})
    assert to_csv(table).decode("utf-8-sig").splitlines() == ["a,n", "'=1+1,1", "b,-2", "'@x,3"]
