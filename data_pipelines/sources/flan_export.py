"""Rendered rows of exports of the FLAN Collection: JSON lines or Parquet.

Required columns: `inputs`, `targets`, `task_name`. Optional columns: `task_source` (selects the
mixture if the catalog entry does not), `template_type` (e.g. `zs_opt`), `template`, `options` (list
of str).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_pipelines.errors import SourceError
from data_pipelines.example import Example, RejectedRow
from data_pipelines.params import MIXTURES, ReadParams
from data_pipelines.sources.part import InvalidRow, Part, convert_rows, require_text

LINES = True
ROWS_PER_BATCH = 2048
REQUIRED_COLUMNS = frozenset(["inputs", "targets", "task_name"])

MIXTURE_BY_TASK_SOURCE: dict[str, str] = {
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
"""Keys are the spellings of `task_source` in exports of the FLAN Collection, in lower case."""


def load(part: Part, params: ReadParams) -> Iterator[Example | RejectedRow]:
    """Yield the examples of one file.

    Raises:
        SourceError: The file is missing or damaged, or a Parquet file has no required column.
    """
    rows = _read_parquet(part) if part.path.suffix == ".parquet" else part.json_lines()
    return convert_rows(part, rows, lambda row, record: _convert(part, row, record))


def _convert(part: Part, row: int, record: dict[str, Any]) -> Example:
    inputs, targets = (_require_verbatim(record, key) for key in ("inputs", "targets"))
    template_type = str(record.get("template_type") or "rendered")
    options = record.get("options")
    if options is not None and not (
        isinstance(options, list) and all(isinstance(option, str) for option in options)
    ):
        raise InvalidRow("options is not a list of text")
    return Example(
        mixture=_mixture(part, record),
        task=require_text(record.get("task_name"), "task_name"),
        template=str(record.get("template") or template_type),
        inputs=inputs,
        targets=targets,
        references=(targets,),
        options=tuple(options) if options else None,
        source_file=part.name,
        source_row=row,
        question=inputs,
        answer=targets,
        # Rows of type fs_opt and fs_noopt contain exemplars, but the export does not count them.
        num_exemplars=1 if template_type.startswith("fs") else 0,
        allow_exemplars=bool(part.options.get("allow_exemplars"))
        and template_type.startswith("zs"),
    )


def _require_verbatim(record: dict[str, Any], key: str) -> str:
    """Return a text field as it was rendered, surrounding white space included."""
    value = record.get(key)
    require_text(value, key)
    return str(value)


def _mixture(part: Part, record: dict[str, Any]) -> str:
    source = record.get("task_source")
    if source is None and part.mixture in MIXTURES:
        return part.mixture
    mixture = MIXTURE_BY_TASK_SOURCE.get(str(source).lower().replace(" ", "_"))
    if mixture is None:
        known = ", ".join(sorted(MIXTURE_BY_TASK_SOURCE))
        raise InvalidRow(f"task_source: {source!r} is not one of {known}")
    return mixture


def _read_parquet(part: Part) -> Iterator[tuple[int, dict[str, Any]]]:
    row = 0
    try:
        with pq.ParquetFile(part.path) as file:
            missing = REQUIRED_COLUMNS - set(file.schema_arrow.names)
            if missing:
                raise SourceError(f"{part.path} has no column {', '.join(sorted(missing))}")
            for batch in file.iter_batches(batch_size=ROWS_PER_BATCH):
                for record in batch.to_pylist():
                    row += 1
                    yield row, record
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise SourceError(
            f"{part.path} is not a readable Parquet file ({' '.join(str(error).split())}); "
            "fetch it again"
        ) from None
