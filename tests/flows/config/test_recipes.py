"""Recipes in params.yaml, for all runs and for a single run."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from flows.config.load import parse_params, read_params
from flows.config.recipes import with_recipe
from flows.config.run_training import training_params
from flows.errors import InvalidParams
from models.training.params import OptimParams, TrainingParams
from models.training.recipes import RECIPES, recipe_params

ROOT = Path(__file__).parents[3]
RUN = {"preset": "tiny_dense", "start": "scratch"}


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_valid(name):
    params = TypeAdapter(TrainingParams).validate_python(recipe_params(name))
    assert params.optim.name == "adafactor"
    assert params.optim.max_grad_norm is None


def test_flan_t5_has_the_published_settings():
    """Chung et al., arXiv 2210.11416: Adafactor, constant 5e-4, batch 64, dropout 0.05."""
    params = TypeAdapter(TrainingParams).validate_python(recipe_params("flan_t5"))
    assert params.optim == OptimParams(
        name="adafactor", lr=5e-4, schedule="constant", warmup_steps=0, max_grad_norm=None
    )
    assert (params.global_batch_size, params.dropout) == (64, 0.05)
    assert params.loss.z_loss_weight == 1e-4


def test_keys_beside_a_recipe_take_precedence():
    training = with_recipe({"recipe": "flan_t5", "optim": {"lr": 0.1}, "global_batch_size": 8})
    assert training["optim"] == {**recipe_params("flan_t5")["optim"], "lr": 0.1}
    assert (training["global_batch_size"], training["dropout"]) == (8, 0.05)


def parse(models):
    """Parse the project's params.yaml with other `models` keys."""
    data = read_params(ROOT / "params.yaml")
    data["models"] |= models
    return parse_params(data, "params.yaml", ROOT)


def test_recipe_applies_to_all_runs_or_to_a_single_run():
    second = {**RUN, "training": {"recipe": "switch", "optim": {"lr": 0.5}}}
    params = parse(
        {
            "training": {"recipe": "flan_t5", "dropout": 0.2, "log_every": 7},
            "runs": {"first": RUN, "second": second},
        }
    )
    first, second = (training_params(params.models, run) for run in ("first", "second"))
    assert (first.optim.lr, first.dropout, first.log_every) == (5e-4, 0.2, 7)
    assert (second.optim.lr, second.optim.schedule, second.dropout) == (0.5, "t5", 0.0)
    assert (second.log_every, second.recipe) == (7, "switch")


def test_unknown_recipe_is_rejected_with_the_closest_name():
    with pytest.raises(InvalidParams, match=r"models.training.recipe: 'flan_t' .*'flan_t5'"):
        parse({"training": {"recipe": "flan_t"}})
    with pytest.raises(InvalidParams, match=r"runs.a.training.recipe: 'swich' .*'switch'"):
        parse({"runs": {"a": {**RUN, "training": {"recipe": "swich"}}}})
