"""Training logs of the project and its workspaces."""

import json

from dashboard.training_logs import LogFolder
from data_pipelines.files import write_json_lines
from models.training.log_lines import split_lines
from tests.dashboard.factories import LINE, write_log


def test_logs_mark_runs_without_a_result(tmp_path):
    write_log(tmp_path / "runs" / "finished" / "seed_0", [{"step": 40}])
    workspace = tmp_path / ".flanmoe" / "workspaces" / "try"
    folder = workspace / ".flanmoe" / "checkpoints" / "big"
    write_log(folder, [{"step": 20}], incomplete='{"step": 40, "lo')
    runs = LogFolder(tmp_path).runs()
    assert {(run.name, run.lines[-1]["step"], run.status.state) for run in runs} == {
        ("finished-0", 40, "finished"),
        ("try/big", 20, "stopped"),
    }
    assert [run.frame()["running"].all() for run in runs if run.name == "try/big"] == [True]


def test_logs_are_read_from_where_the_last_look_ended(tmp_path, monkeypatch):
    folder = tmp_path / ".flanmoe" / "checkpoints" / "big"
    write_log(folder, [{"step": step} for step in range(100)], incomplete='{"step": 100, "lo')
    logs = LogFolder(tmp_path)
    assert len(logs.runs()[0].lines) == 100
    parsed = []
    loads = json.loads
    monkeypatch.setattr(json, "loads", lambda text: parsed.append(text) or loads(text))
    with (folder / "log.jsonl").open("a") as file:
        file.write('ss": 1.5}\n')
    assert logs.runs()[0].lines[-1] == {"step": 100, "loss": 1.5}
    assert len([text for text in parsed if b"step" in text]) == 1
    write_log(folder, [{"step": 7}])  # the run began again
    assert [line["step"] for line in logs.runs()[0].lines] == [7]


def test_log_of_a_finished_run_has_its_throughput_if_it_is_there(tmp_path):
    folder = tmp_path / "runs" / "finished" / "seed_1"
    results, measured = split_lines([{**LINE, "step": step} for step in (20, 40)])
    write_json_lines(folder / "log.jsonl", results)
    logs = LogFolder(tmp_path)
    assert logs.runs()[0].frame()["tokens_per_second"].isna().all()
    write_json_lines(folder / "throughput.jsonl", measured)
    (run,) = logs.runs()
    assert run.name == "finished-1"
    frame = run.frame()
    assert list(frame["tokens_per_second"]) == [900.0, 900.0]
    assert list(frame["time"]) == [1.8e9, 1.8e9]
    assert list(frame["loss"]) == [2.5, 2.5]


def test_log_of_release_0_1_0_has_present_names(tmp_path):
    folder = tmp_path / "runs" / "old"
    folder.mkdir(parents=True)
    line = {**LINE, "largest_load": 1.75}
    del line["max_expert_load"]
    (folder / "log.jsonl").write_text(json.dumps(line) + "\n")
    (run,) = LogFolder(tmp_path).runs()
    assert run.lines[0]["max_expert_load"] == 1.75
