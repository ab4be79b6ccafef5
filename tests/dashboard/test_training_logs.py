"""Training logs of the project and its workspaces."""

import json

from dashboard.training_logs import training_logs
from data_pipelines.files import write_json_lines
from models.training.log_lines import split_lines
from tests.dashboard.factories import LINE, write_log


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
