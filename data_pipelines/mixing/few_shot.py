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


ExemplarPool = Mapping[tuple[str, str], Sequence[Exemplar]]
"""(task, template) -> exemplars in random order."""


@cached_by_file(maxsize=1)
def load_pool(path: Path) -> ExemplarPool:
    """Load a Parquet file with columns `uid, task, template, inputs, targets`."""
    pool: dict[tuple[str, str], list[Exemplar]] = defaultdict(list)
    for row in pq.read_table(path).to_pylist():
        exemplar = Exemplar(row["uid"], row["inputs"], row["targets"])
        pool[row["task"], row["template"]].append(exemplar)
    return pool


def prepend_exemplars(rows: pa.Table, pool: ExemplarPool, params: MixParams) -> pa.Table:
    """Prepend exemplars to the share `few_shot_share` of the rows that allow exemplars.

    Args:
        rows: columns `uid, task, template, inputs, num_exemplars, allow_exemplars` and others.
        pool: candidate exemplars by task and template.
        params: share, number and length of exemplars.

    Returns:
        The rows in the same order, with `inputs` and `num_exemplars` updated.
    """
    candidates = np.flatnonzero(rows["allow_exemplars"].to_numpy(zero_copy_only=False))
    uids = rows["uid"].take(candidates).to_pylist()
    selected = [
        (index, uid)
        for index, uid in zip(candidates.tolist(), uids, strict=True)
        if stable_fraction(params.seed, "few", uid) < params.few_shot_share
    ]
    if not selected:
        return rows
    inputs = rows["inputs"].to_pylist()
    num_exemplars = rows["num_exemplars"].to_pylist()
    indices = [index for index, _ in selected]
    tasks, templates = (rows[name].take(indices).to_pylist() for name in ("task", "template"))
    for (index, uid), task, template in zip(selected, tasks, templates, strict=True):
        blocks = _select_blocks(inputs[index], uid, pool.get((task, template), ()), params)
        if blocks:
            inputs[index] = "\n\n".join([*blocks, inputs[index]])
            num_exemplars[index] += len(blocks)
    rows = rows.set_column(rows.schema.get_field_index("inputs"), "inputs", pa.array(inputs))
    column = rows.schema.get_field_index("num_exemplars")
    return rows.set_column(column, "num_exemplars", pa.array(num_exemplars, pa.int32()))


def _select_blocks(inputs: str, uid: str, pool: Sequence[Exemplar], params: MixParams) -> list[str]:
    """Return the exemplars for one row as text, up to the length limit."""
    others = [exemplar for exemplar in pool if exemplar.uid != uid]
    # The pool is in random order; each row takes consecutive exemplars from its own start.
    chance = stable_hash(params.seed, "shots", uid)
    num_exemplars = 1 + chance % params.max_exemplars
    blocks, free_characters = [], params.max_few_shot_characters - len(inputs)
    for step in range(min(num_exemplars, len(others))):
        block = _format(others[(chance // 64 + step) % len(others)])
        if len(block) + 2 <= free_characters:
            blocks.append(block)
            free_characters -= len(block) + 2
    return blocks


def _format(exemplar: Exemplar) -> str:
    separator = " " if exemplar.inputs.endswith(":") else "\n"
    return f"{exemplar.inputs}{separator}{exemplar.targets}"
