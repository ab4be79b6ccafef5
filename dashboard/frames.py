"""Tables of the pages, from values of the registry; scores in percent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import text
from registry.comparison.dense_partners import DensePartner
from registry.comparison.frontier import Frontier, FrontierPoint
from registry.gates.names import CONDITIONS
from registry.gates.result import GateResult
from registry.history import HistoryEntry
from registry.schemas import EvaluationRecordSchema, LayerHealthSchema, TrainingChainSchema
from registry.summary import ModelSummary
from registry.verdicts import Verdict
from registry.version_summary import VersionSummary


def label(name: str, version: int, *, is_champion: bool = False) -> str:
    """Return a model as it is called in charts and tables."""
    return f"{'★ ' if is_champion else ''}{text.name(name)} v{version}"


def point_label(point: FrontierPoint) -> str:
    """Return a point of a frontier as it is called in charts and tables."""
    return label(point.name, point.version, is_champion=point.is_champion)


def frontier_points(frontier: Frontier) -> pd.DataFrame:
    """Return a row for each point of a frontier, in the order of cost."""
    return pd.DataFrame([_point_row(point) for point in frontier.points])


def _point_row(point: FrontierPoint) -> dict[str, Any]:
    other = point.against_baseline
    return {
        "label": point_label(point),
        "version": point.version,
        "seeds": point.num_seeds,
        "kind": point.kind,
        "tuned": point.tuned,
        "champion": point.is_champion,
        "cost": point.cost,
        "score": 100 * point.accuracy,
        "standard_error": 100 * point.standard_error,
        "low": 100 * (point.accuracy - point.standard_error),
        "high": 100 * (point.accuracy + point.standard_error),
        "random_score": 100 * point.random_score,
        "partial": point.partial,
        "tie_group": point.tie_group,
        "on_frontier": point.on_frontier,
        "probability": 100 * point.probability,
        "against_baseline": 100 * other.difference if other else None,
        "baseline_low": 100 * other.low if other else None,
        "baseline_high": 100 * other.high if other else None,
    }


def frontier_lines(frontier: Frontier) -> pd.DataFrame:
    """Return both ends of lines from a model to those it was trained from, and to partners."""
    by_version = {point.version: point for point in frontier.points}
    pairs = [
        ("trained from", point.start_version, point.version)
        for point in frontier.points
        if point.start_version is not None
    ]
    pairs += [
        ("dense partner", partner.dense_version, partner.moe_version)
        for partner in frontier.dense_partners
    ]
    return pd.DataFrame(
        [
            {
                "line": f"{relation} {a} {b}",
                "relation": relation,
                "cost": by_version[end].cost,
                "score": 100 * by_version[end].accuracy,
            }
            for relation, a, b in pairs
            for end in (a, b)
        ]
    )


def pairs_table(summary: ModelSummary) -> pd.DataFrame:
    """Return a row for each sparse model and its dense partner."""
    return pd.DataFrame(
        [
            {
                "label": label(pair.partner.moe, pair.partner.moe_version),
                "dense partner": label(pair.partner.dense, pair.partner.dense_version),
                "difference": 100 * pair.partner.difference,
                "low": 100 * pair.partner.low,
                "high": 100 * pair.partner.high,
                "verdict": pair.outcome,
                "basis": pair.partner.basis,
                **{
                    f"{cost}, MoE ÷ dense": ratio
                    for cost, ratio in pair.partner.cost_ratios.items()
                },
            }
            for pair in summary.pairs
        ]
    )


def judged_table(summary: ModelSummary) -> pd.DataFrame:
    """Return a row for the champion and each challenger."""
    return pd.DataFrame(
        [
            {
                "model": point_label(judged.point),
                "accuracy": f"{100 * judged.point.accuracy:.1f} ± "
                f"{100 * judged.point.standard_error:.1f} %",
                "tie group": judged.point.tie_group,
                "gates": judged.verdict.outcome if judged.verdict else "not asked",
                "failed": ", ".join(judged.failed_gates),
                "against the baseline": ""
                if judged.point.against_baseline is None
                else text.points_interval(
                    judged.point.against_baseline.difference,
                    judged.point.against_baseline.low,
                    judged.point.against_baseline.high,
                ),
                "GFLOPs per token": judged.point.cost,
                "seeds": judged.point.num_seeds,
                "rejected by a person": judged.point.is_rejected,
            }
            for judged in summary.judged
        ]
    )


def changes_table(entries: Iterable[HistoryEntry]) -> pd.DataFrame:
    """Return a row for each change."""
    columns = ["time (UTC)", "version", "run", "change", "by", "reason"]
    rows = [
        [
            f"{entry.at:%Y-%m-%d %H:%M}",
            entry.version,
            text.name(entry.name) if entry.name else "",
            entry.kind.value,
            text.shorten(entry.actor, text.MAX_NAME),
            text.shorten(entry.reason, 500),
        ]
        for entry in entries
    ]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def versions_table(versions: Sequence[VersionSummary]) -> pd.DataFrame:
    """Return a row for each version of a list."""
    return pd.DataFrame([_version_row(version) for version in versions])


def _version_row(version: VersionSummary) -> dict[str, Any]:
    flops = version.cumulative_training_flops
    return {
        "version": version.version,
        "run": text.name(version.name),
        "seed": version.seed,
        "state": ("★ " if version.is_champion else "") + version.standing,
        "kind": "MoE" if version.is_moe else "dense",
        "tuned": version.tuned,
        "accuracy %": 100 * version.accuracy,
        "± %": 100 * version.standard_error,
        "chance %": 100 * version.random_score,
        "normalised": version.normalised,
        "items": version.num_items,
        "partial": version.partial,
        "GFLOPs/token": version.flops_per_token / 1e9,
        "GFLOPs/item": version.flops_per_item / 1e9,
        "total params, M": version.total_parameters / 1e6,
        "active params, M": version.active_parameters / 1e6,
        "training TFLOPs": None if flops is None else flops / 1e12,
        "training, s": version.training_seconds,
        "tags": ", ".join(f"{key}={value}" for key, value in version.tags.items()),
        "description": text.shorten(version.description, 300),
        "registered (UTC)": f"{version.created_at:%Y-%m-%d %H:%M:%S}",
        **{
            f"{name} [95 %]": f"{score.value:.1f} ({score.low:.1f} … {score.high:.1f})"
            for name, score in version.scores.items()
        },
    }


SCORE_FORMATS = {
    name: st.column_config.NumberColumn(format="%.1f")
    for name in ("score %", "± %", "chance %", "normalised", "± normalised", "clean %")
}
"""Formats of the scores in the tables of suites and tasks."""


def gates_table(verdict: Verdict) -> pd.DataFrame:
    """Return a row for each gate of a verdict."""
    return gate_results_table(verdict.gates)


def gate_results_table(gates: Iterable[GateResult]) -> pd.DataFrame:
    """Return a row for each result of a gate."""
    return pd.DataFrame(
        [
            {
                "gate": gate.name,
                "result": "pass" if gate.passed else "FAIL",
                "value": gate.value,
                "limit": gate.limit,
                "detail": text.shorten(gate.detail),
                "condition": CONDITIONS.get(gate.name, ""),
            }
            for gate in gates
        ]
    )


def partners_table(partners: Iterable[DensePartner]) -> pd.DataFrame:
    """Return a row for each sparse model and its dense partner."""
    return pd.DataFrame(
        [
            {
                "MoE": label(partner.moe, partner.moe_version),
                "dense": label(partner.dense, partner.dense_version),
                "cost, MoE ÷ dense": partner.cost_ratio,
                "equal cost": partner.equal_cost,
                "MoE − dense, points": 100 * partner.difference,
                "low": 100 * partner.low,
                "high": 100 * partner.high,
                "basis": partner.basis,
            }
            for partner in partners
        ]
    )


def lineage_table(chain: TrainingChainSchema) -> pd.DataFrame:
    """Return a row for each run of a training chain, oldest first."""
    return pd.DataFrame(
        [
            {
                "run": text.name(run.name),
                "preset": text.name(run.preset),
                "data": text.name(run.data),
                "data version": text.name(run.data_version),
                "tasks": text.shorten(", ".join(run.tasks) or "all", 300),
                "steps": run.steps,
                "seed": run.seed,
                "global batch": run.global_batch_size,
                "TFLOPs": run.training_flops / 1e12,
            }
            for run in chain.runs
        ]
    )


_LAYER = re.compile(r"^(encoder|decoder)\.blocks\.(\d+)\.")


def layer_label(name: str) -> str:
    """Return an MoE layer as charts and tables name it: its stack and the number of its block."""
    match = _LAYER.match(name)
    return f"{match[1]} {match[2]}" if match else text.name(name)


def router_table(health: Mapping[str, LayerHealthSchema]) -> pd.DataFrame:
    """Return a row for each expert of each MoE layer, with its load relative to the mean."""
    return pd.DataFrame(
        [
            {
                "layer": layer_label(layer),
                "expert": expert,
                "load": len(state.load) * load,
                "dropped in the layer %": 100 * state.drop_share,
                "dead experts of the layer": state.dead_experts,
                "entropy of the layer, nats": state.entropy,
            }
            for layer, state in health.items()
            for expert, load in enumerate(state.load)
        ]
    )


def suites_table(evaluation: EvaluationRecordSchema) -> pd.DataFrame:
    """Return a row for each suite of an evaluation."""
    return pd.DataFrame(
        [
            {
                "suite": text.name(suite.suite),
                "items": suite.num_items,
                "score %": 100 * suite.accuracy,
                "± %": 100 * suite.standard_error,
                "chance %": 100 * suite.random_score,
                "normalised": suite.normalised,
                "± normalised": suite.normalised_standard_error,
                "contaminated": suite.num_contaminated,
                "clean %": _percent(suite.clean.accuracy),
                "partial": text.shorten(suite.partial_reason, 300),
                "protocol": text.shorten(suite.protocol.follows, 300),
            }
            for suite in evaluation.suites
        ]
    )


def tasks_table(evaluation: EvaluationRecordSchema) -> pd.DataFrame:
    """Return a row for each task of an evaluation."""
    return pd.DataFrame(
        [
            {
                "task": text.name(task.task),
                "items": task.num_items,
                "score %": 100 * task.accuracy,
                "± %": 100 * task.standard_error,
                "chance %": 100 * task.random_score,
                "normalised": task.normalised,
                "metric": task.metric,
                "shots": task.num_fewshot,
                "contaminated": task.num_contaminated,
                "clean %": _percent(task.clean.accuracy),
                "partial": text.shorten(task.partial_reason, 300),
                "file": text.shorten(task.source_file, 300),
            }
            for task in evaluation.tasks
        ]
    )


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
