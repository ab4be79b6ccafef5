"""T0-SF: promptsource's templates over raw rows (arXiv 2110.08207).

Which data sets are trained on is read from T0's own list, `datasets.csv`: BASE are T0's, GPT_EVAL
T0+'s, SGLUE T0++'s.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from data_pipelines.errors import SourceError
from data_pipelines.example import Example, RejectedRow, stable_hash
from data_pipelines.file_cache import cached_by_file
from data_pipelines.params import ReadParams
from data_pipelines.sources.part import Part
from data_pipelines.sources.raw.row import RawRow
from data_pipelines.sources.raw.table import rows
from data_pipelines.templates import promptsource
from data_pipelines.templates.sandbox import TemplateRefused

LINES = False


def load(part: Part, params: ReadParams) -> Iterator[Example | RejectedRow]:
    """Examples of one file; nothing where T0 does not train on the data set.

    A row gets the first template, in an order of its own, that applies to it.
    """
    hub_name = part.options["hub_name"]
    if _trained_as(part.raw / part.options["list"], hub_name) not in params.t0_sets:
        return
    prompts = promptsource.load(part.raw / part.options["templates"])
    for row, item, record in rows(part):
        if isinstance(record, RejectedRow):
            yield record
            continue
        yield _example(part, params, prompts, row, item, record)


def _example(
    part: Part,
    params: ReadParams,
    prompts: tuple[promptsource.Prompt, ...],
    row: int,
    item: int,
    record: RawRow,
) -> Example | RejectedRow:
    key = (params.seed, part.name, row, item)
    ordered = sorted(prompts, key=lambda p: stable_hash("prompt", p.name, *key))
    for prompt in ordered:
        try:
            made = prompt.apply(record.columns, stable_hash("choice", *key))
        except TemplateRefused as error:
            return part.refused(row, f"template {prompt.name!r}: {error}", record.columns)
        if made is None:
            continue
        inputs, targets, choices = made
        shown = choices is not None and targets in choices
        return Example(
            mixture=part.mixture,
            task=part.options["hub_name"].replace("/", "_"),
            template=prompt.name,
            inputs=inputs,
            targets=targets,
            references=(targets,),
            options=choices if shown else None,
            source_file=part.name,
            source_row=row,
            item=item,
            context=record.context,
            question=record.question,
            answer=record.answer,
        )
    return part.refused(row, f"none of {len(prompts)} templates applies", record.columns)


@cached_by_file(maxsize=256)
def _trained_as(path: Path, hub_name: str) -> str:
    """`do_train` of a data set, e.g. `glue/mrpc`; empty if T0 does not train on it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for entry in csv.DictReader(file):
                name = "/".join(filter(None, (entry["HF_name"], entry["subset"])))
                if name == hub_name:
                    return entry["do_train"]
    except FileNotFoundError:
        raise SourceError(f"{path} is missing: T0's list of data sets; fetch it") from None
    except (KeyError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is not T0's list of data sets: {error}") from None
    return ""
