"""Readers of BIG-Bench Hard and MMLU."""

import json

import pytest

from data_pipelines.errors import SourceError
from data_pipelines.sources.eval_data.knowledge import bbh, mmlu
from tests.data_pipelines.sources.factories import rejected_in


def make_bbh(make_part, *examples):
    return make_part("task.json", json.dumps({"examples": list(examples)}), "bbh")


@pytest.mark.parametrize(
    ("text", "target", "options"),
    [
        ("Which?\nOptions:\n(A) x\n(B) y", "(B)", ("(A)", "(B)")),
        ("Which?\nOptions:\n- valid \n- invalid", "valid", ("valid", "invalid")),
        ("Is it?", "yes", ("no", "yes")),
    ],
)
def test_bbh_options_are_letters_words_or_the_two_answers(make_part, text, target, options):
    part = make_bbh(make_part, {"input": text, "target": target}, {"input": "I", "target": "no"})
    item = next(bbh(part))
    assert (item.answer, item.options) == (target, options)


def test_bbh_task_with_many_answers_is_free_form(make_part):
    part = make_bbh(make_part, *({"input": "I", "target": str(i)} for i in range(3)))
    assert [item.options for item in bbh(part)] == [None] * 3


def test_bbh_invalid_examples_are_rejected(make_part):
    part = make_bbh(
        make_part, {"input": "I"}, {"input": "Which?\nOptions:\n(A) x\n(B) y", "target": "(C)"}
    )
    assert [row.reason for row in rejected_in(bbh(part))] == [
        "no input or no target",
        "target: '(C)' is not one of the options",
    ]


def test_bbh_file_without_examples_fails(make_part):
    with pytest.raises(SourceError, match="is not a BBH task: examples are missing"):
        list(bbh(make_bbh(make_part)))


def test_mmlu_rows_are_four_option_questions(make_part):
    item, rejected = mmlu(
        make_part("law_test.csv", '"Q, q?",a,b,"c\nc",d,C\nQ,a,b,c,d,E\n', "mmlu")
    )
    assert item.text == "Q, q?\n(A) a\n(B) b\n(C) c\nc\n(D) d"
    assert (item.answer, item.options) == ("C", ("A", "B", "C", "D"))
    assert rejected.reason == "not a question, four options and the letter of the answer"
