"""Test tasks of Super-NaturalInstructions."""

import json

from data_pipelines.sources.eval_data.instructions import NUM_INSTANCES, niv2

EXEMPLARS = [{"input": f"p{i}", "output": f"q{i}", "explanation": ""} for i in range(3)]
TASK = {
    "Definition": ["Do this."],
    "Categories": ["Sorting"],
    "Positive Examples": EXEMPLARS,
    "Instances": [{"id": f"id-{i}", "input": f"in {i} ", "output": ["o", "o"]} for i in range(120)],
}


def test_niv2_definition_includes_two_positive_exemplars(make_part):
    items = list(niv2(make_part("task1.json", json.dumps(TASK), "niv2_test")))
    assert len(items) == NUM_INSTANCES
    item = items[0]
    assert (item.id, item.text, item.references, item.group) == ("id-0", "in 0", ("o",), "Sorting")
    assert item.definition == (
        "Definition: Do this.\n\nPositive Example 1 -\nInput: p0\nOutput: q0"
        "\n\nPositive Example 2 -\nInput: p1\nOutput: q1"
    )


def test_niv2_tasks_outside_the_test_list_have_no_items(make_part):
    make_part("splits/test_tasks.txt", "task1\n")
    content = json.dumps(TASK)
    assert list(niv2(make_part("task1.json", content, "niv2_test", splits="splits")))
    assert not list(niv2(make_part("task2.json", content, "niv2_test", splits="splits")))


def test_niv2_instance_without_output_is_rejected(make_part):
    content = json.dumps({**TASK, "Instances": [{"input": "in"}]})
    (row,) = niv2(make_part("task1.json", content, "niv2_test"))
    assert row.reason == "no input or no output"
