"""The table of an MoE model and its dense partner at the end of a run."""

import io

import pytest
from rich.console import Console
from rich.table import Table

from data_pipelines.params import SampleParams
from flows.commands.partners import partner_tables
from registry.comparison.compare import ComparisonConfig, compare
from registry.comparison.results import read_result
from registry.intake import read_submission
from registry.store import Registry
from tests.registry.factories import evaluation_record, run_record, task_score, write_run

SAMPLE = SampleParams(model_parameters=2000)
ACCURACIES = {
    ("moe", 0): 0.8, ("moe", 1): 0.7, ("moe", 2): 0.75,
    ("dense", 0): 0.4, ("dense", 1): 0.5, ("dense", 2): 0.45,
}  # fmt: skip
NOUNS = ("city", "job", "possession", "language")


@pytest.fixture
def train(tmp_path):
    """Register finished runs: a model and its seed, with an accuracy on knowledge."""
    registry = Registry.open(tmp_path, create=True)

    def register(name, seed, accuracy, **run):
        folder = tmp_path / f"{name}-{seed}"
        is_moe = name == "moe"
        tasks = [
            task_score(f"sample_knowledge/{noun}_cot", accuracy=accuracy, num_items=40)
            for noun in NOUNS
        ]
        record = run_record(
            name, is_moe=is_moe, seed=seed, flops_per_token=1.02e6 if is_moe else 1e6,
            total_parameters=4000 if is_moe else 2000,
            training_seconds=30.0 if is_moe else 20.0, **run,
        )  # fmt: skip
        write_run(
            folder, tmp_path / "tokenizer", run=record, evaluation=evaluation_record(name, tasks)
        )
        return registry.register("m", read_submission(folder, tmp_path / "tokenizer"))

    register.samples_of = registry.samples_file
    register.folder = tmp_path
    return register


def rendered(parts):
    """Return titles as they are, and the rows of the tables as lists of cells."""
    lines = []
    for part in parts:
        console = Console(file=io.StringIO(), width=200)
        console.print(part)
        if isinstance(part, Table):
            rows = console.file.getvalue().splitlines()
            lines += [[cell.strip() for cell in row.split("  ") if cell.strip()] for row in rows]
        else:
            lines.append(console.file.getvalue().strip())
    return lines


def test_partners_are_compared_over_all_seeds(train):
    versions = [train(name, seed, accuracy) for (name, seed), accuracy in ACCURACIES.items()]
    title, header, knowledge, weights, time, bits, _, legend = rendered(
        partner_tables(versions, train.samples_of, SAMPLE)
    )
    assert title == "moe and dense (instruction-tuned), 1.02 x the FLOPs per token:"
    assert header == ["MoE", "dense", "difference", "95 % interval", "verdict"]
    results = {
        name: [read_result(f"{name}-{s}", train.folder / f"{name}-{s}") for s in range(3)]
        for name in ("moe", "dense")
    }
    (suite,) = compare(results["moe"], results["dense"], ComparisonConfig()).suites
    assert knowledge == [
        "sample_knowledge", "75.0 %", "45.0 %", "+30.0 points",
        f"{100 * suite.outcome.low:+.1f} … {100 * suite.outcome.high:+.1f}", suite.outcome.verdict,
    ]  # fmt: skip
    assert weights == ["weights in float32", "16 kB", "8 kB", "x 2.00"]
    assert time == ["time of the last training", "30 s", "20 s", "x 1.50"]
    assert bits[0] == "bits of facts per parameter"
    assert float(bits[1]) > float(bits[2]) / 2 > 0
    assert legend.startswith("Intervals: 95 %, over seeds and items.")


def test_partners_with_a_single_seed_have_no_interval_over_seeds(train):
    versions = [train("moe", 0, 0.8), train("dense", 0, 0.4)]
    *_, legend = rendered(partner_tables(versions, train.samples_of, None))
    assert "over items only, as there is one seed" in legend


def test_models_of_other_recipes_are_no_partners(train):
    versions = [train("moe", 0, 0.8), train("dense", 0, 0.4, steps=20)]
    assert not rendered(partner_tables(versions, train.samples_of, SAMPLE))
    assert not rendered(partner_tables([], train.samples_of, SAMPLE))
