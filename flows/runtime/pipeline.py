"""The pipeline as a Prefect flow: every stage of dvc.yaml is a task, then register and promote.

DVC is the only cache, so Prefect's is off. Prefect adds what DVC lacks: history, branches in
parallel, retries when DVC's lock is refused or a stage was preempted.

    pipeline(workspace=Path("/project"))                    # from any Python process
    pipeline.to_deployment("nightly", parameters={"workspace": "/project"})
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import CancelledRun
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import exponential_backoff

from flows.errors import LockRefused, StageFailed, StageInterrupted, StagePreempted
from flows.runtime import stage_runner
from flows.runtime.assets import materialize_stage
from flows.runtime.promotion_tasks import keep_champion, promote_registered, register_replicate
from flows.runtime.run_context import RunContext, active_context, active_or_new_context
from flows.runtime.run_monitor import monitor_run
from flows.runtime.run_records import label_run, optional_records
from flows.runtime.stage_artifacts import publish_stage, publish_versions
from flows.runtime.stage_notes import describe_outputs
from flows.runtime.stage_output import forward_output
from flows.runtime.stage_runner import StageStatus
from flows.runtime.stage_usage import measure_stage, stage_time_limit
from flows.runtime.workspace import project_of
from models.replicate import Replicate
from models.training.params import SCRATCH
from registry.promotion import PromotionDecision
from registry.versions import VersionInfo

RETRY_DELAY_S = 2
"""Seconds before the first retry; doubled for each further one."""
RETRY_JITTER = 0.5
_REGISTERED_ONLY = "registered only; `flanmoe registry promote VERSION` promotes"


@dataclass(frozen=True)
class PipelineResult:
    """Result of a pipeline run."""

    versions: list[VersionInfo]
    """The registered versions of this run's models, and the champion."""
    decision: PromotionDecision


@flow(name="flanmoe", persist_result=False)
def pipeline(
    workspace: Path, actor: str = "flow", promote: bool = True, targets: tuple[str, ...] = ()
) -> PipelineResult | State[None]:
    """Run all stages, register every run's model, and promote the best version.

    Args:
        workspace: folder with dvc.yaml and params.yaml. Retries and concurrency are its
            parameters `flows.retries` and `flows.max_parallel_stages`.
        actor: name that the registry records with a promotion.
        promote: whether to promote the best version; without it the champion stays.
        targets: stages to end with, for example `pack`, or `train` for the training of every run;
            then nothing is registered. Empty: all stages.

    Returns:
        The result; for a run that was stopped or cancelled, Prefect's state for it.

    Raises:
        StageFailed: with the error line of the first stage that failed.
        StagePreempted: a stage was preempted more than `flows.retries` times.
        LockRefused: DVC's lock was refused more than `flows.retries` times.
    """
    with (
        active_or_new_context(workspace) as context,
        context.stop_on_signal(),
        monitor_run(
            project_of(context.workspace),
            UUID(flow_run.id),
            lambda: context.stop("cancelled in Prefect"),
            has_own_server=context.has_own_server,
        ) as context.monitor,
    ):
        try:
            context.ending = _run(context, actor, promote=promote, targets=targets)
        except StageInterrupted as stop:
            context.ending = StageInterrupted(context.stop_reason or str(stop))
        except Exception as error:
            context.ending = error
        return _conclude(context)


def is_retryable(_task: Any, _task_run: Any, state: State[Any]) -> bool:
    """Return whether a failed task may succeed when it runs again (Prefect's retry condition)."""
    try:
        state.result()
    except (LockRefused, StagePreempted):
        return True
    except Exception:
        return False
    return False


@task(cache_policy=NO_CACHE, persist_result=False, retry_condition_fn=is_retryable)
def run_stage(workspace: Path, stage: str) -> State[Any]:
    """Run one stage with DVC, unless it and everything it depends on is unchanged.

    Returns:
        Completed, with the name Cached if DVC found the stage unchanged; Cancelled if another stage
        has failed, or the run was stopped.

    Raises:
        StageFailed: with the stage's own error line.
        LockRefused: DVC could not acquire its lock.
        StagePreempted: the stage received SIGTERM and saved its state.
    """
    context = active_context(workspace)
    logger = get_run_logger()
    log = stage_runner.log_file(context.workspace, stage)
    try:
        with forward_output(log, logger), measure_stage(context, stage):
            status = _run_stage_if_needed(context, stage)
    except StageInterrupted as stop:
        return Cancelled(message=str(stop))
    for line in describe_outputs(stage, context.workspace):
        context.display.note(line)
        logger.warning("%s", line)
    logger.info("%s: %s", stage, status)
    if status == "cached":
        return Completed(name="Cached", message="unchanged since DVC ran it", data=status)
    with optional_records(logger):
        publish_stage(stage, context.workspace)
    return Completed(data=status)


def _run(
    context: RunContext, actor: str, *, promote: bool, targets: Sequence[str]
) -> PipelineResult:
    """Run the stages, then register and promote unless the run was stopped or cancelled."""
    with optional_records(get_run_logger()):
        label_run(context.workspace, context.params.registry.model)
    if targets:
        context.graph = context.graph.up_to(targets)
    failed_states = _run_stages(context)
    if failed_states:
        raise _root_cause(failed_states)
    if targets:
        reason = f"nothing registered: the run ended with {', '.join(targets)}"
        return PipelineResult([], keep_champion(context, reason))
    numbers = []
    for replicate in context.params.models.replicates():
        _check_not_stopped(context)
        numbers.append(register_replicate(context, replicate))
    _check_not_stopped(context)
    if promote:
        decision = promote_registered(context, numbers, actor)
    else:
        decision = keep_champion(context, _REGISTERED_ONLY)
    model = context.params.registry.model
    champion = decision.champion_version
    relevant = {*numbers, *([] if champion is None else [champion])}
    versions = [context.registry.show(model, number) for number in sorted(relevant)]
    result = PipelineResult(versions, decision)
    with optional_records(get_run_logger()):
        publish_versions(result.versions, context.dashboard_url)
    return result


def _check_not_stopped(context: RunContext) -> None:
    assert context.monitor is not None
    context.monitor.check()
    if context.processes.stopping.is_set():
        raise StageInterrupted("stopped before the promotion")


def _conclude(context: RunContext) -> PipelineResult | State[None]:
    """Record how the run ends; return or raise what makes Prefect set the same final state."""
    ending, monitor = context.ending, context.monitor
    assert monitor is not None
    if isinstance(ending, StageInterrupted):
        monitor.record_ending(StateType.CANCELLED, str(ending))
    elif isinstance(ending, Exception):
        monitor.record_ending(StateType.FAILED, str(ending))
    else:
        monitor.record_ending(StateType.COMPLETED, "")
    if monitor.is_api_lost():
        context.on_api_lost()
    if isinstance(ending, StageInterrupted):
        return Cancelled(message=str(ending))
    if isinstance(ending, Exception):
        raise ending
    assert isinstance(ending, PipelineResult)
    return ending


def _run_stages(context: RunContext) -> list[State[Any]]:
    """Run the stages in parallel where the graph allows it; return the states of failed tasks."""
    flows = context.params.flows
    pool: ThreadPoolTaskRunner[State[Any]] = ThreadPoolTaskRunner(
        max_workers=flows.max_parallel_stages
    )
    with pool as runner:
        futures: dict[str, PrefectFuture[State[Any]]] = {}
        try:
            for stage in context.graph.order:
                stage_task = materialize_stage(
                    run_stage, context.workspace, stage, _start_of(context, stage)
                ).with_options(
                    name=stage,
                    task_run_name=stage,
                    retries=flows.retries,
                    retry_delay_seconds=exponential_backoff(RETRY_DELAY_S),
                    retry_jitter_factor=RETRY_JITTER,
                )
                futures[stage] = runner.submit(
                    stage_task,
                    parameters={"workspace": context.workspace, "stage": stage},
                    wait_for=[futures[other] for other in context.graph.dependencies[stage]],
                )
            for future in futures.values():
                future.wait()
        except BaseException:  # a Prefect worker ends the flow
            context.stop("ended by Prefect")  # the runner waits for its threads, they for stages
            raise
    return [future.state for future in futures.values() if not future.state.is_completed()]


def _start_of(context: RunContext, stage: str) -> str:
    """Return the replicate that `train@RUN-SEED` starts from; empty from random weights."""
    kind, _, label = stage.partition("@")
    if kind != "train":
        return ""
    replicate = Replicate.from_label(label)
    run = context.params.models.runs.get(replicate.run)
    if run is None or run.start == SCRATCH:
        return ""
    return Replicate(run.start, replicate.seed).label


def _run_stage_if_needed(context: RunContext, stage: str) -> StageStatus:
    statuses = context.status_by_stage
    dependencies = [statuses.get(other) for other in context.graph.dependencies[stage]]
    if stage not in context.graph.changed and all(status == "cached" for status in dependencies):
        # DVC found it unchanged when the run began, and no dependency has run since.
        statuses[stage] = "cached"
        context.display.end(stage, "cached")
        return "cached"
    if "failed" in statuses.values():
        # The run ends with an error in any case, so do not start hours of training.
        raise StageInterrupted(f"{stage} was not started: another stage failed")
    context.display.start(stage)
    status: StageStatus = "failed"
    try:
        status = stage_runner.run_with_dvc(
            stage,
            context.workspace,
            context.processes,
            lambda progress: context.display.update(stage, progress),
            lambda note: context.display.note(f"{stage}: {note}"),
            time_limit_s=stage_time_limit(context, stage),
        )
    except StageInterrupted:
        status = "stopped"
        raise
    except LockRefused:
        status = "refused"  # not a failure yet: Prefect retries
        raise
    except StagePreempted:
        status = "preempted"  # not a failure yet: Prefect retries
        raise
    finally:
        statuses[stage] = status
        context.display.end(stage, status)
    return status


def _root_cause(states: list[State[Any]]) -> Exception:
    """Return the error that explains the failure.

    When a stage fails, others are interrupted or not started; their errors are consequences.
    """
    errors: list[Exception] = []
    for state in states:
        try:
            state.result()
        except CancelledRun as stop:
            errors.append(StageInterrupted(str(stop)))
        except Exception as error:
            errors.append(error)
    for kind in (StageFailed, StageInterrupted, StagePreempted, LockRefused):
        cause = next((error for error in errors if isinstance(error, kind)), None)
        if cause is not None:
            return cause
    return errors[0]
