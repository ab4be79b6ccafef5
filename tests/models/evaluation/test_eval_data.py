"""Tasks from data/eval_data: subsets, exemplars, damaged files."""

import dataclasses
import json

import pytest

from models.errors import DataMismatch
from models.evaluation.eval_data import EvalData
from models.evaluation.suite import load_suite
from tests.models.evaluation.factories import (
    arithmetic_item,
    multiple_choice_item,
    write_eval_data,
    write_index,
    yes_no_item,
)


def test_load_tasks_with_a_limit_marks_tasks_as_partial(tmp_path):
    write_eval_data(tmp_path)
    suite = load_suite("mmlu_direct")
    eval_data = EvalData.open(tmp_path)
    tasks, missing = eval_data.load_tasks(suite)
    assert len(missing) == 55
    assert not any(task.partial_reason for task in tasks)
    tasks, _ = eval_data.load_tasks(suite, limit=3)
    assert [(len(task.items), task.partial_reason) for task in tasks] == [
        (3, "3 of 9 items"), (3, "3 of 7 items"),
    ]  # fmt: skip
    same_tasks, _ = eval_data.load_tasks(suite, limit=3)
    assert [t.items for t in same_tasks] == [t.items for t in tasks]


def test_load_tasks_of_a_truncated_file_marks_the_task_as_partial(tmp_path):
    write_eval_data(tmp_path)
    write_index(tmp_path, truncated=True, rejected=[{"row": 1}, {"row": 2}])
    tasks, _ = EvalData.open(tmp_path).load_tasks(load_suite("sample"))
    assert {task.partial_reason for task in tasks} == {"a part of the published file"}
    assert {task.num_rejected for task in tasks} == {2}


@pytest.mark.parametrize(
    ("num_published", "reason"),
    [(10, ""), (1319, "10 of 1,319 items"), (9, "10 of 9 items"), (None, "")],
)
def test_load_tasks_of_another_size_than_published_is_partial(tmp_path, num_published, reason):
    write_eval_data(tmp_path)
    write_index(tmp_path, num_published=num_published)
    eval_data = EvalData.open(tmp_path)
    tasks, _ = eval_data.load_tasks(load_suite("sample"))
    assert [task.partial_reason for task in tasks] == [reason] * 2
    tasks, _ = eval_data.load_tasks(load_suite("sample"), limit=4)
    assert [task.partial_reason for task in tasks] == [f"4 of {num_published or 10:,} items"] * 2


ARC_EASY_FILES = {"test": ("arc_easy", "test"), "dev": ("arc_easy", "dev")}


@pytest.mark.parametrize(
    ("present", "scored", "reason"),
    [
        (("test", "dev"), "test", ""),
        (("test",), "test", ""),
        (("dev",), "dev", "the dev split, as the test split is missing"),
    ],
)
def test_load_tasks_scores_the_test_split_and_only_without_it_another(
    tmp_path, present, scored, reason
):
    files = {ARC_EASY_FILES[split]: (multiple_choice_item, 4) for split in present}
    write_eval_data(tmp_path, files)
    tasks, missing = EvalData.open(tmp_path).load_tasks(load_suite("qa_direct"))
    (task,) = tasks
    assert (task.name, task.file, task.split) == ("qa_direct/arc_easy", scored, scored)
    assert task.source_file == f"eval/{scored}.jsonl"
    assert task.partial_reason == reason
    assert missing == [
        "elementary_science test split", "boolq dev split", "arc_challenge test split",
    ]  # fmt: skip


def test_load_tasks_never_scores_a_training_split(tmp_path):
    files = {("strategyqa", "train"): (arithmetic_item, 9), ("gsm8k", "test"): (arithmetic_item, 4),
             ("gsm8k_exemplars", "prompt_original"): (arithmetic_item, 8)}  # fmt: skip
    write_eval_data(tmp_path, files)
    eval_data = EvalData.open(tmp_path)
    tasks, missing = eval_data.load_tasks(load_suite("reasoning_cot"))
    assert [task.name for task in tasks] == ["reasoning_cot/gsm8k"]
    assert "strategyqa dev split" in missing
    suite = dataclasses.replace(load_suite("sample"), tasks={"strategyqa": ["train"]})
    with pytest.raises(DataMismatch, match="strategyqa/train is a training split"):
        eval_data.load_tasks(suite)
    suite = dataclasses.replace(load_suite("sample"), tasks={"strategyqa": "all"})
    with pytest.raises(DataMismatch, match="none of its files"):
        eval_data.load_tasks(suite)


def test_load_tasks_of_a_dev_split_has_exemplars_of_the_training_split(tmp_path):
    files = {("strategyqa", "train"): (arithmetic_item, 9), ("strategyqa", "dev"): (yes_no_item, 4)}
    write_eval_data(tmp_path, files)
    (task,), _ = EvalData.open(tmp_path).load_tasks(load_suite("reasoning_cot"))
    assert [item.id for item in task.exemplars] == [f"train-{i}" for i in range(8)]
    assert (task.split, len(task.items)) == ("dev", 4)


def test_load_tasks_with_several_files_of_a_split_is_rejected(tmp_path):
    write_eval_data(tmp_path, {("arc_easy", name): (multiple_choice_item, 2) for name in "ab"})
    write_index(tmp_path, split="test")
    with pytest.raises(DataMismatch, match="a, b are all of the test split; remove all but one"):
        EvalData.open(tmp_path).load_tasks(load_suite("qa_direct"))


def test_load_tasks_of_an_incomplete_suite_counts_the_missing_tasks(tmp_path):
    write_eval_data(tmp_path)
    suite = dataclasses.replace(load_suite("sample"), num_tasks=5)
    tasks, missing = EvalData.open(tmp_path).load_tasks(suite)
    assert (len(tasks), missing) == (2, ["3 tasks"])


def test_load_tasks_with_exemplars_from_the_scored_file_excludes_them(tmp_path):
    write_eval_data(tmp_path)
    suite = dataclasses.replace(
        load_suite("reasoning_cot"), tasks={"gsm8k": ["test"]}, exemplars={"gsm8k": "gsm8k/test"},
        num_fewshot=3, splits={},
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
