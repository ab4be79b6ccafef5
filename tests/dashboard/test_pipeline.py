"""The page Pipeline: flow runs of Prefect, stages that ran, DVC's status and logs."""

import json
import os
import uuid

import httpx
import pytest

from dashboard.child_process import run_limited
from dashboard.pages import pipeline
from dashboard.pipeline_files import ChangedStage, parse_dvc_status
from dashboard.prefect_runs import read_flow_runs
from flows.runtime.usage import UsageEntry, record_usage
from tests.dashboard.factories import HOSTILE, metrics, open_page, plain, table_with, texts
from tests.http_server import QuietHandler, serve_requests

RUN_ID = "0b5f1c1e-0000-4000-8000-000000000001"


@pytest.fixture
def api(monkeypatch):
    """A server in the place of Prefect's; yields its URL, and its answer to each path."""
    pipeline._read_flow_runs.clear()
    answers = {"flow_runs": [], "flows": [{"id": "f", "name": "promotion"}], "task_runs": []}

    class FilterHandler(QuietHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kind = self.path.split("/")[2]
            rows = answers[kind]
            if kind == "flow_runs" and isinstance(rows, list):
                states = body["flow_runs"]["state"]["type"]["any_"]
                rows = [row for row in rows if row["state_type"] in states]
            self.send_response(answers.get("code", 200))
            self.end_headers()
            self.wfile.write(json.dumps(rows).encode())

    with serve_requests(FilterHandler) as url:
        monkeypatch.setenv("PREFECT_API_URL", f"{url}/api/")
        yield url, answers


def flow_run(state_type, **changes):
    """Return a flow run as Prefect's API has it."""
    return {
        "id": RUN_ID, "flow_id": "f", "name": "calm-fox", "state_type": state_type,
        "state_name": state_type.capitalize(), "state": {"message": HOSTILE}, "tags": ["model:m"],
        "start_time": "2026-11-27T10:11:12.5Z", "end_time": None, **changes,
    }  # fmt: skip


def test_flow_runs_are_shown_by_group_with_links_to_their_pages(empty_project, api):
    url, answers = api
    answers["flow_runs"] = [
        flow_run("RUNNING"), flow_run("PAUSED", state_name="Suspended"),
        flow_run("CRASHED", id="javascript:alert(1)", name=HOSTILE),
    ]  # fmt: skip
    answers["task_runs"] = [{"flow_run_id": RUN_ID, "name": "train@moe-0"}]
    page = open_page("pipeline")
    assert metrics(page) == {
        "Running": "1", "Waiting for a person": "1", "Failed in 7 days": "1", "Scheduled": "0",
    }  # fmt: skip
    running, waiting, failed = (d.value.iloc[0] for d in page.dataframe)
    assert running[["flow", "run", "time (UTC)", "tasks"]].tolist() == [
        "promotion", "calm-fox", "2026-11-27 10:11", "train@moe-0",
    ]  # fmt: skip
    assert running["Prefect"] == f"{url}/runs/flow-run/{RUN_ID}"
    assert waiting["state"] == "Suspended"
    assert failed["Prefect"] is None
    assert "<script>" not in texts(page)


@pytest.mark.parametrize(
    ("answer", "line"),
    [({"code": 500}, "the answer is 500"), ({"code": 401}, "set PREFECT_API_AUTH_STRING"),
     ({"flow_runs": {"detail": "no"}}, "not that of Prefect's API"),
     ({"flows": [{"id": "f"}], "flow_runs": [flow_run("RUNNING")]}, "not that of Prefect's API")],
)  # fmt: skip
def test_page_says_what_is_wrong_with_prefect_and_shows_the_rest(empty_project, api, answer, line):
    api[1].update(answer)
    page = open_page("pipeline")
    assert line in plain(page.warning[0].value)
    assert "What is out of date?" in texts(page)


def test_page_without_prefect_says_what_is_missing(empty_project, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    page = open_page("pipeline")
    assert "PREFECT_API_URL is not set" in page.info[0].value
    assert "No stage ran yet; `flanmoe run`" in page.info[1].value
    for url in ("http://127.0.0.1:9/api", "http://[/api", "nonsense"):
        pipeline._read_flow_runs.clear()
        monkeypatch.setenv("PREFECT_API_URL", url)
        page = open_page("pipeline")
        assert plain(page.warning[0].value).startswith(f"{url}: ")
        assert texts(page).count("As of 2") == 1


@pytest.mark.process
def test_flow_runs_of_a_real_server(prefect_server, monkeypatch):
    url = prefect_server.url
    monkeypatch.setenv("PREFECT_API_URL", url)
    name = f"shown-{uuid.uuid4().hex[:8]}"
    flow = httpx.post(f"{url}/flows/", json={"name": name}).json()["id"]
    for state in ("RUNNING", "PAUSED", "FAILED", "SCHEDULED"):
        content = {"flow_id": flow, "name": state.lower(), "state": {"type": state}}
        httpx.post(f"{url}/flow_runs/", json=content).raise_for_status()
    groups = {
        title: [(run.name, run.page is not None) for run in runs if run.flow == name]
        for title, runs in read_flow_runs().runs.items()
    }
    assert groups == {
        "Running": [("running", True)], "Waiting for a person": [("paused", True)],
        "Failed in 7 days": [("failed", True)], "Scheduled": [("scheduled", True)],
    }  # fmt: skip


def test_last_stages_are_those_of_the_usage_log(empty_project, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    (empty_project.folder / ".flanmoe").mkdir()
    for number in range(60):
        entry = UsageEntry(
            kind="stage", time=1.8e9 + number, workspace="w", flow_run=RUN_ID,
            name=f"stage-{number}", outcome="ran", seconds=number,
        )  # fmt: skip
        record_usage(empty_project.folder, entry)
    with (empty_project.folder / ".flanmoe/usage.jsonl").open("a") as file:
        file.write('{"kind": "stage"}\n{"time": NaN, "workspace": 1, "name": 2, "outcome": 3}\n{"k')
    table = table_with(open_page("pipeline"), "outcome")
    assert list(table["stage"]) == [f"stage-{number}" for number in range(59, 9, -1)]
    assert table["seconds"][0] == 59
    assert table["Prefect"][0] == f"http://127.0.0.1:9/runs/flow-run/{RUN_ID}"


def test_log_of_a_stage_is_its_end_as_plain_text(empty_project):
    logs = empty_project.folder / ".flanmoe" / "logs"
    logs.mkdir(parents=True)
    (logs / "mix.log").write_text("x" * 300_000 + "\n" + "\n".join(map(str, range(200))) + HOSTILE)
    (logs / "fetch.log").write_bytes(b"\xff\x1b[31mred")
    os.utime(logs / "fetch.log", (1, 1))
    page = open_page("pipeline")
    assert page.selectbox(key="url-stage").value == "mix"
    lines = page.code[0].value.splitlines()
    assert (len(lines), lines[0], lines[-1]) == (100, "100", f"199{HOSTILE}")
    assert open_page("pipeline", stage="fetch").code[0].value == "\ufffd\ufffd[31mred"


def press(page):
    """Press the button that asks DVC."""
    next(entry for entry in page.button if entry.label == "Ask DVC").click()
    page.run()
    assert not page.exception
    return page


@pytest.mark.process
def test_status_of_dvc_is_shown_on_the_button(empty_project):
    page = press(open_page("pipeline"))
    assert plain(page.warning[0].value).startswith("dvc status: ")
    assert "not inside of a DVC repository" in plain(page.warning[0].value)
    run_limited("dvc", ["init", "-q", "--no-scm"], folder=empty_project.folder, timeout_s=60,
                memory_mb=2048)  # fmt: skip
    (empty_project.folder / "dvc.yaml").write_text(
        "stages:\n  mix:\n    cmd: touch a\n    outs: [a]\n"
    )
    page = press(open_page("pipeline"))
    assert "1 stages are out of date" in texts(page)
    assert table_with(page, "reason").to_numpy().tolist() == [["mix", "changed outs: a deleted"]]


def test_status_of_dvc_is_parsed():
    output = json.dumps(
        {
            "digest": ["always changed"],
            "mix": [{"changed deps": {"data/raw": "modified", "params.yaml": {"x": "new"}}},
                    "changed command"],
        }
    )  # fmt: skip
    reason = "changed deps: data/raw modified, params.yaml x; changed command"
    assert parse_dvc_status(output) == [ChangedStage(stage="mix", reason=reason)]
    assert parse_dvc_status("{}") == []
    with pytest.raises(ValueError, match="object"):
        parse_dvc_status("[]")
