"""Expectations on the facts that closed-book questions ask for.

data/raw/facts/*.jsonl lists facts: an entity, an attribute, a value, and whether instructions ask
about the entity. Every fact must stand in the plain text of the mixture: a document that names
both the entity and the value. An entity that no instruction may ask about is in no example of the
mixture, in any phrasing: neither in its inputs, exemplars included, nor in its targets.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
import numpy as np
import pandas as pd
import pyarrow as pa

from data_pipelines import layout
from data_pipelines.cleaning.phrases import PhraseIndex, Phrases
from data_pipelines.cleaning.words import HashedWords, normalise
from data_pipelines.expectations.runner import Finding, build_suite, check
from data_pipelines.tables import read_batches

MAX_NAME_WORDS = 5
UNSTATED = "fact_without_statement"
"""Column of the facts that no text states; empty for the others."""
LEAKED = "held_out_entity_in_training"
"""Column of the held-out entities that the mixture names, with the first task that does."""


def check_facts(workspace: Path) -> list[Finding]:
    """Return the findings on the facts in data/raw; none if no source has facts."""
    facts = _read_facts(workspace / layout.RAW / "facts")
    if not facts:
        return []
    entities = list(dict.fromkeys(fact["entity"] for fact in facts))
    index = _index_names(entities)
    documents, tasks = defaultdict(list), defaultdict(list)
    mixture = workspace / layout.MIXTURE
    for entity, text, _ in _search(mixture / "text", index, "text"):
        documents[entities[entity]].append(f" {text} ")
    for column in ("inputs", "targets"):
        for entity, _, task in _search(mixture / "examples", index, column):
            tasks[entities[entity]].append(task)
    values = normalise(pa.array([fact["value"] for fact in facts])).to_pylist()
    rows = []
    for fact, value in zip(facts, values, strict=True):
        entity = fact["entity"]
        is_stated = any(f" {value} " in text for text in documents[entity])
        has_leak = not fact["is_trained"] and tasks[entity]
        rows.append(
            {
                UNSTATED: "" if is_stated else f"{entity}: {fact['attribute']} {fact['value']}",
                LEAKED: f"{entity} in {tasks[entity][0]}" if has_leak else "",
            }
        )
    return check(pd.DataFrame(rows), facts_suite())


def facts_suite() -> gx.ExpectationSuite:
    """Return the suite on facts, one row per fact; a column is empty where there is no fault."""
    return build_suite(
        "facts",
        [
            gxe.ExpectColumnValuesToBeInSet(column=name, value_set=[""])
            for name in (UNSTATED, LEAKED)
        ],
    )


def _read_facts(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def _index_names(entities: list[str]) -> PhraseIndex:
    """Return an index of the names; the owner of a phrase is the number of the entity."""
    words = HashedWords.from_texts(normalise(pa.array(entities)))
    return PhraseIndex(Phrases.of_texts(words, np.arange(len(entities)), MAX_NAME_WORDS),
                       MAX_NAME_WORDS)  # fmt: skip


def _search(folder: Path, index: PhraseIndex, column: str) -> Iterator[tuple[int, str, str]]:
    """Yield entity, normalised text and task for each name in a column of a folder's files."""
    for path in sorted(folder.glob("*.parquet")):
        for batch in read_batches(path, [column, "task"]):
            texts, tasks = normalise(batch[column].combine_chunks()), batch["task"]
            rows, entities = index.search(HashedWords.from_texts(texts))
            for row, entity in zip(rows.tolist(), entities.tolist(), strict=True):
                yield entity, texts[row].as_py(), tasks[row].as_py()
