"""Comparisons of two evaluation results."""

import json

import numpy as np
import pytest

from registry.comparison.compare import ComparisonConfig, compare
from registry.comparison.results import read_result
from registry.errors import InvalidRecord, NotComparable, UnknownVersion
from tests.registry.comparison.factories import write_evaluations
from tests.registry.factories import edit_json, edit_samples, write_result

NUM_ITEMS = {
    "sample/size_of": 10, "sample/topic": 10, "qa_direct/boolq": 9, "qa_direct/arc": 6,
}  # fmt: skip


def random_scores(seed, tasks=NUM_ITEMS):
    generator = np.random.default_rng(seed)
    return {
        task: generator.integers(0, 2, NUM_ITEMS[task]).astype(float).tolist() for task in tasks
    }


@pytest.fixture
def pair(tmp_path):
    """Write the results of `moe` and `dense`, evaluated on the same items."""
    write_result(tmp_path / "moe", random_scores(0), run={"training_flops": 3.0})
    write_result(tmp_path / "dense", random_scores(1), run={"training_flops": 0.0})
    return tmp_path


def read(folder, name):
    return read_result(name, folder / name)


def compare_pair(folder, **config):
    return compare([read(folder, "moe")], [read(folder, "dense")], ComparisonConfig(**config))


def test_compare_task_values_follow_from_the_samples(pair):
    compared = compare_pair(pair)
    scores_a, scores_b = random_scores(0), random_scores(1)
    assert [row.task for row in compared.tasks] == list(NUM_ITEMS)
    for row in compared.tasks:
        differences = np.subtract(scores_a[row.task], scores_b[row.task])
        assert row.num_items == len(differences)
        assert row.outcome.difference == pytest.approx(differences.mean())
        assert row.outcome.low <= row.outcome.difference <= row.outcome.high
        assert row.outcome.p_corrected >= row.outcome.p_value
        assert row.outcome.test == "mcnemar"


def test_compare_clean_of_an_imported_model_is_rejected(pair):
    def forget(record):
        for task in record["tasks"]:
            task["num_contaminated"] = None

    edit_json(pair / "moe/evaluation.json", forget)
    edit_samples(pair / "moe", lambda row: row.update(contaminated=None))
    assert compare_pair(pair).tasks
    with pytest.raises(NotComparable, match="moe: its training data is unknown"):
        compare_pair(pair, clean=True)


def test_compare_names_another_device_or_precision(pair):
    assert compare_pair(pair).warnings == ()
    edit_json(pair / "moe/evaluation.json", lambda r: r.update(device="cuda", precision="bfloat16"))
    (warning,) = compare_pair(pair).to_dict()["warnings"]
    assert warning.startswith("moe was evaluated in bfloat16 on cuda, dense in float32 on cpu:")
    edit_json(pair / "dense/evaluation.json", lambda r: r.update(device="cuda"))
    assert len(compare_pair(pair).warnings) == 1
    edit_json(pair / "dense/evaluation.json", lambda r: r.update(precision="bfloat16"))
    assert compare_pair(pair).warnings == ()


def test_compare_suite_is_the_average_of_its_tasks(pair):
    compared = compare_pair(pair)
    suite = next(row for row in compared.suites if row.suite == "sample")
    differences = [row.outcome.difference for row in compared.tasks if row.suite == "sample"]
    assert (suite.num_tasks, suite.num_items) == (2, 20)
    assert suite.outcome.difference == pytest.approx(np.mean(differences))
    assert suite.score_a - suite.score_b == pytest.approx(suite.outcome.difference)
    assert suite.outcome.test == "permutation"


def test_compare_reports_the_cost_of_both_models(pair):
    compared = compare_pair(pair)
    assert compared.costs["training"].ratio is None
    assert compared.costs["per_token"].ratio == 1


def test_compare_training_cost_includes_the_runs_before(pair):
    edit_json(pair / "moe" / "run.json", lambda r: r.update(cumulative_training_flops=9.0))
    edit_json(pair / "dense" / "run.json", lambda r: r.update(cumulative_training_flops=6.0))
    assert compare_pair(pair).costs["training"].to_dict() == {"a": 9.0, "b": 6.0, "ratio": 1.5}
    edit_json(pair / "dense" / "run.json", lambda r: r.update(cumulative_training_flops=None))
    assert compare_pair(pair).costs["training"].to_dict() == {"a": 9.0, "b": None, "ratio": None}


def test_compare_lists_the_differences_of_the_recipes(pair):
    assert compare_pair(pair).recipe_differences == ()
    chain = json.loads((pair / "dense" / "run.json").read_text())["training_chain"]
    chain["runs"][0]["steps"] = 800
    edit_json(pair / "dense" / "run.json", lambda r: r.update(training_chain=chain))
    compared = compare_pair(pair)
    assert compared.recipe_differences == ("steps is 10 and 800",)
    assert compared.to_dict()["recipe_differences"] == ["steps is 10 and 800"]


def test_compare_swapped_sides_negates_differences(pair):
    compared = compare_pair(pair)
    swapped = compare([read(pair, "dense")], [read(pair, "moe")], ComparisonConfig())
    for row, opposite in zip(compared.tasks, swapped.tasks, strict=True):
        assert row.outcome.difference == -opposite.outcome.difference
        assert row.outcome.p_value == opposite.outcome.p_value


def test_comparison_to_dict_is_json(pair):
    value = json.loads(json.dumps(compare_pair(pair).to_dict()))
    assert value["a"]["label"] == "moe"
    assert value["tasks"][0]["verdict"] in ("better", "worse", "not worse", "undecided")
    assert {"score_a", "score_b", "low", "high", "p_corrected"} <= value["suites"][0].keys()
    assert value["costs"]["training"] == {"a": 3.0, "b": 0.0, "ratio": None}


def test_compare_graded_scores_use_the_permutation_test(tmp_path):
    generator = np.random.default_rng(0)
    for name in ("moe", "dense"):
        write_result(tmp_path / name, {"niv2/t": generator.random(30).tolist()})
        edit_json(
            tmp_path / name / "evaluation.json", lambda r: r["tasks"][0].update(metric="rouge_l")
        )
    (row,) = compare_pair(tmp_path).tasks
    assert row.outcome.test == "permutation"


def test_compare_clean_excludes_items_that_either_model_has_seen(pair):
    for name, item in (("moe", "sample/topic-2"), ("dense", "sample/topic-5")):
        edit_samples(pair / name, lambda row, item=item: row.update(contaminated=row["id"] == item))
    retained = [i for i in range(10) if i not in (2, 5)]
    compared = compare_pair(pair, suites=("sample",), clean=True)
    (topic,) = [row for row in compared.tasks if row.task == "sample/topic"]
    for score, seed in ((topic.score_a, 0), (topic.score_b, 1)):
        scores = random_scores(seed)["sample/topic"]
        assert score == pytest.approx(np.mean([scores[i] for i in retained]))
    assert (topic.num_items, compared.suites[0].num_items) == (8, 18)


def test_compare_clean_without_a_task_averages_the_other_tasks_of_its_unit(tmp_path):
    tasks = {"s/a": [1.0] * 4, "s/b": [0.0] * 4, "s/c": [1.0, 0.0] * 2}
    for name in ("moe", "dense"):
        write_result(tmp_path / name, tasks)
        edit_json(tmp_path / name / "evaluation.json", merge_a_and_b)
    score = compare_pair(tmp_path).suites[0].score_a
    assert score == pytest.approx(0.5 * (0.5 * 1 + 0.5 * 0) + 0.5 * 0.5)
    edit_samples(tmp_path / "moe", lambda row: row.update(contaminated=row["task"] == "s/a"))
    score = compare_pair(tmp_path, clean=True).suites[0].score_a
    assert score == pytest.approx(0.5 * 0 + 0.5 * 0.5)
    edit_samples(tmp_path / "moe", lambda row: row.update(contaminated=True))
    with pytest.raises(NotComparable, match="every item overlaps with a training mixture"):
        compare_pair(tmp_path, clean=True)


def merge_a_and_b(record):
    for task, unit, weight in zip(record["tasks"], "aac", (0.25, 0.25, 0.5), strict=True):
        task.update(unit=unit, weight=weight, weight_in_suite=weight)


def test_compare_model_with_itself_finds_no_difference(pair):
    moe = read(pair, "moe")
    compared = compare([moe], [moe], ComparisonConfig(suites=("sample",), margin=0.5))
    assert {row.outcome.p_corrected for row in compared.tasks} == {1}
    assert {row.outcome.verdict for row in compared.tasks} == {"not worse"}


def test_compare_other_number_of_items_is_rejected(pair):
    shorter = {task: scores[:5] for task, scores in random_scores(1).items()}
    write_result(pair / "dense", shorter)
    with pytest.raises(NotComparable, match=r"num_items is 10 and 5 \(4 tasks differ\)"):
        compare_pair(pair)


def test_compare_missing_suite_is_rejected_unless_others_are_selected(pair):
    write_result(pair / "dense", random_scores(1, ("sample/size_of", "sample/topic")))
    with pytest.raises(NotComparable, match="qa_direct/boolq: only in moe"):
        compare_pair(pair)
    with pytest.raises(NotComparable, match="qa_direct/boolq: only in moe"):
        compare([read(pair, "dense")], [read(pair, "moe")], ComparisonConfig())
    assert len(compare_pair(pair, suites=("sample",)).tasks) == 2
    with pytest.raises(NotComparable, match="not evaluated on 'qa_direct'; its suites are sample"):
        compare_pair(pair, suites=("qa_direct",))


def test_compare_other_prompts_items_or_scoring_are_rejected(pair):
    edit_samples(
        pair / "dense",
        lambda row: row.update(
            prompt_sha256="x" if row["id"] == "sample/topic-3" else row["prompt_sha256"]
        ),
    )
    with pytest.raises(NotComparable, match="1 of 10 prompts differ, first 'sample/topic-3'"):
        compare_pair(pair)
    edit_samples(pair / "dense", lambda row: row.update(id=row["id"] + "'"))
    with pytest.raises(NotComparable, match="10 of 10 items differ"):
        compare_pair(pair)
    edit_json(pair / "dense" / "evaluation.json", lambda r: r["tasks"][0].update(version=1))
    with pytest.raises(NotComparable, match="version is 2 and 1"):
        compare_pair(pair)


def test_read_result_damaged_files_are_named(pair):
    samples = pair / "moe" / "samples.parquet"
    samples.write_bytes(samples.read_bytes()[:-5])
    with pytest.raises(NotComparable, match=r"does not match the checksum in evaluation\.json"):
        read(pair, "moe")
    samples.unlink()
    with pytest.raises(UnknownVersion, match="is missing: train and evaluate moe first"):
        read(pair, "moe")
    (pair / "dense" / "run.json").write_text("{}")
    with pytest.raises(InvalidRecord, match=r"run\.json: schema_version"):
        read(pair, "dense")


def test_read_result_of_older_columns_is_rejected(pair):
    edit_samples(pair / "moe", lambda row: row.pop("contaminated"))
    with pytest.raises(NotComparable, match=r"no column 'contaminated'.*evaluate moe again"):
        read(pair, "moe")


def test_compare_several_seeds_counts_them_as_replicates(tmp_path):
    generator = np.random.default_rng(0)
    scores = {name: generator.integers(0, 2, (3, 200)) for name in ("moe", "dense")}
    results = {
        name: write_evaluations(tmp_path, name, dict(enumerate(rows)))
        for name, rows in scores.items()
    }
    for name in ("moe", "dense"):
        for seed in range(3):
            edit_json(tmp_path / f"{name}_{seed}/run.json", lambda r, n=name: r.update(name=n))
        results[name] = [read(tmp_path, f"{name}_{seed}") for seed in range(3)]
    compared = compare(results["moe"], results["dense"], ComparisonConfig())
    assert (compared.a.label, compared.a.seeds) == ("moe (3 seeds)", (0, 1, 2))
    assert compared.recipe_differences == ()
    (task,) = compared.tasks
    assert (task.score_a, task.score_b) == (
        pytest.approx(scores["moe"].mean()), pytest.approx(scores["dense"].mean()),
    )  # fmt: skip
    assert (task.outcome.test, task.outcome.basis) == ("t", "3 seeds and 200 items")
    assert task.outcome.num_items_needed is None
    assert task.outcome.decidable_difference > 0
    (single,) = compare(results["moe"][:1], results["dense"][:1], ComparisonConfig()).tasks
    assert single.outcome.basis == "200 items only: one seed, no interval over seeds"


def test_compare_costs_are_averaged_over_seeds(tmp_path):
    a = [
        *write_evaluations(tmp_path, "a", {0: [1, 0]}, flops_per_item=4e7),
        *write_evaluations(tmp_path, "a", {1: [1, 0]}, flops_per_item=6e7),
    ]
    (b,) = write_evaluations(tmp_path, "b", {0: [1, 0]}, run={"cumulative_training_flops": None})
    costs = compare(a, [b], ComparisonConfig()).costs
    assert costs["per_item"].to_dict() == {"a": 5e7, "b": 5e7, "ratio": 1.0}
    assert costs["training"].ratio is None
