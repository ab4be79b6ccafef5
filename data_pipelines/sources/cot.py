"""FLAN's chain-of-thought files: TSV of question, answer and rationale, without a header.

Format (google-research/FLAN, flan/v2/cot_data): UTF-8. A literal backslash-n within a cell stands
for a line break, quotation marks are text, and only a line feed byte ends a row.
"""

from __future__ import annotations

from collections.abc import Iterator

from data_pipelines.example import Example, RejectedRow, stable_fraction
from data_pipelines.params import ReadParams
from data_pipelines.sources.part import InvalidRow, Part, convert_rows
from data_pipelines.templates.instructions import choose_template, template_group

LINES = True


def load(part: Part, params: ReadParams) -> Iterator[Example | RejectedRow]:
    """Yield the examples of one file; rows without three non-empty cells are rejected."""
    return convert_rows(part, part.lines(), lambda row, line: _convert(part, params, row, line))


def _convert(part: Part, params: ReadParams, row: int, line: str) -> Example:
    cells = [cell.replace("\\n", "\n").strip() for cell in line.split("\t")]
    if len(cells) != 3:
        raise InvalidRow(f"{len(cells)} columns instead of 3")
    if not all(cells):
        raise InvalidRow("empty cell")
    question, answer, rationale = cells
    # The rationale is the target, part of the input (inverted), or omitted (direct).
    if stable_fraction(params.seed, "inverted", part.name, row) < params.inversion_share:
        form = "inverted"
    elif stable_fraction(params.seed, "cot", part.name, row) < params.cot_rationale_share:
        form = "rationale"
    else:
        form = "direct"
    name, template = choose_template(template_group("cot"), form, (params.seed, part.name, row))
    inputs, targets = template.fill(question=question, answer=answer, rationale=rationale)
    return Example(
        mixture=part.mixture,
        task="cot_" + part.path.stem.removesuffix("_train"),
        template=name,
        inputs=inputs,
        targets=targets,
        references=(targets,),
        options=None,
        source_file=part.name,
        source_row=row,
        question=question,
        answer=answer,
    )
