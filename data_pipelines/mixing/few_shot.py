"""Worked examples in front of an example: the few-shot half of the mixture (arXiv 2301.13688).

They come from the same task and template, so they show the very form that is asked for, and from
the training split only. Each example's own hash decides whether it gets any, how many and which.
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

POOL = 8
"""Worked examples kept at hand for each task and template."""


@dataclass(frozen=True)
class Worked:
    """An example that may stand in front of others."""

    uid: str
    inputs: str
    targets: str


Pool = Mapping[tuple[str, str], Sequence[Worked]]


@cached_by_file(maxsize=1)
def load_pool(path: Path) -> Pool:
    """Of a file with `uid, task, template, inputs, targets`, by task and template."""
    pool: dict[tuple[str, str], list[Worked]] = defaultdict(list)
    for row in pq.read_table(path).to_pylist():
        pool[row["task"], row["template"]].append(Worked(row["uid"], row["inputs"], row["targets"]))
    return pool


def compose(rows: pa.Table, pool: Pool, params: MixParams) -> pa.Table:
    """The rows, `inputs` and `shots` changed where a row's hash says so."""
    candidates = np.flatnonzero(rows["allow_exemplars"].to_numpy(zero_copy_only=False))
    uids = rows["uid"].take(candidates).to_pylist()
    kept = [
        (at, uid)
        for at, uid in zip(candidates.tolist(), uids, strict=True)
        if stable_fraction(params.seed, "few", uid) < params.few_shot_share
    ]
    if not kept:
        return rows
    inputs, shots = rows["inputs"].to_pylist(), rows["shots"].to_pylist()
    places = [at for at, _ in kept]
    tasks, templates = (rows[name].take(places).to_pylist() for name in ("task", "template"))
    for (at, uid), task, template in zip(kept, tasks, templates, strict=True):
        blocks = _chosen(inputs[at], uid, pool.get((task, template), ()), params)
        if blocks:
            inputs[at] = "\n\n".join([*blocks, inputs[at]])
            shots[at] += len(blocks)
    rows = rows.set_column(rows.schema.get_field_index("inputs"), "inputs", pa.array(inputs))
    changed = pa.array(shots, pa.int32())
    return rows.set_column(rows.schema.get_field_index("shots"), "shots", changed)


def _chosen(inputs: str, uid: str, pool: Sequence[Worked], params: MixParams) -> list[str]:
    """The worked examples in front of one row, as many as its hash asks for and have room."""
    others = [worked for worked in pool if worked.uid != uid]
    # The pool is in an order by chance: a row begins somewhere in it.
    chance = stable_hash(params.seed, "shots", uid)
    wanted = 1 + chance % params.max_exemplars
    blocks, room = [], params.max_few_shot_characters - len(inputs)
    for step in range(min(wanted, len(others))):
        block = _shown(others[(chance // 64 + step) % len(others)])
        if len(block) + 2 <= room:
            blocks.append(block)
            room -= len(block) + 2
    return blocks


def _shown(worked: Worked) -> str:
    between = " " if worked.inputs.endswith(":") else "\n"
    return f"{worked.inputs}{between}{worked.targets}"
