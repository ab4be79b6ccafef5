"""Pipeline: what Prefect runs and schedules, what ran last, and what is out of date."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard import prefect_api, text, url_state
from dashboard.cached_queries import project_folder
from dashboard.child_process import ChildFailed, run_limited
from dashboard.data_files import list_workspaces
from dashboard.figure import show_table
from dashboard.pipeline_files import (
    ChangedStage,
    list_stage_logs,
    parse_dvc_status,
    read_end,
    read_last_stages,
)
from dashboard.prefect_runs import FlowRun, PrefectRuns, PrefectUnavailable, read_flow_runs

NUM_STAGES = 50
NUM_LINES = 100
DVC_TIMEOUT_S = 60.0
DVC_MEMORY_MB = 4096
_STATUS = "dvc_status"
_LINK = st.column_config.LinkColumn(display_text="log")


def show() -> None:
    """Show flow runs, the last stages, the state of the stages and their logs."""
    project = project_folder()
    _show_prefect()
    _show_last_stages(project)
    workspaces = list_workspaces()
    name = url_state.choose("Workspace", list(workspaces), key="workspace", title=text.name)
    _show_status(workspaces[name], name)
    _show_log(workspaces[name])
    st.markdown(f"As of {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC.")


def _show_prefect() -> None:
    st.header("What runs, waits, failed or is scheduled?", anchor=False)
    if not prefect_api.api_url():
        st.info(
            "Prefect is not shown, because PREFECT_API_URL is not set. `flanmoe up` starts a "
            "server and a dashboard that shows it; for another server set the variable to its "
            "address, which ends in /api, and start the dashboard again."
        )
        return
    try:
        result = _read_flow_runs(prefect_api.api_url())
    except PrefectUnavailable as error:
        st.warning(text.escape(str(error)))
        return
    columns = st.columns(len(result.runs))
    for column, (title, runs) in zip(columns, result.runs.items(), strict=True):
        column.metric(title, f"{len(runs):,}")
    for title, runs in result.runs.items():
        if runs:
            st.subheader(title, anchor=False)
            show_table(
                _flow_runs_table(runs),
                name=f"flow-runs-{title.split()[0].lower()}",
                alternative=f"Flow runs of Prefect: {title.lower()}",
                column_config={"Prefect": _LINK},
            )
    if not any(result.runs.values()):
        st.markdown(
            "Prefect has no such run. `flanmoe run` starts one, `flanmoe deploy` schedules."
        )


@st.cache_data(ttl=5, max_entries=4, show_spinner="Asking Prefect …")
def _read_flow_runs(url: str) -> PrefectRuns:
    """Return the flow runs of a server; `url` is the cache's key."""
    return read_flow_runs()


def _flow_runs_table(runs: Sequence[FlowRun]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "flow": text.name(run.flow),
                "run": text.name(run.name),
                "state": text.name(run.state),
                "time (UTC)": run.time,
                "tasks": text.shorten(", ".join(run.tasks), 300),
                "message": text.shorten(run.message, 300),
                "tags": text.shorten(", ".join(run.tags), 300),
                "Prefect": run.page,
            }
            for run in runs
        ]
    )


def _show_last_stages(project: Path) -> None:
    st.header("What ran last?", anchor=False)
    stages = read_last_stages(project, NUM_STAGES)
    if stages.empty:
        st.info("No stage ran yet; `flanmoe run` runs all of them.")
        return
    show_table(
        stages,
        name="stages",
        alternative="Stages and promotions that ran last, newest first",
        column_config={
            "seconds": st.column_config.NumberColumn(format="%.1f"),
            "Prefect": _LINK,
        },
    )
    st.markdown(
        "Cached stages did not run, because nothing they depend on had changed. The links lead to "
        "the log in Prefect, while its server runs."
    )


def _show_status(folder: Path, name: str) -> None:
    st.header("What is out of date?", anchor=False)
    if st.button("Ask DVC", help="Runs `dvc status`, for at most a minute; changes nothing."):
        st.session_state[_STATUS] = (name, datetime.now(UTC), _ask_dvc(folder))
    workspace, at, answer = st.session_state.get(_STATUS, ("", None, ""))
    if workspace != name or at is None:
        st.markdown("`dvc status` in the folder of the workspace says the same.")
        return
    if isinstance(answer, str):
        st.warning(text.escape(answer))
        return
    when = f"as of {at:%Y-%m-%d %H:%M:%S} UTC"
    if not answer:
        st.success(f"Every stage is up to date, {when}.")
        return
    st.markdown(f"{len(answer):,} stages are out of date, {when}; `flanmoe run` runs them.")
    table = pd.DataFrame(
        [
            {"stage": text.name(entry.stage), "reason": text.shorten(entry.reason, 500)}
            for entry in answer
        ]
    )
    show_table(table, name="dvc-status", alternative="Stages that DVC would run, with the reason")


def _ask_dvc(folder: Path) -> list[ChangedStage] | str:
    """Return the stages that are out of date; a text says why that is not known."""
    try:
        with st.spinner("Asking DVC …"):
            result = run_limited(
                "dvc",
                ["status", "--json"],
                folder=folder,
                timeout_s=DVC_TIMEOUT_S,
                memory_mb=DVC_MEMORY_MB,
            )
        if result.returncode:
            return f"dvc status: {result.last_line}"
        return parse_dvc_status(result.stdout)
    except ChildFailed as error:
        return str(error)
    except (json.JSONDecodeError, ValueError, AttributeError, TypeError) as error:
        return f"dvc status: its answer is not as expected ({error}); run it in a terminal"


def _show_log(folder: Path) -> None:
    st.header("What does the log of a stage say?", anchor=False)
    logs = list_stage_logs(folder)
    if not logs:
        st.markdown("No stage of this workspace has a log yet.")
        return
    stage = url_state.choose("Stage", list(logs), key="stage", title=text.name)
    lines = [text.shorten(line) for line in read_end(logs[stage]).splitlines()[-NUM_LINES:]]
    st.code("\n".join(lines) or "(empty)", language=None, height=300)
    st.markdown(f"The last {len(lines):,} lines; the newest stage is the default.")
