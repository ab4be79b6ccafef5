"""FLAN's CoT files: headerless TSV of question, answer, rationale.

Format (google-research/FLAN, flan/v2/cot_data): UTF-8, a literal backslash-n inside a cell is a
line break, a quotation mark is text. Rows end at the line feed byte only.
"""

from __future__ import annotations

from collections.abc import Iterator

from data_pipelines.example import Example, RejectedRow, stable_fraction
from data_pipelines.params import ReadParams
from data_pipelines.sources.part import Part
from data_pipelines.templates.instructions import choose, group

LINES = True


def load(part: Part, params: ReadParams) -> Iterator[Example | RejectedRow]:
    """Examples of one file; a row without three filled columns is refused."""
    task = "cot_" + part.path.stem.removesuffix("_train")
    templates = group("cot")
    for row, line in part.lines():
        if isinstance(line, RejectedRow):
            yield line
            continue
        cells = [cell.replace("\\n", "\n").strip() for cell in line.split("\t")]
        if len(cells) != 3:
            yield part.refused(row, f"{len(cells)} columns instead of 3", line)
            continue
        if not all(cells):
            yield part.refused(row, "empty cell", line)
            continue
        question, answer, rationale = cells
        # The rationale is asked for, given as a hint the other way round, or left out.
        if stable_fraction(params.seed, "inverted", part.name, row) < params.inversion_share:
            form = "inverted"
        elif stable_fraction(params.seed, "cot", part.name, row) < params.cot_rationale_share:
            form = "rationale"
        else:
            form = "direct"
        name, template = choose(templates, form, (params.seed, part.name, row))
        inputs, targets = template.fill(question=question, answer=answer, rationale=rationale)
        yield Example(
            mixture=part.mixture,
            task=task,
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
