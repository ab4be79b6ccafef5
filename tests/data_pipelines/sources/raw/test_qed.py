"""Conversion and rejection of rows of QED."""

from tests.data_pipelines.sources.factories import json_lines
from tests.data_pipelines.sources.raw.factories import contents_of, reason_of


def test_qed_references_are_all_answer_spans(make_part):
    ((_, _, content),) = contents_of(make_part, "qed")
    assert content.references == ("X of Y", "X")


def test_qed_record_without_answer_is_rejected(make_part):
    record = {"question_text": "q", "paragraph_text": "p", "title_text": "t"}
    assert reason_of(make_part, "qed", json_lines(record)) == "no answer"
