"""Tasks from data/eval_data: subsets, exemplars, damaged files."""

import dataclasses
import json

import pytest

from models.errors import DataMismatch
from models.evaluation.eval_data import EvalData
from models.evaluation.suite import load_suite
from tests.models.evaluation.factories import write_eval_data, write_index


def test_load_tasks_with_a_limit_marks_tasks_as_partial(tmp_path):
    write_eval_data(tmp_path)
    suite = load_suite("mmlu_direct")
    eval_data = EvalData.open(tmp_path)
    tasks, missing = eval_data.load_tasks(suite)
    assert len(missing) == 55
    assert not any(task.partial_reason for task in tasks)
    tasks, _ = eval_data.load_tasks(suite, limit=3)
    assert [(len(task.items), task.partial_reason) for task in tasks] == [(3, "3 items")] * 2
    same_tasks, _ = eval_data.load_tasks(suite, limit=3)
    assert [t.items for t in same_tasks] == [t.items for t in tasks]


def test_load_tasks_of_a_truncated_file_marks_the_task_as_partial(tmp_path):
    write_eval_data(tmp_path)
    write_index(tmp_path, truncated=True, rejected=[{"row": 1}, {"row": 2}])
    tasks, _ = EvalData.open(tmp_path).load_tasks(load_suite("sample"))
    assert {task.partial_reason for task in tasks} == {"a part of the published file"}
    assert {task.num_rejected for task in tasks} == {2}


def test_load_tasks_of_an_incomplete_suite_counts_the_missing_tasks(tmp_path):
    write_eval_data(tmp_path)
    suite = dataclasses.replace(load_suite("sample"), num_tasks=5)
    tasks, missing = EvalData.open(tmp_path).load_tasks(suite)
    assert (len(tasks), missing) == (2, ["3 tasks"])


def test_load_tasks_with_exemplars_from_the_scored_file_excludes_them(tmp_path):
    write_eval_data(tmp_path)
    suite = dataclasses.replace(
        load_suite("reasoning_cot"), tasks={"gsm8k": ["test"]}, exemplars={"gsm8k": "gsm8k/test"},
        num_fewshot=3,
    )  # fmt: skip
    ((task,), _) = EvalData.open(tmp_path).load_tasks(suite)
    assert len(task.exemplars) == 3
    assert [item.id for item in task.items] == [f"test-{i}" for i in range(3, 8)]


def _load(folder, suite="qa_direct"):
    EvalData.open(folder).load_tasks(load_suite(suite))


def test_load_tasks_with_a_missing_or_changed_file_is_rejected(tmp_path):
    write_eval_data(tmp_path)
    path = tmp_path / "boolq/val.jsonl"
    path.write_text(path.read_text()[:-9])
    with pytest.raises(DataMismatch, match=r"val\.jsonl is missing or changed; run `flanmoe eval"):
        _load(tmp_path)
    path.unlink()
    with pytest.raises(DataMismatch, match=r"val\.jsonl is missing or changed; run `flanmoe eval"):
        _load(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no items"),
        ('{"id": "val-0", "text": "x", "answer": " "}\n', "item 'val-0' has no answer"),
    ],
)
def test_load_tasks_without_items_or_answers_is_rejected(tmp_path, text, message):
    write_eval_data(tmp_path)
    (tmp_path / "boolq/val.jsonl").write_text(text)
    write_index(tmp_path)
    with pytest.raises(DataMismatch, match=message):
        _load(tmp_path)


def test_load_tasks_without_files_names_the_suite(tmp_path):
    write_eval_data(tmp_path)
    with pytest.raises(DataMismatch, match="suite mgsm_cot: none of its files"):
        _load(tmp_path, "mgsm_cot")


def test_load_tasks_without_exemplars_names_their_source(tmp_path):
    write_eval_data(tmp_path)
    path = tmp_path / "bbh_exemplars/navigate.jsonl"
    exemplars = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(e | {"rationale": ""}) + "\n" for e in exemplars))
    write_index(tmp_path)
    with pytest.raises(DataMismatch, match="bbh_exemplars/navigate has no few-shot exemplar"):
        _load(tmp_path, "bbh_cot")
    path.unlink()
    write_index(tmp_path)
    with pytest.raises(DataMismatch, match="few-shot exemplars bbh_exemplars/navigate are not in"):
        _load(tmp_path, "bbh_cot")


def test_open_without_a_readable_index_names_the_stage(tmp_path):
    with pytest.raises(DataMismatch, match=r"index\.json is missing; run `flanmoe eval_data`"):
        EvalData.open(tmp_path)
    old_entry = {"suite": "a", "task": "b", "file": "a/b.jsonl", "sha256": "", "cut": False}
    for text in ("[", json.dumps([old_entry])):
        (tmp_path / "index.json").write_text(text)
        with pytest.raises(DataMismatch, match="damaged or from an older version; run `flanmoe"):
            EvalData.open(tmp_path)
