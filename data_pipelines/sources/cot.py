"""FLAN's CoT files: headerless TSV of question, answer, rationale.

Format (google-research/FLAN, flan/v2/cot_data): UTF-8, a literal backslash-n inside a cell is a
line break, a quotation mark is text. Rows end at the line feed byte only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data_pipelines.example import Example, Refused, stable_fraction, stable_hash
from data_pipelines.params import MixParams
from data_pipelines.sources.text_files import read_lines
from data_pipelines.templates.instructions import COT_DIRECT, COT_WITH_RATIONALE

PATTERN = "*.tsv"


def load(path: Path, name: str, params: MixParams) -> Iterator[Example | Refused]:
    """Examples of one file; a row without three filled columns is refused."""
    task = "cot_" + path.stem.removesuffix("_train")
    for row, line in enumerate(read_lines(path), start=1):
        cells = [cell.replace("\\n", "\n").strip() for cell in line.split("\t")]
        if len(cells) != 3:
            reason = f"{len(cells)} columns instead of 3"
            yield Refused(source_file=name, source_row=row, reason=reason, raw=line)
            continue
        if not all(cells):
            yield Refused(source_file=name, source_row=row, reason="empty cell", raw=line)
            continue
        question, answer, rationale = cells
        with_rationale = stable_fraction(params.seed, "cot", name, row) < params.cot_rationale_share
        kind, templates = (
            ("rationale", COT_WITH_RATIONALE) if with_rationale else ("direct", COT_DIRECT)
        )
        number = stable_hash(params.seed, "template", name, row) % len(templates)
        inputs, targets = templates[number]
        fields = {"question": question, "answer": answer, "rationale": rationale}
        yield Example(
            mixture="cot",
            task=task,
            template=f"{kind}_{number}",
            inputs=inputs.format(**fields),
            targets=targets.format(**fields),
            references=(targets.format(**fields),),
            options=None,
            source_file=name,
            source_row=row,
        )
