"""Suites, their prompts and averages, against what is published and against brute force."""

import dataclasses
import math
import os
import re
from pathlib import Path

import lm_eval.tasks
import pytest
import sentencepiece as spm
import yaml

from models.errors import DataMismatch, UnknownSuite
from models.evaluation import suite as suites
from models.evaluation.eval_data import EvalData
from models.evaluation.prompts import questions
from models.evaluation.record import suite_record, summary
from models.evaluation.statistics import macro, mean_and_error, normalised
from models.evaluation.tokens import Tokens
from tests.models.evaluation.conftest import write_benchmarks

HARNESS = Path(lm_eval.tasks.__file__).parent


def test_the_paper_averages_four_suites():
    averaged = {name for name in suites.names() if suites.load(name).averaged}
    assert averaged == {"mmlu_direct", "bbh_direct", "reasoning_cot", "qa_direct"}


@pytest.mark.parametrize("name", ["mmlu_direct", "mmlu_cot"])
def test_mmlu_has_the_subjects_and_categories_of_the_harness(name):
    ours = {task: group for _, task, group in suites.load(name).named()}
    theirs = {}
    for file in (HARNESS / "mmlu/default").glob("mmlu_*.yaml"):
        text = yaml.safe_load(re.sub(r"!function \S+", "", file.read_text()))
        theirs[file.stem.removeprefix("mmlu_")] = text["tag"]
    assert len(ours) == 57
    assert set(ours) == set(theirs)
    different = {
        task
        for task, group in ours.items()
        if f"mmlu_{group.lower().replace(' ', '_')}_tasks" != theirs[task]
    }
    # The authors' own list counts anatomy as health, under "other".
    assert different == {"anatomy"}


@pytest.mark.parametrize("name", ["bbh_direct", "bbh_cot"])
def test_bbh_has_27_files_of_23_tasks(name):
    suite = suites.load(name)
    tasks = [task for _, task, _ in suite.named()]
    assert set(tasks) == {p.stem for p in (HARNESS / "bbh/fewshot").glob("[a-z]*.yaml")}
    assert len(tasks) == 27
    assert len({suite.unit(f"{name}/{task}") for task in tasks}) == 23


def test_unknown_and_wrong_suites_are_named(tmp_path, monkeypatch):
    with pytest.raises(UnknownSuite, match="did you mean 'mmlu_direct'"):
        suites.load("mmlu_dirct")
    monkeypatch.setattr(suites, "FOLDER", tmp_path)
    (tmp_path / "mine.yaml").write_text("title: x\nanswer: guess\nask: a\ntasks: {}\n")
    with pytest.raises(UnknownSuite, match=r"mine\.yaml: answer"):
        suites.load("mine")
    (tmp_path / "mine.yaml").write_text("title: [")
    with pytest.raises(UnknownSuite, match="is not a suite"):
        suites.load("mine")


def prompt_of(folder, name, task, max_input=10**6, length=len):
    suite = suites.load(name)
    (found,) = [t for t in EvalData.open(folder).tasks(suite)[0] if t.name == f"{name}/{task}"]
    return questions(suite, found, length, max_input), found


def test_a_prompt_is_preamble_examples_and_question(tmp_path):
    write_benchmarks(tmp_path)
    (first, *_), task = prompt_of(tmp_path, "bbh_cot", "navigate")
    worked = [
        f"Q: {e['text']}\nA: Let's think step by step.{e['rationale']}" for e in task.exemplars
    ]
    asked = f"Q: {task.items[0]['text']}\nA: Let's think step by step."
    assert first.prompt == "\n\n".join(["Choose what is best.", *worked, asked])
    (direct, *_), task = prompt_of(tmp_path, "mmlu_direct", "abstract_algebra")
    parts = direct.prompt.split("\n\n")
    assert parts[0].endswith("(with answers) about abstract algebra.")
    assert parts[1] == f"{task.exemplars[0]['text']}\nAnswer: {task.exemplars[0]['answer']}"
    assert len(parts) == 7
    assert (direct.shown, direct.dropped, direct.random_score) == (5, 0, 0.25)


def test_whole_examples_are_left_out_from_the_left(tmp_path):
    write_benchmarks(tmp_path)
    (whole, *_), _ = prompt_of(tmp_path, "mmlu_direct", "anatomy")
    for room in (len(whole.prompt), len(whole.prompt) - 1, len(whole.prompt) // 2, 1):
        (fitted, *_), _ = prompt_of(tmp_path, "mmlu_direct", "anatomy", room)
        head, *rest = whole.prompt.split("\n\n")
        assert fitted.prompt == "\n\n".join([head, *rest[fitted.dropped :]])
        assert fitted.shown + fitted.dropped == 5
        assert len(fitted.prompt) <= room or fitted.shown == 0
        if fitted.dropped:  # one more would not have fitted
            assert len("\n\n".join([head, *rest[fitted.dropped - 1 :]])) > room


def test_tokens_by_part_are_the_tokens_of_the_whole(tmp_path, spiece):
    write_benchmarks(tmp_path)
    processor = spm.SentencePieceProcessor(model_file=str(spiece))
    tokens = Tokens(processor)
    assert tokens.by_part
    for name, task in (("bbh_cot", "navigate"), ("reasoning_cot", "gsm8k")):
        for question in prompt_of(tmp_path, name, task)[0]:
            assert tokens(question.prompt) == processor.EncodeAsIds(question.prompt)


def test_a_subset_is_partial_and_says_why(tmp_path):
    write_benchmarks(tmp_path)
    suite = suites.load("mmlu_direct")
    benchmarks = EvalData.open(tmp_path)
    tasks, missing = benchmarks.tasks(suite)
    assert len(missing) == 55
    assert not any(task.partial for task in tasks)
    tasks, _ = benchmarks.tasks(suite, limit=3)
    assert [(len(task.items), task.partial) for task in tasks] == [(3, "3 items")] * 2
    again, _ = benchmarks.tasks(suite, limit=3)
    assert [t.items for t in again] == [t.items for t in tasks]


def test_examples_out_of_the_scored_file_are_not_scored(tmp_path):
    write_benchmarks(tmp_path)
    suite = dataclasses.replace(
        suites.load("reasoning_cot"), tasks={"gsm8k": ["test"]}, exemplars={"gsm8k": "gsm8k/test"},
        shots=3,
    )  # fmt: skip
    ((task,), _) = EvalData.open(tmp_path).tasks(suite)
    assert len(task.exemplars) == 3
    assert [item["id"] for item in task.items] == [f"test-{i}" for i in range(3, 8)]


@pytest.mark.parametrize("damage", ["gone", "changed", "no answer", "empty", "no suite"])
def test_damaged_benchmarks_are_named(tmp_path, damage):
    write_benchmarks(tmp_path)
    file = tmp_path / "boolq/val.jsonl"
    told = r"val\.jsonl is missing or changed"
    if damage == "gone":
        file.unlink()
    elif damage == "changed":
        file.write_text(file.read_text()[:-9])
    elif damage == "no suite":
        told = "suite mgsm_cot: none of its files"
    else:
        text = "" if damage == "empty" else '{"id": "val-0", "text": "x", "answer": " "}\n'
        told = "holds no item" if damage == "empty" else "item 'val-0' has no answer"
        file.write_text(text)
        index = yaml.safe_load((tmp_path / "index.json").read_text())
        import hashlib
        import json

        for entry in index:
            if entry["suite"] == "boolq":
                entry["sha256"] = hashlib.sha256(text.encode()).hexdigest()
        (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(DataMismatch, match=told):
        EvalData.open(tmp_path).tasks(
            suites.load("mgsm_cot" if damage == "no suite" else "qa_direct")
        )


def record(task, accuracy, error, chance, n=10, suite="bbh_direct"):
    return {
        "task": f"{suite}/{task}", "suite": suite, "unit": suites.load(suite).unit(f"x/{task}"),
        "group": "", "n": n, "contaminated": 2, "partial": False, "partial_reason": "",
        "accuracy": accuracy, "error": error, "random_score": chance,
        "normalised": normalised(accuracy, chance), "flops_per_item": 100,
        "clean": {"n": n - 2, "accuracy": accuracy, "error": error},
    }  # fmt: skip


def test_merged_tasks_count_once():
    suite = suites.load("bbh_direct")
    tasks = [
        record("navigate", 0.6, 0.03, 0.5),
        record("logical_deduction_three_objects", 0.9, 0.02, 1 / 3),
        record("logical_deduction_five_objects", 0.3, 0.04, 0.2),
    ]
    found = suite_record(suite, tasks, ["snarks"])
    assert found["accuracy"] == pytest.approx((0.6 + (0.9 + 0.3) / 2) / 2)
    merged = math.hypot(0.02, 0.04) / 2
    assert found["error"] == pytest.approx(math.hypot(0.03, merged) / 2, abs=1e-6)
    points = [100 * (a - c) / (1 - c) for a, c in ((0.6, 0.5), (0.9, 1 / 3), (0.3, 0.2))]
    assert found["normalised"] == pytest.approx((points[0] + (points[1] + points[2]) / 2) / 2, 1e-4)
    assert found["partial"]
    assert found["partial_reason"] == "snarks missing"
    assert found["clean"]["n"] == 24


def test_the_normalised_average_is_over_the_suites_that_the_paper_averages():
    made = {}
    for name, accuracy in (("mmlu_direct", 0.4), ("mmlu_cot", 0.1), ("qa_direct", 0.55)):
        tasks = [record("x", accuracy, 0.02, 0.25, suite=name)]
        made[name] = suite_record(suites.load(name), tasks, [])
    found = summary(list(made.values()), [record("x", 0.4, 0.02, 0.25)])
    assert found["normalised_of"] == ["mmlu_direct", "qa_direct"]
    assert found["normalised"] == pytest.approx((20 + 40) / 2)
    error = 100 * 0.02 / 0.75
    assert found["normalised_error"] == pytest.approx(math.hypot(error, error) / 2, abs=1e-3)
    assert found["accuracy"] == pytest.approx((0.4 + 0.1 + 0.55) / 3)


def test_mean_and_error_against_the_standard_library():
    import statistics

    for values in ([True] * 7 + [False] * 13, [0.1, 0.5, 0.9, 0.9]):
        mean, error = mean_and_error(values)
        assert mean == pytest.approx(statistics.mean(map(float, values)))
        deviation = statistics.stdev(map(float, values))
        assert error == pytest.approx(deviation / math.sqrt(len(values)))
    with pytest.raises(ValueError, match="no item"):
        mean_and_error([])
    assert macro([0.2, 0.6], [0.03, 0.04]) == (pytest.approx(0.4), pytest.approx(0.025))
    assert normalised(0.1, 0.25) == pytest.approx(-20)


@pytest.mark.skipif("FLANMOE_FLAN_FILES" not in os.environ, reason="needs the published files")
def test_prompts_are_the_published_ones_letter_for_letter(tmp_path):
    import json

    from data_pipelines.params import FetchParams
    from data_pipelines.stages import eval_data as benchmarks
    from data_pipelines.stages import fetch

    root = Path(os.environ["FLANMOE_FLAN_FILES"])
    sources = ("benchmarks/bbh", "benchmarks/mmlu", "exemplars/*")
    fetch.run(FetchParams(sample=None, sources=sources, root=str(root)), tmp_path)
    benchmarks.run(tmp_path)
    opened = EvalData.open(tmp_path / "data/eval_data")
    subjects = json.loads((root / "eval/mmlu_cot/mmlu-cot.json").read_text())
    compared = 0
    for name in ("bbh_cot", "mmlu_cot"):
        suite = suites.load(name)
        for task in opened.tasks(suite)[0]:
            file = root / f"eval/bbh/cot-prompts/{task.file}.txt"
            published = (
                file.read_text().split("-----\n", 1)[1]
                if name == "bbh_cot"
                else subjects[task.file]
            )
            (first, *_) = questions(suite, task, len, 10**6)
            assert first.prompt.startswith(published.rstrip() + "\n\nQ: ")
            compared += 1
    assert compared == 21 + 45
