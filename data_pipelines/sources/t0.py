"""T0-SF: promptsource's templates applied to raw data sets (Sanh et al., arXiv 2110.08207).

T0's list of data sets, `datasets.csv`, names the training set of each: T0 trains on BASE, T0+ also
on GPT_EVAL, and T0++ also on SGLUE.
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
from data_pipelines.sources.raw.table import read_rows
from data_pipelines.templates import promptsource
from data_pipelines.templates.sandbox import TemplateRejected

LINES = False


def load(part: Part, params: ReadParams) -> Iterator[Example | RejectedRow]:
    """Yield the examples of one file; none if `params.t0_sets` excludes the data set.

    A hash of each row orders the templates; the first template that applies renders the row.

    Raises:
        SourceError: T0's list or the template file is missing or malformed.
    """
    hub_name = part.options["hub_name"]
    if _training_set(part.raw_folder / part.options["list"], hub_name) not in params.t0_sets:
        return
    prompts = promptsource.load(part.raw_folder / part.options["templates"])
    for row, item, content in read_rows(part):
        if isinstance(content, RejectedRow):
            yield content
        else:
            yield _render(part, params, prompts, row, item, content)


def _render(
    part: Part,
    params: ReadParams,
    prompts: tuple[promptsource.Prompt, ...],
    row: int,
    item: int,
    content: RawRow,
) -> Example | RejectedRow:
    key = (params.seed, part.name, row, item)
    for prompt in sorted(prompts, key=lambda p: stable_hash("prompt", p.name, *key)):
        try:
            rendered = prompt.apply(content.columns, stable_hash("choice", *key))
        except TemplateRejected as error:
            return part.reject(row, f"template {prompt.name!r}: {error}", content.columns)
        if rendered is None:
            continue
        inputs, targets, choices = rendered
        has_options = choices is not None and targets in choices
        return Example(
            mixture=part.mixture,
            task=part.options["hub_name"].replace("/", "_"),
            template=prompt.name,
            inputs=inputs,
            targets=targets,
            references=(targets,),
            options=choices if has_options else None,
            source_file=part.name,
            source_row=row,
            item=item,
            context=content.context,
            question=content.question,
            answer=content.answer,
        )
    return part.reject(row, f"none of {len(prompts)} templates applies", content.columns)


@cached_by_file(maxsize=256)
def _training_set(path: Path, hub_name: str) -> str:
    """Return the training set of a data set, e.g. of `glue/mrpc`; empty if T0 never trains on it.

    Args:
        path: T0's list `datasets.csv`.
        hub_name: name of the data set on the Hugging Face hub.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for entry in csv.DictReader(file):
                name = "/".join(filter(None, (entry["HF_name"], entry["subset"])))
                if name == hub_name:
                    return entry["do_train"]
    except FileNotFoundError:
        raise SourceError(
            f"{path} (T0's list of data sets) is missing; run `flanmoe fetch`"
        ) from None
    except (KeyError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is not T0's list of data sets: {error}") from None
    return ""
