"""Raw data sets by name: how a file breaks into records, and what a record means.

A new data set: a function here or in a file beside, and a line below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from data_pipelines.example import RejectedRow
from data_pipelines.sources.part import BadRow, Part
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
from data_pipelines.sources.raw.choices import choices
from data_pipelines.sources.raw.row import RawRow

Records = Callable[[Part], Iterator[tuple[int, Any]]]


@dataclass(frozen=True)
class DataSet:
    """`convert` makes one row, or several, of a record; it raises BadRow."""

    records: Records
    convert: Callable[[Any], RawRow | Iterator[RawRow]]


def _headerless(part: Part) -> Iterator[tuple[int, Any]]:
    return part.table(header=False)


DATASETS: dict[str, DataSet] = {
    "ag_news": DataSet(_headerless, ag_news.ag_news),
    "arc": DataSet(Part.json_lines, choices),
    "boolq": DataSet(Part.json_lines, superglue.boolq),
    "cb": DataSet(Part.json_lines, superglue.cb),
    "commonsense_qa": DataSet(Part.json_lines, choices),
    "copa": DataSet(Part.json_lines, superglue.copa),
    "cosmos_qa": DataSet(Part.table, reading.cosmos_qa),
    "dart": DataSet(Part.json_list, data_to_text.dart),
    "dream": DataSet(Part.json_list, reading.dream),
    "e2e": DataSet(data_to_text.e2e_records, data_to_text.e2e),
    "mrpc": DataSet(mrpc.records, mrpc.mrpc),
    "multirc": DataSet(Part.json_lines, superglue.multirc),
    "piqa": DataSet(piqa.records, piqa.piqa),
    "qasc": DataSet(Part.json_lines, choices),
    "qed": DataSet(Part.json_lines, qed.qed),
    "quail": DataSet(Part.json_lines, reading.quail),
    "record": DataSet(Part.json_lines, superglue.record),
    "rotten_tomatoes": DataSet(sentiment.by_file, sentiment.sst2),
    "rte": DataSet(Part.json_lines, superglue.rte),
    "sst2": DataSet(Part.lines, sentiment.sst2),
    "trec": DataSet(Part.lines, trec.trec),
    "wic": DataSet(Part.json_lines, superglue.wic),
    "wsc": DataSet(Part.json_lines, superglue.wsc),
}


def rows(part: Part) -> Iterator[tuple[int, int, RawRow | RejectedRow]]:
    """(row, place in the row, content) of the data set that the catalog names for the part."""
    dataset = DATASETS[part.options["dataset"]]
    for row, record in dataset.records(part):
        if isinstance(record, RejectedRow):
            yield row, 0, record
            continue
        try:
            converted = dataset.convert(record)
            found = [converted] if isinstance(converted, RawRow) else list(converted)
            if not found:
                raise BadRow("nothing is asked")
        except BadRow as reason:
            yield row, 0, part.refused(row, str(reason), record)
        except (AttributeError, KeyError, TypeError) as error:
            # Deep inside a nested record something is not of the type it should have.
            yield row, 0, part.refused(row, f"not of the format: {error}", record)
        else:
            for item, content in enumerate(found):
                yield row, item, content
