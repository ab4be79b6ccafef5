"""`flanmoe run` end to end: first and unchanged run, DVC without Prefect, a workspace, Dask."""

import json
import re
import shutil
import sqlite3
import time

import pytest
import yaml

from tests.factories import PREFECT_DATABASE, Project, wait_for

pytestmark = [pytest.mark.process, pytest.mark.e2e]

STAGES = {
    "digest", "fetch", "eval_data", "read", "clean", "mix", "validate", "tokenizer", "pack",
    "initialize@moe_base", "train@moe_base-0", "evaluate@moe_base-0",
    "initialize@moe_instruct", "train@moe_instruct-0", "evaluate@moe_instruct-0",
}  # fmt: skip


def flow_runs(database, workspace=None):
    """Return the state and the task states of each flow run, oldest first.

    Args:
        database: Prefect's database.
        workspace: workspace of the runs; None: any.
    """
    query = (
        "select fr.parameters, fr.state_type, group_concat(tr.name || '=' || tr.state_type) "
        "from flow_run fr left join task_run tr on tr.flow_run_id = fr.id "
        "group by fr.id order by fr.start_time"
    )
    with sqlite3.connect(database) as connection:
        return [
            (state, dict(entry.split("=") for entry in (tasks or "").split(",") if entry))
            for parameters, state, tasks in connection.execute(query)
            if workspace is None or json.loads(parameters).get("workspace") == str(workspace)
        ]


def stages_with(output, word):
    """Return the stages whose line in a run's output contains the word."""
    return {line.split()[0] for line in output.splitlines() if f" {word} " in f"{line} "}


def locked_outputs(project):
    """Return the hash of every output in dvc.lock, by stage and path."""
    lock = yaml.safe_load((project.folder / "dvc.lock").read_text())["stages"]
    return {
        stage: {out["path"]: out["md5"] for out in entry["outs"]} for stage, entry in lock.items()
    }


def test_run_finished_lists_stages_and_ends_with_the_table(finished):
    lines = finished.output.splitlines()
    assert stages_with(finished.output, "done") == STAGES
    header = next(i for i, line in enumerate(lines) if "GFLOPs/token" in line)
    assert "±" in lines[header + 1]
    assert [line.split()[1] for line in lines[header + 1 : header + 3]] == [
        "moe_base", "moe_instruct",
    ]  # fmt: skip
    # So few steps are not above chance.
    start = lines.index("promotion: refused: there is no champion")
    first, second = sorted(lines[start + 1 : start + 3])
    assert first.startswith("  version 1 refused: ")
    assert second.startswith("  version 2 refused: ")
    assert "above_chance_and_baseline: version 2 is not shown to be above chance" in second
    assert "flanmoe dashboard" in lines[-1]


def test_run_finished_records_every_stage_as_a_completed_task(finished):
    database = finished.project.folder / ".flanmoe" / "prefect" / "prefect.db"
    state, tasks = flow_runs(database, finished.project.folder)[0]
    assert state == "COMPLETED"
    assert tasks.keys() >= STAGES
    # A registration for each run, and one promotion.
    assert len(tasks) == len(STAGES) + 3
    assert set(tasks.values()) == {"COMPLETED"}


def test_run_record_names_data_code_and_router_health(finished):
    folder = finished.project.folder
    run = json.loads((folder / "runs" / "moe_instruct" / "seed_0" / "run.json").read_text())
    outputs = locked_outputs(finished.project)
    assert run["data_hashes"]["data/packed/train"] == outputs["pack"]["data/packed/train"]
    execution = json.loads(
        (folder / "runs" / "moe_instruct" / "seed_0" / "execution.json").read_text()
    )
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?", execution["git_commit"])
    assert set(run["router_health"]) == {
        "decoder.blocks.1.feed_forward", "encoder.blocks.1.feed_forward",
    }  # fmt: skip
    health = run["router_health"]["encoder.blocks.1.feed_forward"]
    assert sum(health["load"]) == pytest.approx(1, abs=0.01)


def test_evaluation_record_averages_its_tasks(finished):
    folder = finished.project.folder / "runs" / "moe_instruct" / "seed_0"
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert {task["num_items"] for task in evaluation["tasks"]} == {15}
    assert len(evaluation["tasks"]) == 7
    accuracies = [task["accuracy"] for task in evaluation["tasks"]]
    assert evaluation["accuracy"] == pytest.approx(sum(accuracies) / 7, abs=1e-5)


def test_evaluation_scores_follow_from_the_samples(finished):
    import pandas as pd

    folder = finished.project.folder / "runs" / "moe_instruct" / "seed_0"
    samples = pd.read_parquet(folder / "samples.parquet")
    evaluation = json.loads((folder / "evaluation.json").read_text())
    score_by_task = samples.groupby("task")["score"].mean()
    for task in evaluation["tasks"]:
        assert task["accuracy"] == pytest.approx(score_by_task[task["task"]], abs=1e-5)
    multiple_choice = samples[samples["random_score"] > 0]
    is_expected = multiple_choice["answer"] == multiple_choice["expected"]
    assert (is_expected == (multiple_choice["score"] == 1)).all()
    assert samples["id"].is_unique


def test_run_in_a_copied_and_moved_project_skips_every_stage(
    finished_copy, prefect_server, tmp_path
):
    """Nothing has changed but the project's place."""
    moved = Project(finished_copy.folder.rename(tmp_path / "moved"))
    done = moved.invoke("run", PREFECT_API_URL=prefect_server.url)
    assert done.returncode == 0, done.stderr
    assert "0 changed" in done.stdout
    assert stages_with(done.stdout, "unchanged") == STAGES
    assert "  version 2 unchanged: it is champion already" in done.stdout
    versions = json.loads(moved.invoke("registry", "list", "--json").stdout)
    assert len(versions) == 2


def test_run_changed_parameter_reruns_dependents_and_waits_for_dvc(finished_copy, prefect_server):
    """Another DVC command holds the repository's lock while the first stage starts."""
    from dvc.repo import Repo

    params = finished_copy.params()
    params["models"]["runs"]["moe_instruct"]["steps"] = 22
    finished_copy.write_params(params)
    running = finished_copy.start("run", PREFECT_API_URL=prefect_server.url)
    output = ""
    while "train@moe_instruct-0" not in output:
        line = running.stdout.readline()
        assert line, output
        output += line
    with Repo(str(finished_copy.folder)) as repo, repo.lock:
        time.sleep(6)
    output += running.communicate(timeout=120)[0]
    assert running.returncode == 0, output
    assert "waiting for DVC" in output
    assert stages_with(output, "done") == {"train@moe_instruct-0", "evaluate@moe_instruct-0"}
    assert "models.runs.moe_instruct.steps" in finished_copy.dvc("params", "diff").stdout


def test_dvc_repro_alone_gives_the_same_hashes_and_metrics(finished, finished_copy):
    """Stages of both packages are computed again by DVC, without Prefect and without its cache."""
    recomputed = {"mix", "train@moe_instruct-0", "evaluate@moe_instruct-0"}
    options = ("--single-item", "--force", "--no-run-cache")
    done = finished_copy.dvc("repro", *options, *sorted(recomputed))
    assert done.returncode == 0, done.stdout + done.stderr
    for stage in recomputed:
        assert f"Running stage '{stage}'" in done.stdout
    rest = finished_copy.dvc("repro")
    assert rest.returncode == 0, rest.stdout + rest.stderr
    assert "Running stage 'digest'" in rest.stdout
    assert "Running stage 'train@moe_base-0'" not in rest.stdout
    expected, actual = locked_outputs(finished.project), locked_outputs(finished_copy)
    assert set(actual) == STAGES
    assert actual == expected
    shown = json.loads(finished_copy.dvc("metrics", "show", "--json").stdout)[""]["data"]
    assert "accuracy" in shown["runs/moe_instruct/seed_0/scores.json"]["data"]
    assert "validation_loss" in shown["runs/moe_instruct/seed_0/metrics.json"]["data"]


def test_run_on_a_dask_cluster_gives_the_same_hashes(finished, finished_copy, prefect_server):
    """Prefect's Dask task runner starts the cluster; stages that DVC has forgotten run on it."""
    project, recomputed = finished_copy, {"clean", "mix"}
    params = project.params()
    params["data_pipelines"].update(engine="dask", workers=2)
    project.write_params(params)
    lock_file = project.folder / "dvc.lock"
    lock = yaml.safe_load(lock_file.read_text())
    for stage in recomputed:
        del lock["stages"][stage]
    lock_file.write_text(yaml.safe_dump(lock))
    shutil.rmtree(project.folder / ".dvc" / "cache" / "runs")
    done = project.invoke("run", PREFECT_API_URL=prefect_server.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Dask: tcp://127.0.0.1:" in done.stdout
    assert stages_with(done.stdout, "done") == recomputed
    expected, actual = locked_outputs(finished.project), locked_outputs(project)
    assert set(actual) == STAGES
    for stage in recomputed:
        assert actual[stage] == expected[stage]


def test_run_with_a_second_seed_in_a_workspace_on_a_running_prefect_server(
    finished_copy, prefect_server, tmp_path
):
    """The project's params, data and lock stay unchanged; the named server has the history.

    Only the new seed is trained, from weights of the same seed.
    """
    folder = finished_copy.folder
    params = (folder / "params.yaml").read_bytes()
    lock = (folder / "dvc.lock").read_bytes()
    shutil.rmtree(folder / ".flanmoe" / "prefect")
    target = tmp_path / "elsewhere"
    done = finished_copy.call(
        "run",
        *("--set", "models.seeds=[0, 7]", "--set", "registry.model=other"),
        *("--workspace", target),
        PREFECT_API_URL=prefect_server.url,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert prefect_server.url in done.stdout

    def is_recorded():
        ((state, tasks),) = flow_runs(prefect_server.database, target)
        # Two more to train and evaluate, four registrations, one promotion.
        is_complete = len(tasks) == len(STAGES) + 4 + 5 and set(tasks.values()) == {"COMPLETED"}
        return is_complete and state == "COMPLETED"

    assert wait_for(is_recorded, 20)
    assert not (folder / ".flanmoe" / "prefect" / "prefect.db").exists()
    assert (folder / "params.yaml").read_bytes() == params
    assert (folder / "dvc.lock").read_bytes() == lock
    versions = json.loads(finished_copy.invoke("registry", "list", "--json").stdout)
    assert {version["model"] for version in versions} == {"flan-sample", "other"}
    registered = [(v["name"], v["seed"]) for v in versions if v["model"] == "other"]
    runs = ("moe_base", "moe_instruct")
    assert sorted(registered) == [(run, seed) for run in runs for seed in (0, 7)]
    # DVC's cache is shared: what did not change is not computed again.
    new_stages = {f"{stage}@{run}-7" for stage in ("train", "evaluate") for run in runs}
    assert stages_with(done.stdout, "done") == {
        "digest", "initialize@moe_base", "initialize@moe_instruct", *new_stages,
    }  # fmt: skip
    expected, actual = locked_outputs(finished_copy), locked_outputs(Project(target))
    for run in runs:
        assert actual[f"train@{run}-0"] == expected[f"train@{run}-0"]
    results = target / "runs" / "moe_instruct"
    record = json.loads((results / "seed_7" / "run.json").read_text())
    assert [run["seed"] for run in record["training_chain"]["runs"]] == [7, 7]
    start = (target / "runs" / "moe_base" / "weights" / "seed_7.json").read_bytes()
    assert (results / "initial" / "seed_7.json").read_bytes() == start
    assert re.search(r"moe_instruct +2 +\d+\.\d % +-?\d+\.\d … \d+\.\d %", done.stdout)
    words = ("compare", "moe_instruct-7", "moe_instruct-0", "--workspace", target)
    assert "seed is 7 and 0" in finished_copy.invoke(*words).stdout


@pytest.mark.full
def test_run_two_sets_at_once_in_an_awkward_folder_behind_a_proxy(finished, tmp_path):
    project = finished.project.copy(tmp_path / "job%2F a?b#c ü")
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    runs = [project.start("run", "--set", f"flows.retries={n}", **proxies) for n in (1, 2)]
    outputs = [process.communicate(timeout=500)[0] for process in runs]
    for process, output in zip(runs, outputs, strict=True):
        assert process.returncode == 0, output
        assert stages_with(output, "failed") == set()
    workspaces = sorted((project.folder / ".flanmoe" / "workspaces").iterdir())
    retries = [
        yaml.safe_load((w / "params.yaml").read_text())["flows"]["retries"] for w in workspaces
    ]
    assert sorted(retries) == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == [project.folder.name]
    states = [state for state, _ in flow_runs(project.folder / PREFECT_DATABASE)]
    assert states == ["COMPLETED"] * 3
