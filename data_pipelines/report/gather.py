"""What became of the data, from source to packed rows, in one structure: `flanmoe data report`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from data_pipelines import layout
from data_pipelines.errors import DataError


def gather(workspace: Path, packed: Path | None = None) -> dict[str, Any]:
    """Of the stages' own reports. `packed`: where the packed corpora lie while they are made.

    Raises DataError naming the stage that has not run.
    """
    packed = packed or workspace / layout.PACKED
    manifest = _read(workspace / layout.RAW / "manifest.json", "fetch")
    read = _read(workspace / layout.RECORDS / "report.json", "read")
    clean = _read(workspace / layout.CLEAN / "report.json", "clean")
    mix = _read(workspace / layout.MIXTURE / "report.json", "mix")
    overlap = _read(workspace / layout.MIXTURE / "contamination.json", "mix")
    findings = _read(workspace / layout.VALIDATION / "results.json", "validate")
    findings += _read(packed / "validation.json", "pack")
    corpora = {
        corpus: _read(packed / corpus / "manifest.json", "pack")
        for corpus in ("train", "validation", "pretrain")
    }
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
                "files": len(source["found"]),
            }
            for name, source in manifest["sources"].items()
        },
        "left_out": manifest["left_out"],
        "quarantined": read["quarantined"],
        "held_out": sum(t["examples"] for t in read["tasks"] if t["split"] == "test"),
        "duplicates": clean["duplicates"],
        "rows_dropped": clean["rows_dropped"],
        "rows_flagged": clean["rows_flagged"],
        "rows_excluded": clean["rows_excluded"],
        "contamination": {
            suite: {**entry, "items_in_mixture": overlap[suite]["num_contaminated"]}
            for suite, entry in clean["contamination"].items()
        },
        "mixtures": {
            mixture: {
                **entry,
                "tasks": _with_tokens(entry["tasks"], corpora, _taken_out(clean, mixture)),
            }
            for mixture, entry in mix["mixtures"].items()
        },
        "packing": {
            corpus: {
                key: entry[key]
                for key in (
                    "rows", "row_lower_bound", "examples", "encoder_tokens", "decoder_tokens",
                    "encoder_fill", "decoder_fill", "truncated", "encoder_length",
                    "decoder_length", "version",
                )
            }
            for corpus, entry in corpora.items()
        },
        "expectations": {
            "held": sum(finding["success"] for finding in findings),
            "warnings": [f for f in findings if not f["success"] and not f["blocking"]],
            "failed": [f for f in findings if not f["success"] and f["blocking"]],
        },
    }  # fmt: skip


def _taken_out(clean: dict[str, Any], mixture: str) -> dict[str, dict[str, int]]:
    """Task -> rows that cleaning found something against."""
    return {
        entry["task"]: {key: entry[key] for key in ("duplicates", "contaminated", "dropped")}
        for entry in clean["tasks"]
        if entry["mixture"] == mixture
    }


def _with_tokens(
    tasks: dict[str, dict[str, int]],
    corpora: dict[str, dict[str, Any]],
    taken_out: dict[str, dict[str, int]],
) -> dict[str, dict[str, int]]:
    """The tasks that are mixed, and those that cleaning left nothing of."""
    nothing = dict.fromkeys(("duplicates", "contaminated", "dropped"), 0)
    gone = {
        task: dict.fromkeys(next(iter(tasks.values())), 0)
        for task in taken_out
        if task not in tasks
    }
    tasks = dict(sorted((tasks | gone).items()))
    result = {}
    for task, entry in tasks.items():
        counted: Counter[str] = Counter(encoder_tokens=0, decoder_tokens=0, truncated=0)
        for corpus in ("train", "validation"):
            found = corpora[corpus]["by_task"].get(task, {})
            counted.update({key: found.get(key, 0) for key in counted})
        result[task] = {**entry, **counted, **taken_out.get(task, nothing)}
    return result


def _read(path: Path, stage: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} is missing; run `flanmoe {stage}`") from None
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}; run `flanmoe {stage}` again") from None
