"""Task files of Super-NaturalInstructions."""

import json

import pytest

from data_pipelines.errors import SourceError
from data_pipelines.params import ReadParams
from data_pipelines.sources.niv2 import read_licence
from tests.data_pipelines.sources.factories import load_rows, rejected_in


def make_task(make_part, name="task001_x.json", **fields):
    task = {
        "Definition": ["Do this."],
        "Positive Examples": [{"input": "p", "output": "q", "explanation": "because"}],
        "Negative Examples": [{"input": "n", "output": "wrong", "explanation": "no"}],
        "Instances": [{"id": "a", "input": "in", "output": ["one", "two"]}],
        **fields,
    }
    return make_part(f"niv2/{name}", json.dumps(task), "niv2_json", "niv2", splits="splits")


def write_test_list(make_part, tasks=""):
    make_part("splits/test_tasks.txt", tasks)


def test_niv2_instances_become_examples(make_part):
    write_test_list(make_part)
    rows = load_rows(
        make_task(
            make_part,
            Instances=[
                {"id": "a", "input": "in", "output": ["one", "two"]},
                {"id": "b", "input": "in", "output": "bare"},
                {"id": "c", "input": "", "output": ["x"]},
                {"id": "d", "input": "in", "output": []},
                "no instance",
            ],
            Categories="a bare string",
        ),
        ReadParams(niv2_examples_share=0),
    )
    assert rows[0].references == ("one", "two")
    assert rows[0].targets == "one"
    assert rows[1].references == ("bare",)
    assert "Do this." in rows[0].inputs
    assert [row.reason for row in rejected_in(rows)] == ["no input or no output"] * 3
    assert rows[0].task == "task001_x"
    assert rows[0].num_exemplars == 0


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"Instance License": ["CC BY-NC 4.0"]}, ("CC BY-NC 4.0", "non-commercial")),
        ({"Instance License": "MIT"}, ("MIT", "open")),
        ({"Instance License": ["Unknown"]}, ("unknown", "unstated")),
        ({}, ("unknown", "unstated")),
    ],
)
def test_read_licence_is_that_of_the_task_file(make_part, fields, expected):
    assert read_licence(make_task(make_part, **fields)) == expected


def test_niv2_inputs_contain_positive_and_negative_exemplars(make_part):
    write_test_list(make_part)
    instances = [{"id": str(i), "input": f"in {i}", "output": ["o"]} for i in range(200)]
    rows = load_rows(make_task(make_part, Instances=instances), ReadParams(niv2_examples_share=1.0))
    assert all(row.num_exemplars in (1, 2) for row in rows)
    assert all("Input: p\nOutput: q" in row.inputs for row in rows)
    with_negative = [row for row in rows if "Negative Example 2 -\nInput: n" in row.inputs]
    with_explanation = [row for row in rows if "Explanation: because" in row.inputs]
    assert 70 < len(with_negative) < 130
    assert 70 < len(with_explanation) < 130


def test_niv2_exemplars_without_input_or_output_are_ignored(make_part):
    write_test_list(make_part)
    part = make_task(
        make_part,
        **{"Positive Examples": ["text", {"input": "p"}, {"input": "p", "output": "q"}]},
        **{"Negative Examples": []},
    )
    (row,) = load_rows(part, ReadParams(niv2_examples_share=1.0))
    assert row.num_exemplars == 1
    assert "Positive Example 1 -\nInput: p\nOutput: q" in row.inputs


def test_niv2_tasks_of_the_test_list_are_held_out(make_part):
    write_test_list(make_part, "task001_x\ntask002_y\n")
    assert load_rows(make_task(make_part))[0].split == "test"
    assert load_rows(make_task(make_part), ReadParams(niv2_split="all"))[0].split == "train"
    assert load_rows(make_task(make_part, "task9_z.json"))[0].split == "train"


def test_niv2_without_the_test_list_fails(make_part):
    with pytest.raises(
        SourceError, match=r"test_tasks\.txt .* is missing.*flanmoe fetch.*niv2_split: all"
    ):
        load_rows(make_task(make_part))


def test_niv2_task_without_instances_is_rejected(make_part):
    write_test_list(make_part)
    (row,) = load_rows(make_task(make_part, Instances=[]))
    assert row.reason == "the task has no instances"


@pytest.mark.parametrize("content", ["[]", "{}", '{"Definition": ["x"]}', '{"Instances": []}'])
def test_niv2_file_that_is_no_task_fails(make_part, content):
    with pytest.raises(SourceError, match=r"not a NIV2 task: Definition or Instances is missing"):
        load_rows(make_part("task.json", content, "niv2_json", "niv2"))
