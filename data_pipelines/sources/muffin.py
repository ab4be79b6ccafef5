"""Muffin: raw data sets, rendered with this project's own instruction templates."""

from __future__ import annotations

from collections.abc import Iterator

from data_pipelines.example import Example, RejectedRow, stable_fraction
from data_pipelines.params import ReadParams
from data_pipelines.sources.part import Part
from data_pipelines.sources.raw.row import RawRow
from data_pipelines.sources.raw.table import read_rows
from data_pipelines.templates.instructions import (
    TemplateGroup,
    choose_template,
    format_options,
    template_group,
)

LINES = False


def load(part: Part, params: ReadParams) -> Iterator[Example | RejectedRow]:
    """Yield the examples of one file of the data set that the catalog's `options` name."""
    templates = template_group(part.options["templates"])
    for row, item, content in read_rows(part):
        if isinstance(content, RejectedRow):
            yield content
        else:
            yield _render(part, params, templates, row, item, content)


def _render(
    part: Part, params: ReadParams, templates: TemplateGroup, row: int, item: int, content: RawRow
) -> Example:
    key = (params.seed, part.name, row, item)
    is_inverted = (
        bool(templates.get("inverted"))
        and stable_fraction("inverted", *key) < params.inversion_share
    )
    shows_options = (
        content.options is not None
        and not is_inverted
        and stable_fraction("options", *key) < params.options_share
    )
    form = "inverted" if is_inverted else "forward"
    name, template = choose_template(templates, form, key)
    inputs, targets = template.fill(
        **content.template_fields,
        context=content.context,
        question=content.question,
        answer=content.answer,
        options=format_options(content.options, key) if shows_options and content.options else "",
    )
    return Example(
        mixture=part.mixture,
        task=part.options["dataset"],
        template=f"{name}_{'options' if shows_options else 'plain'}",
        inputs=inputs,
        targets=targets,
        references=content.references if targets == content.answer else (targets,),
        options=content.options if shows_options else None,
        source_file=part.name,
        source_row=row,
        item=item,
        context=content.context,
        question=content.question,
        answer=content.answer,
    )
