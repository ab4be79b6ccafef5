"""Lines about problems with prompts and answers, by hand."""

from types import SimpleNamespace

import pytest

from models.evaluation.problems import PROBLEMS, problem_lines
from tests.models.evaluation.factories import task_score


def test_problem_lines_sum_the_counts_of_each_suite():
    counts = dict.fromkeys(PROBLEMS, 0)
    tasks = [
        task_score(
            "mmlu_direct", name, 0.1, num_items=20, num_exemplars=20, num_exemplars_dropped=80,
            counts=counts | {"truncated": 1, "unfinished": 3},
        )
        for name in ("anatomy", "virology")
    ]  # fmt: skip
    complete = task_score("sample", "topic", 0.1, counts=counts)
    assert list(problem_lines([*tasks, complete])) == [
        "mmlu_direct: 160 of 200 few-shot exemplars dropped; 2 of 40 prompts cut at their start; "
        "6 of 40 answers cut at the maximum length"
    ]


def test_problem_lines_without_problems_are_none():
    assert not list(problem_lines([task_score("sample", "topic", 0.1)]))


@pytest.mark.parametrize("flag", PROBLEMS)
def test_problem_lines_name_every_problem_that_is_counted(flag):
    (line,) = problem_lines([task_score("sample", "topic", 0.1, counts={flag: 2})])
    assert line == f"sample: 2 of 10 {PROBLEMS[flag]}"


def test_problem_lines_of_a_record_without_the_number_of_exemplars():
    task = SimpleNamespace(
        suite="s", num_items=3, num_exemplars=None, num_exemplars_dropped=4, counts={}
    )
    assert list(problem_lines([task])) == ["s: 4 few-shot exemplars dropped"]
