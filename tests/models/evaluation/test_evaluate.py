"""The stage `evaluate`: identical files for any batch size and after any interruption."""

import dataclasses
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import time

import pyarrow.parquet as pq
import pytest
import sentencepiece as spm
import torch

from models.errors import DataMismatch, UnknownModel
from models.evaluation.response_cache import ResponseCache
from models.evaluation.workers import BatchRunner
from models.replicate import Replicate
from models.stages import evaluate
from models.weights import load_weights, save_weights
from registry.consistency import check_consistency
from registry.records import read_evaluation_record
from registry.schemas import EvaluationRecordSchema
from tests.models.evaluation.factories import write_index

OUTPUTS = ("evaluation.json", "samples.parquet", "scores.json")


def read_outputs(workspace, name="moe"):
    return {file: (workspace / "runs" / name / "seed_0" / file).read_bytes() for file in OUTPUTS}


def read_record(workspace, name="moe"):
    return json.loads((workspace / "runs" / name / "seed_0" / "evaluation.json").read_text())


def read_task(workspace, name, task):
    (score,) = [t for t in read_record(workspace, name)["tasks"] if t["task"] == task]
    return score


def read_answers(workspace, name="moe"):
    columns = ["task", "id", "answer", "generated_text", "score", "prompt_sha256"]
    return (
        pq.read_table(workspace / "runs" / name / "seed_0" / "samples.parquet")
        .select(columns)
        .to_pylist()
    )


def run(workspace, params, name="moe", **changes):
    evaluate.run(Replicate(name, 0), dataclasses.replace(params, **changes), workspace)


def test_evaluate_again_writes_identical_files(evaluated, workspace, many_suites):
    run(workspace, many_suites)
    assert read_outputs(workspace) == read_outputs(evaluated)
    assert not (workspace / ".flanmoe/responses/moe-0").exists()


def test_evaluation_record_has_every_suite_and_its_missing_tasks(evaluated, many_suites):
    record = read_record(evaluated)
    assert [suite["suite"] for suite in record["suites"]] == list(many_suites.suites)
    assert all(task["flops_per_item"] > 0 for task in record["tasks"])
    suites = {suite["suite"]: suite for suite in record["suites"]}
    assert suites["mmlu_direct"]["partial"]
    assert suites["mmlu_direct"]["partial_reason"].endswith("… missing")
    assert [g["group"] for g in suites["mmlu_direct"]["groups"]] == ["STEM", "other"]
    assert not suites["sample"]["partial"]
    assert record["normalised_suites"] == ["mmlu_direct", "reasoning_cot", "qa_direct"]
    assert suites["mmlu_direct"]["protocol"]["source"].startswith("Hendrycks et al.")
    gsm8k = read_task(evaluated, "moe", "reasoning_cot/gsm8k")
    assert (gsm8k["source_file"], gsm8k["split"]) == ("eval/test.jsonl", "test")
    assert gsm8k["num_exemplars"] + gsm8k["num_exemplars_dropped"] == 8 * gsm8k["num_items"]
    assert record["schema_version"] == 2
    assert record["num_items"] == sum(task["num_items"] for task in record["tasks"])


@pytest.mark.parametrize("name", ["moe", "dense"])
def test_the_registry_recomputes_the_record_from_its_samples(evaluated, name):
    folder = evaluated / "runs" / name / "seed_0"
    record = read_evaluation_record(folder / "evaluation.json")
    assert len(record.suites) == 5
    assert check_consistency(record, folder / "samples.parquet") == []


def test_samples_have_the_text_of_every_prompt(evaluated):
    rows = pq.read_table(evaluated / "runs/moe/seed_0/samples.parquet").to_pylist()
    assert all(hashlib.sha256(r["prompt"].encode()).hexdigest() == r["prompt_sha256"] for r in rows)
    items = (evaluated / "data/eval_data/sample/topic.jsonl").read_text().splitlines()
    prompts = {row["id"]: row["prompt"] for row in rows if row["task"] == "sample/topic"}
    assert all(item["text"] in prompts[item["id"]] for item in map(json.loads, items))


def test_samples_have_the_cluster_of_every_item(workspace, params):
    path = workspace / "data/eval_data/sample/topic.jsonl"
    items = [json.loads(line) for line in path.read_text().splitlines()]
    for item in items[:4]:
        item["cluster"] = "shared passage"
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    write_index(workspace / "data/eval_data")
    run(workspace, params, "dense")
    rows = pq.read_table(workspace / "runs/dense/seed_0/samples.parquet").to_pylist()
    cluster_by_id = {row["id"]: row["cluster"] for row in rows if row["task"] == "sample/topic"}
    expected = {item["id"]: item.get("cluster") for item in items}
    assert cluster_by_id == expected
    assert {row["cluster"] for row in rows if row["task"] != "sample/topic"} == {None}


def test_evaluate_counts_prompts_with_unknown_pieces(workspace, params, caplog):
    path = workspace / "data/eval_data/sample/topic.jsonl"
    items = [json.loads(line) for line in path.read_text().splitlines()]
    for item in items:
        item["text"] = item["text"].replace(".", "")
    items[3]["text"] = "\u6f22 " + items[3]["text"]
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    write_index(workspace / "data/eval_data")
    run(workspace, params, "dense")
    processor = spm.SentencePieceProcessor(
        model_file=str(workspace / "data/tokenizer/spiece.model")
    )
    for task in ("sample/topic", "sample/size_of"):
        rows = pq.read_table(workspace / "runs/dense/seed_0/samples.parquet").to_pylist()
        expected = {r["id"]: 2 in processor.encode(r["prompt"]) for r in rows if r["task"] == task}
        assert {r["id"]: r["unknown_pieces"] for r in rows if r["task"] == task} == expected
        counts = read_task(workspace, "dense", task)["counts"]
        assert counts["unknown_pieces"] == sum(expected.values())
    assert read_task(workspace, "dense", "sample/topic")["counts"]["unknown_pieces"] == 1
    assert "of 20 prompts with characters that the tokenizer does not know" in caplog.text


def test_evaluation_record_stores_the_weights_of_its_averages(evaluated):
    record = read_record(evaluated)
    tasks = record["tasks"]
    assert sum(task["weight"] for task in tasks) == pytest.approx(1)
    mean = sum(task["weight"] * task["accuracy"] for task in tasks)
    assert record["accuracy"] == pytest.approx(mean, abs=2e-6)
    for suite in record["suites"]:
        members = [task for task in tasks if task["suite"] == suite["suite"]]
        assert sum(task["weight_in_suite"] for task in members) == pytest.approx(1)
        assert sum(task["weight"] for task in members) == pytest.approx(suite["weight"])
        mean = sum(task["weight_in_suite"] * task["accuracy"] for task in members)
        assert suite["accuracy"] == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("name", ["moe", "dense"])
@pytest.mark.parametrize(
    "changes", [{"batch_size": 1}, {"batch_size": 64}, {"max_batch_tokens": 300}]
)
def test_evaluate_with_other_batch_sizes_gives_the_same_answers(
    evaluated, workspace, many_suites, name, changes
):
    run(workspace, many_suites, name, **changes)
    assert read_answers(workspace, name) == read_answers(evaluated, name)


def _evaluate(workspace, params):
    evaluate.run(Replicate("moe", 0), params, workspace)


@pytest.mark.process
def test_killed_evaluation_resumes_with_the_remaining_batches(
    evaluated, workspace, many_suites, monkeypatch
):
    cache_folder = workspace / ".flanmoe/responses/moe-0"
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_evaluate, args=(workspace, many_suites))
    process.start()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.is_alive():
        if any(file.stat().st_size for file in cache_folder.glob("*.jsonl")):
            break
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    (cache_file,) = cache_folder.glob("*.jsonl")
    with cache_file.open("ab") as file:
        file.write(b'{"batch": "cut of')
    assert ResponseCache(cache_file).by_digest
    batches_run = []

    class CountingRunner(BatchRunner):
        def run_batches(self, batches):
            batches_run.extend(batches)
            return super().run_batches(batches)

    monkeypatch.setattr(evaluate, "BatchRunner", CountingRunner)
    run(workspace, many_suites)
    assert read_outputs(workspace) == read_outputs(evaluated)
    num_requests = sum(len(batch.requests) for batch in batches_run)
    assert num_requests < read_record(workspace)["num_items"]


def test_evaluate_counts_and_logs_problems_with_answers(workspace, params, caplog):
    run(workspace, params, "dense", suites=("reasoning_cot", "sample"), max_input_tokens=60,
        max_new_tokens=3)  # fmt: skip
    assert "few-shot exemplars dropped" in caplog.text
    assert "answers cut at the maximum length" in caplog.text
    gsm8k = read_task(workspace, "dense", "reasoning_cot/gsm8k")
    assert gsm8k["num_exemplars_dropped"] > 0
    assert gsm8k["counts"]["unfinished"] > 0
    rows = pq.read_table(workspace / "runs/dense/seed_0/samples.parquet").to_pylist()
    assert sum(row["unfinished"] for row in rows) == sum(
        task["counts"]["unfinished"] for task in read_record(workspace, "dense")["tasks"]
    )


def test_evaluate_of_a_model_that_generates_nothing_counts_empty_answers(workspace, params, caplog):
    folder = workspace / "runs/dense/seed_0/weights"
    loaded = load_weights(folder)
    with torch.no_grad():
        loaded.model.head.zero_()
        loaded.model.head[1] = 50 * torch.sign(loaded.model.decoder.norm.weight)
        loaded.model.decoder.norm.weight.abs_()
        for block in loaded.model.decoder.layers():
            for weight in block.parameters():
                weight.zero_()
        loaded.model.embedding[0] = 1.0
    (folder / "config.json").unlink()
    save_weights(folder, loaded.model, loaded.tokenizer_sha256, max_input_tokens=256)
    run(workspace, params, "dense")
    assert "10 of 20 answers empty" in caplog.text
    size_of = read_task(workspace, "dense", "sample/size_of")
    assert (size_of["accuracy"], size_of["counts"]["empty"]) == (0, 10)


@pytest.mark.parametrize("name", ["moe", "dense"])
def test_evaluate_variants_of_mmlu_and_bbh(workspace, params, name):
    """The same items as in the suites that they vary; only the layout or the answer differs."""
    run(workspace, params, name, suites=("mmlu_hendrycks", "bbh_generated"))
    record = read_record(workspace, name)
    assert {suite["suite"]: suite["averaged"] for suite in record["suites"]} == {
        "mmlu_hendrycks": False, "bbh_generated": False,
    }  # fmt: skip
    navigate = read_task(workspace, name, "bbh_generated/navigate")
    assert (navigate["random_score"], navigate["metric"]) == (0.5, "accuracy")
    # Limits count tokens of T5's tokenizer; this one has 140 pieces.
    assert navigate["max_new_tokens"] > 64
    rows = [r for r in read_answers(workspace, name) if r["task"] == "bbh_generated/navigate"]
    assert all(row["answer"] in ("(A)", "(B)", "") for row in rows)


def test_clean_score_leaves_out_contaminated_items(evaluated, workspace, many_suites):
    rows = [r for r in read_answers(evaluated, "dense") if r["task"] == "sample/topic"]
    contaminated = [row["id"] for row in rows[:4]]
    (workspace / "data/mixture/contamination.json").write_text(
        json.dumps(
            {"sample": {"num_items": 20, "num_contaminated": 4, "tasks": {"topic": contaminated}}}
        )
    )
    run(workspace, many_suites, "dense", suites=("sample",))
    topic = read_task(workspace, "dense", "sample/topic")
    clean_scores = [row["score"] for row in rows[4:]]
    assert topic["num_contaminated"] == 4
    assert topic["clean"]["num_items"] == 6
    assert topic["clean"]["accuracy"] == pytest.approx(sum(clean_scores) / 6, abs=1e-6)
    assert topic["accuracy"] == pytest.approx(sum(r["score"] for r in rows) / 10, abs=1e-6)
    record = read_record(workspace, "dense")
    assert record["suites"][0]["clean"]["num_items"] == 16
    assert record["contamination"] == {"sample": {"num_items": 20, "num_contaminated": 4}}


def test_evaluate_of_an_imported_model_needs_no_training_data(workspace, params, imported_weights):
    shutil.copytree(imported_weights, workspace / "runs/imported/seed_0/weights")
    for folder in ("data/tokenizer", "data/mixture", "data/validation", "data/packed"):
        shutil.rmtree(workspace / folder)
    run(workspace, params, "imported")
    record = read_record(workspace, "imported")
    assert record["max_input_tokens"] == 512
    assert (record["num_contaminated"], record["contamination"]) == (None, {})
    assert record["suites"][0]["clean"] == {
        "num_items": 0, "accuracy": None, "standard_error": None,
    }  # fmt: skip
    assert EvaluationRecordSchema.model_validate(record).num_contaminated is None
    rows = pq.read_table(workspace / "runs/imported/seed_0/samples.parquet").to_pylist()
    assert {row["contaminated"] for row in rows} == {None}
    run(workspace, params, "imported", max_input_tokens=40)
    assert read_record(workspace, "imported")["max_input_tokens"] == 40


def test_evaluate_records_the_self_test_of_the_contamination_check(workspace, params):
    counts = {"num_rows": 4, "num_matched": 3, "is_verbatim": True}
    self_test = {
        "min_recall": 0.75, "precision": 1.0, "kinds": {"verbatim": counts},
        "boilerplate": {"fragment": counts | {"num_matched": 0, "is_verbatim": False}},
    }  # fmt: skip
    path = workspace / "data/mixture/self_test.json"
    path.write_text(json.dumps(self_test | {"misses": ["verbatim: sample/topic/1"]}))
    run(workspace, params, "dense", limit=2)
    assert read_record(workspace, "dense")["overlap_self_test"] == self_test
    path.unlink()
    run(workspace, params, "dense", limit=2)
    assert read_record(workspace, "dense")["overlap_self_test"]["min_recall"] == 0


def test_evaluate_records_failed_data_expectations(workspace, params):
    finding = {
        "suite": "mixture", "expectation": "share", "column": "cot", "limits": "0.1",
        "observed": "0.3",
    }  # fmt: skip
    (workspace / "data/validation/results.json").write_text(
        json.dumps([finding | {"success": False}, finding | {"success": True}])
    )
    run(workspace, params, "dense", limit=2)
    assert read_record(workspace, "dense")["data_warnings"] == [
        "mixture: share cot (0.1), seen 0.3"
    ]


def test_evaluate_with_missing_files_names_what_to_run(workspace, params):
    with pytest.raises(UnknownModel, match="no trained model"):
        run(workspace, params, "nobody")
    (workspace / "data/eval_data/sample/topic.jsonl").unlink()
    with pytest.raises(DataMismatch, match="flanmoe eval_data"):
        run(workspace, params)
    (workspace / "data/mixture/contamination.json").unlink()
    with pytest.raises(DataMismatch, match="flanmoe mix"):
        run(workspace, params)
