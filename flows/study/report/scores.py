"""The part of a report with scores: by group of tasks, by size, and as bits of facts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flows.study.report.blocks import Block, Chart, ChartValue, DataTable, Heading, Paragraph

Results = dict[str, Any]
MOST_BITS_PER_PARAMETER = 2.0
"""Capacity of language models (Allen-Zhu and Li, arXiv 2404.05405)."""


def add_variant(text: str, variant: dict[str, Any]) -> str:
    """Return a heading with the name of the variant, if the study has variants."""
    return f"{text}, {variant['variant']}" if variant["variant"] else text


def score_blocks(variant: dict[str, Any], results: Results) -> Iterator[Block]:
    """Yield the scores of a variant, a chart and a table for each group of tasks."""
    yield Heading(text=add_variant("Scores", variant))
    if not variant["scores"]:
        yield Paragraph(text="No run has finished.")
        return
    yield Paragraph(
        text="Mean accuracy over seeds with its 95 % interval over items and seeds; with one seed "
        "the interval holds for these weights only."
    )
    for group, tasks in variant["groups"].items():
        own = [score for score in variant["scores"] if score["group"] == group]
        if not own:
            continue
        yield Heading(text=add_variant(group, variant), level=3)
        yield _score_chart(group, own)
        yield from _size_charts(group, own, results)
        yield DataTable(
            columns=["training", "model", ">accuracy", ">95 % interval", ">chance", "basis"],
            rows=[
                [
                    score["arm"],
                    score["model"],
                    f"{100 * score['score']:.1f} %",
                    f"{100 * score['low']:.1f} … {100 * score['high']:.1f} %",
                    f"{100 * score['chance']:.1f} %"
                    + ("" if score["excludes_chance"] else ", not excluded"),
                    f"{score['basis']}, {len(tasks)} tasks",
                ]
                for score in own
            ],
        )


def _score_chart(group: str, scores: list[dict[str, Any]]) -> Chart:
    chances = {score["chance"] for score in scores}
    return Chart(
        kind="bars",
        title=f"Accuracy on {group}",
        unit="%",
        values=[
            ChartValue(
                series=score["model"],
                category=score["arm"],
                value=100 * score["score"],
                low=100 * score["low"],
                high=100 * score["high"],
            )
            for score in scores
        ],
        reference=100 * max(chances) if len(chances) == 1 and max(chances) > 0 else None,
        reference_label="random answers",
    )


def _size_charts(group: str, scores: list[dict[str, Any]], results: Results) -> Iterator[Block]:
    """Yield accuracy and bits by total parameters, where a study has more than three sizes."""
    size_by_model = {name: model["total_parameters"] for name, model in results["models"].items()}
    if len(set(size_by_model.values())) <= 3:
        return

    def by_size(score: dict[str, Any], value: float, low: float, high: float) -> ChartValue:
        size = size_by_model[score["model"]]
        return ChartValue(
            series=score["arm"], category=f"{size:,}", value=value, low=low, high=high, x=size
        )

    yield Chart(
        kind="points",
        title=f"Accuracy on {group} by total parameters",
        unit="%",
        values=[
            by_size(score, *(100 * score[key] for key in ("score", "low", "high")))
            for score in scores
        ],
        x_label="total parameters",
    )
    bits = [score for score in scores if score["bits_stored"]]
    if bits:
        yield Chart(
            kind="points",
            title="Bits stored by total parameters",
            unit="kbit",
            values=[
                by_size(
                    score, *(score["bits_stored"][key] / 1000 for key in ("value", "low", "high"))
                )
                for score in bits
            ],
            x_label="total parameters",
        )


def bits_blocks(variant: dict[str, Any], results: Results) -> Iterator[Block]:
    """Yield the facts that the models of a variant have stored, in bits."""
    scores = [score for score in variant["scores"] if score["bits_stored"]]
    if not scores:
        return
    facts = variant["facts"]
    yield Heading(text=add_variant("Bits of facts stored", variant), level=3)
    yield Paragraph(
        text=f"The text states {facts['num_facts']:,} facts with {facts['bits'] / 1000:.1f} kbit, "
        f"each one of {facts['num_values']} values. The bits that a model has stored are the "
        "information of its answers to sample_knowledge about them, a lower bound. Language models "
        f"are known to store at most about {MOST_BITS_PER_PARAMETER:g} bits a parameter (arXiv "
        "2404.05405): what the last column says of that limit also depends on how many facts there "
        "are to store."
    )
    rows = []
    for score in scores:
        bits, size = score["bits_stored"], results["models"][score["model"]]["total_parameters"]
        rows.append(
            [
                score["arm"],
                score["model"],
                f"{bits['value'] / 1000:.1f}",
                f"{bits['low'] / 1000:.1f} … {bits['high'] / 1000:.1f}",
                f"{bits['value'] / size:.3f}",
                f"{100 * bits['value'] / size / MOST_BITS_PER_PARAMETER:.1f} %",
            ]
        )
    yield DataTable(
        columns=["training", "model", ">kbit", ">95 % interval", ">bits a total parameter",
                 f">of {MOST_BITS_PER_PARAMETER:g} bits a parameter"],
        rows=rows,
    )  # fmt: skip
