"""`flanmoe check`: the whole of params.yaml, before any work.

Unknown keys, wrong types and impossible combinations are told with the key's path, the value,
what is allowed and the nearest name.
"""

from __future__ import annotations

import dataclasses
import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from flows.config.keys import describe, unknown_keys
from flows.config.run_training import training_of
from flows.config.schema import Params
from flows.errors import InvalidParams
from models.config import ModelConfig
from models.training.params import SCRATCH


def load(path: Path) -> Params:
    """The checked parameters. Raises InvalidParams with every problem, one a line."""
    return parse(read(path), path.name, path.parent)


def read(path: Path) -> dict[str, Any]:
    """The file as plain data. Raises InvalidParams if it is no YAML mapping."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidParams(f"{path} is missing") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InvalidParams(f"{path} is not YAML: {reason}") from None
    if not isinstance(data, dict):
        raise InvalidParams(f"{path} must be a mapping of keys to values")
    return data


def parse(data: dict[str, Any], source: str, root: Path) -> Params:
    """`root`: the folder in which `runs/` holds weights that no run makes. Raises InvalidParams."""
    problems = unknown_keys(data, Params, "")
    if not problems:
        try:
            params: Params = TypeAdapter(Params).validate_python(data)
        except ValidationError as error:
            problems = [describe(problem) for problem in error.errors()]
        else:
            problems = _impossible(params, root)
            if not problems:
                return params
    raise InvalidParams("\n".join(f"{source}: {problem}" for problem in problems))


def _impossible(params: Params, root: Path) -> list[str]:
    """Combinations that each field alone cannot see."""
    from models.architecture.moe.routers.checks import check_routers
    from models.errors import ModelError
    from models.presets import PRESETS, preset

    problems: list[str] = []
    for name, run in params.models.runs.items():
        where = f"models.runs.{name}"
        try:
            config = preset(run.preset)
            check_routers(config)
        except ModelError as error:
            problems.append(f"{where}.preset: {error}")
            continue
        problems += [told for told in _recipe(params, name, config) if told not in problems]
        started = params.models.runs.get(run.start)
        if started is None:
            if run.start != SCRATCH and not (root / "runs" / run.start / "weights").is_dir():
                near = difflib.get_close_matches(run.start, [SCRATCH, *params.models.runs], n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                problems.append(
                    f"{where}.start: there is no run {run.start!r}, and no folder "
                    f"runs/{run.start}/weights; {hint}`flanmoe models import` makes one"
                )
        # Where the other run's preset does not exist, that alone is the mistake.
        elif started.preset in PRESETS and not _continues(preset(started.preset), config):
            problems.append(
                f"{where}.start: run {run.start!r} is of preset {started.preset!r}, this one of "
                f"{run.preset!r}: it must be the same, or the dense model of the same sizes"
            )
    return problems + _data(params)


def _recipe(params: Params, name: str, config: ModelConfig) -> list[str]:
    """What a run's training, its model and the fleet say against each other."""
    from models.architecture.moe.dispatch.checks import check_dispatch, check_expert_parallel
    from models.errors import ModelError

    try:
        training = training_of(params.models, name)
    except InvalidParams as error:
        return str(error).splitlines()
    # Said where it is written: in the run itself, or for all.
    where = (
        f"models.runs.{name}.training" if params.models.runs[name].training else ("models.training")
    )
    world = training.processes_per_node * params.flows.fleet.nodes
    problems = []
    try:
        check_dispatch(training.dispatch, config, precision=training.precision)
    except ModelError as error:
        problems.append(f"{where}.dispatch: {error}")
    experts = training.parallel.expert_parallel_size
    try:
        check_expert_parallel(experts, config)
    except ModelError as error:
        problems.append(f"{where}.parallel.expert_parallel_size: {error} (run {name})")
    if world % experts:
        problems.append(
            f"{where}.parallel.expert_parallel_size: is {experts}, which does not divide the {world} processes "
            f"({training.processes_per_node} on each of {params.flows.fleet.nodes} machines)"
        )
    if training.global_batch_size % (world * training.gradient_accumulation_steps):
        problems.append(
            f"{where}.global_batch_size: {training.global_batch_size} cannot be shared evenly by {world} "
            f"processes in {training.gradient_accumulation_steps} part(s)"
        )
    if training.freeze is not None and config.moe is None:
        problems.append(
            f"{where}.freeze: is {training.freeze!r}, but preset "
            f"{params.models.runs[name].preset!r} of run {name} has no MoE layer"
        )
    return problems


def _continues(start: ModelConfig, config: ModelConfig) -> bool:
    """Whether a run may start from another one: the same sizes, or upcycling from dense."""
    like = dataclasses.replace(start, dropout=config.dropout, vocab_size=config.vocab_size)
    return like == config or like == config.dense_twin()


def _data(params: Params) -> list[str]:
    """What the data room's params and the catalog, or the runs, say against each other."""
    from data_pipelines import catalog
    from data_pipelines.errors import SourceError
    from data_pipelines.example import TEXT

    data = params.data_pipelines
    try:
        sources = catalog.load(catalog.path_of(data.fetch.catalog))
        chosen = catalog.select(sources, data.fetch.sources)
    except SourceError as error:
        return [str(error)]
    problems = []
    suites = {source.suite for source in chosen.values() if source.suite}
    if data.fetch.sample is not None:
        suites.add("sample")
    problems += _suites(params, suites)
    texts = data.fetch.sample is not None or any(s.mixture == TEXT for s in chosen.values())
    pretrain = [name for name, run in params.models.runs.items() if run.data == "pretrain"]
    if data.mix.text == "files" and not texts and pretrain:
        problems.append(
            f"models.runs.{pretrain[0]}.data: pretrain needs text, but "
            "data_pipelines.fetch names no source of text; set data_pipelines.mix.text: examples"
        )
    return problems


def _suites(params: Params, fetched: set[str]) -> list[str]:
    """Suites that do not exist, or whose files nothing fetches."""
    from models.errors import ModelError
    from models.evaluation.suite import load as load_suite

    problems = []
    for name in params.models.evaluation.suites:
        try:
            suite = load_suite(name)
        except ModelError as error:
            problems.append(f"models.evaluation.suites: {error}")
            continue
        present = [benchmark for benchmark in suite.tasks if benchmark in fetched]
        needed = {suite.exemplars[b].split("/")[0] for b in present if suite.shots}
        lacking = sorted(needed - fetched) if present else list(suite.tasks)
        if lacking:
            problems.append(
                f"models.evaluation.suites: {name} needs {', '.join(lacking)}, which no source in "
                f"data_pipelines.fetch brings; fetched are {', '.join(sorted(fetched))}"
            )
    return problems
