"""Close flow runs whose process is gone: with their recorded ending, else as crashed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import ObjectNotFound

from flows.runtime.run_lease import LEASE_S, RunLease, is_lease_void, list_leases

UNFINISHED = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


def close_run(client: SyncPrefectClient, path: Path, lease: RunLease) -> None:
    """Set the final state of a run and its tasks, unless they have one, and delete its lease."""
    flow_run_id = UUID(lease.flow_run_id)
    try:
        state = client.read_flow_run(flow_run_id).state
    except ObjectNotFound:
        state = None
    if state is not None and not state.is_final():
        kind = _final_type(state, lease.ending)
        message = lease.message
        if not lease.ending:
            process = f"process {lease.pid} on {lease.host}"
            is_cancelled = kind == StateType.CANCELLED
            message = f"{process} {'was cancelled' if is_cancelled else 'ended without a result'}"
        _close(client, flow_run_id, kind, message)
    path.unlink(missing_ok=True)


def close_abandoned_runs(client: SyncPrefectClient, project: Path, api_url: str) -> int:
    """Close the runs of a project whose process is gone, and return their number.

    Args:
        client: client of the API that records the runs.
        project: folder whose leases say which process executes which run.
        api_url: the API; empty for the project's own server, which records runs of this project
            only, so that runs without a lease are closed as well.
    """
    leases = list_leases(project)
    void = [
        (path, lease)
        for path, lease in leases
        if lease.api_url == api_url and is_lease_void(path, lease)
    ]
    for path, lease in void:
        close_run(client, path, lease)
    if api_url:
        return len(void)
    return len(void) + _close_runs_without_lease(
        client, {UUID(lease.flow_run_id) for _, lease in leases}
    )


def _close_runs_without_lease(client: SyncPrefectClient, leased: set[UUID]) -> int:
    """Close unfinished runs that have no lease and are older than one; return their number."""
    unfinished = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNFINISHED))
        )
    )
    oldest = datetime.now(UTC) - timedelta(seconds=LEASE_S)
    num_closed = 0
    for run in unfinished:
        if run.id in leased or run.state is None or (run.created or oldest) > oldest:
            continue
        _close(client, run.id, _final_type(run.state, ""), "its process ended without a result")
        num_closed += 1
    return num_closed


def _final_type(state: State, ending: str) -> StateType:
    if ending:
        return StateType(ending)
    return StateType.CANCELLED if state.is_cancelling() else StateType.CRASHED


def _close(client: SyncPrefectClient, flow_run_id: UUID, kind: StateType, message: str) -> None:
    final = State[None](type=kind, message=message)
    for task_run in client.read_task_runs(
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])),
        task_run_filter=TaskRunFilter(
            state=TaskRunFilterState(type=TaskRunFilterStateType(any_=UNFINISHED))
        ),
    ):
        client.set_task_run_state(task_run.id, final, force=True)
    client.set_flow_run_state(flow_run_id, final, force=True)
