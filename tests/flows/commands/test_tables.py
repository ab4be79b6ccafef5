"""Tables and numbers of the commands."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from flows.commands.tables import (
    evaluation_lines,
    format_count,
    plain_table,
    seeds_table,
    wide_console,
)
from registry.schemas import EvaluationRecordSchema
from tests.registry.factories import evaluation_record, task_score


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1234, "1.23 k"), (1_234_567, "1.23 M"), (2e9, "2 B"), (3e12, "3 T")],
)
def test_format_count_has_three_digits_and_a_unit(number, text):
    assert format_count(number) == text


def test_plain_table_aligns_numbers_right_and_folds_long_cells():
    table = plain_table(["name", ">items"])
    table.add_row("a", "5")
    table.add_row("long" * 10, "500")
    console = Console(file=io.StringIO(), width=30)
    console.print(table)
    lines = console.file.getvalue().splitlines()
    assert lines[0].split() == ["name", "items"]
    assert lines[1].rstrip().endswith("    5")
    assert "".join(line.split()[0] for line in lines[2:]) == "long" * 10


def test_wide_console_outside_a_terminal_holds_a_row_per_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert wide_console().width == 160


def version_with(name, tasks, *, seed=0, version=1, **changes):
    """Return what a table needs of a version with an evaluation of these tasks."""
    record = EvaluationRecordSchema.model_validate(evaluation_record(name, tasks, **changes))
    return SimpleNamespace(name=name, seed=seed, version=version, evaluation=record)


def rendered(table):
    """Return the lines of a table as words."""
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_seeds_table_has_the_mean_and_the_interval_of_students_t():
    """Against scipy's own interval; a newer version of a seed replaces the older one."""
    accuracies = [0.5, 0.6, 0.52]
    versions = [
        version_with("moe", [task_score(accuracy=accuracy)], seed=seed, version=seed + 2)
        for seed, accuracy in enumerate(accuracies)
    ]
    versions.append(version_with("moe", [task_score(accuracy=0.1)], seed=0, version=1))
    versions.append(version_with("dense", [task_score(accuracy=0.4)], version=9))
    low, high = stats.t.interval(0.95, df=2, loc=np.mean(accuracies), scale=stats.sem(accuracies))
    assert rendered(seeds_table(versions))[1:] == [
        ["moe", "3", "54.0", "%", f"{100 * low:.1f}", "…", f"{100 * high:.1f}", "%"],
        ["dense", "1", "40.0", "%", "none:", "one", "seed"],
    ]


def test_seeds_table_without_a_second_seed_is_none():
    versions = [version_with(name, [task_score()]) for name in ("moe", "dense")]
    assert seeds_table(versions) is None


def test_evaluation_lines_name_partial_suites_and_problems_with_prompts_and_answers():
    dropped = task_score("mmlu/anatomy", num_exemplars=40, num_exemplars_dropped=160)
    unfinished = task_score("bbh/navigate", num_items=40, counts={"unfinished": 3, "empty": 0})
    versions = [
        version_with("moe", [dropped, unfinished], partial=True),
        version_with("dense", [task_score("mmlu/anatomy")]),
    ]
    assert evaluation_lines(versions) == [
        "moe, mmlu: partial: limit",
        "moe, bbh: partial: limit",
        "moe, mmlu: 160 of 200 few-shot exemplars dropped",
        "moe, bbh: 3 of 40 answers cut at the maximum length",
    ]


def test_evaluation_lines_of_equal_text_are_joined_with_all_names():
    task = task_score("mmlu/anatomy", num_exemplars=40, num_exemplars_dropped=160)
    versions = [version_with(name, [task]) for name in ("dense", "moe")]
    assert evaluation_lines(versions) == [
        "dense, moe, mmlu: 160 of 200 few-shot exemplars dropped",
    ]
