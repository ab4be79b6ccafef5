"""Every key of params.yaml with hostile values: valid by a documented rule, or one error line."""

import dataclasses
import math
import re
import typing
from copy import deepcopy
from pathlib import Path

import pytest

from flows.config.keys import without_none
from flows.config.load import parse_params, read_params
from flows.config.schema import Params
from flows.errors import InvalidParams

ROOT = Path(__file__).parents[3]
RUN = "moe_base"
HUGE = 10**30
HOSTILE = {
    "0": 0, "-1": -1, "1.5": 1.5, "nan": math.nan, "inf": math.inf, "-inf": -math.inf,
    "null": None, "''": "", "[]": [], "{}": {}, "huge": HUGE, "-huge": -HUGE, "true": True,
    "'7'": "7", "text": "no such value", "nul": "a\0b", "['']": [""], "[1]": [1], "{1: 1}": {1: 1},
    "['a', 'a']": ["a", "a"],
}  # fmt: skip

ALLOWED = {
    # Sections whose keys all have defaults.
    "data_pipelines.read": {"{}"},
    "data_pipelines.clean": {"{}"},
    "data_pipelines.mix": {"{}"},
    "data_pipelines.validate": {"{}"},
    "data_pipelines.tokenizer": {"{}"},
    "data_pipelines.pack": {"{}"},
    "data_pipelines.fetch.sample": {"{}"},
    "models.training": {"{}"},
    "models.training.optim": {"{}"},
    "models.training.loss": {"{}"},
    "models.training.parallel": {"{}"},
    "models.training.checkpoint": {"{}"},
    "models.training.guard": {"{}"},
    "models.evaluation": {"{}"},
    "registry": {"{}"},
    "dashboard": {"{}"},
    "flows": {"{}"},
    "flows.fleet": {"{}"},
    "flows.deployments": {"{}"},
    # Empty: no entry, no override, no argument.
    "data_pipelines.fetch.sources": {"[]"},
    "data_pipelines.read.t0_sets": {"[]"},
    "data_pipelines.clean.exclude_tasks": {"[]"},
    "data_pipelines.mix.caps": {"{}"},
    f"models.runs.{RUN}.tasks": {"[]"},
    f"models.runs.{RUN}.training": {"{}"},
    f"models.runs.{RUN}.model": {"{}"},
    "flows.dask_cluster_kwargs": {"{}"},
    # Seeds.
    "data_pipelines.fetch.sample.seed": {"0"},
    "data_pipelines.read.seed": {"0"},
    "data_pipelines.mix.seed": {"0"},
    "data_pipelines.pack.seed": {"0"},
    "models.seeds": {"[1]"},
    f"models.runs.{RUN}.seed": {"0"},
    # 0 is a number of retries, or has the meaning that the reference gives.
    "data_pipelines.workers": {"0"},
    "data_pipelines.mix.shares.cot": {"0", "1.5", "'7'"},
    "data_pipelines.fetch.retries": {"0"},
    "data_pipelines.validate.min_examples": {"0"},
    "models.training.optim.warmup_steps": {"0"},
    "models.training.parallel.max_restarts": {"0"},
    "models.training.guard.max_skipped_batches": {"0"},
    "models.training.validate_every": {"0"},
    "flows.retries": {"0"},
    "flows.fleet.gpus": {"0"},
    # Shares from 0 to 1; text such as '7' is a number.
    **{
        key: {"0"}
        for key in (
            "data_pipelines.read.cot_rationale_share",
            "data_pipelines.read.options_share",
            "data_pipelines.read.inversion_share",
            "data_pipelines.read.niv2_examples_share",
            "data_pipelines.read.max_quarantine_share",
            "data_pipelines.mix.few_shot_share",
            "data_pipelines.mix.validation_share",
            "data_pipelines.pack.text_share",
            "data_pipelines.validate.share_tolerance",
            "data_pipelines.validate.max_duplicate_share",
            "data_pipelines.validate.max_answer_share",
            "data_pipelines.validate.min_english_share",
            "data_pipelines.validate.max_contaminated_share",
            "models.training.optim.decay_fraction",
            "models.training.loss.label_smoothing",
        )
    },
    # Decimals.
    "data_pipelines.mix.temperature": {"1.5", "'7'"},
    "data_pipelines.fetch.sample.facts_bits_per_parameter": {"1.5"},
    "data_pipelines.pack.mean_noise_span_length": {"1.5", "'7'"},
    "models.training.optim.lr": {"1.5", "'7'"},
    "models.training.optim.weight_decay": {"0", "1.5", "'7'"},
    "models.training.optim.max_grad_norm": {"1.5", "'7'", "huge", "null"},
    "models.training.loss.z_loss_weight": {"0", "1.5", "'7'"},
    "models.training.parallel.timeout_s": {"1.5", "'7'"},
    "models.training.guard.loss_spike_factor": {"0", "1.5", "'7'", "huge"},
    "models.training.peak_flops": {"0", "1.5", "'7'", "huge"},
    "models.training.dropout": {"0", "null"},
    "models.training.expert_dropout": {"0", "null"},
    "flows.fleet.time_limit_hours": {"1.5", "'7'"},
    "dashboard.predict_timeout_s": {"1.5", "'7'"},
    "flows.max_stage_hours": {"1.5", "null", "'7'"},
    "flows.max_gpu_hours_per_run": {"1.5", "null", "'7'"},
    "flows.max_gpu_hours_per_week": {"1.5", "null", "'7'"},
    "flows.deployments.max_hours_without_run": {"1.5", "'7'"},
    "flows.deployments.alert_block": {"''"},
    # null: no limit, no restriction.
    "models.training.freeze": {"null"},
    "models.training.recipe": {"null"},
    "models.evaluation.limit": {"null"},
    "models.evaluation.max_input_tokens": {"null"},
    "models.evaluation.max_new_tokens": {"null"},
    # Text: any, or empty for a default.
    "data_pipelines.fetch.root": {"''", "'7'", "text"},
    "data_pipelines.fetch.catalog": {"''"},
    "data_pipelines.tokenizer.model_file": {"''"},
    "data_pipelines.scheduler": {"''"},
    "models.evaluation.scheduler": {"''"},
    "registry.model": {"'7'", "text"},
    "registry.artifacts": {"''", "'7'", "text"},
    "registry.policy": {"'7'", "text"},
    "dashboard.address": {"'7'"},
    "dashboard.account_claim": {"'7'"},
    "flows.fleet.endpoint": {"''"},
    "flows.fleet.work_pool": {"''", "'7'", "text"},
    "flows.fleet.image": {"'7'", "text"},
    "flows.fleet.namespace": {"'7'", "text"},
    "flows.fleet.volume_claim": {"''", "'7'", "text"},
    "flows.fleet.partition": {"''", "'7'", "text"},
    # Booleans.
    "data_pipelines.fetch.verify": {"true"},
    "data_pipelines.mix.repeat": {"true"},
    "models.training.activation_checkpointing": {"true"},
    "models.training.checkpoint.asynchronous": {"true"},
    "models.training.checkpoint.save_optimizer": {"true"},
    f"models.runs.{RUN}.tuned": {"true"},
}  # fmt: skip
"""Key -> the hostile values that are valid for it; every other pair must be an error."""


def all_keys(schema=Params, path=""):
    """Yield the dotted key of every section and value, with one run for `models.runs`."""
    for name, hint in typing.get_type_hints(schema).items():
        key = f"{path}.{name}" if path else name
        child = without_none(hint)
        yield key
        if dataclasses.is_dataclass(child):
            yield from all_keys(child, key)
        elif key == "models.runs":
            yield f"{key}.{RUN}"
            yield from all_keys(typing.get_args(child)[1], f"{key}.{RUN}")
        elif child in (dict[str, float], dict[str, int]):
            yield f"{key}.cot"


def assign(params, key, value):
    """Set one key; sections that the file leaves out are created."""
    *parents, last = key.split(".")
    for parent in parents:
        params = params.setdefault(parent, {})
    params[last] = value


@pytest.fixture(scope="module")
def valid_params():
    """Return the project's own parameters, without the run that starts from RUN."""
    params = read_params(ROOT / "params.yaml")
    del params["models"]["runs"]["moe_instruct"]
    return params


@pytest.mark.parametrize("key", all_keys())
def test_parse_params_hostile_value_is_valid_by_a_rule_or_a_line_with_the_key(key, valid_params):
    for name, value in HOSTILE.items():
        params = deepcopy(valid_params)
        assign(params, key, value)
        message = error_message(params)
        assert (not message) == (name in ALLOWED.get(key, ())), f"{key}: {name}: {message}"
        if message:
            # The first line starts with the key, or with one below it, and says what is wrong.
            pattern = rf"params\.yaml: {re.escape(key)}(\.[^ ]+)?: .{{8,}}"
            assert re.match(pattern, message.splitlines()[0]), message


def error_message(params):
    """Return the error lines of the parameters; "" if they are valid."""
    try:
        parse_params(params, "params.yaml", ROOT)
    except InvalidParams as error:
        return str(error)
    return ""
