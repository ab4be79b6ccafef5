"""Exact and near duplicates, within and across tasks.

Exact duplicates have the same words in context, question and answer. Near duplicates have the same
answer, and two Jaccard similarities, estimated by MinHash (rensa), that reach a threshold: that of
the 5-gram sets of context and question, and that of the word sets of the question alone, because
different questions about a passage share most 5-grams. Candidates come from locality-sensitive
hashing: 16 bands of 8 minima find a pair of similarity 0.85 with probability 0.99.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rensa import RMinHash

from data_pipelines.cleaning.words import HashedWords, digest, join_texts
from data_pipelines.database import read_parquet

SHINGLE_WORDS = 5
NUM_MINIMA = 128
NUM_BANDS = 16
SEED = 42
MIN_SHINGLES = 8
"""Texts with fewer shingles are compared for exact duplicates only."""
MAX_NEIGHBOURS = 8
"""Number of preceding rows of an LSH bucket with which a row is compared. It bounds the number of
comparisons when a bucket holds thousands of rows."""

SIGNATURE_SCHEMA = pa.schema(
    [
        ("uid", pa.string()),
        ("exact", pa.binary(16)),
        ("bands", pa.list_(pa.uint64())),
        # The low 8 bits of each minimum suffice to estimate a similarity (b-bit minwise hashing,
        # arXiv 0910.3349).
        ("text_minima", pa.binary(NUM_MINIMA)),
        ("question_minima", pa.binary(NUM_MINIMA)),
    ]
)


def compute_signatures(
    uids: pa.Array, context: pa.Array, question: pa.Array, answer: pa.Array
) -> pa.Table:
    """Compute the signatures of rows.

    Args:
        uids: uid of each row, string [num_rows].
        context: normalised context of each row, string [num_rows].
        question: normalised question of each row, string [num_rows].
        answer: normalised answer of each row, string [num_rows].

    Returns:
        One row of SIGNATURE_SCHEMA per row; `bands` is empty for texts with fewer than
        MIN_SHINGLES shingles.
    """
    texts = zip(context.to_pylist(), question.to_pylist(), answer.to_pylist(), strict=True)
    digests = [(digest(c, q, a), digest(a)) for c, q, a in texts]
    shingles = HashedWords.from_texts(join_texts(context, question)).ngrams(SHINGLE_WORDS)
    text_minima = _minhash(shingles)
    question_minima = _minhash(HashedWords.from_texts(question))
    long_enough = np.diff(shingles.offsets) >= MIN_SHINGLES
    answers = np.array([int.from_bytes(a[:8], "little") for _, a in digests], np.uint64)
    bands = _hash_bands(text_minima, answers)
    sizes = np.where(long_enough, NUM_BANDS, 0)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    return pa.table(
        [
            uids,
            pa.array([exact for exact, _ in digests], pa.binary(16)),
            pa.ListArray.from_arrays(pa.array(offsets), pa.array(bands[long_enough].ravel())),
            _to_binary(text_minima),
            _to_binary(question_minima),
        ],
        schema=SIGNATURE_SCHEMA,
    )


def _minhash(words: HashedWords) -> npt.NDArray[np.uint32]:
    """Return the MinHash minima of each text, uint32 [num_texts, NUM_MINIMA]."""
    num_texts = len(words.offsets) - 1
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        words.hashes, words.offsets.astype(np.uint64), NUM_MINIMA, SEED
    )
    return np.array(matrix.to_rows(), np.uint32).reshape(num_texts, NUM_MINIMA)


def _hash_bands(
    minima: npt.NDArray[np.uint32], answers: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    """Return the LSH buckets of each text, uint64 [num_texts, NUM_BANDS].

    Texts in the same bucket agree in the minima of a band and in their answer.
    """
    bands = minima.astype(np.uint64).reshape(len(minima), NUM_BANDS, NUM_MINIMA // NUM_BANDS)
    mixed: npt.NDArray[np.uint64] = answers[:, None] + np.arange(NUM_BANDS, dtype=np.uint64)[None]
    for column in range(bands.shape[2]):
        mixed = np.bitwise_xor(mixed, bands[:, :, column]) * np.uint64(0x9E3779B97F4A7C15)
        mixed = np.bitwise_xor(mixed, mixed >> np.uint64(31))
    return mixed


def _to_binary(minima: npt.NDArray[np.uint32]) -> pa.Array:
    low = np.ascontiguousarray(minima.astype(np.uint8))
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(NUM_MINIMA), len(low), [None, pa.py_buffer(low)]
    )


def estimate_similarity(
    a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    """Estimate the Jaccard similarity of pairs of texts.

    Args:
        a: low 8 bits of the minima of the first texts, uint8 [num_pairs, NUM_MINIMA].
        b: the same of the second texts.

    Returns:
        Estimates in [0, 1], corrected for chance agreement, float64 [num_pairs].
    """
    agreement = (a == b).mean(axis=1)
    estimate: npt.NDArray[np.float64] = np.clip((agreement - 1 / 256) / (1 - 1 / 256), 0, 1)
    return estimate


def find_exact_duplicates(connection: duckdb.DuckDBPyConnection, files: Path) -> None:
    """Create the table `duplicates(uid, duplicate_of, kind)` with the exact duplicates.

    The row with the smallest uid is the original; the others are its duplicates.
    """
    connection.execute(
        f"""
        CREATE TABLE duplicates AS
        WITH repeated AS (
            SELECT exact, min(uid) AS duplicate_of FROM {read_parquet(files)}
            GROUP BY exact HAVING count(*) > 1
        )
        SELECT s.uid, r.duplicate_of, 'exact' AS kind
        FROM {read_parquet(files)} s JOIN repeated r ON r.exact = s.exact
        WHERE s.uid <> r.duplicate_of
        """
    )


def find_fuzzy_duplicates(
    connection: duckdb.DuckDBPyConnection, files: Path, threshold: float
) -> None:
    """Add the near duplicates among the rows that are not exact duplicates to `duplicates`.

    A row with several near duplicates may have several entries.

    Args:
        connection: database with the table `duplicates`.
        files: glob pattern of the signature files.
        threshold: smallest estimated Jaccard similarity of near duplicates.
    """
    connection.execute(
        f"""
        CREATE VIEW banded AS
        SELECT unnest(bands) AS band, uid FROM {read_parquet(files)} s
        WHERE NOT EXISTS (SELECT 1 FROM duplicates d WHERE d.uid = s.uid)
        """
    )
    connection.execute(
        """
        CREATE TABLE buckets AS
        WITH shared AS (SELECT band FROM banded GROUP BY band HAVING count(*) > 1)
        SELECT band, uid, row_number() OVER (PARTITION BY band ORDER BY uid) AS position
        FROM banded WHERE band IN (SELECT band FROM shared)
        """
    )
    candidates = connection.cursor().sql(
        f"""
        WITH pairs AS (
            SELECT DISTINCT a.uid AS duplicate_of, b.uid AS uid
            FROM buckets a JOIN buckets b ON a.band = b.band
            AND b.position > a.position AND b.position <= a.position + {MAX_NEIGHBOURS}
        ), signatures AS (
            SELECT uid, text_minima, question_minima FROM {read_parquet(files)}
            WHERE uid IN (SELECT uid FROM buckets)
        )
        SELECT p.uid, p.duplicate_of,
               a.text_minima AS text, b.text_minima AS other_text,
               a.question_minima AS question, b.question_minima AS other_question
        FROM pairs p
        JOIN signatures a ON a.uid = p.uid JOIN signatures b ON b.uid = p.duplicate_of
        """
    )
    for batch in candidates.to_arrow_reader(4096):
        similar = np.logical_and(
            estimate_similarity(_minima(batch, "text"), _minima(batch, "other_text")) >= threshold,
            estimate_similarity(_minima(batch, "question"), _minima(batch, "other_question"))
            >= threshold,
        )
        pairs = pa.Table.from_batches([batch]).select(["uid", "duplicate_of"])
        connection.register("matches", pairs.filter(pa.array(similar)))
        connection.execute(
            "INSERT INTO duplicates SELECT uid, min(duplicate_of), 'near' FROM matches GROUP BY uid"
        )
        connection.unregister("matches")


def _minima(batch: pa.RecordBatch, column: str) -> npt.NDArray[np.uint8]:
    """Return a binary column as uint8 [num_rows, NUM_MINIMA]."""
    return np.frombuffer(b"".join(batch[column].to_pylist()), np.uint8).reshape(-1, NUM_MINIMA)
