"""Recipe of a run: what runs have in common whose models are compared."""

from __future__ import annotations

from typing import Any

from registry.schemas import SCRATCH, UNKNOWN, RunRecordSchema

RECIPE = ("data", "data_version", "tasks", "steps", "seed", "global_batch_size")
"""Fields of each run of a training chain that partners have in common."""

REPLICATE_SETTINGS = ("optim", "loss", "dropout", "expert_dropout", "freeze", "precision")
"""Settings of training, as a run records them, that replicates have in common besides."""


def recipe_differences(
    a: RunRecordSchema, b: RunRecordSchema, *, ignore_seeds: bool = False
) -> list[str]:
    """Describe how the training of two runs differs, apart from models and settings of training.

    Args:
        a: one run; its values precede those of `b`.
        b: the other run.
        ignore_seeds: whether the runs may differ in their seeds.

    Returns:
        A text for each difference; empty if data, tasks, steps and seeds are equal in every run of
        both training chains, and so are the weights that the chains began with.
    """
    chain_a, chain_b = a.training_chain, b.training_chain
    origins = [chain_a.origin, chain_b.origin]
    if UNKNOWN in origins:
        unknown = " and ".join(r.name for r, o in zip((a, b), origins, strict=True) if o == UNKNOWN)
        return [f"the start chain of {unknown} is not recorded"]
    differences = []
    if chain_a.origin != chain_b.origin:
        first, second = (_describe_origin(origin) for origin in origins)
        differences.append(f"initial weights are {first} and {second}")
    if len(chain_a.runs) != len(chain_b.runs):
        first, second = (
            " → ".join(run.name for run in chain.runs) or "no training"
            for chain in (chain_a, chain_b)
        )
        return [*differences, f"start chains are {first} and {second}"]
    for run_a, run_b in zip(chain_a.runs, chain_b.runs, strict=True):
        is_last = run_a is chain_a.runs[-1]
        where = "" if is_last else f" of the starts {run_a.name} and {run_b.name}"
        differences += [
            f"{field}{where} is {_describe(value_a)} and {_describe(value_b)}"
            for field in RECIPE
            if not (ignore_seeds and field == "seed")
            for value_a, value_b in [(getattr(run_a, field), getattr(run_b, field))]
            if value_a != value_b
        ]
    return differences


def replicate_differences(a: RunRecordSchema, b: RunRecordSchema) -> list[str]:
    """Describe how two runs differ in more than their seed.

    Returns:
        A text for each difference; empty if the runs are replicates of one model, or the same run.
    """
    differences = recipe_differences(a, b, ignore_seeds=True)
    if a.model != b.model:
        differences.append("their models differ")
    settings_a, settings_b = (run.params.get("training", {}) for run in (a, b))
    differences += [
        f"models.training.{name} is {settings_a[name]} and {settings_b[name]}"
        for name in REPLICATE_SETTINGS
        if name in settings_a and name in settings_b and settings_a[name] != settings_b[name]
    ]
    return differences


def _describe_origin(origin: str) -> str:
    return "random" if origin == SCRATCH else f"imported ({origin[:12]})"


def _describe(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "all"
    return str(value)
