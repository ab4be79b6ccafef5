"""Parameters and environment variables of earlier releases, and their present names.

An old name is rejected, not translated, so that every parameter has a single name. A removed
parameter or value is rejected with what replaces it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from flows.errors import RenamedVariable

RENAMED: dict[str, str] = {
    # 0.1.0 -> 0.2.0
    "data_pipelines.fetch.sample.heldout_items": "data_pipelines.fetch.sample.held_out_items",
    "data_pipelines.clean.near_similarity": "data_pipelines.clean.jaccard_threshold",
    "data_pipelines.mix.examples": "data_pipelines.mix.num_examples",
    "data_pipelines.mix.max_shots": "data_pipelines.mix.max_exemplars",
    "data_pipelines.mix.few_shot_characters": "data_pipelines.mix.max_few_shot_characters",
    "data_pipelines.mix.window": "data_pipelines.mix.examples_per_shard",
    "data_pipelines.tokenizer.sentinels": "data_pipelines.tokenizer.num_sentinels",
    "data_pipelines.tokenizer.model": "data_pipelines.tokenizer.model_file",
    "data_pipelines.pack.mean_span": "data_pipelines.pack.mean_noise_span_length",
    "models.training.batch_rows": "models.training.global_batch_size",
    "models.training.accumulate": "models.training.gradient_accumulation_steps",
    "models.training.processes": "models.training.processes_per_node",
    "models.training.optim.clip": "models.training.optim.max_grad_norm",
    "models.training.optim.decay_share": "models.training.optim.decay_fraction",
    "models.training.loss.z_loss": "models.training.loss.z_loss_weight",
    "models.training.parallel.data": "models.training.parallel.data_parallel",
    "models.training.parallel.experts": "models.training.parallel.expert_parallel_size",
    "models.training.parallel.restarts": "models.training.parallel.max_restarts",
    "models.training.checkpoint.every": "models.training.checkpoint.save_every",
    "models.training.checkpoint.keep": "models.training.checkpoint.keep_last",
    "models.training.checkpoint.final": "models.training.checkpoint.final_weights",
    "models.training.guard.spike": "models.training.guard.loss_spike_factor",
    "models.training.guard.retries": "models.training.guard.max_skipped_batches",
    "models.evaluation.max_input": "models.evaluation.max_input_tokens",
    "models.evaluation.batch_items": "models.evaluation.batch_size",
    "models.evaluation.batch_tokens": "models.evaluation.max_batch_tokens",
    "flows.parallel": "flows.max_parallel_stages",
    "flows.dask_cluster": "flows.dask_cluster_class",
    "flows.dask_options": "flows.dask_cluster_kwargs",
    "flows.fleet.claim": "flows.fleet.volume_claim",
    "flows.fleet.folder": "flows.fleet.project_dir",
    "flows.fleet.hours": "flows.fleet.time_limit_hours",
}

REMOVED: dict[str, str] = {
    # 0.1.0 -> 0.2.0
    "data_pipelines.pack.span_corruption_share": (
        "each pre-training objective has a corpus; set models.runs.NAME.data to span_corruption, "
        "or to prefix_lm"
    ),
    "models.runs.NAME.seed": "every run is trained with each seed of models.seeds",
    "registry.gates": (
        "the promotion gates moved to the project's policy.yaml, which docs/registry.md explains"
    ),
}
"""Removed parameter -> what replaces it."""

MISPLACED: dict[str, str] = {"models.runs.NAME.seeds": "models.seeds, which all runs share"}
"""Place where a parameter is expected -> where it is."""

REMOVED_VALUES: dict[tuple[str, str], str] = {
    # 0.1.0 -> 0.2.0
    ("models.runs.NAME.data", "pretrain"): (
        "each pre-training objective has a corpus; set span_corruption, or prefix_lm"
    ),
}
"""(Parameter, removed value) -> what replaces it."""

_RUN = re.compile(r"models\.runs\.\w+\.")
_RUN_TRAINING = re.compile(r"models\.runs\.(\w+)\.training\.")


def new_name(path: str) -> str | None:
    """Return the present name of the parameter whose old name is `path`; None if there is none.

    The overrides of a run, `models.runs.NAME.training.KEY`, are renamed like `models.training.KEY`.
    """
    match = _RUN_TRAINING.match(path)
    if match is None:
        return RENAMED.get(path)
    renamed = RENAMED.get(f"models.training.{path[match.end() :]}")
    return renamed and renamed.replace("models.training.", match[0], 1)


def advice_on_key(path: str) -> str | None:
    """Return what replaces a removed parameter, or where a misplaced one is; None for others."""
    key = _RUN.sub("models.runs.NAME.", path)
    if key in REMOVED:
        return f"it was removed: {REMOVED[key]}"
    return f"write {MISPLACED[key]}" if key in MISPLACED else None


def replacement(path: str, value: object) -> str | None:
    """Return what replaces a removed value of the parameter `path`; None if it was not removed."""
    return REMOVED_VALUES.get((_RUN.sub("models.runs.NAME.", path), str(value)))


RENAMED_VARIABLES: dict[str, str] = {
    # 0.1.0 -> 0.2.0
    "FLANMOE_HOME": "FLANMOE_PROJECT_DIR",
    "FLANMOE_PARENT": "FLANMOE_PARENT_PID",
}


def check_environment(environment: Mapping[str, str]) -> None:
    """Reject environment variables of earlier releases that have a new name.

    Raises:
        RenamedVariable: one is set; the text names its new name.
    """
    for name, present_name in RENAMED_VARIABLES.items():
        if name in environment:
            raise RenamedVariable(
                f"environment variable {name} is set; it was renamed to {present_name}"
            )
