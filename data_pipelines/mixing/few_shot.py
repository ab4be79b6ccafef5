"""Prepend few-shot exemplars to examples (arXiv 2301.13688).

Exemplars have the task and template of the example, so they show the expected output format, and
are from the training split only. The hash of an example's uid determines whether exemplars are
prepended, how many, and which.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipelines.example import stable_fraction, stable_hash
from data_pipelines.file_cache import cached_by_file
from data_pipelines.params import MixParams

POOL_SIZE = 8
"""Number of candidate exemplars of each task and template."""


@dataclass(frozen=True)
class Exemplar:
    """An example that can be prepended to others."""

    uid: str
    inputs: str
    targets: str
    flags: tuple[str, ...] = ()


ExemplarPool = Mapping[tuple[str, str], Sequence[Exemplar]]
"""(task, template) -> exemplars in random order."""


@cached_by_file(maxsize=1)
def load_pool(path: Path) -> ExemplarPool:
    """Load a Parquet file with columns `uid, task, template, inputs, targets, flags`."""
    pool: dict[tuple[str, str], list[Exemplar]] = defaultdict(list)
    for row in pq.read_table(path).to_pylist():
        exemplar = Exemplar(row["uid"], row["inputs"], row["targets"], tuple(row["flags"]))
        pool[row["task"], row["template"]].append(exemplar)
    return pool


def prepend_exemplars(rows: pa.Table, pool: ExemplarPool, params: MixParams) -> pa.Table:
    """Prepend exemplars to the share `few_shot_share` of the rows that allow exemplars.

    Args:
        rows: columns `uid, task, template, inputs, num_exemplars, flags, allow_exemplars`, others.
        pool: candidate exemplars by task and template.
        params: share, number and length of exemplars.

    Returns:
        The rows in the same order, with `inputs`, `num_exemplars` and `flags` updated: a row has
        the flags of its exemplars, too. The column `exemplars` has the uids of the exemplars.
    """
    candidates = np.flatnonzero(rows["allow_exemplars"].to_numpy(zero_copy_only=False))
    uids = rows["uid"].take(candidates).to_pylist()
    selected = [
        (index, uid)
        for index, uid in zip(candidates.tolist(), uids, strict=True)
        if stable_fraction(params.seed, "few", uid) < params.few_shot_share
    ]
    inputs = rows["inputs"].to_pylist()
    num_exemplars = rows["num_exemplars"].to_pylist()
    exemplars: list[list[str]] = [[] for _ in inputs]
    flags = rows["flags"].to_pylist()
    indices = [index for index, _ in selected]
    tasks, templates = (
        rows[name].take(pa.array(indices, pa.int64())).to_pylist() for name in ("task", "template")
    )
    for (index, uid), task, template in zip(selected, tasks, templates, strict=True):
        chosen = _select_exemplars(inputs[index], uid, pool.get((task, template), ()), params)
        if chosen:
            inputs[index] = "\n\n".join([*map(_format, chosen), inputs[index]])
            num_exemplars[index] += len(chosen)
            exemplars[index] = [exemplar.uid for exemplar in chosen]
            shown = {flag for exemplar in chosen for flag in exemplar.flags}
            flags[index] = sorted(shown.union(flags[index]))
    for name, values in (
        ("inputs", pa.array(inputs)),
        ("num_exemplars", pa.array(num_exemplars, pa.int32())),
        ("flags", pa.array(flags, pa.list_(pa.string()))),
    ):
        rows = rows.set_column(rows.schema.get_field_index(name), name, values)
    return rows.append_column("exemplars", pa.array(exemplars, pa.list_(pa.string())))


def _select_exemplars(
    inputs: str, uid: str, pool: Sequence[Exemplar], params: MixParams
) -> list[Exemplar]:
    """Return the exemplars for one row, up to the length limit."""
    others = [exemplar for exemplar in pool if exemplar.uid != uid]
    # The pool is in random order; each row takes consecutive exemplars from its own start.
    chance = stable_hash(params.seed, "shots", uid)
    num_exemplars = 1 + chance % params.max_exemplars
    chosen, free_characters = [], params.max_few_shot_characters - len(inputs)
    for step in range(min(num_exemplars, len(others))):
        exemplar = others[(chance // 64 + step) % len(others)]
        num_characters = len(_format(exemplar)) + 2
        if num_characters <= free_characters:
            chosen.append(exemplar)
            free_characters -= num_characters
    return chosen


def _format(exemplar: Exemplar) -> str:
    separator = " " if exemplar.inputs.endswith(":") else "\n"
    return f"{exemplar.inputs}{separator}{exemplar.targets}"
