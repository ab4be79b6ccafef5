"""Flow runs of Prefect that run, wait, are scheduled or failed, over its HTTP API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from dashboard import prefect_api

TIMEOUT_S = 3.0
LIMIT = 50
"""Most flow runs of a group."""
RECENT = timedelta(days=7)
_FAILED_TASKS = ("FAILED", "CRASHED")


class PrefectUnavailable(Exception):
    """Prefect's API does not answer as expected; its text is one line."""


@dataclass(frozen=True, kw_only=True)
class RunGroup:
    """Flow runs to show together."""

    title: str
    states: tuple[str, ...]
    """Types of their states."""
    sort: str
    task_states: tuple[str, ...] = ()
    """Types of the states of the tasks to name."""
    is_recent: bool = False
    """Whether only those that ended in the last days are shown."""


GROUPS = (
    RunGroup(
        title="Running",
        states=("RUNNING", "PENDING", "CANCELLING"),
        sort="START_TIME_DESC",
        task_states=("RUNNING",),
    ),
    RunGroup(title="Waiting for a person", states=("PAUSED",), sort="START_TIME_DESC"),
    RunGroup(
        title="Failed in 7 days",
        states=("FAILED", "CRASHED"),
        sort="END_TIME_DESC",
        task_states=_FAILED_TASKS,
        is_recent=True,
    ),
    RunGroup(title="Scheduled", states=("SCHEDULED",), sort="EXPECTED_START_TIME_ASC"),
)


@dataclass(frozen=True, kw_only=True)
class FlowRun:
    """A flow run."""

    flow: str
    name: str
    state: str
    time: str
    """When it starts, started or ended, in UTC."""
    message: str
    tasks: tuple[str, ...]
    """Names of its running or failed tasks."""
    tags: tuple[str, ...]
    page: str | None
    """Address of its page in Prefect."""


@dataclass(frozen=True, kw_only=True)
class PrefectRuns:
    """The flow runs of a server, by group."""

    runs: Mapping[str, Sequence[FlowRun]] = field(default_factory=dict)


def read_flow_runs(now: datetime | None = None) -> PrefectRuns:
    """Return the flow runs of every group.

    Args:
        now: the present; None: the clock's.

    Raises:
        PrefectUnavailable: the server does not answer, or not as Prefect does.
    """
    now = now or datetime.now(UTC)
    try:
        rows = {group.title: _request_runs(group, now) for group in GROUPS}
        flows = _request_flows([row for group in rows.values() for row in group])
        tasks = {group.title: _request_tasks(group, rows[group.title]) for group in GROUPS}
        return PrefectRuns(
            runs={
                title: [_read_run(row, flows, tasks[title]) for row in group]
                for title, group in rows.items()
            }
        )
    except httpx.HTTPStatusError as error:
        code = error.response.status_code
        hint = f"; set {prefect_api.AUTH_VARIABLE}" if code in (401, 403) else ""
        raise PrefectUnavailable(
            f"{prefect_api.api_url()}: the answer is {code} {error.response.reason_phrase}{hint}"
        ) from None
    except httpx.HTTPError as error:
        raise PrefectUnavailable(
            f"{prefect_api.api_url()}: no Prefect server answers "
            f"({type(error).__name__}: {error}); start it with `flanmoe up`, or correct "
            f"{prefect_api.API_VARIABLE}"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PrefectUnavailable(
            f"{prefect_api.api_url()}: the answer is not that of Prefect's API "
            f"({type(error).__name__}: {error}); correct {prefect_api.API_VARIABLE}, which ends "
            "in /api"
        ) from None


def _request_runs(group: RunGroup, now: datetime) -> list[dict[str, Any]]:
    criteria: dict[str, Any] = {"state": {"type": {"any_": list(group.states)}}}
    if group.is_recent:
        criteria["end_time"] = {"after_": (now - RECENT).isoformat()}
    rows = _post("flow_runs/filter", flow_runs=criteria, sort=group.sort, limit=LIMIT)
    return [{**row} for row in rows]


def _request_flows(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the names of the flows of some runs, by id."""
    ids = sorted({str(row["flow_id"]) for row in rows})
    if not ids:
        return {}
    flows = _post("flows/filter", flows={"id": {"any_": ids}})
    return {str(flow["id"]): str(flow["name"]) for flow in flows}


def _request_tasks(group: RunGroup, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the names of the running or failed tasks of some runs, by the id of the run."""
    if not (group.task_states and rows):
        return {}
    tasks = _post(
        "task_runs/filter",
        flow_runs={"id": {"any_": [row["id"] for row in rows]}},
        task_runs={"state": {"type": {"any_": list(group.task_states)}}},
        limit=200,
    )
    names: dict[str, list[str]] = {}
    for task in tasks:
        names.setdefault(str(task["flow_run_id"]), []).append(str(task["name"]))
    return names


def _post(path: str, **content: Any) -> Any:
    return prefect_api.post(path, content, timeout_s=TIMEOUT_S)


def _read_run(
    row: Mapping[str, Any], flows: Mapping[str, str], tasks: Mapping[str, Sequence[str]]
) -> FlowRun:
    state = row.get("state") or {}
    time = row.get("end_time") or row.get("start_time") or row.get("expected_start_time") or ""
    return FlowRun(
        flow=flows.get(str(row["flow_id"]), ""),
        name=str(row["name"]),
        state=str(row.get("state_name") or state.get("name") or ""),
        time=str(time)[:16].replace("T", " "),
        message=str(state.get("message") or ""),
        tasks=tuple(tasks.get(str(row["id"]), ())),
        tags=tuple(str(tag) for tag in row.get("tags") or ()),
        page=prefect_api.flow_run_page(str(row["id"])),
    )
