"""Test tasks of Super-NaturalInstructions."""

import json

import pytest

from data_pipelines.sources.eval_data.instructions import NUM_INSTANCES, niv2

EXEMPLARS = [{"input": f"p{i}", "output": f"q{i}", "explanation": ""} for i in range(3)]
TASK = {
    "Definition": ["Do this."],
    "Categories": ["Sorting"],
    "Positive Examples": EXEMPLARS,
    "Instances": [{"id": f"id-{i}", "input": f"in {i} ", "output": ["o", "o"]} for i in range(120)],
}


def test_niv2_items_have_the_definition_and_two_positive_exemplars(make_part):
    items = list(niv2(make_part("task1.json", json.dumps(TASK), "niv2_test")))
    assert len(items) == NUM_INSTANCES
    item = items[0]
    assert (item.id, item.question, item.references) == ("id-0", "in 0", ("o",))
    assert (item.group, item.definition) == ("Sorting", "Definition: Do this.")
    assert item.exemplars == (
        {"text": "p0.", "answer": "q0."}, {"text": "p1.", "answer": "q1."},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [("in", "in."), ("in.", "in."), ("in?", "in?"), ("a, b]", "a, b]"), ("é", "é."), ("…", "….")],
)
def test_niv2_input_without_punctuation_at_its_end_gets_a_full_stop(make_part, text, expected):
    task = {**TASK, "Instances": [{"id": "x", "input": f" {text} ", "output": ["o"]}]}
    (item,) = niv2(make_part("task1.json", json.dumps(task), "niv2_test"))
    assert (item.text, item.question, item.answer) == (expected, text, "o")


def test_niv2_tasks_outside_the_test_list_have_no_items(make_part):
    make_part("splits/test_tasks.txt", "task1\n")
    content = json.dumps(TASK)
    assert list(niv2(make_part("task1.json", content, "niv2_test", splits="splits")))
    assert not list(niv2(make_part("task2.json", content, "niv2_test", splits="splits")))


def test_niv2_instance_without_output_is_rejected(make_part):
    content = json.dumps({**TASK, "Instances": [{"input": "in"}]})
    (row,) = niv2(make_part("task1.json", content, "niv2_test"))
    assert row.reason == "no input or no output"
