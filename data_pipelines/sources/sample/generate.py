"""Generate the sample, each mixture in the format in which FLAN publishes it.

Muffin and T0-SF are rendered JSON lines, NIV2 is task files, and CoT is TSV files. The items of
held-out families are evaluation files, and a plain-text corpus is for pre-training. The output is
deterministic: each row depends on the seed and on its split, family and index only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_pipelines.params import SampleParams
from data_pipelines.sources.sample import cot, muffin, niv2, t0_sf
from data_pipelines.sources.sample.family import Family, SampleQuestion, draw_question
from data_pipelines.sources.sample.text import document
from data_pipelines.sources.source import Source

FAMILIES: dict[str, tuple[Family, ...]] = {
    "muffin": muffin.FAMILIES,
    "t0_sf": t0_sf.FAMILIES,
    "niv2": niv2.FAMILIES,
    "cot": cot.FAMILIES,
}


LICENCE = "Apache-2.0 (generated)"


def _generated(format: str, files: str, **fields: Any) -> Source:
    return Source(format=format, files=(files,), licence=LICENCE, terms="open", **fields)


_RENDERED_OPTIONS = {"allow_exemplars": True}
SOURCES: dict[str, Source] = {
    "sample/muffin": _generated(
        "flan_export", "muffin/*.jsonl", mixture="muffin", options=_RENDERED_OPTIONS
    ),
    "sample/t0_sf": _generated(
        "flan_export", "t0_sf/*.jsonl", mixture="t0_sf", options=_RENDERED_OPTIONS
    ),
    "sample/niv2": _generated("niv2_json", "niv2/sample_*.json", mixture="niv2"),
    "sample/cot": _generated("cot_tsv", "cot/sample_*.tsv", mixture="cot"),
    "sample/text": _generated("text", "text/sample.txt", mixture="text"),
    "sample/eval_data": _generated(
        "items", "eval_data/sample/*.jsonl", suite="sample", splits={"*": "held out"}
    ),
}
"""Catalog entries of the generated files, by source name."""


def generate(folder: Path, params: SampleParams) -> None:
    """Write muffin/, t0_sf/, niv2/, cot/, text/ and eval_data/sample/ into `folder`."""
    families = [(mixture, family) for mixture, members in FAMILIES.items() for family in members]
    for mixture, family in tqdm(families, desc="sample", unit="family"):
        if family.held_out:
            path = folder / "eval_data" / "sample" / f"{family.name}.jsonl"
            questions = _draw(family, params.seed, "test", params.held_out_items)
            _write_json_lines(path, (_to_eval_item(mixture, q) for q in questions))
            continue
        questions = _draw(family, params.seed, "train", params.examples_per_family)
        if mixture == "niv2":
            _write_niv2(folder / "niv2" / f"sample_{family.name}.json", family, questions)
        elif mixture == "cot":
            lines = (f"{q.instruction}\t{q.item.target}\t{q.item.rationale}" for q in questions)
            _write_lines(folder / "cot" / f"sample_{family.name}_train.tsv", lines)
        else:
            path = folder / mixture / f"sample_{family.name}.jsonl"
            _write_json_lines(path, (_to_flan_row(mixture, q) for q in questions))
    documents = (document(params.seed, i) for i in range(params.text_documents))
    _write_lines(folder / "text" / "sample.txt", documents)


def _draw(family: Family, seed: int, split: str, count: int) -> Iterator[SampleQuestion]:
    return (draw_question(family, seed, split, index) for index in range(count))


def _to_flan_row(mixture: str, q: SampleQuestion) -> dict[str, Any]:
    return {
        "inputs": q.instruction + q.options_block,
        "targets": q.item.target,
        "options": q.item.options,
        "task_name": f"sample_{q.family}",
        "task_source": mixture,
        "template_type": "zs_opt" if q.item.options else "zs_noopt",
        "template": f"{q.family}_{q.template}",
    }


def _to_eval_item(mixture: str, q: SampleQuestion) -> dict[str, Any]:
    text, question = q.instruction + q.options_block, q.instruction
    if mixture == "niv2":
        question = q.item.fields["input"]
        text = f"Definition: {q.instruction} Input: {q.item.fields['input']} Output:"
    return {
        "id": f"{q.family}-{q.index}",
        "text": text,
        "answer": q.item.target,
        "options": q.item.options,
        "question": question,
        "cluster": q.family,
    }


def _write_niv2(path: Path, family: Family, questions: Iterator[SampleQuestion]) -> None:
    instances = [
        {
            "id": f"{family.name}-{q.index}",
            "input": q.item.fields["input"],
            "output": [q.item.target],
        }
        for q in questions
    ]
    task = {
        "Source": ["sample"],
        "Definition": list(family.templates),
        "Instances": instances,
        "Instance License": [LICENCE],
    }
    _write_lines(path, [json.dumps(task)])


def _write_json_lines(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    _write_lines(path, (json.dumps(row) for row in rows))


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(line + "\n" for line in lines)
