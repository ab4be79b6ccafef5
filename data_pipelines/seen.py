"""The examples that a run trained on, computed from its record and the origins of the packed data.

Steps, epochs, rows of a batch and segments of a row count from 1, as steps do in the log of a run;
`packed_row` is the index of the row in the packed corpus, from 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_pipelines.errors import DataError
from data_pipelines.order import Indices, batch_of_step, stream_positions, stream_rows
from data_pipelines.origins import SOURCE_COLUMNS, CorpusOrigins


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """What determines the rows of a run; every value is in its run record."""

    corpus: str
    """`train`, `span_corruption` or `prefix_lm`."""
    tasks: tuple[str, ...]
    """Task patterns; empty: all tasks of the corpus."""
    data_version: str
    steps: int
    global_batch_size: int
    seed: int
    skipped_batches: tuple[int, ...]


def open_origins(run: TrainedRun, packed: Path) -> CorpusOrigins:
    """Open the origins of the corpus that a run trained on.

    Args:
        run: values of the run record.
        packed: folder of the packed corpora.

    Raises:
        DataVersionChanged: the corpus has another version than the run recorded.
        DataError: the corpus is missing, damaged or without origins.
    """
    return CorpusOrigins.open(packed / run.corpus, run.tasks, run.data_version)


def examples_of_steps(run: TrainedRun, origins: CorpusOrigins, first: int, last: int) -> pa.Table:
    """Return the examples that a run read in steps `first` to `last`, both included.

    Returns:
        A row per example and read, in the order of the batches: `step, epoch, batch_row,
        packed_row, segment` and SOURCE_COLUMNS.

    Raises:
        DataError: the run has no such step.
    """
    if not 1 <= first <= last <= run.steps:
        raise DataError(
            f"--steps: {first}:{last} is not a range of steps of the run; its steps are "
            f"1:{run.steps}"
        )
    batches = [batch_of_step(step, run.skipped_batches) for step in range(first - 1, last)]
    size = run.global_batch_size
    positions = (np.array(batches, np.int64)[:, None] * size + np.arange(size)).reshape(-1)
    steps = np.repeat(np.arange(first, last + 1), size)
    rows = stream_rows(origins.num_rows, run.seed, positions)
    index, segments = origins.segments_of_rows(rows)
    return _make_table(origins, segments, positions[index], steps[index], size)


def reads_of_example(run: TrainedRun, origins: CorpusOrigins, uid: str) -> pa.Table:
    """Return every read of an example: as an example, or as an exemplar in another's prompt.

    Returns:
        Rows as those of `examples_of_steps`, ordered by step. In a read as an exemplar, `uid` is
        that of the example whose prompt contains it. Empty if the run did not read the example.
    """
    selected = origins.segments_of_example(uid)
    size = run.global_batch_size
    num_batches = batch_of_step(run.steps - 1, run.skipped_batches) + 1 if run.steps else 0
    positions = stream_positions(
        origins.num_rows, run.seed, origins.rows[selected], num_batches * size
    )
    is_read = np.isin(positions // size, run.skipped_batches, invert=True)
    positions = positions[is_read]
    batches = positions // size
    steps = batches - np.searchsorted(np.array(run.skipped_batches, np.int64), batches) + 1
    rows = stream_rows(origins.num_rows, run.seed, positions)
    index, segments = origins.segments_of_rows(rows)
    matches = np.isin(segments, selected)
    index, segments = index[matches], segments[matches]
    return _make_table(origins, segments, positions[index], steps[index], size)


def _make_table(
    origins: CorpusOrigins,
    segments: Indices,
    positions: Indices,
    steps: npt.NDArray[np.int64],
    global_batch_size: int,
) -> pa.Table:
    examples = origins.segments.select(SOURCE_COLUMNS).take(_to_arrow(segments))
    columns = {
        "step": _to_arrow(steps),
        "epoch": _to_arrow(positions // origins.num_rows + 1),
        "batch_row": _to_arrow(positions % global_batch_size + 1),
        "packed_row": _to_arrow(origins.rows[segments]),
        "segment": _to_arrow(origins.segment_ids(segments)),
    }
    return pa.table({**columns, **{name: _decode(examples[name]) for name in SOURCE_COLUMNS}})


def _decode(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return names as plain strings, which convert to Python objects faster."""
    is_names = pa.types.is_dictionary(column.type)
    return pc.cast(column, pa.string()) if is_names else column


def _to_arrow(values: Indices) -> pa.Array:
    """Return int64 values as an Arrow array; `pa.array` would import pandas, which is slow."""
    buffer = pa.py_buffer(np.ascontiguousarray(values, np.int64))
    return pa.Array.from_buffers(pa.int64(), len(values), [None, buffer])
