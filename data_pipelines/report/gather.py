"""Collect the reports of all data stages into one record, for `flanmoe data report`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from data_pipelines import layout
from data_pipelines.errors import DataError
from data_pipelines.params import PRETRAINING_OBJECTIVES
from data_pipelines.sources.omissions import describe_omissions
from data_pipelines.stage_outputs import read_stage_json

CLEAN_FIELDS = ("duplicates", "contaminated", "dropped")
PACKING_FIELDS = (
    "rows", "row_lower_bound", "examples", "encoder_tokens", "decoder_tokens", "encoder_fill",
    "decoder_fill", "truncated", "lost_tokens", "encoder_length", "decoder_length", "version",
)  # fmt: skip


def gather_report(workspace: Path, packed: Path | None = None) -> dict[str, Any]:
    """Collect the reports of the data stages.

    Args:
        workspace: folder that contains data/.
        packed: folder of the packed corpora; None for data/packed.

    Returns:
        The record that page.html.j2 renders.

    Raises:
        DataError: a stage has not run, or ran with an older release.
    """
    packed = packed or workspace / layout.PACKED
    manifest = read_stage_json(workspace / layout.RAW / "manifest.json", "fetch")
    read = read_stage_json(workspace / layout.RECORDS / "report.json", "read")
    clean = read_stage_json(workspace / layout.CLEAN / "report.json", "clean")
    mix = read_stage_json(workspace / layout.MIXTURE / "report.json", "mix")
    contamination = read_stage_json(workspace / layout.MIXTURE / "contamination.json", "mix")
    self_test = read_stage_json(workspace / layout.MIXTURE / layout.SELF_TEST, "mix")
    findings = read_stage_json(workspace / layout.VALIDATION / "results.json", "validate")
    findings += read_stage_json(packed / "validation.json", "pack")
    corpora = {
        corpus: read_stage_json(packed / corpus / "manifest.json", "pack")
        for corpus in ("train", "validation", *PRETRAINING_OBJECTIVES)
    }
    try:
        return _combine(manifest, read, clean, mix, contamination, self_test, findings, corpora)
    except KeyError as error:
        raise DataError(
            f"{workspace}: the data reports have no field {error}: an older release of flanmoe "
            "wrote them; run `flanmoe run`"
        ) from None


def _combine(
    manifest: dict[str, Any],
    read: dict[str, Any],
    clean: dict[str, Any],
    mix: dict[str, Any],
    contamination: dict[str, Any],
    self_test: dict[str, Any],
    findings: list[dict[str, Any]],
    corpora: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    return {
        "shares": {
            name: {"target": entry["target_share"], "realised": entry["share"]}
            for name, entry in mix["mixtures"].items()
        },
        "examples": mix["examples"],
        "validation_examples": mix["validation"],
        "few_shot_examples": mix["few_shot"],
        "texts": mix["texts"],
        "sources": {
            name: {
                **read["sources"].get(name, {}),
                "licence": source["licence"],
                "files": len(source["present_files"]),
            }
            for name, source in manifest["sources"].items()
        },
        "licences": mix["licences"],
        "text_licences": mix["text_licences"],
        "omitted_sources": manifest["omitted_sources"],
        "omissions": describe_omissions(manifest),
        "quarantined": read["quarantined"],
        "held_out": sum(t["examples"] for t in read["tasks"] if t["split"] == "test"),
        "duplicates": clean["duplicates"],
        "rows_dropped": clean["rows_dropped"],
        "rows_flagged": clean["rows_flagged"],
        "rows_excluded": clean["rows_excluded"],
        "contamination": {
            suite: {**entry, "num_items_in_mixture": contamination[suite]["num_contaminated"]}
            for suite, entry in clean["contamination"].items()
        },
        "self_test": self_test,
        "mixtures": {
            mixture: {
                **entry,
                "tasks": _merge_task_counts(entry["tasks"], corpora, _clean_counts(clean, mixture)),
            }
            for mixture, entry in mix["mixtures"].items()
        },
        "packing": {
            corpus: {field: entry[field] for field in PACKING_FIELDS}
            for corpus, entry in corpora.items()
        },
        "expectations": {
            "passed": sum(finding["success"] for finding in findings),
            "warnings": [f for f in findings if not f["success"] and not f["blocking"]],
            "failed": [f for f in findings if not f["success"] and f["blocking"]],
        },
    }


def _clean_counts(clean: dict[str, Any], mixture: str) -> dict[str, dict[str, int]]:
    """Return the number of duplicate, contaminated and dropped rows by task of a mixture."""
    return {
        entry["task"]: {field: entry[field] for field in CLEAN_FIELDS}
        for entry in clean["tasks"]
        if entry["mixture"] == mixture
    }


def _merge_task_counts(
    tasks: dict[str, dict[str, int]],
    corpora: dict[str, dict[str, Any]],
    clean_counts: dict[str, dict[str, int]],
) -> dict[str, dict[str, int]]:
    """Add the counts of packing and cleaning to each task's counts in the mixture.

    Tasks that cleaning removed completely are included with zero examples.

    Args:
        tasks: counts of the stage `mix` by task of one mixture.
        corpora: packed manifest by corpus.
        clean_counts: counts of the stage `clean` by task of the mixture.
    """
    zeros = dict.fromkeys(CLEAN_FIELDS, 0)
    removed = {
        task: dict.fromkeys(next(iter(tasks.values())), 0)
        for task in clean_counts
        if task not in tasks
    }
    merged = {}
    for task, entry in sorted((tasks | removed).items()):
        counts: Counter[str] = Counter(encoder_tokens=0, decoder_tokens=0, truncated=0)
        for corpus in ("train", "validation"):
            packed = corpora[corpus]["by_task"].get(task, {})
            counts.update({field: packed.get(field, 0) for field in counts})
        merged[task] = {**entry, **counts, **clean_counts.get(task, zeros)}
    return merged
