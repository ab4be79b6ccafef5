"""The last tasks of the pipeline: register every replicate, and promote by the gates."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from pathlib import Path

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from flows.deployments.events import emit_refusal
from flows.errors import StageFailed
from flows.runtime.assets import materialize_version
from flows.runtime.run_context import RunContext, active_context
from flows.runtime.stage_usage import record_promotions
from flows.runtime.version_evaluation import evaluate_version
from models.replicate import Replicate
from registry.errors import DamagedArtifact, MissingArtifact, UnknownVersion
from registry.gates.result import GateOutcome
from registry.intake import read_submission
from registry.promotion import PromotionDecision


@task(cache_policy=NO_CACHE, persist_result=False)
def register_run(workspace: Path, run: str, seed: int) -> int:
    """Register the model of a run and seed; return its version number.

    Identical files register once.
    """
    context = active_context(workspace)
    folder = workspace / Replicate(run, seed).folder
    submission = read_submission(folder, workspace / "data" / "tokenizer", workspace=workspace)
    version = context.registry.register(context.params.registry.model, submission)
    return version.version


@task(cache_policy=NO_CACHE, persist_result=False)
def promote_best(workspace: Path, versions: list[int], actor: str) -> PromotionDecision:
    """Promote the best of the versions that pass every gate, and return the decision."""
    context = active_context(workspace)
    params = context.params.registry
    decision = context.registry.promote_best(params.model, versions, actor=actor)
    get_run_logger().info("%s", decision.reason)
    record_promotions(context.workspace, params.model, decision.reports)
    for report in decision.reports:
        if report.outcome == "refused" and not decision.changed:
            emit_refusal(params.model, report.version, decision.reason)
    return decision


@task(cache_policy=NO_CACHE, persist_result=False)
def evaluate_registered(workspace: Path, version: int) -> int:
    """Evaluate a registered version on the workspace's present evaluation data.

    Raises:
        StageFailed: the evaluation failed.
        StageInterrupted: the run was stopped.
        MissingArtifact: the store does not have the weights.
        DamagedArtifact: the weights do not match their checksum.
    """
    context = active_context(workspace)
    model = context.params.registry.model
    evaluation = context.params.models.evaluation
    evaluate_version(context.registry, model, version, evaluation, workspace, context.processes)
    return version


def register_replicate(context: RunContext, replicate: Replicate) -> int:
    """Register a replicate in a task of its own and return the version number."""
    model = context.params.registry.model
    register = materialize_version(register_run, context.workspace, model, replicate.label)
    return register.with_options(task_run_name=f"register {replicate.label}")(
        context.workspace, replicate.run, replicate.seed
    )


def keep_champion(context: RunContext, reason: str) -> PromotionDecision:
    """Return the decision of a run that promotes nothing."""
    model = context.params.registry.model
    champion: int | None = None
    with suppress(UnknownVersion):  # nothing is registered, or nothing was promoted
        champion = context.registry.champion(model).version
    return PromotionDecision(
        champion_version=champion,
        changed=False,
        outcome=GateOutcome.UNCHANGED,
        reason=reason,
        reports=(),
    )


def promote_registered(context: RunContext, numbers: list[int], actor: str) -> PromotionDecision:
    """Promote; where a version was evaluated on other items, evaluate it and decide again.

    A registered version that cannot be evaluated leaves the champion as it is, and the decision
    says why: the run itself has succeeded.
    """
    decision = promote_best(context.workspace, numbers, actor)
    if not decision.other_items:
        return decision
    for number in decision.other_items:
        name = f"evaluate version {number}"
        try:
            evaluate_registered.with_options(task_run_name=name)(context.workspace, number)
        except (StageFailed, MissingArtifact, DamagedArtifact) as error:
            reason = f"{decision.reason}; version {number} cannot be evaluated: {error}"
            return dataclasses.replace(decision, reason=reason)
    return promote_best(context.workspace, numbers, actor)
