"""Find and read `studies/NAME.yaml`; every error has its key and is reported before any work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from data_pipelines.suggestions import did_you_mean
from flows.config.keys import describe, unknown_keys
from flows.config.load import read_params
from flows.config.values import value_errors
from flows.errors import InvalidStudy
from flows.study.params import TERM, StudyParams
from flows.study.published import PUBLISHED
from models.training.params import SCRATCH

FOLDER = Path("studies")


def list_studies(project: Path) -> list[str]:
    """Return the names of the project's studies."""
    return sorted(path.stem for path in (project / FOLDER).glob("*.yaml"))


def study_file(project: Path, name: str) -> Path:
    """Return the file of a study.

    Raises:
        InvalidStudy: the project has no study of this name.
    """
    names = list_studies(project)
    if name not in names:
        raise InvalidStudy(
            f"{FOLDER}: there is no study {name!r}; {did_you_mean(name, names)}studies: "
            f"{', '.join(names) or 'none'}"
        )
    return project / FOLDER / f"{name}.yaml"


def load_study(project: Path, name: str) -> StudyParams:
    """Read and validate a study.

    Raises:
        InvalidStudy: there is no such study, or its file has errors; one line per error.
        InvalidParams: the file cannot be read.
    """
    path = study_file(project, name)
    data = read_params(path)
    errors = unknown_keys(data, StudyParams, "") + value_errors(data, StudyParams, "")
    if not errors:
        try:
            study = _adapter().validate_python(data)
        except ValidationError as error:
            errors = [describe(detail) for detail in error.errors()]
        else:
            errors = [*_arm_errors(study), *_model_errors(study), *_claim_errors(study)]
            errors += _unknown_names("published", study.published, PUBLISHED)
            if not errors:
                return study
    raise InvalidStudy("\n".join(f"{FOLDER / path.name}: {error}" for error in errors))


def _arm_errors(study: StudyParams) -> Iterator[str]:
    """Check that arms start from arms, without a cycle, that their models go through as well."""
    for name, arm in study.arms.items():
        where = f"arms.{name}"
        yield from _unknown_names(f"{where}.models", arm.models, study.models)
        if arm.start == SCRATCH:
            continue
        if arm.start not in study.arms:
            yield from _unknown_names(f"{where}.start", [arm.start], [SCRATCH, *study.arms])
            continue
        missing = set(study.models_of(name)) - set(study.models_of(arm.start))
        if missing:
            yield (
                f"{where}.start: {', '.join(sorted(missing))} has no arm {arm.start!r} to start "
                f"from; add it to arms.{arm.start}.models"
            )
        visited = [name]
        while arm.start in study.arms and arm.start not in visited:
            visited.append(arm.start)
            arm = study.arms[arm.start]
        if arm.start in visited:
            yield f"{where}.start: {visited[-1]!r} leads back to {arm.start!r}"


def _model_errors(study: StudyParams) -> Iterator[str]:
    """Check that each model has a preset or another model to match."""
    for name, model in study.models.items():
        where = f"models.{name}"
        if model.matches is None:
            if model.preset is None:
                yield f"{where}: it has neither preset nor matches; write one of them"
            if model.flops_ratio != 1 or model.vary is not None:
                yield f"{where}.matches: is missing; flops_ratio and vary need the model to match"
            continue
        yield from _unknown_names(f"{where}.matches", [model.matches], study.models)
        visited = [name]
        other = model
        while other.matches in study.models and other.matches not in visited:
            visited.append(other.matches)
            other = study.models[other.matches]
        if other.matches in visited:
            yield f"{where}.matches: {visited[-1]!r} leads back to {other.matches!r}"


def _claim_errors(study: StudyParams) -> Iterator[str]:
    """Check that the terms of claims are runs of the study."""
    num_primary = sum(claim.primary for claim in study.claims.values())
    if study.claims and num_primary != 1:
        yield f"claims: {num_primary} are primary; exactly 1 must be, the others are secondary"
    for claim_name, claim in study.claims.items():
        for part_name, part in claim.parts.items():
            where = f"claims.{claim_name}.parts.{part_name}"
            for key, terms in (("plus", part.plus), ("minus", part.minus)):
                for number, term in enumerate(terms):
                    yield from _term_errors(study, f"{where}.{key}.{number}", term)
            for number, task in enumerate(part.tasks):
                if "/" not in task:
                    yield f"{where}.tasks.{number}: {task!r} must be SUITE/TASK or SUITE/*"


def _term_errors(study: StudyParams, where: str, term: str) -> Iterator[str]:
    match = TERM.fullmatch(term)
    if match is None:
        yield f"{where}: {term!r} must be MODEL/ARM, e.g. moe/pretrained"
        return
    errors = [
        *_unknown_names(where, [match["model"]], study.models),
        *_unknown_names(where, [match["arm"]], study.arms),
    ]
    yield from errors
    if not errors and not study.has_run(match["model"], match["arm"]):
        arm = match["arm"]
        yield f"{where}: model {match['model']!r} has no arm {arm!r}; add it to arms.{arm}.models"


def _unknown_names(where: str, names: Iterable[str], known: Iterable[str]) -> list[str]:
    known = list(known)
    return [
        f"{where}: there is no {name!r}; {did_you_mean(name, known)}allowed: {', '.join(known)}"
        for name in names
        if name not in known
    ]


@cache
def _adapter() -> TypeAdapter[StudyParams]:
    return TypeAdapter(StudyParams)


def as_data(study: StudyParams) -> dict[str, Any]:
    """Return a study as plain data."""
    data: dict[str, Any] = _adapter().dump_python(study, mode="json")
    return data
