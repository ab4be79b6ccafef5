"""Apply `recipe: NAME` in the sections of training parameters."""

from __future__ import annotations

from typing import Any, get_args

from models.training.recipes import RecipeName, recipe_params


def with_recipe(training: dict[str, Any]) -> dict[str, Any]:
    """Return a training section with the values of its recipe below its own keys.

    A section without a recipe, or with an unknown one, is returned as it is.
    """
    name: Any = training.get("recipe")
    if name not in get_args(RecipeName):
        return training
    return merge(recipe_params(name), training)


def merge(base: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `overrides`, section by section."""
    merged = dict(base)
    for key, value in overrides.items():
        both_mappings = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both_mappings else value
    return merged
