"""The fields of evaluation items that training rows are compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_pipelines.cleaning.words import normalise

EVAL_ITEM_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("suite", "task", "id", "context", "question", "text")),
        ("options", pa.list_(pa.string())),
    ]
)
"""Schema of eval_items.parquet; `text` is the item as published, `options` are the texts of the
options, without letters."""


@dataclass(frozen=True, kw_only=True)
class ItemFields:
    """The distinct texts of each suite: contexts, questions, options and complete items."""

    texts: pa.Array
    """Normalised text of each field, not empty, string [num_fields]."""
    suites: npt.NDArray[np.int64]
    """Number of the suite of each field, int64 [num_fields]."""
    items: Sequence[Sequence[int]]
    """Indices of the items that have each field, in ascending order."""
    weights: npt.NDArray[np.int64]
    """Number of items that count towards boilerplate: the items of a question or option; 1 for a
    context, which several questions may share, int64 [num_fields]."""
    items_by_question: dict[int, list[int]]
    """Field that is a question -> indices of the items whose question it is."""
    first_text: int
    """Fields from this number on are complete items. They join several fields, so they are compared
    as a unit, without n-grams."""


def collect_fields(table: pa.Table) -> ItemFields:
    """Collect the distinct fields of evaluation items, with columns of EVAL_ITEM_SCHEMA."""
    suites = table["suite"].combine_chunks().dictionary_encode().indices.to_pylist()
    number_by_key: dict[tuple[int, str], int] = {}
    items: dict[int, set[int]] = defaultdict(set)
    contexts: set[int] = set()
    items_by_question: dict[int, list[int]] = defaultdict(list)
    first_text = 0
    for name in ("context", "question", "options", "text"):
        if name == "text":
            first_text = len(number_by_key)
        column = table[name].combine_chunks()
        owners = range(len(column))
        if name == "options":
            owners, column = column.value_parent_indices().to_pylist(), column.flatten()
        for item, text in zip(owners, normalise(column).to_pylist(), strict=True):
            if text:
                field = number_by_key.setdefault((suites[item], text), len(number_by_key))
                items[field].add(item)
                if name == "context":
                    contexts.add(field)
                if name == "question":
                    items_by_question[field].append(item)
    fields = range(len(number_by_key))
    return ItemFields(
        texts=pa.array([text for _, text in number_by_key], pa.string()),
        suites=np.array([suite for suite, _ in number_by_key], np.int64),
        items=[sorted(items[field]) for field in fields],
        weights=np.array([1 if f in contexts else len(items[f]) for f in fields], np.int64),
        items_by_question=dict(items_by_question),
        first_text=first_text,
    )
