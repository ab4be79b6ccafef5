"""The main job as one Prefect flow: every stage of dvc.yaml a task, then register and promote.

DVC is the only cache, so Prefect's is off. What Prefect adds: the history, branches that run side
by side, retries where DVC's lock is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.events.worker import EventsWorker
from prefect.futures import PrefectFuture
from prefect.logging.handlers import APILogWorker
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.config.schema import Params
from flows.errors import LockRefused, StageFailed, StageInterrupted, StagePreempted
from flows.runtime import stage_runner as stages
from flows.runtime.display import Display
from flows.runtime.graph import Graph
from flows.runtime.processes import Processes
from registry.intake import read_submission
from registry.promotion import Decision
from registry.store import Registry

RETRY_SECONDS = 2
SEND_SECONDS = 15


@dataclass
class Job:
    """What the tasks of one run share. Never serialised: the flow runs in this process."""

    workspace: Path
    graph: Graph
    params: Params
    registry: Registry
    processes: Processes
    display: Display
    outcomes: dict[str, str] = field(default_factory=dict)
    """Stage -> ran, cached, failed, stopped, refused or preempted."""


@dataclass(frozen=True)
class Result:
    """What the flow ends with."""

    versions: list[dict[str, Any]]
    decision: Decision


def run(job: Job) -> Result:
    """Runs the flow on the Prefect API in PREFECT_API_URL.

    Raises StageFailed with the first failure's line, StageInterrupted when stopped.
    """

    def helps_to_repeat(_task: Any, _run: Any, state: State[Any]) -> bool:
        try:
            state.result()
        except (LockRefused, StagePreempted):
            return True
        except Exception:
            return False
        return False

    @task(
        retries=job.params.flows.retries,
        retry_delay_seconds=RETRY_SECONDS,
        retry_condition_fn=helps_to_repeat,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    def run_stage(name: str) -> str:
        outcome = _run_stage(job, name)
        get_run_logger().info("%s: %s", name, outcome)
        return outcome

    @task(cache_policy=NO_CACHE, persist_result=False)
    def register(name: str) -> int:
        folder = job.workspace / "runs" / name
        submission = read_submission(folder, job.workspace / "data" / "tokenizer")
        version = job.registry.register(job.params.registry.model, submission)
        return int(version["version"])

    @task(cache_policy=NO_CACHE, persist_result=False)
    def promote(numbers: list[int]) -> Decision:
        decision = job.registry.promote_best(
            job.params.registry.model, numbers, job.params.registry.gates, actor="flow"
        )
        get_run_logger().info("%s", decision.reason)
        return decision

    runner: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=job.params.flows.max_parallel_stages)

    @flow(
        name="flanmoe",
        task_runner=runner,
        persist_result=False,
        validate_parameters=False,
    )
    def main(stages: list[str], model: str) -> Result:
        futures: dict[str, PrefectFuture[str]] = {}
        for name in stages:
            before = [futures[other] for other in job.graph.needs[name]]
            named = run_stage.with_options(name=name, task_run_name=name)
            futures[name] = named.submit(name, wait_for=before, return_state=False)
        for future in futures.values():
            future.wait()
        failed = [future.state for future in futures.values() if not future.state.is_completed()]
        if failed:
            _raise_first(failed)
        numbers = [
            register.with_options(task_run_name=f"register {name}")(name)
            for name in job.params.models.runs
        ]
        decision = promote(numbers)
        versions = job.registry.versions(job.params.registry.model)
        shown = {*numbers, decision.number}
        return Result([v for v in versions if v["version"] in shown], decision)

    try:
        return main(list(job.graph.order), job.params.registry.model)
    finally:
        # Logs and events are sent in the background: all of them, before the server may go.
        APILogWorker.drain_all(timeout=SEND_SECONDS)
        EventsWorker.drain_all(timeout=SEND_SECONDS)


def _run_stage(job: Job, name: str) -> str:
    before = [job.outcomes.get(other) for other in job.graph.needs[name]]
    if name not in job.graph.changed and all(outcome == "cached" for outcome in before):
        # DVC said so when the run began, and nothing it depends on has run since.
        job.outcomes[name] = "cached"
        job.display.end(name, "cached")
        return "cached"
    if "failed" in job.outcomes.values():
        # Hours of training must not go on beside an error that the run will end with anyway.
        raise StageInterrupted(f"{name} was not started: another stage failed")
    job.display.start(name)
    outcome = "failed"
    try:
        outcome = stages.run(
            name, job.workspace, job.processes, lambda bar: job.display.move(name, bar)
        )
    except StageInterrupted:
        outcome = "stopped"
        raise
    except LockRefused:
        outcome = "refused"  # no failure yet: Prefect tries again
        raise
    except StagePreempted:
        outcome = "preempted"  # likewise
        raise
    finally:
        job.outcomes[name] = outcome
        job.display.end(name, outcome)
    return outcome


def _raise_first(states: list[State[Any]]) -> None:
    """The cause, not its consequences: stages that never started only say that they did not."""
    errors: list[BaseException] = []
    for state in states:
        try:
            state.result()
        except Exception as error:
            errors.append(error)
    for kind in (StageFailed, StageInterrupted, StagePreempted, LockRefused):
        for found in errors:
            if isinstance(found, kind):
                raise found
    raise errors[0]
