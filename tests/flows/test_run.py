"""The main job as its users meet it: one run, a second one, DVC alone, another workspace."""

import json
import shutil
import sqlite3
import subprocess
import sys

import pytest
import yaml

from tests.conftest import answers, environment_of_a_user, free_port, wait_for
from tests.models.training.made import read_log

STAGES = {
    "fetch", "benchmarks", "read", "clean", "mix", "validate", "tokenizer", "pack",
    "train@moe_base", "train@moe_instruct", "evaluate@moe_base", "evaluate@moe_instruct",
}  # fmt: skip


def flow_runs(database):
    query = (
        "select fr.state_type, group_concat(tr.name || '=' || tr.state_type) from flow_run fr "
        "left join task_run tr on tr.flow_run_id = fr.id group by fr.id order by fr.start_time"
    )
    with sqlite3.connect(database) as connection:
        return [
            (state, dict(entry.split("=") for entry in (tasks or "").split(",") if entry))
            for state, tasks in connection.execute(query)
        ]


def test_shows_stages_and_ends_with_the_table(finished):
    lines = finished.output.splitlines()
    for stage in STAGES:
        assert any(line.split()[:2] == [stage, "done"] for line in lines), stage
    header = next(i for i, line in enumerate(lines) if "GFLOPs/token" in line)
    assert "±" in lines[header + 1]
    rows = [line.split()[1] for line in lines[header + 1 : header + 3]]
    assert rows == ["moe_base", "moe_instruct"]
    assert sum("champion" in line and "★" in line for line in lines) == 1
    assert "flanmoe dashboard" in lines[-1]


def test_every_stage_is_a_recorded_task(finished):
    """The server was stopped only after all of it was written."""
    database = finished.project.folder / ".flanmoe" / "prefect" / "prefect.db"
    state, tasks = flow_runs(database)[0]
    assert state == "COMPLETED"
    expected = STAGES | {"register moe_base", "register moe_instruct"}
    assert expected <= set(tasks)
    assert len(tasks) == len(expected) + 1  # promote
    assert set(tasks.values()) == {"COMPLETED"}


def test_records_say_where_numbers_come_from(finished):
    folder = finished.project.folder
    run = json.loads((folder / "runs" / "moe_instruct" / "run.json").read_text())
    lock = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    packed = {out["path"]: out["md5"] for out in lock["pack"]["outs"]}
    assert run["data_hashes"]["data/packed/train"] == packed["data/packed/train"]
    commit = subprocess.run(
        ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert len(commit) == 40
    assert set(run["router_health"]) == {
        "decoder.blocks.1.feed_forward", "encoder.blocks.1.feed_forward",
    }  # fmt: skip
    health = run["router_health"]["encoder.blocks.1.feed_forward"]
    assert sum(health["load"]) == pytest.approx(1, abs=0.01)
    evaluation = json.loads((folder / "runs" / "moe_instruct" / "evaluation.json").read_text())
    assert {task["n"] for task in evaluation["tasks"]} == {15}
    assert len(evaluation["tasks"]) == 8
    accuracies = [task["accuracy"] for task in evaluation["tasks"]]
    assert evaluation["accuracy"] == pytest.approx(sum(accuracies) / 8, abs=1e-5)


def test_scores_follow_from_the_samples(finished):
    import pandas as pd

    folder = finished.project.folder / "runs" / "moe_instruct"
    samples = pd.read_parquet(folder / "samples.parquet")
    evaluation = json.loads((folder / "evaluation.json").read_text())
    by_task = samples.groupby("task")["score"].mean()
    for task in evaluation["tasks"]:
        assert task["accuracy"] == pytest.approx(by_task[task["task"]], abs=1e-5)
    chosen = samples[samples["random_score"] > 0]
    # What was chosen is right exactly where it is the expected option.
    assert ((chosen["answer"] == chosen["expected"]) == (chosen["score"] == 1)).all()
    assert samples["id"].is_unique


def test_a_second_run_skips_every_stage(finished_copy):
    done = finished_copy.call("run")
    assert done.returncode == 0, done.stderr
    assert "0 changed" in done.stdout
    unchanged = {line.split()[0] for line in done.stdout.splitlines() if "unchanged" in line}
    assert unchanged == STAGES
    assert "stays champion" in done.stdout
    versions = json.loads(finished_copy.call("registry", "list", "--json").stdout)
    assert len(versions) == 2


def test_a_changed_parameter_reruns_only_what_depends_on_it(finished_copy):
    params = finished_copy.params()
    params["models"]["runs"]["moe_instruct"]["steps"] = 22
    finished_copy.write_params(params)
    done = finished_copy.call("run")
    assert done.returncode == 0, done.stderr
    ran = {line.split()[0] for line in done.stdout.splitlines() if " done " in line}
    assert ran == {"train@moe_instruct", "evaluate@moe_instruct"}
    difference = finished_copy.dvc("params", "diff").stdout
    assert "models.runs.moe_instruct.steps" in difference


def untimed_log(project, run):
    lines = read_log(project.folder / "runs" / run / "log.jsonl")
    timed = ("time", "tokens_per_second", "mfu")
    return [{key: line[key] for key in line if key not in timed} for line in lines]


def test_dvc_alone_gives_the_same_hashes_and_metrics(finished, fresh_project):
    done = fresh_project.dvc("repro")
    assert done.returncode == 0, done.stdout + done.stderr

    def lock(project):
        return yaml.safe_load((project.folder / "dvc.lock").read_text())["stages"]

    ours, alone = lock(finished.project), lock(fresh_project)
    assert set(ours) == set(alone) == STAGES

    def outs(stage):
        return {out["path"]: out["md5"] for out in stage["outs"]}

    for name in STAGES:
        found, expected = outs(alone[name]), outs(ours[name])
        for path in found:
            # These hold times; everything else is the same bit for bit.
            timed = path.endswith(("run.json", "speed.json", "log.jsonl")) or "/live/" in path
            if not timed:
                assert found[path] == expected[path], path
    for run in ("moe_base", "moe_instruct"):
        assert untimed_log(fresh_project, run)
        assert untimed_log(fresh_project, run) == untimed_log(finished.project, run)
    shown = json.loads(fresh_project.dvc("metrics", "show", "--json").stdout)
    files = shown[""]["data"]
    assert "accuracy" in files["runs/moe_instruct/scores.json"]["data"]
    assert "validation_loss" in files["runs/moe_instruct/metrics.json"]["data"]


def test_another_workspace_leaves_the_project_as_it_is(finished_copy, tmp_path):
    before = (finished_copy.folder / "params.yaml").read_bytes()
    locked = (finished_copy.folder / "dvc.lock").read_bytes()
    target = tmp_path / "elsewhere"
    done = finished_copy.call(
        "run",
        "--set",
        "models.runs.moe_instruct.seed=7",
        "--set",
        "registry.model=other",
        "--workspace",
        str(target),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (finished_copy.folder / "params.yaml").read_bytes() == before
    assert (finished_copy.folder / "dvc.lock").read_bytes() == locked
    assert (target / "runs" / "moe_instruct" / "run.json").is_file()
    versions = json.loads(finished_copy.call("registry", "list", "--json").stdout)
    assert {version["model"] for version in versions} == {"flan-sample", "other"}
    # The cache is shared: what did not change was not computed again.
    ran = {line.split()[0] for line in done.stdout.splitlines() if " done " in line}
    assert "fetch" not in ran
    assert "train@moe_instruct" in ran


def test_a_given_prefect_server_is_used(finished, finished_copy):
    """PREFECT_API_URL set: no server of our own, and the history is on that one."""
    folder = finished_copy.folder
    shutil.rmtree(folder / ".flanmoe" / "prefect")
    port = free_port()
    database = folder / "given.db"
    # Its tables are there already; otherwise making them takes most of the test.
    shutil.copyfile(finished.project.folder / ".flanmoe" / "prefect" / "prefect.db", database)
    environment = environment_of_a_user(
        PREFECT_API_DATABASE_CONNECTION_URL=f"sqlite+aiosqlite:///{database}",
        PREFECT_HOME=str(folder / "given"),
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        DO_NOT_TRACK="1",
    )
    command = [sys.executable, "-m", "flows.runtime.prefect_server_process", str(port)]
    server = subprocess.Popen(command, env=environment, cwd=folder, start_new_session=True)
    url = f"http://127.0.0.1:{port}/api"
    try:
        assert wait_for(lambda: answers(f"{url}/health"), 90)
        done = finished_copy.call("run", PREFECT_API_URL=url)
        assert done.returncode == 0, done.stderr
        assert url in done.stdout
        assert not (folder / ".flanmoe" / "prefect" / "prefect.db").exists()
        everything = len(STAGES) + 3

        def recorded():
            _, tasks = flow_runs(database)[-1]
            return len(tasks) == everything and set(tasks.values()) == {"COMPLETED"}

        assert wait_for(recorded, 20)
        state, tasks = flow_runs(database)[-1]
        assert state == "COMPLETED"
        assert len(tasks) == everything
    finally:
        server.terminate()
        server.wait(20)
