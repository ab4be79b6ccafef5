"""The stage: the same file each time, whoever answers and however often it is killed."""

import dataclasses
import json
import multiprocessing
import os
import signal
import time

import pyarrow.parquet as pq
import pytest
import torch

from models.errors import DataMismatch, ModelError, UnknownModel
from models.evaluation.responses import ResponseCache
from models.stages import evaluate

ALL = ("sample", "mmlu_direct", "bbh_cot", "reasoning_cot", "qa_direct")
OUTPUTS = ("evaluation.json", "samples.parquet", "scores.json")


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(False)


def outputs(workspace, name="moe"):
    return {file: (workspace / "runs" / name / file).read_bytes() for file in OUTPUTS}


def answers(workspace, name="moe"):
    columns = ["task", "id", "answer", "written", "score", "prompt_sha256"]
    return pq.read_table(workspace / "runs" / name / "samples.parquet").select(columns).to_pylist()


def run(workspace, params, name="moe", **changes):
    evaluate.run(name, dataclasses.replace(params, **changes), workspace)


@pytest.fixture
def many(params):
    return dataclasses.replace(params, suites=ALL, max_new_tokens=8)


def test_the_same_twice_is_the_same_file(workspace, many):
    run(workspace, many)
    first = outputs(workspace)
    run(workspace, many)
    assert outputs(workspace) == first
    assert not (workspace / ".flanmoe/responses/moe").exists()
    record = json.loads(first["evaluation.json"])
    assert [s["suite"] for s in record["suites"]] == list(ALL)
    assert all(task["flops_per_item"] > 0 for task in record["tasks"])
    by_name = {suite["suite"]: suite for suite in record["suites"]}
    assert by_name["mmlu_direct"]["partial"]
    assert by_name["mmlu_direct"]["partial_reason"].endswith("… missing")
    assert [g["group"] for g in by_name["mmlu_direct"]["groups"]] == ["STEM", "other"]
    assert not by_name["sample"]["partial"]
    assert record["normalised_of"] == ["mmlu_direct", "reasoning_cot", "qa_direct"]


@pytest.mark.parametrize("name", ["moe", "dense"])
@pytest.mark.parametrize(
    "changes", [{"batch_size": 1}, {"batch_size": 64}, {"max_batch_tokens": 300}]
)
def test_the_size_of_batches_changes_no_answer(workspace, many, name, changes):
    run(workspace, many, name)
    expected = answers(workspace, name)
    run(workspace, many, name, **changes)
    assert answers(workspace, name) == expected


def test_several_processes_and_a_cluster_give_the_same_file(workspace, many):
    run(workspace, many)
    expected = outputs(workspace)["samples.parquet"]
    run(workspace, many, workers=2)
    assert outputs(workspace)["samples.parquet"] == expected
    run(workspace, many, workers=2, engine="dask")
    assert outputs(workspace)["samples.parquet"] == expected


def test_a_scheduler_that_does_not_answer_is_named(workspace, params, monkeypatch):
    monkeypatch.setattr("models.evaluation.workers.CONNECT_SECONDS", 1)
    with pytest.raises(ModelError, match=r"scheduler 'tcp://127\.0\.0\.1:9' does not answer"):
        run(workspace, params, engine="dask", scheduler="tcp://127.0.0.1:9")


def _evaluate(workspace, params):
    evaluate.run("moe", params, workspace)


def test_a_killed_evaluation_goes_on_where_it_was(workspace, many, monkeypatch):
    run(workspace, many)
    expected = outputs(workspace)
    for file in OUTPUTS:
        (workspace / "runs/moe" / file).unlink()
    kept = workspace / ".flanmoe/responses/moe"
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_evaluate, args=(workspace, many))
    process.start()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.is_alive():
        if any(file.stat().st_size for file in kept.glob("*.jsonl")):
            break
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    (file,) = kept.glob("*.jsonl")
    with file.open("ab") as torn:
        torn.write(b'{"batch": "cut of')
    before = len(ResponseCache(file).known)
    assert before > 0
    run_batches = []
    original = evaluate.run_batches

    def counted(batches, *rest):
        run_batches.extend(batches)
        return original(batches, *rest)

    monkeypatch.setattr(evaluate, "run_batches", counted)
    run(workspace, many)
    assert outputs(workspace) == expected
    record = json.loads(expected["evaluation.json"])
    assert len(run_batches) >= 0
    assert sum(len(batch.requests) for batch in run_batches) < record["items"]


def test_what_goes_wrong_with_answers_is_counted_and_told(workspace, params, capsys):
    """A model that writes for ever, and prompts that do not fit."""
    run(workspace, params, "dense", suites=("reasoning_cot", "sample"), max_input=60,
        max_new_tokens=3)  # fmt: skip
    told = capsys.readouterr().err
    assert "worked examples did not fit and were left out" in told
    assert "answers did not end before the longest length" in told
    record = json.loads((workspace / "runs/dense/evaluation.json").read_text())
    (gsm8k,) = [t for t in record["tasks"] if t["task"] == "reasoning_cot/gsm8k"]
    assert gsm8k["exemplars_left_out"] > 0
    assert gsm8k["counts"]["unfinished"] > 0
    rows = pq.read_table(workspace / "runs/dense/samples.parquet").to_pylist()
    assert sum(row["unfinished"] for row in rows) == sum(
        task["counts"]["unfinished"] for task in record["tasks"]
    )


def test_a_model_that_writes_nothing_is_told(workspace, params, capsys):
    from models.weights import load_weights, save_weights

    saved = load_weights(workspace / "runs/dense/weights")
    with torch.no_grad():
        saved.model.head.zero_()
        saved.model.head[1] = 50 * torch.sign(saved.model.decoder.norm.weight)
        saved.model.decoder.norm.weight.abs_()
        for block in saved.model.decoder.layers():
            for weight in block.parameters():
                weight.zero_()
        saved.model.embedding[0] = 1.0
    (workspace / "runs/dense/weights/config.json").unlink()
    save_weights(workspace / "runs/dense/weights", saved.model, saved.tokenizer_sha256)
    run(workspace, params, "dense")
    assert "10 of 20 answers are empty" in capsys.readouterr().err
    record = json.loads((workspace / "runs/dense/evaluation.json").read_text())
    (written,) = [t for t in record["tasks"] if t["task"] == "sample/size_of"]
    assert (written["accuracy"], written["counts"]["empty"]) == (0, 10)


def test_scores_with_and_without_contaminated_items(workspace, params):
    run(workspace, params, "dense")
    rows = [r for r in answers(workspace, "dense") if r["task"] == "sample/topic"]
    seen = [row["id"] for row in rows[:4]]
    (workspace / "data/mixture/contamination.json").write_text(
        json.dumps({"sample": {"num_items": 20, "num_contaminated": 4, "tasks": {"topic": seen}}})
    )
    run(workspace, params, "dense")
    record = json.loads((workspace / "runs/dense/evaluation.json").read_text())
    (topic,) = [t for t in record["tasks"] if t["task"] == "sample/topic"]
    clean = [row["score"] for row in rows[4:]]
    assert topic["clean"]["n"] == 6
    assert topic["clean"]["accuracy"] == pytest.approx(sum(clean) / 6, abs=1e-6)
    assert topic["accuracy"] == pytest.approx(sum(r["score"] for r in rows) / 10, abs=1e-6)
    assert record["suites"][0]["clean"]["n"] == 16


def test_bad_input_is_named(workspace, params):
    with pytest.raises(UnknownModel, match="holds no trained model"):
        run(workspace, params, "nobody")
    (workspace / "data/eval_data/sample/topic.jsonl").unlink()
    with pytest.raises(DataMismatch, match="flanmoe eval_data"):
        run(workspace, params)
