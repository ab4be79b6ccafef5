"""Records and result folders as a finished run has them, with values that a test chooses."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from registry.dataset_record import DatasetRecordSchema
from registry.record_upgrades import task_weights


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


EXECUTION = (
    "git_commit", "device", "processor", "training_seconds", "flops_per_second", "mfu",
    "peak_flops", "resumed_from_step", "finished_at",
)  # fmt: skip
"""Values of a run record that are in a file of their own."""


def run_record(name="run", *, is_moe=False, **changes):
    """Return a run record of schema version 2 with the values of its execution record.

    The training chain follows from the other values.
    """
    record = {
        "schema_version": 2, "name": name, "preset": "tiny_dense", "start": "scratch",
        "data": "train", "tasks": [], "tuned": True, "seed": 0, "steps": 10, "params": {},
        "model": {"moe": {"num_experts": 8} if is_moe else None}, "total_parameters": 2000,
        "active_parameters": 1000, "flops_per_token": 1e6, "training_flops": 1e9,
        "training_seconds": 3.5, "flops_per_second": 3e8, "mfu": 0.4, "peak_flops": 7e8,
        "target_tokens": 5000, "losses": {"train_loss": 1.1, "validation_loss": 1.0},
        "skipped_batches": [], "router_health": {}, "finished_at": 1.8e9, "git_commit": "abc",
        "device": "cpu", "processor": "AMD EPYC",
        "data_version": "d", "data_hashes": {}, "licences": [],
        "sequence": {"encoder_length": 64, "decoder_length": 16}, "tokenizer_sha256": "0" * 64,
        "weights": "weights/model.safetensors", "weights_sha256": "1" * 64, "world_size": 1,
        "resumed_from_step": 0, "recomputation_flops": 0.0, **changes,
    }  # fmt: skip
    chain = {"origin": "scratch", "runs": [chain_run(record)]}
    return {
        "training_chain": chain, "cumulative_training_flops": record["training_flops"], **record,
    }  # fmt: skip


def chain_run(record, **changes):
    """Return a run record as an entry of a training chain."""
    names = ("name", "preset", "data", "data_version", "tasks", "steps", "seed", "training_flops")
    return {**{name: record[name] for name in names}, "global_batch_size": 8, **changes}


def task_score(task="s/t", *, accuracy=0.6, num_items=400, num_contaminated=0, **changes):
    """Return a task of an evaluation record; the record adds its weights.

    The errors follow from the accuracy, as of right and wrong answers.
    """
    error = (accuracy * (1 - accuracy) / max(num_items - 1, 1)) ** 0.5
    num_clean = 0 if num_contaminated is None else num_items - num_contaminated
    return {
        "task": task, "suite": task.split("/")[0], "group": "", "unit": task.split("/")[1],
        "version": 2, "answer": "direct", "metric": "accuracy", "num_fewshot": 0,
        "num_exemplars": 0, "num_exemplars_dropped": 0, "max_new_tokens": 8,
        "source_file": "eval/t.jsonl", "split": "test", "num_published": None,
        "num_items": num_items,
        "num_contaminated": num_contaminated, "partial": False, "partial_reason": "",
        "accuracy": accuracy, "standard_error": error, "random_score": 0.25, "maximum": 1.0,
        "normalised": 100 * (accuracy - 0.25) / 0.75,
        "clean": clean_score(accuracy, num_items, num_clean),
        "other_metrics": {}, "num_rejected": 0, "counts": {}, "flops_per_item": 5e7,
        "file_sha256": "b" * 64, **changes,
    }  # fmt: skip


def clean_score(accuracy, num_items, num_clean):
    """Return the score of the last items of a task whose first items are right."""
    if num_clean == 0:
        return {"num_items": 0, "accuracy": None, "standard_error": None}
    scores = first_right({"accuracy": accuracy, "num_items": num_items})[-num_clean:]
    error = float(np.std(scores, ddof=1)) / num_clean**0.5 if num_clean > 1 else 0.0
    return {
        "num_items": num_clean, "accuracy": float(np.mean(scores)), "standard_error": error,
    }  # fmt: skip


def suite_score(suite, tasks, *, weight, partial=False):
    """Return a suite of an evaluation record; its scores follow from its tasks."""
    scores = weighted_scores(tasks, [task["weight_in_suite"] for task in tasks])
    return {
        "suite": suite, "title": suite,
        "protocol": {"follows": "zero-shot", "source": "none", "differences": []},
        "averaged": False, "weight": weight, "num_tasks": len(tasks), "missing": [],
        "partial": partial, "partial_reason": "limit" if partial else "", **scores,
        "clean": clean_average(tasks), "groups": [], "flops_per_item": 5e7,
    }  # fmt: skip


def weighted_scores(parts, weights):
    """Average tasks or suites with the weights; their errors are independent."""

    def average(name):
        return float(np.dot(weights, [part[name] for part in parts]))

    def error(errors):
        return float(np.linalg.norm(np.multiply(weights, errors)))

    contaminated = [part["num_contaminated"] for part in parts]
    normalised_errors = [
        part.get("normalised_standard_error")
        or 100 * part["standard_error"] / (1 - part["random_score"])
        for part in parts
    ]
    return {
        "num_items": sum(part["num_items"] for part in parts),
        "num_contaminated": None if None in contaminated else sum(contaminated),
        **{name: average(name) for name in ("accuracy", "random_score", "normalised")},
        "standard_error": error([part["standard_error"] for part in parts]),
        "normalised_standard_error": error(normalised_errors),
    }


def clean_average(tasks):
    """Average the clean scores of a suite's tasks that have clean items."""
    tasks = [task for task in tasks if task["clean"]["num_items"]]
    if not tasks:
        return {"num_items": 0, "accuracy": None, "standard_error": None}
    weights = [weight for _, weight in task_weights(tasks)]
    clean = [task["clean"] for task in tasks]
    return {
        "num_items": sum(score["num_items"] for score in clean),
        "accuracy": float(np.dot(weights, [score["accuracy"] for score in clean])),
        "standard_error": float(
            np.linalg.norm(np.multiply(weights, [score["standard_error"] for score in clean]))
        ),
    }


SELF_TEST = {
    "min_recall": 1.0, "precision": 1.0,
    "kinds": {"verbatim": {"num_rows": 4, "num_matched": 4, "is_verbatim": True}},
    "boilerplate": {"fragment": {"num_rows": 4, "num_matched": 0, "is_verbatim": False}},
}  # fmt: skip


def evaluation_record(name="run", tasks=None, *, partial=False, **changes):
    """Return an evaluation record of schema version 2; averages follow from the tasks."""
    tasks = [task_score()] if tasks is None else tasks
    tasks = [
        {**task, "weight": weight, "weight_in_suite": weight_in_suite}
        for task, (weight, weight_in_suite) in zip(tasks, task_weights(tasks), strict=True)
    ]
    tasks_by_suite = defaultdict(list)
    for task in tasks:
        tasks_by_suite[task["suite"]].append(task)
    weight = 1 / len(tasks_by_suite)
    suites = [
        suite_score(suite, members, weight=weight, partial=partial)
        for suite, members in tasks_by_suite.items()
    ]
    return {
        "schema_version": 2, "name": name,
        **weighted_scores(suites, [weight] * len(suites)),
        "normalised_suites": list(tasks_by_suite),
        "partial": partial, "flops_per_item": 5e7,
        "contamination": {}, "overlap_self_test": SELF_TEST, "data_warnings": [],
        "suites": suites, "tasks": tasks, "max_input_tokens": 64,
        "device": "cpu", "precision": "float32",
        "torch_version": "2.13.0", "weights_sha256": "1" * 64,
        "samples_sha256": "2" * 64, "params": {}, **changes,
    }  # fmt: skip


def failed_expectation(**changes):
    """Return an expectation that failed as a warning."""
    return {
        "suite": "cot", "expectation": "expect_column_values_to_be_between", "column": "share",
        "limits": "max_value=0.1", "observed": "0.2", "blocking": False, **changes,
    }  # fmt: skip


def dataset(**changes):
    """Return the record of a validated dataset."""
    return DatasetRecordSchema.model_validate(
        {
            "data_version": "d", "corpus": "train", "hashes": {}, "mixture": {"examples": 10},
            "num_expectations": 20, "failed_expectations": [],
            "contamination": {"s": {"num_items": 400, "num_contaminated": 0}},
            "self_test": SELF_TEST, "licences": [], **changes,
        }
    )  # fmt: skip


def write_policy(folder, **sections):
    """Write a policy whose listed people are ann and me; return its path.

    Args:
        folder: folder of the file.
        sections: further sections of the policy.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "policy.yaml"
    path.write_text(yaml.safe_dump({"promoters": {"people": ["*", "ann", "me"]}, **sections}))
    return path


def speed_record(seconds_per_item=0.01, **changes):
    """Return a measured time per item."""
    return {
        "weights_sha256": "1" * 64,
        "seconds_per_item": seconds_per_item, "fastest": seconds_per_item,
        "slowest": seconds_per_item, "reason": "", "num_items": 32, "num_passes": 5,
        "other_load": 0.02, "device": "cpu", "processor": "AMD EPYC", "precision": "float32",
        "threads": 1, "batch_size": 64, "torch_version": "2.13.0", **changes,
    }  # fmt: skip


def write_samples(path, scores_by_task, *, contaminated_by_task=None):
    """Write samples.parquet with the columns that the registry reads.

    Args:
        path: the file.
        scores_by_task: score of each item.
        contaminated_by_task: positions of the items that overlap with the training mixture; None
            where that is unknown.
    """
    contaminated_by_task = contaminated_by_task or {}
    rows = [
        {
            "task": task, "id": f"{task}-{i}", "score": float(score),
            "prompt_sha256": hashlib.sha256(f"{task} {i}".encode()).hexdigest(),
            "contaminated": None
            if contaminated_by_task.get(task, ()) is None
            else i in contaminated_by_task.get(task, ()),
        }
        for task, scores in scores_by_task.items()
        for i, score in enumerate(scores)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), path)


def edit_samples(folder, change):
    """Apply `change` to each row of samples.parquet, and correct the record's checksum."""
    path = folder / "samples.parquet"
    rows = pq.read_table(path).to_pylist()
    for row in rows:
        change(row)
    pq.write_table(pa.Table.from_pylist(rows), path)
    edit_json(folder / "evaluation.json", lambda r: r.update(samples_sha256=sha256(path)))


def edit_json(path, change):
    """Apply `change` to the content of a JSON file."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def write_result(folder, scores_by_task, *, name=None, run=None, **changes):
    """Write run.json, evaluation.json and samples.parquet; accuracies follow from the scores.

    Args:
        folder: the folder to create.
        scores_by_task: score of each item.
        name: name of the run; by default the folder's name.
        run: changes to the run record.
        changes: changes to the evaluation record.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = name or folder.name
    write_samples(folder / "samples.parquet", scores_by_task)
    tasks = [
        task_score(task, accuracy=float(np.mean(scores)), num_items=len(scores))
        for task, scores in scores_by_task.items()
    ]
    samples = sha256(folder / "samples.parquet")
    record = evaluation_record(name, tasks, **{"samples_sha256": samples, **changes})
    (folder / "evaluation.json").write_text(json.dumps(record))
    (folder / "run.json").write_text(json.dumps(run_record(name, **(run or {}))))


def first_right(task):
    """Return scores with the accuracy of the task; the first items are right."""
    num_right = round(task["accuracy"] * task["num_items"])
    return [1.0] * num_right + [0.0] * (task["num_items"] - num_right)


def write_run(folder, tokenizer, *, run, evaluation):
    """Write the folder of a finished run with weights and tokenizer; checksums are filled in."""
    tokenizer.mkdir(exist_ok=True)
    (tokenizer / "spiece.model").write_bytes(b"pieces")
    (folder / "weights").mkdir(parents=True)
    weights = folder / "weights" / "model.safetensors"
    weights.write_bytes(f"{run['name']} {evaluation['accuracy']}".encode())
    samples = folder / "samples.parquet"
    tasks = evaluation["tasks"]
    write_samples(
        samples,
        {task["task"]: first_right(task) for task in tasks},
        contaminated_by_task={
            task["task"]: None
            if task["num_contaminated"] is None
            else range(task["num_contaminated"])
            for task in tasks
        },
    )
    run |= {
        "weights_sha256": sha256(weights),
        "tokenizer_sha256": sha256(tokenizer / "spiece.model"),
    }
    evaluation |= {"weights_sha256": sha256(weights), "samples_sha256": sha256(samples)}
    execution = {key: run[key] for key in (*EXECUTION, "weights_sha256")}
    (folder / "execution.json").write_text(json.dumps(execution))
    trained = {key: value for key, value in run.items() if key not in EXECUTION}
    (folder / "run.json").write_text(json.dumps(trained))
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
