"""Benchmark files -> lm-evaluation-harness tasks, zero-shot, on local JSON lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.evaluation.extraction import is_correct

VERSION = 1
"""Changes whenever prompts or scoring change: scores of different versions are not compared."""


def task_config(entry: dict[str, Any], folder: Path, max_new_tokens: int) -> dict[str, Any]:
    """The harness's configuration of one task of data/benchmarks/index.json."""
    shared: dict[str, Any] = {
        "task": task_name(entry),
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / entry["file"])}},
        "test_split": "test",
        "doc_to_text": "{{prompt}}",
        "target_delimiter": " ",
        "num_fewshot": 0,
        "metadata": {"version": VERSION},
    }
    if entry["kind"] == "multiple_choice":
        return {
            **shared,
            "output_type": "multiple_choice",
            "doc_to_choice": "{{options}}",
            "doc_to_target": "{{options.index(answer)}}",
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        }
    return {
        **shared,
        "output_type": "generate_until",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": [], "max_gen_toks": max_new_tokens, "do_sample": False},
        "process_results": _score_text,
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }


def task_name(entry: dict[str, Any]) -> str:
    """Name of the task in the harness and in every record."""
    return f"{entry['suite']}/{entry['task']}"


def _score_text(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    return {"exact_match": float(is_correct(results[0], doc["answer"]))}
