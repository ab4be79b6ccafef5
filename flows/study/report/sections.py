"""Content of a report: blocks from the JSON of a study's results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flows.study.matching import describe_settings
from flows.study.published import PUBLISHED
from flows.study.report.blocks import (
    Block,
    BulletList,
    Chart,
    ChartValue,
    DataTable,
    Heading,
    Paragraph,
)
from flows.study.report.scores import Results, add_variant, bits_blocks, score_blocks


def make_blocks(results: Results) -> list[Block]:
    """Return the report of a study, top to bottom."""
    blocks: list[Block] = [Heading(text=results["question"], level=1)]
    for variant in results["variants"]:
        blocks += _verdicts(variant)
    blocks += _missing(results)
    blocks += _design(results)
    blocks += _compute(results)
    for variant in results["variants"]:
        blocks += score_blocks(variant, results)
        blocks += bits_blocks(variant, results)
        blocks += _claims(variant)
    blocks += _published(results)
    blocks += _reading()
    return blocks


def _verdicts(variant: dict[str, Any]) -> Iterator[Block]:
    if not variant["claims"]:
        return
    yield Heading(text=add_variant("Verdicts", variant))
    yield DataTable(
        columns=["claim", "verdict", ">points", ">95 % interval"],
        rows=[
            [
                claim["statement"] + (" (primary claim)" if claim["primary"] else ""),
                _verdict(claim["verdict"]),
                *_points_and_interval(claim["mean"]),
            ]
            for claim in variant["claims"]
        ],
    )
    values = [
        ChartValue(
            series="",
            category=claim["name"].replace("_", " "),
            value=100 * claim["mean"]["difference"],
            low=100 * claim["mean"]["low"],
            high=100 * claim["mean"]["high"],
        )
        for claim in variant["claims"]
        if claim["mean"]
    ]
    if values:
        yield Chart(
            kind="intervals",
            title=add_variant("Contrasts of the claims with 95 % intervals", variant),
            unit="points",
            values=values,
            reference=0.0,
        )


def _missing(results: Results) -> Iterator[Block]:
    lines = [
        f"{add_variant(missing['run'], variant)}: {missing['reason']}"
        for variant in results["variants"]
        for missing in variant["missing"]
    ]
    yield Heading(text="What is missing")
    if not lines:
        yield Paragraph(text="Nothing: every run of the study has finished with every seed.")
        return
    num_runs = sum(len(variant["runs"]) for variant in results["variants"])
    yield Paragraph(
        text=f"{len(lines)} of {num_runs} runs have no result. No value stands in their place: "
        "scores and claims use the seeds that there are, and claims only seeds that all their runs "
        f"have. `{results['command']}` continues."
    )
    yield BulletList(items=lines)


def _design(results: Results) -> Iterator[Block]:
    yield Heading(text="Design")
    if results["background"]:
        yield Paragraph(text=results["background"])
    if results["note"]:
        yield Paragraph(text=results["note"])
    yield DataTable(
        columns=["training", "starts from", "data", "tasks", ">steps", "settings", "models"],
        rows=[
            [
                name,
                "random weights" if arm["start"] == "scratch" else arm["start"],
                arm["data"],
                ", ".join(arm["tasks"]) or "all",
                f"{arm['steps']:,}",
                describe_settings(arm["training"]) or "as all",
                ", ".join(arm["models"]),
            ]
            for name, arm in results["arms"].items()
        ],
    )
    seeds = ", ".join(map(str, results["seeds"]))
    machine = results["machine"]
    yield Paragraph(
        text=f"Seeds of every training: {seeds}. Command: `{results['command']}`. "
        f"Machine: {', '.join(machine['processors']) or 'unknown'} "
        f"({', '.join(machine['devices']) or 'device unknown'}), "
        f"Python {machine['python']}. Commits: "
        f"{', '.join(commit[:10] for commit in results['commits'])}."
    )


def _compute(results: Results) -> Iterator[Block]:
    models = results["models"]
    runs = [run for variant in results["variants"] for run in variant["runs"]]
    yield Heading(text="Matched compute")
    rows = []
    for name, model in models.items():
        own = [run for run in runs if run["model"] == name and "missing" not in run]
        seconds = [run["training_seconds"] for run in own if run["training_seconds"]]
        flops = [run["training_flops"] for run in own]
        ratio = model["flops_ratio"]
        rows.append(
            [
                name,
                model["preset"]
                + (f" ({describe_settings(model['changes'])})" if model["changes"] else ""),
                "MoE" if model["is_moe"] else "dense",
                f"{model['total_parameters']:,}",
                f"{model['active_parameters']:,}",
                f"{model['flops_per_token']:,.0f}",
                "" if ratio is None else f"{ratio:.3f} × {model['matches']}",
                model["dense_partner"] or "",
                f"{sum(flops):.3g}" if flops else "",
                f"{sum(seconds):,.0f}" if seconds else "",
            ]
        )
    yield DataTable(
        columns=["model", "preset", "kind", ">total parameters", ">active", ">FLOPs a token",
                 ">compute", "dense partner", ">training FLOPs", ">training s"],
        rows=rows,
    )  # fmt: skip


def _claims(variant: dict[str, Any]) -> Iterator[Block]:
    for claim in variant["claims"]:
        yield Heading(
            text=add_variant(f"Claim: {claim['name'].replace('_', ' ')}", variant), level=3
        )
        role = "Primary claim" if claim["primary"] else "Secondary claim"
        source = f" Source: {claim['source']}." if claim["source"] else ""
        yield Paragraph(
            text=f"{claim['statement']} {role}; it holds if the contrast is {_condition(claim)}."
            f"{source} Verdict: {_verdict(claim['verdict'])}."
        )
        rows = [
            [
                f"{name}: {' + '.join(part['plus'])} − {' − '.join(part['minus'])}",
                *_points_and_interval(part),
                _by_seed(part),
                _verdict(part["verdict"]),
                f"{100 * part['decidable_difference']:.1f}",
                part["basis"],
            ]
            for name, part in claim["parts"].items()
        ]
        if len(claim["parts"]) > 1 and claim["mean"]:
            mean = claim["mean"]
            rows.append(
                ["mean", *_points_and_interval(mean), _by_seed(mean), _verdict(claim["verdict"]),
                 f"{100 * mean['decidable_difference']:.1f}", mean["basis"]]
            )  # fmt: skip
        if rows:
            yield DataTable(
                columns=["contrast", ">points", ">95 % interval", "by seed", "verdict",
                         ">decides, points", "basis"],
                rows=rows,
            )  # fmt: skip
        if claim["missing"]:
            yield Paragraph(text=f"Missing: {'; '.join(claim['missing'])}.")
        for note in claim["notes"]:
            yield Paragraph(text=f"Note: {note}.")


def _published(results: Results) -> Iterator[Block]:
    if not results["published"]:
        return
    yield Heading(text="Published figures")
    yield Paragraph(
        text="Published, not measured here: other models, data and sizes. They show what a claim "
        "refers to, and are no values to reach."
    )
    yield DataTable(
        columns=["published figure", ">value", "source"],
        rows=[
            [PUBLISHED[name].text, PUBLISHED[name].value, PUBLISHED[name].source]
            for name in results["published"]
        ],
    )


def _reading() -> Iterator[Block]:
    yield Heading(text="How to read this")
    yield Paragraph(
        text="A contrast adds and subtracts scores on the same items with the same seeds. Its "
        "interval holds for other items and other seeds: items of one cluster count as one "
        "observation, and few seeds widen it by Student's t. A claim is confirmed at this scale if "
        "the interval lies where the claim says, contradicted if it lies elsewhere, and undecided "
        "if it does both; then the report names the true contrast that such a study decides in 80 "
        "of 100 cases. Each claim is judged by itself: of 20 claims that are false, one may be "
        "confirmed by chance. The primary claim is the one that the study was designed for."
    )


def _condition(claim: dict[str, Any]) -> str:
    if claim["above"] is not None:
        return f"above {100 * claim['above']:g} points"
    return f"within ±{100 * claim['within']:g} points"


def _verdict(verdict: str) -> str:
    return verdict if verdict == "not judged" else f"{verdict} at this scale"


def _points_and_interval(contrast: dict[str, Any] | None) -> list[str]:
    if contrast is None:
        return ["–", "–"]
    return [
        f"{100 * contrast['difference']:+.1f}",
        f"{100 * contrast['low']:+.1f} … {100 * contrast['high']:+.1f}",
    ]


def _by_seed(contrast: dict[str, Any]) -> str:
    return ", ".join(f"{100 * value:+.1f}" for value in contrast["by_seed"].values())
