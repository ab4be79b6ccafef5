"""`flanmoe check`: the whole of params.yaml, before any work.

Unknown keys, wrong types and impossible combinations are told with the key's path, the value,
what is allowed and the nearest name.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from flows.errors import InvalidParams
from flows.params import Params


def load(path: Path) -> Params:
    """The checked parameters. Raises InvalidParams with every problem, one a line."""
    return parse(read(path), path.name)


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


def parse(data: dict[str, Any], source: str) -> Params:
    """Raises InvalidParams."""
    problems = _unknown_keys(data, Params, "")
    if not problems:
        try:
            params: Params = TypeAdapter(Params).validate_python(data)
        except ValidationError as error:
            problems = [_describe(problem) for problem in error.errors()]
        else:
            problems = _impossible(params)
            if not problems:
                return params
    raise InvalidParams("\n".join(f"{source}: {problem}" for problem in problems))


def _unknown_keys(data: Any, kind: Any, path: str) -> list[str]:
    """Keys of the data that no field stands for, at any depth."""
    kind = _inner(kind)
    if not isinstance(data, dict):
        return []
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        found = []
        for key, value in data.items():
            where = f"{path}.{key}" if path else str(key)
            if key not in hints:
                near = difflib.get_close_matches(str(key), hints, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                found.append(f"{where}: unknown key; {hint}allowed: {', '.join(hints)}")
            else:
                found += _unknown_keys(value, hints[key], where)
        return found
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is dict and dataclasses.is_dataclass(arguments[1]):
        return [p for k, v in data.items() for p in _unknown_keys(v, arguments[1], f"{path}.{k}")]
    return []


def _inner(kind: Any) -> Any:
    """`X` of `X | None`."""
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return next(arg for arg in typing.get_args(kind) if arg is not type(None))
    return kind


def _describe(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"{where}: is missing"
    if problem["type"] in ("value_error", "dataclass_type"):
        text = problem["msg"].removeprefix("Value error, ")
        return f"{where}: {text}" if where else text
    message = problem["msg"][0].lower() + problem["msg"][1:]
    return f"{where}: {problem['input']!r}: {message}"


def _impossible(params: Params) -> list[str]:
    """Combinations that each field alone cannot see."""
    from models.architecture.moe.dispatch.names import check_dispatch
    from models.architecture.moe.routers.names import check_routers
    from models.errors import ModelError
    from models.presets import PRESETS, preset

    problems: list[str] = []
    training = params.models.training
    for name, run in params.models.runs.items():
        where = f"models.runs.{name}"
        try:
            config = preset(run.preset)
            check_routers(config)
        except ModelError as error:
            problems.append(f"{where}.preset: {error}")
            continue
        try:
            check_dispatch(training.dispatch, config, precision=training.precision)
        except ModelError as error:
            told = f"models.training.dispatch: {error}"
            problems += [told] if told not in problems else []
        started = params.models.runs.get(run.start)
        # Where the other run's preset does not exist, that alone is the mistake.
        if started is not None and started.preset in PRESETS and started.preset != run.preset:
            problems.append(
                f"{where}.start: run {run.start!r} is of preset {started.preset!r}, "
                f"this one of {run.preset!r}"
            )
    return problems + _data(params)


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
