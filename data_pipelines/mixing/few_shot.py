"""Worked examples in front of an example: the few-shot half of the mixture (arXiv 2301.13688).

They come from the same task and template, so they show the very form that is asked for, and from
the training split only. Each example's own hash decides whether it gets any, how many and which.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from data_pipelines.example import stable_fraction, stable_hash
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


@lru_cache(maxsize=1)
def load_pool(path: Path) -> Pool:
    """Of a file with `uid, task, template, inputs, targets`, by task and template."""
    pool: dict[tuple[str, str], list[Worked]] = defaultdict(list)
    for row in pq.read_table(path).to_pylist():
        pool[row["task"], row["template"]].append(
            Worked(row["uid"], row["inputs"], row["targets"])
        )
    return pool


def compose(row: dict[str, Any], pool: Pool, params: MixParams) -> tuple[str, int]:
    """The row's inputs, with worked examples in front where its hash says so, and how many."""
    inputs, uid = str(row["inputs"]), row["uid"]
    if not row["composes"] or stable_fraction(params.seed, "few", uid) >= params.few_shot_share:
        return inputs, int(row["shots"])
    others = [w for w in pool.get((row["task"], row["template"]), ()) if w.uid != uid]
    others.sort(key=lambda worked: stable_hash(params.seed, uid, worked.uid))
    wanted = 1 + stable_hash(params.seed, "shots", uid) % params.max_shots
    blocks, room = [], params.few_shot_characters - len(inputs)
    for worked in others[:wanted]:
        block = _shown(worked)
        if len(block) + 2 <= room:
            blocks.append(block)
            room -= len(block) + 2
    return "\n\n".join([*blocks, inputs]), int(row["shots"]) + len(blocks)


def _shown(worked: Worked) -> str:
    between = " " if worked.inputs.endswith(":") else "\n"
    return f"{worked.inputs}{between}{worked.targets}"
