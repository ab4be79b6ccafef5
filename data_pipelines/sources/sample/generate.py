"""Writes the sample, each mixture in the format in which FLAN publishes it.

Muffin and T0-SF as rendered JSON lines, NIV2 as task files, CoT as TSV; held-out families as
benchmark items; a plain-text corpus. Deterministic: every row depends on its own key alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_pipelines.params import SampleParams
from data_pipelines.sources.sample import cot, muffin, niv2, t0_sf
from data_pipelines.sources.sample.family import Family, Question, question
from data_pipelines.sources.sample.text import document
from data_pipelines.sources.source import Source

FAMILIES: dict[str, tuple[Family, ...]] = {
    "muffin": muffin.FAMILIES,
    "t0_sf": t0_sf.FAMILIES,
    "niv2": niv2.FAMILIES,
    "cot": cot.FAMILIES,
}


def _generated(format: str, files: str, **fields: Any) -> Source:
    return Source(
        format=format, files=(files,), licence="Apache-2.0 (generated)", terms="open", **fields
    )


_COMPOSES = {"allow_exemplars": True}
SOURCES: dict[str, Source] = {
    "sample/muffin": _generated(
        "flan_export", "muffin/*.jsonl", mixture="muffin", options=_COMPOSES
    ),
    "sample/t0_sf": _generated("flan_export", "t0_sf/*.jsonl", mixture="t0_sf", options=_COMPOSES),
    "sample/niv2": _generated("niv2_json", "niv2/sample_*.json", mixture="niv2"),
    "sample/cot": _generated("cot_tsv", "cot/sample_*.tsv", mixture="cot"),
    "sample/text": _generated("text", "text/sample.txt", mixture="text"),
    "sample/benchmarks": _generated("items", "benchmarks/sample/*.jsonl", suite="sample"),
}
"""What the generated files are, in the words of the catalog."""


def generate(folder: Path, params: SampleParams) -> None:
    """Fills `folder` with muffin/, t0_sf/, niv2/, cot/, text/ and benchmarks/sample/."""
    work = [(mixture, family) for mixture, members in FAMILIES.items() for family in members]
    for mixture, family in tqdm(work, desc="sample", unit="family"):
        if family.heldout:
            target = folder / "benchmarks" / "sample" / f"{family.name}.jsonl"
            items = _draw(family, params.seed, "test", params.held_out_items)
            _write_lines(target, (_benchmark_item(mixture, q) for q in items))
            continue
        rows = _draw(family, params.seed, "train", params.examples_per_family)
        if mixture == "niv2":
            _write_niv2(folder / "niv2" / f"sample_{family.name}.json", family, rows)
        elif mixture == "cot":
            lines = (f"{q.instruction}\t{q.item.target}\t{q.item.rationale}" for q in rows)
            _write_text(folder / "cot" / f"sample_{family.name}_train.tsv", lines)
        else:
            target = folder / mixture / f"sample_{family.name}.jsonl"
            _write_lines(target, (_rendered(mixture, q) for q in rows))
    documents = (document(params.seed, i) for i in range(params.text_documents))
    _write_text(folder / "text" / "sample.txt", documents)


def _draw(family: Family, seed: int, split: str, count: int) -> Iterator[Question]:
    return (question(family, seed, split, index) for index in range(count))


def _rendered(mixture: str, q: Question) -> dict[str, Any]:
    return {
        "inputs": q.instruction + q.options_block,
        "targets": q.item.target,
        "options": q.item.options,
        "task_name": f"sample_{q.family}",
        "task_source": mixture,
        "template_type": "zs_opt" if q.item.options else "zs_noopt",
        "template": f"{q.family}_{q.template}",
    }


def _benchmark_item(mixture: str, q: Question) -> dict[str, Any]:
    text, asked = q.instruction + q.options_block, q.instruction
    if mixture == "niv2":
        asked = q.item.fields["input"]
        text = f"Definition: {q.instruction} Input: {q.item.fields['input']} Output:"
    return {
        "id": f"{q.family}-{q.index}",
        "text": text,
        "answer": q.item.target,
        "options": q.item.options,
        "question": asked,
    }


def _write_niv2(path: Path, family: Family, rows: Iterator[Question]) -> None:
    instances = [
        {
            "id": f"{family.name}-{q.index}",
            "input": q.item.fields["input"],
            "output": [q.item.target],
        }
        for q in rows
    ]
    task = {"Source": ["sample"], "Definition": list(family.templates), "Instances": instances}
    _write_text(path, [json.dumps(task)])


def _write_lines(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    _write_text(path, (json.dumps(row) for row in rows))


def _write_text(path: Path, lines: Iterator[str] | list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(line + "\n" for line in lines)
