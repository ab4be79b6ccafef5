"""The worker function of the stage `clean`: scan one file of records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from data_pipelines.cleaning.contamination import MATCH_SCHEMA, load_contamination_index
from data_pipelines.cleaning.duplicates import SIGNATURE_SCHEMA, compute_signatures
from data_pipelines.cleaning.words import normalise
from data_pipelines.example import TEXT
from data_pipelines.params import CleanParams
from data_pipelines.tables import open_parquet_writer, read_batches

SIGNATURE_COLUMNS = ("context", "question", "answer")
TEXT_COLUMNS = (*SIGNATURE_COLUMNS, "inputs", "targets")
COLUMNS = ["uid", "mixture", "task", "split", *TEXT_COLUMNS]


@dataclass(frozen=True, kw_only=True)
class ScanTask:
    """One file of records, and the files to which its signatures and overlaps are written."""

    records: Path
    eval_items: Path
    params: CleanParams
    signatures: Path
    matches: Path


def scan_records(task: ScanTask) -> None:
    """Write the duplicate signatures and evaluation overlaps of one file of records."""
    index = load_contamination_index(
        task.eval_items, task.params.ngram, task.params.max_ngram_items
    )
    with (
        open_parquet_writer(task.signatures, SIGNATURE_SCHEMA) as signatures,
        open_parquet_writer(task.matches, MATCH_SCHEMA) as matches,
    ):
        for batch in read_batches(task.records, COLUMNS):
            texts = _normalise_columns(batch)
            # Held-out tasks (split `test`) are never trained on, so they cannot contaminate.
            trained = pc.not_equal(batch["split"].combine_chunks(), "test")
            columns = (texts[name].filter(trained) for name in ("question", "inputs", "targets"))
            matches.write_table(index.find_matches(batch.filter(trained), *columns))
            # Only instructions are deduplicated, not plain pre-training text.
            is_instruction = pc.not_equal(batch["mixture"].combine_chunks(), TEXT)
            if pc.any(is_instruction).as_py():
                columns = (texts[name].filter(is_instruction) for name in SIGNATURE_COLUMNS)
                uids = batch["uid"].combine_chunks().filter(is_instruction)
                signatures.write_table(compute_signatures(uids, *columns))


def _normalise_columns(rows: pa.Table) -> dict[str, pa.Array]:
    """Return the normalised text columns; equal columns, as in rendered exports, only once."""
    columns = {name: rows[name].combine_chunks() for name in TEXT_COLUMNS}
    texts = {name: normalise(columns[name]) for name in SIGNATURE_COLUMNS}
    for name, source in (("inputs", "question"), ("targets", "answer")):
        is_same = columns[name].equals(columns[source])
        texts[name] = texts[source] if is_same else normalise(columns[name])
    return texts
