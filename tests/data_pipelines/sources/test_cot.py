"""FLAN's chain-of-thought files."""

import pytest

from data_pipelines.example import Example
from data_pipelines.params import ReadParams
from tests.data_pipelines.sources.factories import load_rows


def test_cot_rows_follow_the_published_format(make_part):
    # A quotation mark is text; a literal backslash-n is a line break; U+2028 does not end a row.
    part = make_part(
        "creak_train.tsv",
        'Is "A true?\tyes\tbecause "A is\n'
        "Pick:\\n(A) x\t(A)\tx\u2028fits\r\n"
        "only two\tcolumns\n"
        "empty\t\tcell\n",
        "cot_tsv",
        "cot",
    )
    first, second, short, empty = load_rows(part, ReadParams(inversion_share=0))
    assert isinstance(first, Example)
    assert 'Is "A true?' in first.inputs
    assert first.task == "cot_creak"
    assert "Pick:\n(A) x" in second.inputs
    assert second.question == "Pick:\n(A) x"
    assert (short.source_row, short.reason) == (3, "2 columns instead of 3")
    assert (empty.source_row, empty.reason) == (4, "empty cell")


def test_cot_rows_are_rendered_in_every_form(make_part):
    content = "".join(f"question {i}\tanswer\twhy\n" for i in range(1000))
    rows = load_rows(make_part("x_train.tsv", content, "cot_tsv", "cot"))
    forms = [row.template.split("_")[0] for row in rows]
    assert forms.count("inverted") == pytest.approx(300, abs=60)
    assert forms.count("rationale") == pytest.approx(350, abs=60)
    assert len({row.template for row in rows}) >= 20
    with_rationale = [row for row in rows if row.template.startswith("rationale")]
    assert all(row.targets.startswith("why") and "answer" in row.targets for row in with_rationale)
    # Deduplication compares the content, which is the same in every form.
    assert all(row.question == f"question {row.source_row - 1}" for row in rows)
