"""Results of a study: scores, claims and costs of its finished runs, and what is missing."""

from __future__ import annotations

import fnmatch
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_pipelines.suggestions import did_you_mean
from flows.errors import InvalidStudy
from flows.runtime.stage_runner import log_file
from flows.study.claims import ClaimResult, judge_claims, match_tasks
from flows.study.expansion import StudyPlan, StudyWorkspace
from flows.study.knowledge import SUITE, FactCounts, count_facts
from flows.study.matching import dense_partner
from flows.study.params import StudyParams, run_name
from models.code_commit import git_commit
from models.replicate import Replicate
from registry.comparison.paired_estimate import PairedEstimate, estimate_difference
from registry.comparison.pairing import pair_with_chance
from registry.comparison.results import EvaluationResult, read_result
from registry.errors import RegistryError

ERROR = "error: "


@dataclass(frozen=True, kw_only=True)
class StudyRun:
    """A run of a study with one seed."""

    model: str
    arm: str
    seed: int
    result: EvaluationResult | None
    """None if it has not finished."""
    missing_reason: str
    """Why there is no result; empty if there is."""

    @property
    def label(self) -> str:
        """Name in tables, as in DVC's stages."""
        return f"{run_name(self.model, self.arm)}-{self.seed}"


@dataclass(frozen=True, kw_only=True)
class TaskGroupScore:
    """Mean score of a model in an arm on a group of tasks."""

    model: str
    arm: str
    group: str
    score: float
    low: float
    high: float
    chance: float
    """Expected score of random answers."""
    excludes_chance: bool
    """Whether the interval excludes the score of random answers, and scores below."""
    num_seeds: int
    basis: str


@dataclass(frozen=True, kw_only=True)
class VariantResults:
    """Results of one variant of a study."""

    variant: str
    runs: tuple[StudyRun, ...]
    groups: dict[str, tuple[str, ...]]
    """Tasks of each group: the suites, and the tasks of the parts of claims."""
    scores: tuple[TaskGroupScore, ...]
    claims: tuple[ClaimResult, ...]
    facts: FactCounts | None
    """Facts of the generated sample; None without one."""


def collect_results(plan: StudyPlan) -> list[VariantResults]:
    """Read the finished runs of a study and judge its claims.

    Raises:
        InvalidStudy: a claim names tasks that were not evaluated.
    """
    return [_collect_variant(plan, workspace) for workspace in plan.workspaces]


def _collect_variant(plan: StudyPlan, workspace: StudyWorkspace) -> VariantResults:
    study = plan.study
    runs = tuple(
        _read_run(workspace.folder, model, arm, seed)
        for arm in study.arms
        for model in study.models_of(arm)
        for seed in study.seeds
    )
    results: dict[str, list[EvaluationResult]] = {}
    for run in runs:
        if run.result is not None:
            results.setdefault(f"{run.model}/{run.arm}", []).append(run.result)
    groups = _task_groups(plan, results)
    scores = tuple(
        _score(study, term, group, tasks, evaluations)
        for term, evaluations in results.items()
        for group, tasks in groups.items()
        if tasks
    )
    return VariantResults(
        variant=workspace.variant,
        runs=runs,
        groups=groups,
        scores=scores,
        claims=judge_claims(study, results),
        facts=count_facts(workspace.params),
    )


def _read_run(workspace: Path, model: str, arm: str, seed: int) -> StudyRun:
    replicate = Replicate(run_name(model, arm), seed)
    result, reason = None, ""
    try:
        result = read_result(replicate.label, workspace / replicate.folder)
    except RegistryError:
        reason = _missing_reason(workspace, replicate)
    return StudyRun(model=model, arm=arm, seed=seed, result=result, missing_reason=reason)


def _missing_reason(workspace: Path, replicate: Replicate) -> str:
    """Return the error of the stage that failed, or how far the run has come."""
    stages = [f"{kind}@{replicate.label}" for kind in ("evaluate", "train")]
    stages.append(f"initialize@{replicate.run}")
    is_trained = (workspace / replicate.folder / "run.json").is_file()
    if not is_trained:  # a data stage may have failed before
        logs = sorted(log_file(workspace, "").parent.glob("*.log"))
        stages += [log.stem for log in logs if "@" not in log.stem]
    for stage in stages:
        error = _last_error(log_file(workspace, stage))
        if error:
            return error
    if is_trained:
        return "trained, not evaluated yet"
    is_started = (workspace / replicate.checkpoints).is_dir()
    return "the training has not ended" if is_started else "not trained yet"


def _last_error(log: Path) -> str:
    """Return the error line that a stage has failed with; empty if it has not failed."""
    if not log.is_file():
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return lines[-1].removeprefix(ERROR) if lines and lines[-1].startswith(ERROR) else ""


def _task_groups(
    plan: StudyPlan, results: dict[str, list[EvaluationResult]]
) -> dict[str, tuple[str, ...]]:
    """Return the tasks of each suite and of each part of a claim.

    Raises:
        InvalidStudy: a pattern matches no task that was evaluated.
    """
    evaluations = [result for group in results.values() for result in group]
    if not evaluations:
        return {}
    names = list(evaluations[0].tasks)
    suites = dict.fromkeys(name.partition("/")[0] for name in names)
    patterns_by_group: dict[str, tuple[str, ...]] = {suite: (f"{suite}/*",) for suite in suites}
    for claim_name, claim in plan.study.claims.items():
        for part_name, part in claim.parts.items():
            if part.tasks not in patterns_by_group.values():
                patterns_by_group[", ".join(part.tasks)] = part.tasks
            for pattern in part.tasks:
                if not fnmatch.filter(names, pattern):
                    where = f"claims.{claim_name}.parts.{part_name}.tasks"
                    raise InvalidStudy(
                        f"studies/{plan.name}.yaml: {where}: no evaluated task matches "
                        f"{pattern!r}; {did_you_mean(pattern, names)}"
                        f"tasks: {', '.join(names[:8])}{', …' if len(names) > 8 else ''}"
                    )
    return {group: match_tasks(names, patterns) for group, patterns in patterns_by_group.items()}


def _score(
    study: StudyParams,
    term: str,
    group: str,
    tasks: Sequence[str],
    evaluations: Sequence[EvaluationResult],
) -> TaskGroupScore:
    model, _, arm = term.partition("/")
    weights = dict.fromkeys(tasks, 1 / len(tasks))
    estimate: PairedEstimate = estimate_difference(pair_with_chance(evaluations, weights=weights))
    low, high = estimate.interval()
    chance = estimate.score_b
    return TaskGroupScore(
        model=model,
        arm=arm,
        group=group,
        score=estimate.score_a,
        low=max(0.0, low + chance),
        high=min(1.0, high + chance),
        chance=chance,
        excludes_chance=low > 0,
        num_seeds=len(evaluations),
        basis=estimate.basis,
    )


def results_to_dict(
    plan: StudyPlan, variants: Sequence[VariantResults], command: str, note: str
) -> dict[str, Any]:
    """Return the results as JSON values.

    Args:
        plan: the study.
        variants: its results.
        command: command line that produced them.
        note: how the study was scaled down; empty if it was not.
    """
    study = plan.study
    results = [run.result for variant in variants for run in variant.runs if run.result]
    processors = {r.run.processor for r in results if r.run.processor}
    commits = {r.run.git_commit for r in results}
    return {
        "schema_version": 1,
        "study": plan.name,
        "question": study.question,
        "background": study.background,
        "command": command,
        "note": note,
        "machine": {
            "processors": sorted(processors),
            "devices": sorted({r.run.device for r in results if r.run.device}),
            "python": platform.python_version(),
        },
        "commits": sorted(commits) or [git_commit(Path(__file__).parents[2])],
        "seeds": list(study.seeds),
        "models": {
            name: {**model.to_dict(), "dense_partner": dense_partner(model, plan.models)}
            for name, model in plan.models.items()
        },
        "arms": {
            name: {
                "start": arm.start,
                "data": arm.data,
                "tasks": list(arm.tasks),
                "steps": arm.steps,
                "training": arm.training,
                "models": list(study.models_of(name)),
            }
            for name, arm in study.arms.items()
        },
        "variants": [_variant_to_dict(variant) for variant in variants],
        "published": list(study.published),
    }


def _variant_to_dict(variant: VariantResults) -> dict[str, Any]:
    return {
        "variant": variant.variant,
        "runs": [_run_to_dict(run) for run in variant.runs],
        "missing": [
            {"run": run.label, "reason": run.missing_reason}
            for run in variant.runs
            if run.result is None
        ],
        "groups": {group: list(tasks) for group, tasks in variant.groups.items()},
        "facts": asdict(variant.facts) if variant.facts else None,
        "scores": [
            {**asdict(score), "bits_stored": _bits_stored(score, variant.facts)}
            for score in variant.scores
        ],
        "claims": [claim.to_dict() for claim in variant.claims],
    }


def _bits_stored(score: TaskGroupScore, facts: FactCounts | None) -> dict[str, float] | None:
    """Return the bits of facts stored, with their interval; None for other tasks."""
    if facts is None or score.group != SUITE:
        return None
    values = {"value": score.score, "low": score.low, "high": score.high}
    return {name: facts.bits_stored(value) for name, value in values.items()}


def _run_to_dict(run: StudyRun) -> dict[str, Any]:
    values: dict[str, Any] = {"model": run.model, "arm": run.arm, "seed": run.seed}
    if run.result is None:
        return {**values, "missing": run.missing_reason}
    record = run.result.run
    return {
        **values,
        "total_parameters": record.total_parameters,
        "active_parameters": record.active_parameters,
        "flops_per_token": record.flops_per_token,
        "training_flops": record.training_flops,
        "cumulative_training_flops": record.cumulative_training_flops,
        "training_seconds": record.training_seconds,
        "validation_loss": record.losses.get("validation_loss"),
        "data_version": record.data_version,
        "suites": {suite.suite: suite.accuracy for suite in run.result.evaluation.suites},
    }
