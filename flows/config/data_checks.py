"""Checks of the data parameters against the catalog, the suites, and the data that runs need."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from data_pipelines.params import MIXTURES, DataParams, MixParams
from flows.config.schema import Params
from models.training.params import PRETRAINING_CORPORA

if TYPE_CHECKING:
    from data_pipelines.sources.source import Source


def data_errors(params: Params, root: Path) -> list[str]:
    """Return one line, starting with the key, for each conflict that involves the data.

    Args:
        params: parameters whose fields are valid one at a time.
        root: the project, to which relative paths refer.
    """
    from data_pipelines import catalog
    from data_pipelines.errors import SourceError
    from data_pipelines.example import TEXT
    from data_pipelines.sources.sample.generate import SAMPLE_SUITES

    fetch = params.data_pipelines.fetch
    path = catalog.resolve_path(fetch.catalog)
    try:
        selected = catalog.select_sources(catalog.load(root / path), fetch.sources)
    except SourceError as error:
        return [str(error)]
    allowed = {name: source for name, source in selected.items() if source.terms in fetch.licences}
    mixtures: set[str] = {source.mixture for source in allowed.values() if source.mixture}
    suites = {source.suite for source in allowed.values() if source.suite}
    if fetch.sample is not None:
        mixtures |= {*MIXTURES, TEXT}
        suites.update(SAMPLE_SUITES)
    return [
        *_fact_errors(params),
        *_suite_errors(params, suites, selected),
        *_training_data_errors(params, mixtures),
        *_share_errors(params, mixtures - {TEXT}),
        *_tokenizer_errors(params, root),
    ]


def _fact_errors(params: Params) -> list[str]:
    """Return errors for facts of the sample that cannot be generated, or that no text states."""
    from data_pipelines.errors import SourceError
    from data_pipelines.sources.sample.facts import count_people

    data = params.data_pipelines
    if data.fetch.sample is None:
        return []
    try:
        count_people(data.fetch.sample)
    except SourceError as error:
        return [str(error)]
    if data.mix.text != "files":
        return [
            f"data_pipelines.mix.text: {data.mix.text} leaves out the text that states the facts "
            "of the sample; set it to files"
        ]
    return []


def _suite_errors(params: Params, fetched: set[str], selected: dict[str, Source]) -> list[str]:
    """Return errors for suites that do not exist, or whose data no selected source fetches."""
    from models.errors import ModelError
    from models.evaluation.suite import load_suite

    excluded = {source.suite for source in selected.values() if source.suite} - fetched
    errors = []
    for name in params.models.evaluation.suites:
        try:
            suite = load_suite(name)
        except ModelError as error:
            errors.append(f"models.evaluation.suites: {error}")
            continue
        present = [data_set for data_set in suite.tasks if data_set in fetched]
        needed = {suite.exemplars[key].split("/")[0] for key in present if suite.num_fewshot}
        missing = sorted(needed - fetched) if present else list(suite.tasks)
        if not missing:
            continue
        by_licence = sorted(excluded & set(missing))
        reason = f"; its licences exclude {', '.join(by_licence)}" if by_licence else ""
        errors.append(
            f"models.evaluation.suites: {name} needs {', '.join(missing)}, which no source in "
            f"data_pipelines.fetch provides; fetched are {', '.join(sorted(fetched)) or 'none'}"
            f"{reason}"
        )
    return errors


def _training_data_errors(params: Params, mixtures: set[str]) -> list[str]:
    """Return errors for runs whose kind of training data no source provides.

    A run of 0 steps needs none.
    """
    from data_pipelines.example import TEXT

    runs = {name: run for name, run in params.models.runs.items() if run.steps}
    if not runs:
        return []
    if not mixtures - {TEXT}:
        return [
            f"data_pipelines.fetch.sources: no source of a training mixture is selected and "
            f"allowed by licences, but run {next(iter(runs))} trains; add a source of "
            f"{', '.join(MIXTURES)}, or set the steps of all runs to 0"
        ]
    corpora = {name: run.data for name, run in runs.items() if run.data in PRETRAINING_CORPORA}
    if params.data_pipelines.mix.text == "files" and TEXT not in mixtures and corpora:
        name, corpus = next(iter(corpora.items()))
        return [
            f"models.runs.{name}.data: {corpus} needs text, but no source in "
            "data_pipelines.fetch has any; add one, or set data_pipelines.mix.text: examples"
        ]
    if "span_corruption" in corpora.values():
        return _sentinel_errors(params.data_pipelines)
    return []


def _sentinel_errors(data: DataParams) -> list[str]:
    """Return an error if the spans of a piece outnumber the tokenizer's sentinels."""
    from data_pipelines.packing.piece_lengths import describe_sentinel_shortage

    shortage = describe_sentinel_shortage(data.pack, data.tokenizer.num_sentinels)
    return [f"data_pipelines.tokenizer.{shortage}"] if shortage is not None else []


def _share_errors(params: Params, mixtures: set[str]) -> list[str]:
    """Return errors for shares without a source, and for shares below `validate.min_examples`."""
    mix, minimum = params.data_pipelines.mix, params.data_pipelines.validate.min_examples
    if not mixtures:
        return []
    where = "data_pipelines.mix.shares"
    errors = []
    if mix.shares != MixParams().shares:
        errors = [
            f"{where}.{name}: {share} is the share of a mixture without a source in "
            "data_pipelines.fetch; add a source, or remove the share"
            for name, share in mix.shares.items()
            if share and name not in mixtures
        ]
    shares = {name: share for name, share in mix.shares.items() if share and name in mixtures}
    if not shares:
        return errors or [
            f"{where}: no mixture that has a source, {', '.join(sorted(mixtures))}, has a share "
            "above 0"
        ]
    for name, share in shares.items():
        num_examples = round(mix.num_examples * share / sum(shares.values()))
        if num_examples < minimum:
            errors.append(
                f"data_pipelines.validate.min_examples: {minimum} cannot be reached by {name}: "
                f"its share of data_pipelines.mix.num_examples, {mix.num_examples}, is "
                f"{num_examples}; lower it, or mix more examples"
            )
    return errors


def _tokenizer_errors(params: Params, root: Path) -> list[str]:
    """Return errors for a missing tokenizer, and for initial weights of another tokenizer.

    A run of 0 steps is not packed for: it may have a tokenizer of its own.
    """
    from data_pipelines.files import sha256

    configured = params.data_pipelines.tokenizer.model_file
    key = "data_pipelines.tokenizer.model_file"
    model_file = root / configured
    if configured and not model_file.is_file():
        return [f"{key}: {configured!r} does not exist; name a SentencePiece model, or leave it ''"]
    errors = []
    for name, run in params.models.runs.items():
        weights = root / "runs" / run.start / "weights"
        expected = "" if run.start in params.models.runs else _tokenizer_hash(weights)
        if not expected or not run.steps:
            continue
        imported = weights / "spiece.model"
        if configured and sha256(model_file) != expected:
            error = f"{configured!r} is not the tokenizer of {run.start!r}"
        elif not configured and imported.is_file():
            error = f"'' trains a new tokenizer, which is not that of {run.start!r}"
        else:
            continue
        advice = f"runs/{run.start}/weights/spiece.model" if imported.is_file() else "that one"
        errors.append(f"{key}: {error}, from which models.runs.{name} starts; set it to {advice}")
    return errors


def _tokenizer_hash(weights: Path) -> str:
    """Return the hash of the tokenizer that weights were trained with; "" if unknown."""
    try:
        description = json.loads((weights / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(description.get("tokenizer_sha256", "")) if isinstance(description, dict) else ""
