"""Expansion of a study into the runs of ordinary params files, one workspace for each variant."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.config.load import parse_params, read_params
from flows.config.recipes import merge
from flows.config.schema import Params
from flows.errors import InvalidStudy
from flows.runtime.data_sizes import expected_sizes
from flows.runtime.project_policy import require_project_policy
from flows.runtime.workspace import WORKSPACES
from flows.study.load import FOLDER, load_study
from flows.study.matching import MatchedModel, match_models
from flows.study.params import StudyParams, run_name
from models.training.params import SCRATCH


@dataclass(frozen=True, kw_only=True)
class StudyScale:
    """How much of a study is run."""

    step_factor: float = 1.0
    """Steps of all arms relative to the file."""
    num_seeds: int | None = None
    """Number of seeds, the first ones of the file; None: all."""

    def apply(self, study: StudyParams) -> StudyParams:
        """Return the study with fewer steps and seeds; models, arms and claims stay."""
        arms = {
            name: dataclasses.replace(arm, steps=self.scale_steps(arm.steps))
            for name, arm in study.arms.items()
        }
        return dataclasses.replace(study, arms=arms, seeds=study.seeds[: self.num_seeds])

    def scale_steps(self, steps: int) -> int:
        """Return the steps of an arm; an arm with steps keeps at least one."""
        return max(1, round(self.step_factor * steps)) if steps else 0


@dataclass(frozen=True, kw_only=True)
class StudyWorkspace:
    """A workspace of a study: one params file with all runs."""

    variant: str
    """Name of the variant; empty if the study has none."""
    folder: Path
    data: dict[str, Any]
    """Content of its params.yaml."""
    params: Params


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """A study with everything that its runs need."""

    name: str
    study: StudyParams
    models: dict[str, MatchedModel]
    workspaces: tuple[StudyWorkspace, ...]


def plan_study(
    project: Path, name: str, scale: StudyScale | None = None, *, suffix: str = ""
) -> StudyPlan:
    """Read a study and expand it into the params of its workspaces.

    Args:
        project: folder with `studies/`.
        name: name of the study.
        scale: fewer steps and seeds; None: those of the file.
        suffix: end of the workspaces' names.

    Raises:
        InvalidStudy: the file or the params that follow from it have errors, or the models cannot
            have the same compute.
    """
    study = (scale or StudyScale()).apply(load_study(project, name))
    source = str(FOLDER / f"{name}.yaml")
    base = read_params(project / study.params)
    variants = study.variants or {"": {}}
    data_by_variant = {
        variant: merge(merge(copy.deepcopy(base), study.overrides), changes)
        for variant, changes in variants.items()
    }
    models: dict[str, MatchedModel] | None = None
    workspaces = []
    for variant, data in data_by_variant.items():
        where = source + (f", variant {variant}" if variant else "")
        _take_runs_from(study, data, name)
        # The vocabulary, on which FLOPs depend, is known once the data parameters are valid.
        sizes = expected_sizes(project, parse_params(_with_runs(data, _probe()), where, project))
        models = models or match_models(study, sizes.vocab_size, source)
        data = _with_runs(data, _expand_runs(study, models, source))
        params = parse_params(data, where, project)
        require_project_policy(data, where, project)
        folder = "-".join(filter(None, ["study", name, variant, suffix]))
        workspaces.append(
            StudyWorkspace(
                variant=variant,
                folder=(project / WORKSPACES / folder).resolve(),
                data=data,
                params=params,
            )
        )
    assert models is not None
    return StudyPlan(name=name, study=study, models=models, workspaces=tuple(workspaces))


def _take_runs_from(study: StudyParams, data: dict[str, Any], name: str) -> None:
    """Set the seeds of the study, and a model name of its own, which nothing is registered as."""
    data.setdefault("models", {})["seeds"] = list(study.seeds)
    data["registry"] = {**(data.get("registry") or {}), "model": f"study-{name}"}


def _with_runs(data: dict[str, Any], runs: dict[str, Any]) -> dict[str, Any]:
    return {**data, "models": {**data["models"], "runs": runs}}


def _probe() -> dict[str, Any]:
    """Return runs that are valid with any parameters, to validate everything else."""
    return {"probe": {"preset": "tiny_dense", "start": SCRATCH}}


def _expand_runs(
    study: StudyParams, models: dict[str, MatchedModel], source: str
) -> dict[str, dict[str, Any]]:
    """Return `models.runs`: every arm of every model.

    Raises:
        InvalidStudy: two pairs of model and arm have the same name.
    """
    runs: dict[str, dict[str, Any]] = {}
    for arm_name, arm in study.arms.items():
        for model_name in study.models_of(arm_name):
            model, name = models[model_name], run_name(model_name, arm_name)
            if name in runs:
                raise InvalidStudy(
                    f"{source}: arms.{arm_name}: two pairs of model and arm are named {name!r}; "
                    "rename one of them"
                )
            start = arm.start if arm.start == SCRATCH else run_name(model_name, arm.start)
            runs[name] = {
                "preset": model.preset,
                "start": start,
                "data": arm.data,
                "tasks": list(arm.tasks),
                "steps": arm.steps,
                "tuned": arm.tuned,
                **copy.deepcopy({"model": model.changes} if model.changes else {}),
                **copy.deepcopy({"training": arm.training} if arm.training else {}),
            }
    return runs
