"""Differences of two models' scores."""

from pathlib import Path

import numpy as np

from registry.comparison.results import read_result
from registry.comparison.variance_components import PairedSample
from tests.registry.factories import edit_samples, write_result


def binary_differences(num_a_only, num_b_only, num_equal):
    """Return differences of items that only A, only B, or both or neither answer right."""
    return np.array([1.0] * num_a_only + [-1.0] * num_b_only + [0.0] * num_equal)


def paired_sample(
    scores_a, scores_b=None, *, seeds_b=None, tasks=None, clusters=None, weights=None
):
    """Return a paired sample; by default B scores 0, with the seeds of A, in one task.

    Args:
        scores_a: score of each seed and item.
        scores_b: score of each seed and item.
        seeds_b: seeds of B; by default 0, 1, 2, …
        tasks: task of each item.
        clusters: cluster of each item; by default its own.
        weights: share of each task; by default equal.
    """
    scores_a = np.atleast_2d(np.asarray(scores_a, dtype=float))
    scores_b = np.zeros_like(scores_a) if scores_b is None else np.atleast_2d(scores_b)
    num_items = scores_a.shape[1]
    tasks = np.zeros(num_items, dtype=int) if tasks is None else np.asarray(tasks)
    num_tasks = tasks.max() + 1
    return PairedSample(
        scores_a_SN=scores_a,
        scores_b_SN=scores_b,
        seeds_a=tuple(range(len(scores_a))),
        seeds_b=tuple(range(len(scores_b))) if seeds_b is None else seeds_b,
        task_N=tasks,
        cluster_N=np.arange(num_items) if clusters is None else np.asarray(clusters),
        weights_T=np.full(num_tasks, 1 / num_tasks) if weights is None else np.asarray(weights),
    )


def write_evaluations(folder, name, scores_by_seed, *, run=None, clusters=None, **changes):
    """Write and read one evaluation per seed of a model, on the items of the task `s/t`.

    Args:
        folder: the folder to write into.
        name: name of the model; seed 1 is in `folder/name_1`.
        scores_by_seed: seed -> score of each item.
        run: changes to the run records.
        clusters: cluster of each item.
        changes: changes to the evaluation records.
    """
    results = []
    for seed, scores in scores_by_seed.items():
        path = folder / f"{name}_{seed}"
        changed_run = {"seed": seed, **(run or {})}
        write_result(path, {"s/t": list(scores)}, run=changed_run, **changes)
        if clusters is not None:
            names = iter(clusters)
            edit_samples(path, lambda row, names=names: row.update(cluster=next(names)))
        results.append(read_result(f"{name}_{seed}", path))
    return results


def samples_of(version):
    """Return the samples.parquet of a version; None if it has none."""
    file = Path(version.evaluation_artifact) / "samples.parquet"
    return file if file.is_file() else None
