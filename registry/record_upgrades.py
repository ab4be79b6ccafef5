"""Translation of version 1 records (release 0.1.0) to version 2.

Version 2 renames fields and adds `weight` and `weight_in_suite`, which version 1 readers computed
from the suites, units and tasks. `params` and `model` are not translated: they document the
settings under the names of the release that wrote them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from registry.schemas import SCRATCH, UNKNOWN

Json = dict[str, Any]

_RUN = {"processes": "world_size", "resumed_from": "resumed_from_step"}
_COMMON = {
    "n": "num_items",
    "items": "num_items",
    "contaminated": "num_contaminated",
    "error": "standard_error",
    "chance": "random_score",
    "normalised_error": "normalised_standard_error",
}
_EVALUATION = {
    **_COMMON,
    "max_input": "max_input_tokens",
    "normalised_of": "normalised_suites",
}
_TASK = {
    **_COMMON,
    "shots": "num_fewshot",
    "exemplars_left_out": "num_exemplars_dropped",
    "also": "other_metrics",
    "refused": "num_rejected",
}
_SUITE = {**_COMMON, "tasks": "num_tasks"}


def upgrade_run_record(record: Json) -> Json:
    """Return a version 1 run record as version 2.

    Version 1 does not record the runs that a run started from: only a run from scratch has a known
    training chain and cumulative cost. Its licences were not recorded either.
    """
    run = {key: record[key] for key in ("name", "preset", "data", "data_version", "tasks")}
    run |= {key: record[key] for key in ("steps", "seed", "training_flops")}
    run["global_batch_size"] = record["params"]["training"]["batch_rows"]
    is_from_scratch = record["start"] == SCRATCH
    return {
        **_rename(record, _RUN),
        "licences": None,
        "router_health": {
            layer: {"balanced_drop_share": 0.0, **health}
            for layer, health in record["router_health"].items()
        },
        "recomputation_flops": None,
        "cumulative_training_flops": record["training_flops"] if is_from_scratch else None,
        "training_chain": {"origin": SCRATCH if is_from_scratch else UNKNOWN, "runs": [run]},
        "schema_version": 2,
    }


def upgrade_evaluation_record(record: Json) -> Json:
    """Return a version 1 evaluation record as version 2, with the weights of tasks and suites.

    Items that overlap with the training mixture may not have been counted; then
    `num_contaminated` is None. `overlap_self_test` is None.
    """
    tasks = [_upgrade_task(task) for task in record["tasks"]]
    weights = task_weights(tasks)
    suites = [_upgrade_suite(suite) for suite in record["suites"]]
    return {
        "num_contaminated": None,
        # Release 0.1.0 evaluated on a CPU in float32 only.
        "device": "cpu",
        "precision": "float32",
        "torch_version": "",
        "overlap_self_test": None,
        **_rename(record, _EVALUATION),
        "contamination": {
            suite: _rename(counts, _COMMON) for suite, counts in record["contamination"].items()
        },
        "tasks": [
            {**task, "weight": weight, "weight_in_suite": weight_in_suite}
            for task, (weight, weight_in_suite) in zip(tasks, weights, strict=True)
        ],
        "suites": [{**suite, "weight": 1 / len(suites)} for suite in suites],
        "schema_version": 2,
    }


def task_weights(tasks: Sequence[Json]) -> list[tuple[float, float]]:
    """Compute each task's share of the overall accuracy and of its suite's accuracy.

    Suites count the same in the overall accuracy, units the same in their suite, and tasks the
    same in their unit.

    Args:
        tasks: task records with `suite` and `unit`.

    Returns:
        (share of the overall accuracy, share of the suite's accuracy), task by task.
    """
    num_tasks: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for task in tasks:
        num_tasks[task["suite"]][task["unit"]] += 1
    return [
        (
            1 / len(num_tasks) / len(units) / units[task["unit"]],
            1 / len(units) / units[task["unit"]],
        )
        for task in tasks
        for units in [num_tasks[task["suite"]]]
    ]


def _upgrade_task(task: Json) -> Json:
    return {
        "num_contaminated": None,
        "num_exemplars": None,
        "source_file": "",
        "split": "",
        "num_published": None,
        **_rename(task, _TASK),
        "clean": _upgrade_clean(task["clean"]),
        "other_metrics": {
            metric: _rename(score, _COMMON) for metric, score in task["also"].items()
        },
    }


def _upgrade_suite(suite: Json) -> Json:
    return {
        "num_contaminated": None,
        "protocol": {"follows": "", "source": "", "differences": []},
        **_rename(suite, _SUITE),
        "clean": _upgrade_clean(suite["clean"]),
        "groups": [_rename(group, _SUITE) for group in suite["groups"]],
    }


def _upgrade_clean(clean: Json) -> Json:
    return {"accuracy": None, "standard_error": None, **_rename(clean, _COMMON)}


def _rename(record: Json, new_names: Mapping[str, str]) -> Json:
    return {new_names.get(name, name): value for name, value in record.items()}
