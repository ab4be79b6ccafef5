"""Readers of BIG-Bench Hard and MMLU."""

import json

import pytest

from data_pipelines.errors import SourceError
from data_pipelines.sources.eval_data.knowledge import bbh, mmlu
from tests.data_pipelines.sources.factories import rejected_in


def make_bbh(make_part, *examples, answers=None):
    """Write a BBH file; `answers` is the kind of its answers in the catalog."""
    kinds = {} if answers is None else {"answers": {"task": answers}}
    return make_part("task.json", json.dumps({"examples": list(examples)}), "bbh", **kinds)


@pytest.mark.parametrize(
    ("answers", "text", "target", "options"),
    [
        ("listed", "Which?\nOptions:\n(A) x\n(B) y", "(B)", ("(A)", "(B)")),
        ("listed", "Which?\nOptions:\n- valid \n- invalid", "valid", ("valid", "invalid")),
        (["no", "yes"], "Is it?", "yes", ("no", "yes")),
        ("free", "How many?", "2", None),
        (None, "Which?\nOptions:\n(A) x\n(B) y", "(B)", ("(A)", "(B)")),
        (None, "Is it?", "yes", None),
    ],
)
def test_bbh_options_are_of_the_kind_that_the_catalog_states(
    make_part, answers, text, target, options
):
    (item,) = bbh(make_bbh(make_part, {"input": text, "target": target}, answers=answers))
    assert (item.answer, item.options) == (target, options)


@pytest.mark.parametrize("num_rows", [1, 2, 3])
def test_bbh_truncated_free_form_task_has_no_options(make_part, num_rows):
    """The kind does not depend on how many different targets are left."""
    rows = [{"input": f"How many, {i}?", "target": str(i)} for i in range(num_rows)]
    for answers in ("free", None):
        assert {item.options for item in bbh(make_bbh(make_part, *rows, answers=answers))} == {None}


def test_bbh_truncated_yes_no_task_has_all_its_options(make_part):
    rows = [{"input": "Is it?", "target": "no"}]
    (item,) = bbh(make_bbh(make_part, *rows, answers=["no", "yes"]))
    assert item.options == ("no", "yes")


def test_bbh_unknown_kind_of_answers_fails(make_part):
    part = make_bbh(make_part, {"input": "I", "target": "x"}, answers="many")
    with pytest.raises(SourceError, match=r"answers\.task: 'many' is not listed, free or a "):
        list(bbh(part))


def test_bbh_invalid_examples_are_rejected(make_part):
    part = make_bbh(
        make_part, {"input": "I"}, {"input": "Which?\nOptions:\n(A) x\n(B) y", "target": "(C)"},
        answers="listed",
    )  # fmt: skip
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
    assert item.option_texts == ("a", "b", "c\nc", "d")
    assert rejected.reason == "not a question, four options and the letter of the answer"


def test_mmlu_questions_on_the_same_passage_share_a_cluster(make_part):
    mark = "This question refers to the following information."
    questions = [f"{mark}\nA speech.\nWho?", f"{mark}\nA speech.\nWhen?", f"{mark}\nA law.\nWho?"]
    questions += ["Two lines.\nWho?", "Who?"]
    text = "".join(f'"{question}",a,b,c,d,C\n' for question in questions)
    clusters = [item.cluster for item in mmlu(make_part("history_test.csv", text, "mmlu"))]
    assert clusters[0] == clusters[1] != clusters[2]
    assert clusters[2]
    assert clusters[3:] == ["", ""]
