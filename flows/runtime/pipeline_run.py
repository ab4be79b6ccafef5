"""Run the pipeline from the command line: its outcome does not depend on Prefect's server."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from prefect.events.clients import PrefectEventsClient
from prefect.events.worker import EventsWorker, emit_events_to_cloud
from prefect.exceptions import PrefectSignal
from prefect.logging.handlers import APILogWorker
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)

from flows.errors import ServerError
from flows.runtime.pipeline import PipelineResult, pipeline
from flows.runtime.run_context import RunContext, active_context

DRAIN_TIMEOUT_S = 15
CLOSE_TIMEOUT_S = 5
RECONNECTION_ATTEMPTS = 2
"""Attempts for an event; Prefect waits a second before each further one."""


def run_pipeline(
    workspace: Path, *, promote: bool = True, targets: tuple[str, ...] = ()
) -> PipelineResult:
    """Run the flow and wait until its logs and events have reached the Prefect API.

    Prefect sends them in the background; the caller may stop the server afterwards. If the server
    is lost, the run ends as if it were not, with a warning.

    Args:
        workspace: folder of the active run.
        promote: whether to promote the best version.
        targets: stages to end with; then nothing is registered. Empty: all stages.

    Raises:
        FlowError: the run failed, or was stopped or cancelled.
        ServerError: the server was lost before the first stage.
    """
    context = active_context(workspace)
    context.is_command = True
    _prepare_prefect()
    with ExitStack() as offline:
        is_api_lost = False

        def go_offline() -> None:
            nonlocal is_api_lost
            is_api_lost = True
            offline.enter_context(_offline_settings())
            _warn(context)

        context.on_api_lost = go_offline
        try:
            pipeline(workspace, promote=promote, targets=targets)
        except (Exception, PrefectSignal) as error:
            if context.ending is None:
                raise ServerError(f"{PREFECT_API_URL.value()}: {error}") from error
            # Otherwise it is the ending itself, or Prefect could not record it.
        if not is_api_lost:
            APILogWorker.drain_all(timeout=DRAIN_TIMEOUT_S)
            EventsWorker.drain_all(timeout=DRAIN_TIMEOUT_S)
            if context.monitor is not None:
                context.monitor.await_closed(CLOSE_TIMEOUT_S)
    if isinstance(context.ending, Exception):
        raise context.ending
    assert isinstance(context.ending, PipelineResult)
    return context.ending


def _prepare_prefect() -> None:
    """Let Prefect's background threads neither wait for a lost server nor print errors about it."""
    logging.raiseExceptions = False  # read by Prefect's handler of log records
    if not emit_events_to_cloud():
        EventsWorker.set_client_override(
            PrefectEventsClient, reconnection_attempts=RECONNECTION_ATTEMPTS
        )


def _offline_settings() -> AbstractContextManager[object]:
    return temporary_settings(
        {PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_LOGGING_TO_API_ENABLED: False}
    )


def _warn(context: RunContext) -> None:
    context.display.note(
        f"warning: the Prefect server at {PREFECT_API_URL.value()} does not answer; the run itself "
        "is complete, and the next run records its end in Prefect"
    )
