"""Scores of suites and of the evaluation, by hand."""

import dataclasses
import math
from fractions import Fraction

import pytest

from models.evaluation.eval_data import EvalTask
from models.evaluation.samples import PreparedTask, SampleRow
from models.evaluation.scoring import (
    score_evaluation,
    score_overall,
    score_suite,
)
from models.evaluation.suite import load_suite
from tests.models.evaluation.factories import task_score


def score(suite_name, tasks, missing=()):
    return score_suite(load_suite(suite_name), tasks, list(missing), Fraction(1))


def bbh_tasks():
    return [
        task_score("bbh_direct", "navigate", 0.6, standard_error=0.03, random_score=0.5),
        task_score(
            "bbh_direct", "logical_deduction_three_objects", 0.9, random_score=1 / 3
        ),
        task_score(
            "bbh_direct", "logical_deduction_five_objects", 0.3, standard_error=0.04,
            random_score=0.2,
        ),
    ]  # fmt: skip


def test_score_suite_counts_each_averaging_unit_once():
    suite = score("bbh_direct", bbh_tasks(), ["snarks"])
    assert suite.accuracy == pytest.approx((0.6 + (0.9 + 0.3) / 2) / 2)
    unit_error = math.hypot(0.02, 0.04) / 2
    assert suite.standard_error == pytest.approx(math.hypot(0.03, unit_error) / 2, abs=1e-6)
    points = [100 * (a - c) / (1 - c) for a, c in ((0.6, 0.5), (0.9, 1 / 3), (0.3, 0.2))]
    expected_points = (points[0] + (points[1] + points[2]) / 2) / 2
    assert suite.normalised == pytest.approx(expected_points, 1e-4)
    assert suite.partial
    assert suite.partial_reason == "snarks missing"
    assert suite.clean.num_items == 24
    assert suite.clean.accuracy == suite.accuracy


def test_score_suite_without_clean_items_of_a_task_averages_the_others():
    navigate, three_objects, five_objects = bbh_tasks()
    five_objects = task_score(
        "bbh_direct", "logical_deduction_five_objects", 0.3, num_contaminated=10,
        clean=type(navigate.clean)(num_items=0, accuracy=None, standard_error=None),
    )  # fmt: skip
    suite = score("bbh_direct", [navigate, three_objects, five_objects])
    assert suite.clean.num_items == 16
    assert suite.clean.accuracy == pytest.approx((0.6 + 0.9) / 2)


def test_score_suite_without_clean_items_has_no_clean_score():
    clean = type(bbh_tasks()[0].clean)(num_items=0, accuracy=None, standard_error=None)
    suite = score("bbh_direct", [task_score("bbh_direct", "navigate", 0.3, clean=clean)])
    assert (suite.clean.num_items, suite.clean.accuracy, suite.clean.standard_error) == (
        0,
        None,
        None,
    )


def test_score_overall_normalises_over_the_suites_of_the_paper():
    accuracies = {"mmlu_direct": 0.4, "mmlu_cot": 0.1, "qa_direct": 0.55}
    tasks = [task_score(name, "x", accuracy) for name, accuracy in accuracies.items()]
    suites = [score(task.suite, [task]) for task in tasks]
    overall = score_overall(suites, tasks)
    assert overall.normalised_suites == ["mmlu_direct", "qa_direct"]
    assert overall.normalised == pytest.approx((20 + 40) / 2)
    error = 100 * 0.02 / 0.75
    expected_error = math.hypot(error, error) / 2
    assert overall.normalised_standard_error == pytest.approx(expected_error, abs=1e-3)
    assert overall.accuracy == pytest.approx((0.4 + 0.1 + 0.55) / 3)


def test_score_suite_names_the_reasons_of_its_tasks():
    reasons = {"gsm8k": "660 of 1,319 items", "svamp": "700 of 1,000 items", "asdiv": ""}
    tasks = [
        task_score("reasoning_cot", name, 0.1, partial=bool(reason), partial_reason=reason)
        for name, reason in reasons.items()
    ]
    suite = score("reasoning_cot", tasks, ["strategyqa dev split"])
    assert suite.partial_reason == (
        "gsm8k: 660 of 1,319 items; svamp: 700 of 1,000 items; strategyqa dev split missing"
    )
    assert suite.protocol == load_suite("reasoning_cot").protocol


def test_score_suite_with_many_partial_tasks_counts_the_others():
    tasks = [
        task_score("mmlu_direct", f"s{i}", 0.1, partial=True, partial_reason="6 of 100 items")
        for i in range(6)
    ]
    assert score("mmlu_direct", tasks).partial_reason.endswith(
        "s3: 6 of 100 items; 2 further tasks are partial"
    )


def test_score_evaluation_averages_other_metrics_and_clean_items():
    suite = dataclasses.replace(load_suite("tydiqa_direct"), tasks={"tydiqa": ["a"]})
    task = EvalTask(
        name="tydiqa_direct/a", dataset="tydiqa", file="a", group="", source_file="eval/a.json",
        split="dev", num_published=2, items=[], exemplars=[], sha256="", partial_reason="",
        num_rejected=0,
    )  # fmt: skip
    prepared = PreparedTask(suite=suite, task=task, prompts=[], max_new_tokens=4)
    rows = [sample_row(score=1.0, f1=1.0), sample_row(score=0.0, f1=0.5)]
    overall, _, (score_of_task,) = score_evaluation([suite], [prepared], [rows], {suite.name: []})
    assert overall.accuracy == score_of_task.accuracy == 0.5
    assert score_of_task.weight == score_of_task.weight_in_suite == 1
    assert (score_of_task.source_file, score_of_task.split) == ("eval/a.json", "dev")
    assert score_of_task.num_published == 2
    assert list(score_of_task.other_metrics) == ["f1"]
    assert score_of_task.other_metrics["f1"].accuracy == 0.75
    assert score_of_task.clean.num_items == 0
    assert score_of_task.clean.accuracy is None


def sample_row(**changes):
    fields = {
        "suite": "tydiqa_direct", "task": "tydiqa_direct/a", "id": "x", "cluster": None,
        "prompt": "",
        "prompt_sha256": "", "unknown_pieces": False,
        "expected": "", "answer": "", "generated_text": "", "exact_match": None, "empty": False,
        "unanswered": False, "ambiguous": False, "without_tokens": False, "random_score": 0.0,
        "contaminated": True,
        "num_exemplars": 0, "num_exemplars_dropped": 0, "truncated": False, "unfinished": False,
        "input_tokens": 1, "output_tokens": 1, "flops": 1,
    }  # fmt: skip
    return SampleRow(**(fields | changes))
