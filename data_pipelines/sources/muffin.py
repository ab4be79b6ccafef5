"""Muffin: raw data sets put into words by this project's own templates."""

from __future__ import annotations

from collections.abc import Iterator

from data_pipelines.example import Example, RejectedRow, stable_fraction
from data_pipelines.params import ReadParams
from data_pipelines.sources.part import Part
from data_pipelines.sources.raw.row import RawRow
from data_pipelines.sources.raw.table import rows
from data_pipelines.templates.instructions import choose, group, options_block

LINES = False


def load(part: Part, params: ReadParams) -> Iterator[Example | RejectedRow]:
    """Examples of one file of the data set that the catalog names."""
    dataset = part.options["dataset"]
    templates = group(part.options["templates"])
    for row, item, record in rows(part):
        if isinstance(record, RejectedRow):
            yield record
            continue
        key = (params.seed, part.name, row, item)
        inverted = (
            bool(templates.get("inverted"))
            and stable_fraction("inverted", *key) < params.inversion_share
        )
        form = "inverted" if inverted else "forward"
        shows = (
            record.options is not None
            and not inverted
            and (stable_fraction("options", *key) < params.options_share)
        )
        name, template = choose(templates, form, key)
        inputs, targets = template.fill(
            **record.words,
            context=record.context,
            question=record.question,
            answer=record.answer,
            options=options_block(record.options, key) if shows and record.options else "",
        )
        yield Example(
            mixture=part.mixture,
            task=dataset,
            template=f"{name}_{'options' if shows else 'plain'}",
            inputs=inputs,
            targets=targets,
            references=_references(record, targets),
            options=record.options if shows else None,
            source_file=part.name,
            source_row=row,
            item=item,
            context=record.context,
            question=record.question,
            answer=record.answer,
        )


def _references(record: RawRow, targets: str) -> tuple[str, ...]:
    return record.references if targets == record.answer else (targets,)
