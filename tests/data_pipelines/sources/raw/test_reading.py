"""Multiple-choice reading comprehension: Cosmos QA, DREAM, QuAIL."""

import json

import pytest

from tests.data_pipelines.sources.factories import json_lines
from tests.data_pipelines.sources.raw.factories import reason_of

COSMOS_HEADER = "id,context,question,answer0,answer1,answer2,answer3,label\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (COSMOS_HEADER + "x,c,q,a,b,c,d,x\n", "label is 'x', not an integer"),
        (COSMOS_HEADER + "x,c,q,a,b,c,d,4\n", "label 4 is not an index of 4 options"),
        ("id,context\nonly one\n", "1 columns instead of 2"),
    ],
)
def test_cosmos_qa_invalid_row_is_rejected(make_part, content, reason):
    assert reason_of(make_part, "cosmos_qa", content) == reason


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ([["t"], [{"question": "q", "choice": ["a"], "answer": "z"}], "1"],
         "answer: 'z' is not one of the choices"),
        ({"a": 1}, "not a list of turns, questions, id"),
    ],
)  # fmt: skip
def test_dream_invalid_record_is_rejected(make_part, record, reason):
    assert reason_of(make_part, "dream", json.dumps([record])) == reason


def test_quail_label_without_an_option_is_rejected(make_part):
    record = {"context": "C", "question": "Q", "answers": ["a"], "correct_answer_id": "1"}
    assert reason_of(make_part, "quail", json_lines(record)) == (
        "label 1 is not an index of 1 options"
    )
