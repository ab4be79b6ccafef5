"""Recipes of two runs: what partners have in common."""

import pytest

from registry.comparison.recipe import RECIPE, recipe_differences
from registry.records import parse_run_record
from tests.registry.factories import chain_run, run_record

BASE = chain_run(run_record("base", data="prefix_lm", steps=200))
TUNED = chain_run(run_record("tuned", steps=800))


def build_run(*runs, origin="scratch", is_moe=False):
    chain = {"origin": origin, "runs": list(runs)}
    return parse_run_record(run_record("run", is_moe=is_moe, training_chain=chain), "run")


def test_recipes_of_other_names_models_and_costs_are_equal():
    moe = [{**run, "name": f"moe_{run['name']}", "preset": "tiny_switch", "training_flops": 7.0}
           for run in (BASE, TUNED)]  # fmt: skip
    assert recipe_differences(build_run(BASE, TUNED), build_run(*moe, is_moe=True)) == []


@pytest.mark.parametrize("field", RECIPE)
@pytest.mark.parametrize("place", [0, 1])
def test_every_field_of_every_run_of_the_chain_counts(field, place):
    runs = [dict(BASE), dict(TUNED)]
    other_values = {"tasks": ["cot_*"], "data": "other", "data_version": "other"}
    runs[place][field] = other_values.get(field, 7)
    (difference,) = recipe_differences(build_run(BASE, TUNED), build_run(*runs))
    assert difference.startswith(field)
    assert ("of the starts base and base" in difference) == (place == 0)


def test_chains_of_other_lengths_and_origins_are_named():
    (difference,) = recipe_differences(build_run(BASE, TUNED), build_run(TUNED))
    assert difference == "start chains are base → tuned and tuned"
    (difference,) = recipe_differences(build_run(TUNED), build_run(TUNED, origin="a" * 64))
    assert difference == "initial weights are random and imported (aaaaaaaaaaaa)"
    imported = [build_run(TUNED, origin="a" * 64) for _ in range(2)]
    assert recipe_differences(*imported) == []


def test_unrecorded_chains_are_never_equal():
    unknown = build_run(TUNED, origin="unknown")
    assert recipe_differences(unknown, unknown) == [
        "the start chain of run and run is not recorded"
    ]
