"""Conversion and rejection of rows of SuperGLUE."""

import pytest

from tests.data_pipelines.sources.factories import json_lines
from tests.data_pipelines.sources.raw.factories import contents_of, reason_of

COPA = {"premise": "p", "choice1": "a", "choice2": "b", "question": "cause", "label": 0}


def test_multirc_each_candidate_becomes_a_row(make_part):
    rows = contents_of(make_part, "multirc")
    assert [(row, item, content.answer) for row, item, content in rows] == [
        (1, 0, "no"),
        (1, 1, "yes"),
    ]


def test_record_answer_that_is_no_entity_has_no_options(make_part):
    record = {
        "passage": {"text": "Ann met Bo", "entities": [{"start": 0, "end": 2}]},
        "qas": [{"query": "@placeholder left", "answers": [{"text": "Bo"}]}],
    }
    ((_, _, content),) = contents_of(make_part, "record", json_lines(record))
    assert (content.answer, content.options) == ("Bo", None)


@pytest.mark.parametrize(
    ("dataset", "record", "reason"),
    [
        ("boolq", {"question": "q", "passage": "p", "label": "maybe"},
         "label: 'maybe' is not true or false"),
        ("copa", {**COPA, "question": "why"}, "question: 'why' is not cause or effect"),
        ("copa", {**COPA, "label": 2}, "label 2 is not an index of 2 options"),
        ("cb", {"premise": "p", "hypothesis": "h", "label": "not_entailment"},
         "label: 'not_entailment' is not one of entailment, contradiction, neutral"),
        ("record", {"passage": {"text": "t"}, "qas": [{"query": "q"}]}, "a query without answer"),
        ("wsc", {"text": "t", "label": True}, "no span1_text"),
    ],
)  # fmt: skip
def test_superglue_invalid_record_is_rejected(make_part, dataset, record, reason):
    assert reason_of(make_part, dataset, json_lines(record)) == reason
