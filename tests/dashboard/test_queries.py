"""Data frames of the pages against the registry and the training logs."""

import json

import pytest

from dashboard.queries import (
    data_warnings,
    open_registry,
    select_comparable,
    suites_frame,
    tasks_frame,
    training_logs,
    versions_frame,
)
from data_pipelines.files import write_json_lines
from models.training.log_lines import split_lines
from tests.dashboard.factories import LINE, write_log


def test_versions_frame_has_the_values_of_the_registry(project):
    versions = open_registry().versions()
    frame = versions_frame(versions)
    assert list(frame["run"]) == ["dense", "moe"]
    assert list(frame["seed"]) == [0, 0]
    for row, version in zip(frame.to_dict("records"), versions, strict=True):
        assert row["accuracy"] == pytest.approx(100 * version.evaluation.accuracy)
        assert row["gflops_per_token"] == pytest.approx(version.run_record.flops_per_token / 1e9)
        assert row["high"] - row["low"] == pytest.approx(2 * row["standard_error"])
    assert list(frame["champion"]) == [False, True]
    assert list(frame["kind"]) == ["dense", "MoE"]
    assert list(frame["tuning"]) == ["not tuned", "instruction-tuned"]


def test_open_registry_reads_the_configured_artifact_store(project, tmp_path, monkeypatch):
    (project.folder / ".flanmoe" / "artifacts").rename(tmp_path / "elsewhere")
    assert not open_registry().frontier("m", "token").paired
    monkeypatch.setenv("FLANMOE_ARTIFACTS", str(tmp_path / "elsewhere"))
    assert open_registry().frontier("m", "token").paired


def test_select_comparable_excludes_versions_of_other_items(project):
    project.register("other", [0.5])
    versions = open_registry().versions()
    assert [version.name for version in select_comparable(versions)] == ["other"]
    assert [version.name for version in select_comparable(versions[:2])] == ["dense", "moe"]


def test_suites_and_tasks_frames_have_the_newest_version_of_each_run(project):
    versions = open_registry().versions()
    suites = suites_frame(versions)
    assert list(suites["version"]) == ["dense v1", "moe v2"]
    assert list(suites["accuracy"]) == pytest.approx([50, 70])
    tasks = tasks_frame(versions)
    assert list(tasks["task"]) == ["t0", "t1", "t0", "t1"]
    assert list(tasks["accuracy"]) == pytest.approx([40, 60, 60, 80])


def test_suites_frame_has_the_newest_version_of_each_seed(project):
    project.register("dense", [0.2, 0.4], run={"seed": 1}, folder="other_seed")
    versions = open_registry().versions()
    assert list(suites_frame(versions)["version"]) == ["dense v1", "dense v3", "moe v2"]


def test_suites_and_tasks_frames_have_the_champion_beside_a_newer_version(project):
    project.register("moe", [0.1, 0.2], run={"is_moe": True}, folder="retrained")
    versions = open_registry().versions()
    assert list(suites_frame(versions)["version"]) == ["dense v1", "moe v2", "moe v3"]
    assert set(tasks_frame(versions)["version"]) == {"dense v1", "moe v2", "moe v3"}


def test_versions_frame_has_the_training_cost_of_the_chain(project):
    run = {"training_flops": 2e12, "cumulative_training_flops": 5e12}
    project.register("tuned", [0.5], run=run)
    project.register("imported", [0.6], run={**run, "cumulative_training_flops": None})
    tuned, imported = versions_frame(open_registry().versions()).to_dict("records")[2:]
    assert (tuned["training_tflops"], tuned["own_training_tflops"]) == ("5", 2)
    assert imported["training_tflops"] == "unknown"


def test_data_warnings_name_the_versions(project):
    warned = project.register("warned", [0.5], data_warnings=["mixture: share of cot"])
    versions = open_registry().versions()
    assert data_warnings(versions) == {"mixture: share of cot": [f"warned v{warned.version}"]}


def test_training_logs_mark_runs_in_progress(empty_project):
    write_log(empty_project.folder / "runs" / "finished" / "seed_0", [{"step": 40}])
    workspace = empty_project.folder / ".flanmoe" / "workspaces" / "try"
    write_log(
        workspace / ".flanmoe" / "checkpoints" / "big",
        [{"step": 20}],
        incomplete='{"step": 40, "lo',
    )
    logs = training_logs()
    assert list(zip(logs["run"], logs["step"], logs["running"], strict=True)) == [
        ("finished-0", 40, False),
        ("try/big", 20, True),
    ]


def test_training_logs_of_a_finished_run_have_its_throughput_if_it_is_there(empty_project):
    folder = empty_project.folder / "runs" / "finished" / "seed_1"
    results, measured = split_lines([{**LINE, "step": step} for step in (20, 40)])
    write_json_lines(folder / "log.jsonl", results)
    assert training_logs()["tokens_per_second"].isna().all()
    write_json_lines(folder / "throughput.jsonl", measured)
    logs = training_logs()
    assert list(logs["tokens_per_second"]) == [900.0, 900.0]
    assert list(logs["time"]) == [1.8e9, 1.8e9]
    assert list(logs["loss"]) == [2.5, 2.5]
    assert set(logs["run"]) == {"finished-1"}


def test_training_logs_of_release_0_1_0_have_present_names(empty_project):
    folder = empty_project.folder / "runs" / "old"
    folder.mkdir(parents=True)
    line = {**LINE, "largest_load": 1.75}
    del line["max_expert_load"]
    (folder / "log.jsonl").write_text(json.dumps(line) + "\n")
    assert list(training_logs()["max_expert_load"]) == [1.75]
