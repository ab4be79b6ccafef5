"""Published training recipes: named values of `models.training.*` with their sources.

`recipe: NAME` in `models.training`, or in the `training` of a run, sets these values; keys written
beside it take precedence. Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from models.choices import invalid_choice
from models.errors import ConfigError

RecipeName = Literal["flan_t5", "switch", "st_moe", "expert_choice", "flan_moe"]

FLAN_T5 = "Chung et al., arXiv 2210.11416"
FLAN_MOE = "Shen et al., arXiv 2305.14705"
T5X = "google-research/t5x, examples/t5/t5_1_1/base.gin"
T5X_PRETRAINING = "google-research/t5x, configs/runs/pretrain.gin"
FLAXFORMER = "google/flaxformer, t5x/configs/moe/models"


@dataclass(frozen=True, kw_only=True)
class RecipeValue:
    """One setting of a recipe."""

    key: str
    """Dotted key below `models.training`."""
    value: Any
    source: str
    is_confirmed: bool = True
    """False if the value could not be read again in the source."""


def _values(source: str, *, confirmed: bool = True, **values: Any) -> tuple[RecipeValue, ...]:
    return tuple(
        RecipeValue(key=key.replace("__", "."), value=value, source=source, is_confirmed=confirmed)
        for key, value in values.items()
    )


_ADAFACTOR = _values(
    "google-research/t5x, adafactor.py",
    optim__name="adafactor",
    optim__weight_decay=0.0,
    optim__max_grad_norm=None,
)
_MOE_PRETRAINING = (
    *_values(
        T5X_PRETRAINING,
        optim__schedule="t5",
        optim__lr=0.01,
        optim__warmup_steps=10_000,
        global_batch_size=128,
        dropout=0.0,
        expert_dropout=0.0,
    ),
    *_ADAFACTOR,
    *_values(FLAXFORMER, loss__z_loss_weight=1e-4, loss__label_smoothing=0.0),
)
"""The MoE families of flaxformer differ in the model, not in the settings of pre-training."""

RECIPES: dict[RecipeName, tuple[RecipeValue, ...]] = {
    "flan_t5": (
        *_values(
            FLAN_T5,
            optim__schedule="constant",
            optim__lr=5e-4,
            optim__warmup_steps=0,
            global_batch_size=64,
            dropout=0.05,
        ),
        *_ADAFACTOR,
        *_values(T5X, loss__z_loss_weight=1e-4, loss__label_smoothing=0.0),
    ),
    "switch": _MOE_PRETRAINING,
    "st_moe": _MOE_PRETRAINING,
    "expert_choice": _MOE_PRETRAINING,
    "flan_moe": (
        *_values(
            FLAN_MOE,
            confirmed=False,
            optim__schedule="constant",
            optim__lr=1e-4,
            optim__warmup_steps=0,
            dropout=0.05,
            expert_dropout=0.2,
        ),
        *_ADAFACTOR,
        *_values(FLAXFORMER, loss__z_loss_weight=1e-4, loss__label_smoothing=0.0),
    ),
}


def find_recipe(name: str) -> dict[RecipeName, tuple[RecipeValue, ...]]:
    """Return the table of a single recipe.

    Raises:
        ConfigError: no recipe has this name; the message suggests the closest one.
    """
    recipes = {key: values for key, values in RECIPES.items() if key == name}
    if not recipes:
        raise ConfigError(f"recipe {invalid_choice(name, RECIPES)}")
    return recipes


def recipe_params(name: RecipeName) -> dict[str, Any]:
    """Return the values of a recipe as nested data, in the form of `models.training`."""
    params: dict[str, Any] = {}
    for value in RECIPES[name]:
        *parents, key = value.key.split(".")
        section = params
        for parent in parents:
            section = section.setdefault(parent, {})
        section[key] = value.value
    return params
