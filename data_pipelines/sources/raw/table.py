"""Raw data sets by name: how to read the records of a file, and how to convert a record.

To add a data set, write its functions in a module of this folder and add a line to the table below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from data_pipelines.example import RejectedRow
from data_pipelines.sources.part import InvalidRow, Part
from data_pipelines.sources.raw import (
    ag_news,
    data_to_text,
    mrpc,
    piqa,
    qed,
    reading,
    sentiment,
    superglue,
    trec,
)
from data_pipelines.sources.raw.choices import multiple_choice
from data_pipelines.sources.raw.row import RawRow


@dataclass(frozen=True)
class RawDataset:
    """How to read one raw data set."""

    read: Callable[[Part], Iterator[tuple[int, Any]]]
    """Yields row number and record (or RejectedRow) of a file."""
    convert: Callable[[Any], RawRow | Iterator[RawRow]]
    """Converts a record to one or several rows; raises InvalidRow."""


def _read_headerless_csv(part: Part) -> Iterator[tuple[int, Any]]:
    return part.csv_rows(header=False)


DATASETS: dict[str, RawDataset] = {
    "ag_news": RawDataset(_read_headerless_csv, ag_news.ag_news),
    "arc": RawDataset(Part.json_lines, multiple_choice),
    "boolq": RawDataset(Part.json_lines, superglue.boolq),
    "cb": RawDataset(Part.json_lines, superglue.cb),
    "commonsense_qa": RawDataset(Part.json_lines, multiple_choice),
    "copa": RawDataset(Part.json_lines, superglue.copa),
    "cosmos_qa": RawDataset(Part.csv_rows, reading.cosmos_qa),
    "dart": RawDataset(Part.json_list, data_to_text.dart),
    "dream": RawDataset(Part.json_list, reading.dream),
    "e2e": RawDataset(data_to_text.read_e2e, data_to_text.e2e),
    "mrpc": RawDataset(mrpc.read_mrpc, mrpc.mrpc),
    "multirc": RawDataset(Part.json_lines, superglue.multirc),
    "piqa": RawDataset(piqa.read_piqa, piqa.piqa),
    "qasc": RawDataset(Part.json_lines, multiple_choice),
    "qed": RawDataset(Part.json_lines, qed.qed),
    "quail": RawDataset(Part.json_lines, reading.quail),
    "record": RawDataset(Part.json_lines, superglue.record),
    "rotten_tomatoes": RawDataset(sentiment.read_rotten_tomatoes, sentiment.sst2),
    "rte": RawDataset(Part.json_lines, superglue.rte),
    "sst2": RawDataset(Part.lines, sentiment.sst2),
    "trec": RawDataset(Part.lines, trec.trec),
    "wic": RawDataset(Part.json_lines, superglue.wic),
    "wsc": RawDataset(Part.json_lines, superglue.wsc),
}


def read_rows(part: Part) -> Iterator[tuple[int, int, RawRow | RejectedRow]]:
    """Read the data set that the catalog names for a file.

    Yields:
        Number of the source row, index of the example within that row, and its content.
    """
    dataset = DATASETS[part.options["dataset"]]
    for row, record in dataset.read(part):
        if isinstance(record, RejectedRow):
            yield row, 0, record
            continue
        try:
            converted = dataset.convert(record)
            contents = [converted] if isinstance(converted, RawRow) else list(converted)
            if not contents:
                raise InvalidRow("no question")
        except InvalidRow as reason:
            yield row, 0, part.reject(row, str(reason), record)
        except (AttributeError, KeyError, TypeError) as error:
            # A value within a nested record has an unexpected type.
            yield row, 0, part.reject(row, f"unexpected structure: {error}", record)
        else:
            for item, content in enumerate(contents):
                yield row, item, content
