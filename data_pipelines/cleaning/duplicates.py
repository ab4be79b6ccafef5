"""Exact and near duplicates, inside a task and across tasks.

Exact: the same words in context, question and answer. Near: the same answer, and a MinHash
estimate (rensa) of the Jaccard similarity of context and question, in sets of five words in a row,
above a threshold; the question's own words must be as similar, for many questions share a passage.
Candidates come from locality-sensitive hashing: 16 bands of 8 minima find a pair of similarity
0.85 with probability 0.99.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rensa import RMinHash

from data_pipelines.cleaning.words import Words, joined, key
from data_pipelines.database import literal

SHINGLE = 5
MINIMA = 128
BANDS = 16
SEED = 42
SHORTEST = 8
"""A text of fewer five-word sets has exact duplicates only."""
NEIGHBOURS = 8
"""How many of the rows before it in a bucket a row is compared with: linear, also where thousands
of rows share a bucket."""

SIGNATURE_SCHEMA = pa.schema(
    [
        ("uid", pa.string()),
        ("exact", pa.binary(16)),
        ("bands", pa.list_(pa.uint64())),
        # The low 8 bits of each minimum: enough to estimate a similarity (b-bit minwise hashing,
        # arXiv 0910.3349).
        ("whole", pa.binary(MINIMA)),
        ("asked", pa.binary(MINIMA)),
    ]
)


def signatures(uids: pa.Array, context: pa.Array, question: pa.Array, answer: pa.Array) -> pa.Table:
    """SIGNATURE_SCHEMA rows of normalised texts."""
    texts = zip(context.to_pylist(), question.to_pylist(), answer.to_pylist(), strict=True)
    keys = [(key(c, q, a), key(a)) for c, q, a in texts]
    shingles = Words.of(joined(context, question)).grams(SHINGLE)
    whole = _minima(shingles)
    asked = _minima(Words.of(question))
    long_enough = np.diff(shingles.offsets) >= SHORTEST
    answers = np.array([int.from_bytes(a[:8], "little") for _, a in keys], np.uint64)
    bands = _bands(whole, answers)
    sizes = np.where(long_enough, BANDS, 0)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    return pa.table(
        [
            uids,
            pa.array([e for e, _ in keys], pa.binary(16)),
            pa.ListArray.from_arrays(pa.array(offsets), pa.array(bands[long_enough].ravel())),
            _fixed(whole),
            _fixed(asked),
        ],
        schema=SIGNATURE_SCHEMA,
    )


def _minima(words: Words) -> npt.NDArray[np.uint32]:
    """`[rows, MINIMA]`."""
    rows = len(words.offsets) - 1
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        words.hashes, words.offsets.astype(np.uint64), MINIMA, SEED
    )
    return np.array(matrix.to_rows(), np.uint32).reshape(rows, MINIMA)


def _bands(
    minima: npt.NDArray[np.uint32], answers: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    """`[rows, BANDS]`: rows of one bucket agree in a band's minima and in their answer."""
    wide = minima.astype(np.uint64).reshape(len(minima), BANDS, MINIMA // BANDS)
    mixed: npt.NDArray[np.uint64] = answers[:, None] + np.arange(BANDS, dtype=np.uint64)[None]
    for column in range(wide.shape[2]):
        mixed = np.bitwise_xor(mixed, wide[:, :, column]) * np.uint64(0x9E3779B97F4A7C15)
        mixed = np.bitwise_xor(mixed, mixed >> np.uint64(31))
    return mixed


def _fixed(minima: npt.NDArray[np.uint32]) -> pa.Array:
    low = np.ascontiguousarray(minima.astype(np.uint8))
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(MINIMA), len(low), [None, pa.py_buffer(low)]
    )


def similarity(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Estimated Jaccard similarity of rows of low bits, chance agreement taken off."""
    agree = (a == b).mean(axis=1)
    estimate: npt.NDArray[np.float64] = np.clip((agree - 1 / 256) / (1 - 1 / 256), 0, 1)
    return estimate


def exact_pairs(connection: duckdb.DuckDBPyConnection, files: Path) -> None:
    """Table `duplicates(uid, kept, how)`: of rows that say the same, all but the first by uid."""
    connection.execute(
        f"""
        CREATE TABLE duplicates AS
        WITH repeated AS (
            SELECT exact, min(uid) AS kept FROM read_parquet({literal(files)})
            GROUP BY exact HAVING count(*) > 1
        )
        SELECT s.uid, r.kept, 'exact' AS how
        FROM read_parquet({literal(files)}) s JOIN repeated r ON r.exact = s.exact
        WHERE s.uid <> r.kept
        """
    )


def near_pairs(connection: duckdb.DuckDBPyConnection, files: Path, threshold: float) -> None:
    """Adds near duplicates of rows that are no exact ones to the table."""
    connection.execute(
        f"""
        CREATE VIEW banded AS
        SELECT unnest(bands) AS band, uid FROM read_parquet({literal(files)}) s
        WHERE NOT EXISTS (SELECT 1 FROM duplicates d WHERE d.uid = s.uid)
        """
    )
    connection.execute(
        """
        CREATE TABLE buckets AS
        WITH shared AS (SELECT band FROM banded GROUP BY band HAVING count(*) > 1)
        SELECT band, uid, row_number() OVER (PARTITION BY band ORDER BY uid) AS place
        FROM banded WHERE band IN (SELECT band FROM shared)
        """
    )
    candidates = connection.cursor().sql(
        f"""
        WITH pairs AS (
            SELECT DISTINCT a.uid AS kept, b.uid AS uid
            FROM buckets a JOIN buckets b ON a.band = b.band
            AND b.place > a.place AND b.place <= a.place + {NEIGHBOURS}
        ), signed AS (
            SELECT uid, whole, asked FROM read_parquet({literal(files)})
            WHERE uid IN (SELECT uid FROM buckets)
        )
        SELECT p.uid, p.kept, a.whole AS whole, b.whole AS whole_kept,
               a.asked AS asked, b.asked AS asked_kept
        FROM pairs p JOIN signed a ON a.uid = p.uid JOIN signed b ON b.uid = p.kept
        """
    )
    for batch in candidates.to_arrow_reader(4096):
        alike = (similarity(_low(batch, "whole"), _low(batch, "whole_kept")) >= threshold) & (
            similarity(_low(batch, "asked"), _low(batch, "asked_kept")) >= threshold
        )
        found = pa.Table.from_batches([batch]).select(["uid", "kept"]).filter(pa.array(alike))
        connection.register("found", found)
        connection.execute(
            "INSERT INTO duplicates SELECT uid, min(kept), 'near' FROM found GROUP BY uid"
        )
        connection.unregister("found")


def _low(batch: pa.RecordBatch, column: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(batch[column].to_pylist()), np.uint8).reshape(-1, MINIMA)
