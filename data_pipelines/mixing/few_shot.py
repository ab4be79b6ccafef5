"""Prepend few-shot exemplars to examples (arXiv 2301.13688).

Exemplars have the task of the example and the expected output format, and are from the training
split only. The hash of an example's uid determines whether exemplars are prepended, how many, and
which; a repeated example has other ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipelines.file_cache import cached_by_file
from data_pipelines.mixing.few_shot_patterns import (
    Exemplar,
    Query,
    compose_flan_v2,
    compose_single,
    should_prepend,
    template_form,
)
from data_pipelines.params import MixParams

POOL_SIZE = 8
"""Number of candidate exemplars of each task and template."""
QUERY_COLUMNS = ("uid", "mixture", "task", "template", "inputs", "repetition")


@dataclass(frozen=True)
class ExemplarPool:
    """Candidate exemplars in random order."""

    by_template: Mapping[tuple[str, str], Sequence[Exemplar]]
    """(task, template) -> exemplars."""
    by_form: Mapping[tuple[str, str], Sequence[Exemplar]]
    """(task, form of template) -> exemplars."""


@cached_by_file(maxsize=1)
def load_pool(path: Path) -> ExemplarPool:
    """Load a file of columns `uid, mixture, task, template, inputs, targets, flags`."""
    by_template: dict[tuple[str, str], list[Exemplar]] = defaultdict(list)
    by_form: dict[tuple[str, str], list[Exemplar]] = defaultdict(list)
    for row in pq.read_table(path).to_pylist():
        exemplar = Exemplar(
            row["uid"], row["template"], row["inputs"], row["targets"], tuple(row["flags"])
        )
        by_template[row["task"], row["template"]].append(exemplar)
        by_form[row["task"], template_form(row["mixture"], row["template"])].append(exemplar)
    return ExemplarPool(by_template, by_form)


def prepend_exemplars(rows: pa.Table, pool: ExemplarPool, params: MixParams) -> pa.Table:
    """Prepend exemplars to the share `few_shot_share` of the rows that allow exemplars.

    Args:
        rows: QUERY_COLUMNS, `num_exemplars, flags, allow_exemplars` and others.
        pool: candidate exemplars.
        params: share, patterns, number and length of exemplars.

    Returns:
        The rows in the same order, with `inputs`, `num_exemplars` and `flags` updated: a row has
        the flags of its exemplars, too. The column `exemplars` has the uids of the exemplars.
    """
    candidates = np.flatnonzero(rows["allow_exemplars"].to_numpy(zero_copy_only=False))
    inputs = rows["inputs"].to_pylist()
    num_exemplars = rows["num_exemplars"].to_pylist()
    exemplars: list[list[str]] = [[] for _ in inputs]
    flags = rows["flags"].to_pylist()
    columns = [rows[name].take(pa.array(candidates)).to_pylist() for name in QUERY_COLUMNS]
    for index, *values in zip(candidates.tolist(), *columns, strict=True):
        query = _make_query(*values)
        if not should_prepend(query, params):
            continue
        inputs[index], chosen = _compose(query, pool, params)
        num_exemplars[index] += len(chosen)
        exemplars[index] = [exemplar.uid for exemplar in chosen]
        shown = {flag for exemplar in chosen for flag in exemplar.flags}
        flags[index] = sorted(shown.union(flags[index]))
    for name, column in (
        ("inputs", pa.array(inputs, pa.string())),
        ("num_exemplars", pa.array(num_exemplars, pa.int32())),
        ("flags", pa.array(flags, pa.list_(pa.string()))),
    ):
        rows = rows.set_column(rows.schema.get_field_index(name), name, column)
    return rows.append_column("exemplars", pa.array(exemplars, pa.list_(pa.string())))


def _make_query(
    uid: str, mixture: str, task: str, template: str, inputs: str, repetition: int
) -> Query:
    key = f"{uid}/{repetition}" if repetition else uid
    return Query(key=key, uid=uid, mixture=mixture, task=task, template=template, inputs=inputs)


def _compose(query: Query, pool: ExemplarPool, params: MixParams) -> tuple[str, list[Exemplar]]:
    same_template = pool.by_template.get((query.task, query.template), ())
    if params.few_shot_patterns == "single":
        return compose_single(query, same_template, params)
    form = template_form(query.mixture, query.template)
    return compose_flan_v2(query, same_template, pool.by_form.get((query.task, form), ()), params)
