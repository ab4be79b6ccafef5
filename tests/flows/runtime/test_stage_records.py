"""What Prefect shows of a run: states, logs, labels, artifacts and assets."""

import json
import logging
import os
import sqlite3
import subprocess
import xml.etree.ElementTree as ET
from contextlib import suppress

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.errors import StageFailed
from flows.runtime import pipeline as pipeline_module
from flows.runtime import promotion_tasks, stage_runner
from flows.runtime.accuracy_chart import ChartPoint, render_svg
from flows.runtime.assets import materialize_stage
from flows.runtime.pipeline import pipeline, run_stage
from flows.runtime.run_context import activate
from flows.runtime.stage_output import MAX_LINES, forward_output
from tests.factories import PREFECT_DATABASE, ROOT, wait_for
from tests.flows.runtime.factories import FakeStages, run_context


@pytest.fixture(scope="module")
def prefect_api(prefect_server):
    """Run the flows of this process on the shared Prefect server."""
    with temporary_settings({PREFECT_API_URL: prefect_server.url}):
        yield prefect_server


def drain():
    APILogWorker.drain_all(timeout=15)
    EventsWorker.drain_all(timeout=15)


def read_run(run_id):
    """Return the task states by name, log lines, artifacts by key and the flow run."""
    with get_client(sync_client=True) as client:
        by_run = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
        tasks = client.read_task_runs(flow_run_filter=by_run)
        logs = client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id])), limit=200)
        artifacts = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
        )
        flow_run = client.read_flow_run(run_id)
    return (
        {task.name: task.state for task in tasks},
        [log.message for log in logs],
        {artifact.key: artifact for artifact in artifacts},
        flow_run,
    )


@pytest.mark.process
def test_states_logs_labels_and_parameters_of_a_run(prefect_api, tmp_path, monkeypatch):
    """`fetch` is unchanged; `read` runs and prints; `clean` runs."""
    stages = FakeStages()

    def run_with_dvc(stage, workspace, *rest, **limits):
        log = stage_runner.log_file(workspace, stage)
        log.write_text(f"{stage} prints this\nand this\n")
        return stages.run_with_dvc(stage, workspace, *rest, **limits)

    monkeypatch.setattr(stage_runner, "run_with_dvc", run_with_dvc)
    monkeypatch.setattr(promotion_tasks, "read_submission", lambda folder, *_, **__: folder.name)
    monkeypatch.setattr(pipeline_module, "describe_outputs", lambda stage, _: [])
    params = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(params)
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=t", "-c", "user.email=t@x.org",
                  "commit", "-qm", "t"]):  # fmt: skip
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    git = ["git", "-C", str(tmp_path), "rev-parse", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    log_folder = stage_runner.log_file(tmp_path, "read").parent
    log_folder.mkdir(parents=True)
    (log_folder / "fetch.log").write_text("of an earlier run\n")
    os.utime(log_folder / "fetch.log", (1e9, 1e9))

    with activate(run_context(tmp_path, changed={"read"}, max_stage_hours=0.5)):
        state = pipeline.with_options(flow_run_name="labelled")(tmp_path, return_state=True)
    drain()
    run_id = state.state_details.flow_run_id
    assert wait_for(lambda: len(read_run(run_id)[0]) == 7, 30, interval_s=0.5)
    tasks, lines, artifacts, flow_run = read_run(run_id)
    assert {name: tasks[name].name for name in ("fetch", "read", "clean", "mix")} == {
        "fetch": "Cached", "read": "Completed", "clean": "Cached", "mix": "Completed",
    }  # fmt: skip
    assert {state.type.value for state in tasks.values()} == {"COMPLETED"}
    assert lines.count("read prints this") == lines.count("mix prints this") == 1
    assert lines.count("and this") == 2
    assert "of an earlier run" not in lines
    assert stages.time_limits == [1800.0, 1800.0]
    assert flow_run.labels["flanmoe.commit"] == commit
    assert flow_run.labels["flanmoe.workspace"] == str(tmp_path)
    assert set(flow_run.tags) == {f"workspace:{tmp_path.name}", "model:flan"}
    assert yaml.safe_load(artifacts["params"].data.strip("`").removeprefix("yaml")) == (
        yaml.safe_load(params)
    )


def test_forward_output_sends_new_lines_in_order_and_limits_them(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    log, logger = tmp_path / "stage.log", logging.getLogger("test-output")
    with forward_output(log, logger), log.open("w") as file:
        file.writelines(f"line {i}\n" for i in range(MAX_LINES + 5))
        file.write("without end")
    messages = [record.getMessage() for record in caplog.records]
    assert messages[:MAX_LINES] == [f"line {i}" for i in range(MAX_LINES)]
    assert messages[MAX_LINES:] == [f"more than {MAX_LINES} lines; {log} has all"]
    with suppress(StageFailed), forward_output(log, logger):
        log.write_text("error: no rows\n")
        raise StageFailed("read: no rows")
    assert caplog.records[-1].getMessage() == "error: no rows"


def test_assets_lead_from_data_to_model_to_version(tmp_path):
    folder = tmp_path / "my job% ü"

    def links(stage, start=""):
        task = materialize_stage(run_stage, folder, stage, start)
        return [a.key for a in task.assets], sorted(a.key for a in task.asset_deps)

    root = "flanmoe://my-job"
    assert links("mix") == ([f"{root}/data/mixture"], [f"{root}/data/eval_data"])
    assert links("pack") == ([f"{root}/data/packed"], [f"{root}/data/mixture"])
    assert links("train@b", "a") == ([f"{root}/runs/b"], [f"{root}/data/packed", f"{root}/runs/a"])
    assert links("evaluate@b") == (
        [f"{root}/evaluations/b"], [f"{root}/data/eval_data", f"{root}/runs/b"],
    )  # fmt: skip
    assert materialize_stage(run_stage, folder, "digest", "") is run_stage


@pytest.mark.process
@pytest.mark.e2e
def test_artifacts_of_stages_and_versions(finished):
    """The whole pipeline has run: Prefect has its reports, its comparison and its chart."""
    database = finished.project.folder / PREFECT_DATABASE
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT key, type, data FROM artifact WHERE key IS NOT NULL")
        artifacts = {key: (kind, data) for key, kind, data in rows}
        events = connection.execute(
            "SELECT resource_id FROM events WHERE event = 'prefect.asset.materialization.succeeded'"
        ).fetchall()
    assert artifacts.keys() >= {
        "params", "mixture", "validation", "evaluation-moe-base-0", "evaluation-moe-instruct-0",
        "versions", "accuracy-against-compute", "dashboard",
    }  # fmt: skip
    kind, table = artifacts["versions"]
    assert kind == "table"
    assert {row["run"] for row in json.loads(json.loads(table))} == {"moe_base", "moe_instruct"}
    assert all("±" in row["accuracy"] for row in json.loads(json.loads(table)))
    assert "data:image/svg+xml" in artifacts["accuracy-against-compute"][1]
    assert "http://127.0.0.1:8501" in artifacts["dashboard"][1]
    root = f"flanmoe://{finished.project.folder.name}"
    assert {asset for (asset,) in events} == {
        f"{root}/data/eval_data", f"{root}/data/mixture", f"{root}/data/packed",
        f"{root}/runs/moe_base-0", f"{root}/runs/moe_instruct-0",
        f"{root}/evaluations/moe_base-0", f"{root}/evaluations/moe_instruct-0",
        f"{root}/models/flan-sample/moe_base-0", f"{root}/models/flan-sample/moe_instruct-0",
    }  # fmt: skip


def test_chart_has_a_point_with_an_interval_for_each_version():
    points = [
        ChartPoint(label="a <b>", flops_per_token=1e6, accuracy=0.5, standard_error=0.02,
                   is_champion=False),
        ChartPoint(label="c", flops_per_token=1e8, accuracy=0.6, standard_error=0.01,
                   is_champion=True),
    ]  # fmt: skip
    root = ET.fromstring(render_svg(points))
    space = "{http://www.w3.org/2000/svg}"
    circles, lines = root.findall(f"{space}circle"), root.findall(f"{space}line")
    assert len(circles) == len(lines) == 2
    (x_cheap, low), (x_costly, high) = [(float(c.get("cx")), float(c.get("cy"))) for c in circles]
    assert x_costly > x_cheap
    assert high < low  # y grows downwards
    heights = [float(line.get("y1")) - float(line.get("y2")) for line in lines]
    assert heights[0] == pytest.approx(2 * heights[1], rel=0.02)
    texts = [text.text for text in root.findall(f"{space}text")]
    assert "a <b>" in texts
    assert "★ c" in texts
    assert ET.fromstring(render_svg(points[:1])) is not None
