"""The Prefect flow with stages that are functions: order, cache, failure, retries, promotion."""

import io
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.worker import EventsWorker
from prefect.flows import load_flow_from_entrypoint
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling
from rich.console import Console

from flows.errors import FlowError, LockRefused, StageFailed, StageInterrupted, StagePreempted
from flows.runtime import pipeline as pipeline_module
from flows.runtime import promotion_tasks, stage_runner
from flows.runtime.pipeline import pipeline, run_stage
from flows.runtime.pipeline_run import DRAIN_TIMEOUT_S, run_pipeline
from flows.runtime.run_context import activate, active_context
from tests.factories import ROOT
from tests.flows.runtime.factories import DIAMOND, FakeStages, recorded_run, run_context

MAX_SECONDS_TO_STOP = 3.0


@pytest.fixture(scope="module")
def prefect_api(prefect_server):
    """Run the flows of this process on the shared Prefect server."""
    with temporary_settings({PREFECT_API_URL: prefect_server.url}):
        yield
        APILogWorker.drain_all(timeout=DRAIN_TIMEOUT_S)
        EventsWorker.drain_all(timeout=DRAIN_TIMEOUT_S)


@pytest.fixture
def stages(monkeypatch):
    """Stages that all run; a test may set other outcomes."""
    fakes = FakeStages()
    monkeypatch.setattr(stage_runner, "run_with_dvc", fakes.run_with_dvc)
    monkeypatch.setattr(
        promotion_tasks, "read_submission", lambda folder, *_, **__: folder.parent.name
    )
    monkeypatch.setattr(pipeline_module, "RETRY_DELAY_S", 0)
    monkeypatch.setattr(pipeline_module, "describe_outputs", lambda stage, _: [f"about {stage}"])
    return fakes


def test_pipeline_parameters_are_typed_and_serialisable():
    schema = pipeline.parameters.model_dump()
    assert schema["required"] == ["workspace"]
    assert schema["properties"]["workspace"]["format"] == "path"
    assert schema["properties"]["actor"]["default"] == "flow"
    assert pipeline.validate_parameters({"workspace": "/project"})["workspace"] == Path("/project")


@pytest.mark.process
def test_pipeline_can_be_deployed(prefect_api):
    deployment = pipeline.to_deployment("nightly", parameters={"workspace": "/project"})
    assert deployment.flow_name == "flanmoe"
    assert deployment.entrypoint.endswith("flows/runtime/pipeline.py:pipeline")
    loaded = load_flow_from_entrypoint(f"{ROOT}/flows/runtime/pipeline.py:pipeline")
    assert loaded.parameters == pipeline.parameters


@pytest.mark.process
def test_pipeline_runs_stages_in_order_then_registers_and_promotes(prefect_api, stages, tmp_path):
    context = run_context(tmp_path)
    with activate(context):
        result = pipeline(workspace=tmp_path, actor="someone")
    assert stages.calls[0] == "fetch"
    assert stages.calls[-1] == "mix"
    assert sorted(stages.calls) == sorted(DIAMOND)
    assert context.status_by_stage == dict.fromkeys(DIAMOND, "ran")
    assert context.registry.registered == ["base", "instruct"]
    assert context.registry.promotions == [("flan", [1, 2], "someone")]
    assert result.decision.reason == "version 2 is better"
    assert [version.version for version in result.versions] == [1, 2]


@pytest.mark.process
def test_pipeline_up_to_a_target_registers_nothing(prefect_api, stages, tmp_path):
    context = run_context(tmp_path)
    with activate(context):
        result = pipeline(workspace=tmp_path, targets=("read",))
    assert stages.calls == ["fetch", "read"]
    assert not context.registry.registered
    assert not context.registry.promotions
    assert result.versions == []
    assert result.decision.champion_version is None
    assert result.decision.reason == "nothing registered: the run ended with read"


@pytest.mark.process
def test_pipeline_evaluates_versions_on_other_items_and_decides_again(
    prefect_api, stages, tmp_path, monkeypatch
):
    evaluated = []
    monkeypatch.setattr(
        promotion_tasks, "evaluate_version", lambda *arguments: evaluated.append(arguments[1:4])
    )
    context = run_context(tmp_path)
    context.registry.other_items = (3, 1)
    with activate(context):
        result = pipeline(workspace=tmp_path)
    assert evaluated == [("flan", 3, "params"), ("flan", 1, "params")]
    assert len(context.registry.promotions) == 2
    assert result.decision.outcome == "promoted"


@pytest.mark.process
def test_pipeline_succeeds_if_a_registered_version_cannot_be_evaluated(
    prefect_api, stages, tmp_path, monkeypatch
):
    def fail(*arguments):
        raise StageFailed("no weights")

    monkeypatch.setattr(promotion_tasks, "evaluate_version", fail)
    context = run_context(tmp_path)
    context.registry.other_items = (3,)
    with activate(context):
        result = pipeline(workspace=tmp_path)
    assert (result.decision.changed, result.decision.champion_version) == (False, 1)
    assert result.decision.reason == ("other items; version 3 cannot be evaluated: no weights")


@pytest.mark.process
def test_pipeline_shows_the_notes_of_stages_that_ran_or_were_unchanged(
    prefect_api, stages, tmp_path
):
    console = Console(file=io.StringIO(), width=100)
    with activate(run_context(tmp_path, console, changed={"clean"})):
        pipeline(workspace=tmp_path)
    output = console.file.getvalue()
    assert [output.count(f"    about {stage}\n") for stage in DIAMOND] == [1, 1, 1, 1]


@pytest.mark.process
def test_pipeline_unchanged_stages_are_cached_until_a_dependency_runs(
    prefect_api, stages, tmp_path
):
    context = run_context(tmp_path, changed={"clean"})
    with activate(context):
        pipeline(workspace=tmp_path)
    assert stages.calls == ["clean", "mix"]
    assert context.status_by_stage == {
        "fetch": "cached", "read": "cached", "clean": "ran", "mix": "ran",
    }  # fmt: skip


@pytest.mark.process
def test_pipeline_after_a_failure_starts_and_promotes_nothing(prefect_api, stages, tmp_path):
    stages.outcomes["read"] = [StageFailed("read: no rows (log: x)")]
    context = run_context(tmp_path, max_parallel_stages=1)
    with activate(context), pytest.raises(StageFailed, match="read: no rows"):
        run_pipeline(tmp_path)
    flow_run, task_states = recorded_run(tmp_path)
    assert flow_run.state.type == task_states["read"] == StateType.FAILED
    assert "read: no rows (log: x)" in flow_run.state.message
    assert stages.calls.count("read") == 1  # a failure is not retried
    assert "mix" not in stages.calls
    assert context.status_by_stage["read"] == "failed"
    assert not context.registry.registered
    assert not context.registry.promotions


@pytest.mark.process
@pytest.mark.parametrize(
    ("error", "status"),
    [(LockRefused("read: locked"), "refused"), (StagePreempted("read: saved"), "preempted")],
)
def test_pipeline_retryable_error_is_retried(prefect_api, stages, tmp_path, error, status):
    stages.outcomes["read"] = [error, error, "ran"]
    context = run_context(tmp_path, retries=2)
    ends = []
    context.display.end = lambda stage, mark: ends.append((stage, mark))
    with activate(context):
        pipeline(workspace=tmp_path)
    assert stages.attempts["read"] == 3
    assert [mark for stage, mark in ends if stage == "read"] == [status, status, "ran"]
    assert context.registry.promotions


@pytest.mark.process
def test_pipeline_more_refusals_than_retries_raises(prefect_api, stages, tmp_path):
    stages.outcomes["mix"] = [LockRefused("mix: locked")]
    context = run_context(tmp_path, retries=1)
    with activate(context), pytest.raises(LockRefused):
        pipeline(workspace=tmp_path)
    assert stages.attempts["mix"] == 2
    assert not context.registry.promotions


@pytest.mark.process
def test_pipeline_interrupted_stage_is_recorded_as_cancelled(prefect_api, stages, tmp_path):
    stages.outcomes["fetch"] = [StageInterrupted("fetch was stopped")]
    context = run_context(tmp_path)
    with activate(context), pytest.raises(StageInterrupted, match="fetch was stopped"):
        run_pipeline(tmp_path)
    flow_run, task_states = recorded_run(tmp_path)
    assert flow_run.state.type == StateType.CANCELLED
    assert flow_run.state.message == "fetch was stopped"
    assert task_states["fetch"] == StateType.CANCELLED
    assert stages.calls == ["fetch"]
    assert context.status_by_stage == {"fetch": "stopped"}
    assert not context.registry.promotions


@pytest.mark.process
@pytest.mark.parametrize("is_last_stage_complete", [False, True])
def test_pipeline_cancelled_in_prefect_promotes_nothing(
    prefect_api, stages, tmp_path, monkeypatch, is_last_stage_complete
):
    """Prefect's command, page and API all set the state Cancelling and do no more."""

    def cancel_in_last_stage(stage, workspace, processes, *_, **limits):
        if stage == "mix":
            with get_client(sync_client=True) as client:
                flow_run, _ = recorded_run(tmp_path)
                client.set_flow_run_state(flow_run.id, Cancelling())
            if not is_last_stage_complete:
                assert processes.stopping.wait(MAX_SECONDS_TO_STOP)
                raise StageInterrupted("mix was stopped")
        return "ran"

    monkeypatch.setattr(stage_runner, "run_with_dvc", cancel_in_last_stage)
    context = run_context(tmp_path)
    with activate(context), pytest.raises(StageInterrupted, match="cancelled in Prefect"):
        run_pipeline(tmp_path)
    flow_run, task_states = recorded_run(tmp_path)
    assert (flow_run.state.type, flow_run.state.message) == (
        StateType.CANCELLED, "cancelled in Prefect",
    )  # fmt: skip
    assert (task_states["mix"] == StateType.COMPLETED) == is_last_stage_complete
    assert not context.registry.registered
    assert not context.registry.promotions


def test_run_stage_without_a_run_in_this_process_is_rejected(tmp_path):
    with pytest.raises(FlowError, match="no run is active in this process"):
        run_stage.fn(tmp_path, "fetch")


def test_activate_two_contexts_of_a_workspace_is_rejected(tmp_path):
    with activate(run_context(tmp_path)) as context:
        assert active_context(tmp_path / ".") is context
        with pytest.raises(FlowError, match="already active"), activate(run_context(tmp_path)):
            pass
    with pytest.raises(FlowError, match="no run is active"):
        active_context(tmp_path)
