"""Tables of the page Data, from the reports of the data stages; shares in percent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dashboard import text

Report = Mapping[str, Any]


def mixtures_table(mix: Report, caps: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row for each mixture with the share that was wanted and the realised one.

    Args:
        mix: data/mixture/report.json.
        caps: the largest number of rows of a task that counts for its rate, by mixture.
    """
    return pd.DataFrame(
        [
            {
                "mixture": text.name(name),
                "wanted %": 100 * entry["target_share"],
                "realised %": 100 * entry["share"],
                "examples": entry["examples"],
                "available": entry["available"],
                "tasks": len(entry["tasks"]),
                "cap": caps.get(name),
                "tasks above the cap": _count_capped(entry["tasks"], caps.get(name)),
            }
            for name, entry in mix["mixtures"].items()
        ]
    )


def _count_capped(tasks: Mapping[str, Report], cap: Any) -> int | None:
    if not isinstance(cap, int):
        return None
    return len([task for task in tasks.values() if task["available"] > cap])


def tasks_table(mix: Report, clean: Report, packed: Report) -> pd.DataFrame:
    """Return a row for each task: examples, lengths, and what was dropped.

    Tasks of which nothing is in the mixture have no examples.

    Args:
        mix: data/mixture/report.json.
        clean: data/clean/report.json.
        packed: data/packed/train/manifest.json.
    """
    dropped = {(entry["mixture"], entry["task"]): entry for entry in clean["tasks"]}
    counts = {
        (mixture, task): entry
        for mixture, content in mix["mixtures"].items()
        for task, entry in content["tasks"].items()
    }
    return pd.DataFrame(
        [
            {
                "mixture": text.name(mixture),
                "task": text.name(task),
                **_counts_in_mixture(counts.get((mixture, task))),
                **_mean_tokens(packed["by_task"].get(task, {})),
                "truncated": packed["by_task"].get(task, {}).get("truncated", 0),
                "duplicates": dropped.get((mixture, task), {}).get("duplicates", 0),
                "contaminated": dropped.get((mixture, task), {}).get("contaminated", 0),
            }
            for mixture, task in dict.fromkeys([*counts, *dropped])
        ]
    )


def _counts_in_mixture(counts: Report | None) -> dict[str, float | None]:
    """Return the columns of a task's counts; None of a task of which nothing is in the mixture."""
    counts = counts or dict.fromkeys(
        ("examples", "target", "available", "repeated", "few_shot", "characters"), 0
    )
    return {
        "examples": counts["examples"],
        "wanted": counts["target"],
        "available": counts["available"],
        "repeated": counts["repeated"],
        "few-shot": counts["few_shot"],
        "characters": _mean(counts["characters"], counts["examples"]),
    }


def _mean_tokens(counts: Report) -> dict[str, float | None]:
    """Return the mean length of a task's examples; tokens of plain text have no examples."""
    return {
        f"{side} tokens": _mean(counts.get(f"{side}_tokens"), counts.get("examples"))
        for side in ("encoder", "decoder")
    }


def _mean(total: float | None, count: int | None) -> float | None:
    return total / count if total is not None and count else None


def packing_table(summary: Report) -> pd.DataFrame:
    """Return a row for each packed corpus: rows, fill, and what did not fit."""
    return pd.DataFrame(
        [
            {
                "corpus": text.name(corpus),
                "rows": entry["rows"],
                "fewest rows possible": entry["row_lower_bound"],
                "examples": entry["examples"],
                "encoder tokens": entry["encoder_tokens"],
                "decoder tokens": entry["decoder_tokens"],
                "encoder fill %": 100 * entry["encoder_fill"],
                "decoder fill %": 100 * entry["decoder_fill"],
                "truncated": entry["truncated"],
                "lost tokens": entry["lost_tokens"],
            }
            for corpus, entry in summary.items()
        ]
    )


def overlap_table(clean: Report, contamination: Report) -> pd.DataFrame:
    """Return a row for each suite: items that overlap with sources, and with the mixture."""
    return pd.DataFrame(
        [
            {
                "suite": text.name(suite),
                "items": entry["num_items"],
                "in the sources": entry["num_items_in_sources"],
                "in the mixture": contamination[suite]["num_contaminated"],
                "tasks with overlap": len(entry["tasks"]),
                "most in": max(
                    (
                        (task["num_rows"], f"{text.name(task['task'])} ({task['num_rows']:,} rows)")
                        for task in entry["tasks"]
                    ),
                    default=(0, ""),
                )[1],
            }
            for suite, entry in clean["contamination"].items()
        ]
    )


def self_test_table(self_test: Report) -> pd.DataFrame:
    """Return a row for each kind of planted row, with the share that the check matches."""
    rows = [("overlap", kind, entry) for kind, entry in self_test["kinds"].items()]
    rows += [("boilerplate", kind, entry) for kind, entry in self_test["boilerplate"].items()]
    return pd.DataFrame(
        [
            {
                "planted": planted,
                "kind": text.name(kind.replace("_", " ")),
                "word for word": entry["is_verbatim"],
                "rows": entry["num_rows"],
                "matched": entry["num_matched"],
                "matched %": 100 * entry["num_matched"] / entry["num_rows"]
                if entry["num_rows"]
                else None,
            }
            for planted, kind, entry in rows
        ]
    )


def failed_table(findings: Sequence[Report]) -> pd.DataFrame:
    """Return a row for each expectation that failed."""
    columns = ["suite", "result", "expectation", "column", "limits", "observed"]
    rows = [
        [
            text.name(finding["suite"]),
            "ERROR" if finding["blocking"] else "warning",
            text.name(finding["expectation"]),
            text.name(finding["column"]),
            text.shorten(str(finding["limits"]), 300),
            text.shorten(str(finding["observed"]), 300),
        ]
        for finding in findings
        if not finding["success"]
    ]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def difference_table(before: Report, after: Report) -> pd.DataFrame:
    """Return a row for each mixture and each task whose number of examples differs.

    Args:
        before: report of the stage `mix` of an earlier data version.
        after: the same of a later one.
    """
    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys([*before["mixtures"], *after["mixtures"]]):
        entries = [report["mixtures"].get(name, {}) for report in (before, after)]
        rows.append(_difference(name, "all", [entry.get("examples", 0) for entry in entries]))
        rows[-1] |= {
            f"share {when} %": 100 * entry.get("share", 0.0)
            for when, entry in zip(("before", "after"), entries, strict=True)
        }
        tasks = [
            Counter({task: counts["examples"] for task, counts in entry.get("tasks", {}).items()})
            for entry in entries
        ]
        rows += [
            _difference(name, task, [counts[task] for counts in tasks])
            for task in dict.fromkeys([*tasks[0], *tasks[1]])
            if tasks[0][task] != tasks[1][task]
        ]
    return pd.DataFrame(rows)


def _difference(mixture: str, task: str, examples: Sequence[int]) -> dict[str, Any]:
    before, after = examples
    return {
        "mixture": text.name(mixture),
        "task": text.name(task),
        "before": before,
        "after": after,
        "difference": after - before,
    }
