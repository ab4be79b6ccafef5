"""Generate the sample, each mixture in the format in which FLAN publishes it.

Muffin and T0-SF are rendered JSON lines, NIV2 is task files, and CoT is TSV files. Each mixture has
rule families and a knowledge family; the plain text for pre-training states every fact. Four
suites of evaluation files ask what training does not: facts of people whom no instruction names
(`sample_knowledge`, and in new forms `sample_new_forms`), new inputs of the rule families
(`sample_rules`), and rule families that are held out (`sample`). The facts are also listed in
facts/sample.jsonl, which the stage `validate` checks. The output is deterministic: each row depends
on the seed and on its split, family and index only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from data_pipelines.params import SampleParams
from data_pipelines.progress import progress_bar
from data_pipelines.sources.sample import cot, muffin, niv2, t0_sf
from data_pipelines.sources.sample.facts import Fact, make_facts
from data_pipelines.sources.sample.family import Family, SampleQuestion, draw_questions
from data_pipelines.sources.sample.knowledge import FAMILIES as KNOWLEDGE_FAMILIES
from data_pipelines.sources.sample.knowledge import draw_held_out, draw_training
from data_pipelines.sources.sample.text import document
from data_pipelines.sources.source import Source

FAMILIES: dict[str, tuple[Family, ...]] = {
    "muffin": muffin.FAMILIES,
    "t0_sf": t0_sf.FAMILIES,
    "niv2": niv2.FAMILIES,
    "cot": cot.FAMILIES,
}


SAMPLE_SUITES = ("sample", "sample_rules", "sample_knowledge", "sample_new_forms")
"""Evaluation suites of the generated items: names of data sets, and of files in
models/evaluation/suites."""
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
    **{
        f"sample/{suite}": _generated(
            "items", f"eval_data/{suite}/*.jsonl", suite=suite, splits={"*": "held out"}
        )
        for suite in SAMPLE_SUITES
    },
}
"""Catalog entries of the generated files, by source name."""


def generate(folder: Path, params: SampleParams) -> None:
    """Write muffin/, t0_sf/, niv2/, cot/, text/, facts/ and eval_data/ into `folder`.

    Raises:
        SourceError: there are fewer names than people.
    """
    facts = list(make_facts(params))
    families = [(mixture, family) for mixture, members in FAMILIES.items() for family in members]
    for mixture, family in progress_bar(families, desc="sample", unit="family"):
        suite = "sample" if family.held_out else "sample_rules"
        items = draw_questions(family, params.seed, "test", params.held_out_items)
        _write_items(folder, suite, mixture, family.name, items)
        if not family.held_out:
            questions = draw_questions(family, params.seed, "train", params.examples_per_family)
            _write_training(folder, mixture, family.name, family.templates, questions)
    for known in progress_bar(KNOWLEDGE_FAMILIES, desc="facts", unit="family"):
        questions = draw_training(known, facts, params.seed)
        _write_training(folder, known.mixture, known.name, known.known_forms, questions)
        for suite, new_form in (("sample_knowledge", False), ("sample_new_forms", True)):
            items = draw_held_out(
                known, facts, params.seed, params.held_out_items, new_form=new_form
            )
            _write_items(folder, suite, known.mixture, known.name, items)
    statements = (statement for fact in facts for statement in fact.statements)
    documents = (document(params.seed, i) for i in range(params.text_documents))
    _write_lines(folder / "text" / "sample.txt", chain(statements, documents))
    _write_json_lines(folder / "facts" / "sample.jsonl", map(_to_fact_row, facts))


def _write_items(
    folder: Path, suite: str, mixture: str, name: str, questions: Iterable[SampleQuestion]
) -> None:
    """Write the evaluation items of a family."""
    path = folder / "eval_data" / suite / f"{name}.jsonl"
    _write_json_lines(path, (_to_eval_item(mixture, q) for q in questions))


def _write_training(
    folder: Path,
    mixture: str,
    name: str,
    definitions: tuple[str, ...],
    questions: Iterable[SampleQuestion],
) -> None:
    """Write the training rows of a family in the format of its mixture."""
    if mixture == "niv2":
        path = folder / "niv2" / f"sample_{name}.json"
        _write_lines(path, [json.dumps(_to_niv2_task(name, definitions, questions))])
    elif mixture == "cot":
        lines = (f"{q.instruction}\t{q.item.target}\t{q.item.rationale}" for q in questions)
        _write_lines(folder / "cot" / f"sample_{name}_train.tsv", lines)
    else:
        path = folder / mixture / f"sample_{name}.jsonl"
        _write_json_lines(path, (_to_flan_row(mixture, q) for q in questions))


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
        "cluster": q.cluster,
    }


def _to_niv2_task(
    name: str, definitions: tuple[str, ...], questions: Iterable[SampleQuestion]
) -> dict[str, Any]:
    instances = [
        {"id": f"{name}-{q.index}", "input": q.item.fields["input"], "output": [q.item.target]}
        for q in questions
    ]
    return {
        "Source": ["sample"],
        "Definition": list(definitions),
        "Instances": instances,
        "Instance License": [LICENCE],
    }


def _to_fact_row(fact: Fact) -> dict[str, Any]:
    return {
        "entity": fact.person.name,
        "attribute": fact.attribute.noun,
        "value": fact.value,
        "is_trained": fact.person.is_trained,
    }


def _write_json_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    _write_lines(path, (json.dumps(row) for row in rows))


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(line + "\n" for line in lines)
