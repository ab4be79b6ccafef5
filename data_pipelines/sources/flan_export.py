"""Already rendered FLAN rows, as people share them: JSON lines or Parquet.

Columns: `inputs`, `targets`, `task_name`, `template_type`; `task_source` names the mixture.
Optional: `options` (list of str), `template`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_pipelines.errors import SourceError
from data_pipelines.example import Example, RejectedRow
from data_pipelines.params import MIXTURES, ReadParams
from data_pipelines.sources.part import BadRow, Part, text_of

LINES = True
BATCH = 2048

MIXTURE_OF = {
    **{name: name for name in MIXTURES},
    "flan": "muffin",
    "flan2021": "muffin",
    "dialog": "muffin",
    "program_synthesis": "muffin",
    "programsynthesis": "muffin",
    "t0": "t0_sf",
    "p3": "t0_sf",
    "niv2": "niv2",
    "natural_instructions_v2": "niv2",
    "cot": "cot",
}
"""`task_source`, in lower case, as exports of the FLAN Collection spell it -> mixture."""


def load(part: Part, params: ReadParams) -> Iterator[Example | RejectedRow]:
    """Examples of one file. Raises SourceError for a Parquet file that cannot be read."""
    records = _parquet(part) if part.path.suffix == ".parquet" else part.json_lines()
    for row, record in records:
        if isinstance(record, RejectedRow):
            yield record
            continue
        try:
            yield _example(part, row, record)
        except BadRow as reason:
            yield part.refused(row, str(reason), record)


def _example(part: Part, row: int, record: dict[str, Any]) -> Example:
    inputs, targets = (_filled(record, key) for key in ("inputs", "targets"))
    kind = str(record.get("template_type") or "rendered")
    options = record.get("options")
    if options is not None and not (
        isinstance(options, list) and all(isinstance(option, str) for option in options)
    ):
        raise BadRow("options is no list of text")
    return Example(
        mixture=_mixture(part, record),
        task=text_of(record.get("task_name"), "task_name"),
        template=str(record.get("template") or kind),
        inputs=inputs,
        targets=targets,
        references=(targets,),
        options=tuple(options) if options else None,
        source_file=part.name,
        source_row=row,
        question=inputs,
        answer=targets,
        # fs_opt, fs_noopt: worked examples are inside already, how many is not said.
        shots=1 if kind.startswith("fs") else 0,
        allow_exemplars=bool(part.options.get("allow_exemplars")) and kind.startswith("zs"),
    )


def _filled(record: dict[str, Any], key: str) -> str:
    value = record.get(key)
    text_of(value, key)
    return str(value)  # as it was rendered, spaces at the ends included


def _mixture(part: Part, record: dict[str, Any]) -> str:
    source = record.get("task_source")
    if source is None and part.mixture in MIXTURES:
        return part.mixture
    found = MIXTURE_OF.get(str(source).lower().replace(" ", "_"))
    if found is None:
        raise BadRow(f"task_source is {source!r}: known are {', '.join(sorted(MIXTURE_OF))}")
    return found


def _parquet(part: Part) -> Iterator[tuple[int, dict[str, Any]]]:
    row = 0
    try:
        with pq.ParquetFile(part.path) as file:
            missing = {"inputs", "targets", "task_name"} - set(file.schema_arrow.names)
            if missing:
                raise SourceError(f"{part.path} has no column {', '.join(sorted(missing))}")
            for batch in file.iter_batches(batch_size=BATCH):
                for record in batch.to_pylist():
                    row += 1
                    yield row, record
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise SourceError(
            f"{part.path} is no readable Parquet file ({' '.join(str(error).split())}); "
            "fetch it again"
        ) from None
