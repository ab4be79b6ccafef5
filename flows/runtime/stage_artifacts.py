"""Artifacts in Prefect: what stages and the pipeline produced, for people who look at a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)

from data_pipelines import layout
from flows.runtime.accuracy_chart import ChartPoint, render_svg, to_data_uri
from models.replicate import Replicate
from registry.versions import VersionInfo


def publish_stage(stage: str, workspace: Path) -> None:
    """Create the artifact of a stage that ran, if it has one."""
    kind, _, run = stage.partition("@")
    publish = _PUBLISH.get(kind)
    if publish is not None:
        publish(workspace, run)


def publish_versions(versions: Sequence[VersionInfo], dashboard: str) -> None:
    """Create the comparison of versions as a table and as a chart, and a link to the dashboard.

    Args:
        versions: the versions of a run, and the champion.
        dashboard: URL of the dashboard.
    """
    if not versions:
        return
    create_table_artifact(
        key="versions",
        table=[_version_row(version) for version in versions],
        description="Registered versions: accuracy with its standard error, and compute.",
    )
    chart = render_svg(
        [
            ChartPoint(
                label=f"{version.name} v{version.version}",
                flops_per_token=version.run_record.flops_per_token,
                accuracy=version.evaluation.accuracy,
                standard_error=version.evaluation.standard_error,
                is_champion=version.is_champion,
            )
            for version in versions
        ]
    )
    create_markdown_artifact(
        key="accuracy-against-compute",
        markdown=f"![accuracy against compute]({to_data_uri(chart)})",
        description="Accuracy against GFLOPs per token, with 95 % intervals.",
    )
    names = ", ".join(f"{version.name} v{version.version}" for version in versions)
    create_link_artifact(key="dashboard", link=dashboard, description=f"Dashboard: {names}")


def _version_row(version: VersionInfo) -> dict[str, Any]:
    run, scores = version.run_record, version.evaluation
    return {
        "version": version.version,
        "run": version.name,
        "accuracy": f"{100 * scores.accuracy:.1f} ± {100 * scores.standard_error:.1f} %"
        + (" partial" if scores.partial else ""),
        "chance": f"{100 * scores.random_score:.1f} %",
        "GFLOPs/token": f"{run.flops_per_token / 1e9:.5g}",
        "active parameters": run.active_parameters,
        "state": version.standing,
    }


def _publish_mixture(workspace: Path, _run: str) -> None:
    report = _read_json(workspace / layout.MIXTURE / "report.json")
    create_table_artifact(
        key="mixture",
        table=[
            {
                "mixture": name,
                "examples": entry["examples"],
                "share": f"{entry['share']:.1%}",
                "target share": f"{entry['target_share']:.1%}",
                "tasks": len(entry["tasks"]),
            }
            for name, entry in report["mixtures"].items()
        ],
        description=f"Training mixture: {report['examples']:,} examples.",
    )


def _publish_validation(workspace: Path, _run: str) -> None:
    findings = _read_json(workspace / layout.VALIDATION / "results.json")
    failed = [finding for finding in findings if not finding["success"]]
    create_table_artifact(
        key="validation",
        table=[
            {
                key: str(finding[key])
                for key in ("suite", "expectation", "column", "limits", "observed", "blocking")
            }
            for finding in failed
        ],
        description=f"{len(findings) - len(failed)} of {len(findings)} expectations hold; the "
        "others are warnings.",
    )


def _publish_evaluation(workspace: Path, run: str) -> None:
    record = _read_json(workspace / Replicate.from_label(run).folder / "evaluation.json")
    create_table_artifact(
        key=f"evaluation-{_to_key(run)}",
        table=[
            {
                "task": task["task"],
                "items": task["num_items"],
                "accuracy": f"{100 * task['accuracy']:.1f} ± {100 * task['standard_error']:.1f} %",
                "chance": f"{100 * task['random_score']:.1f} %",
            }
            for task in record["tasks"]
        ],
        description=f"{run}: accuracy {100 * record['accuracy']:.1f} ± "
        f"{100 * record['standard_error']:.1f} % on {record['num_items']:,} items.",
    )


_PUBLISH: dict[str, Callable[[Path, str], None]] = {
    "mix": _publish_mixture,
    "validate": _publish_validation,
    "evaluate": _publish_evaluation,
}


def _to_key(name: str) -> str:
    """Return a name as an artifact key, which has lower-case letters, digits and dashes only."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower())


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
