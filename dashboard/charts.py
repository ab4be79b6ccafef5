"""Altair charts: colour shows dense or MoE, fill shows instruction tuning, a star the champion."""

from __future__ import annotations

import altair as alt
import pandas as pd

Chart = alt.LayerChart | alt.FacetChart

DENSE_COLOR, MOE_COLOR = "#5b6cc4", "#d9742b"
LABEL_COLOR = "#7a8594"
"""Readable on the light and on the dark theme."""
_KIND = alt.Scale(domain=["dense", "MoE"], range=[DENSE_COLOR, MOE_COLOR])
_TUNING = alt.Scale(domain=["instruction-tuned", "not tuned"], range=[1.0, 0.35])


def _cost_domain(costs: pd.Series[float]) -> list[float]:
    """Return a range wide enough that models of equal compute look equal and labels fit beside."""
    low, high = float(costs.min()), float(costs.max())
    return [low / 1.8, high * 1.8]


def _accuracy_limit(frame: pd.DataFrame) -> float:
    return min(105.0, 1.15 * float(frame["high"].max()) + 2)


def curves(frame: pd.DataFrame, value: str) -> alt.Chart:
    """Plot a logged value against steps, one line per run; runs in progress are dashed.

    Args:
        frame: rows of `queries.training_logs`.
        value: column to plot.
    """
    chart: alt.Chart = (
        alt.Chart(frame)
        .mark_line()
        .encode(
            x=alt.X("step:Q", title="step"),
            y=alt.Y(f"{value}:Q", title=value, scale=alt.Scale(zero=False)),
            color=alt.Color(
                "run:N", title=None, legend=alt.Legend(orient="top", columns=2, labelLimit=300)
            ),
            strokeDash=alt.StrokeDash("running:N", legend=None),
            tooltip=["run:N", "step:Q", f"{value}:Q"],
        )
        .properties(height=320)
    )
    return chart


def accuracy_against_compute(frame: pd.DataFrame) -> Chart:
    """Plot accuracy and its standard error against GFLOPs per token.

    The mean random score is a dashed line.

    Args:
        frame: rows of `queries.versions_frame`.
    """
    x = alt.X(
        "gflops_per_token:Q",
        title="GFLOPs per token",
        scale=alt.Scale(type="log", domain=_cost_domain(frame["gflops_per_token"]), nice=False),
        axis=alt.Axis(format=".2~g", tickCount=6),
    )
    y = alt.Y(
        "accuracy:Q", title="Accuracy, %", scale=alt.Scale(domain=[0, _accuracy_limit(frame)])
    )
    tooltip = [
        alt.Tooltip("run:N"),
        alt.Tooltip("version:O"),
        alt.Tooltip("stage:N"),
        alt.Tooltip("accuracy:Q", format=".1f"),
        alt.Tooltip("standard_error:Q", format=".1f", title="± standard error"),
        alt.Tooltip("random_score:Q", format=".1f", title="chance"),
        alt.Tooltip("gflops_per_token:Q", format=".5g", title="GFLOPs per token"),
        alt.Tooltip("total_millions:Q", format=".2f", title="total parameters, M"),
        alt.Tooltip("active_millions:Q", format=".2f", title="active parameters, M"),
    ]
    base = alt.Chart(frame)
    colour = alt.Color("kind:N", scale=_KIND, title=None, legend=alt.Legend(orient="top"))
    bars = base.mark_rule(strokeWidth=2).encode(x=x, y="low:Q", y2="high:Q", color=colour)
    points = base.mark_point(size=130, strokeWidth=2.5).encode(
        x=x,
        y=y,
        color=colour,
        fill=alt.Fill("kind:N", scale=_KIND, legend=None),
        fillOpacity=alt.FillOpacity(
            "tuning:N",
            scale=alt.Scale(domain=["instruction-tuned", "not tuned"], range=[1.0, 0.0]),
            title=None,
            legend=alt.Legend(orient="top"),
        ),
        tooltip=tooltip,
    )
    # Dense labels to the left and MoE labels to the right: pairs of equal compute are close.
    labelled = base.transform_calculate(
        label="(datum.champion ? '★ ' : '') + datum.run + ' v' + datum.version"
    )
    names = [
        labelled.transform_filter((alt.datum.kind == kind) & (alt.datum.champion == champion))
        .mark_text(
            align="right" if kind == "dense" else "left",
            dx=-13 if kind == "dense" else 13,
            fontSize=14 if champion else 12,
            fontWeight="bold" if champion else "normal",
            color=LABEL_COLOR,
        )
        .encode(x=x, y=y, text="label:N")
        for kind in ("dense", "MoE")
        for champion in (False, True)
    ]
    chance = base.mark_rule(strokeDash=[5, 4], color="#98a2b3").encode(y="mean(random_score):Q")
    return alt.layer(chance, bars, points, *names).properties(height=430)


def accuracy_against_cost(frame: pd.DataFrame, unit: str) -> Chart:
    """Plot accuracy against a cost, with the Pareto frontier as a step line.

    A point's opacity is its probability of being on the frontier.

    Args:
        frame: the points of a `Frontier`, accuracies and probabilities in percent.
        unit: title of the cost axis.
    """
    x = alt.X(
        "cost:Q",
        title=unit,
        scale=alt.Scale(type="log", domain=_cost_domain(frame["cost"]), nice=False),
        axis=alt.Axis(format=".3~g", tickCount=6),
    )
    top = _accuracy_limit(frame.assign(high=frame["accuracy"] + frame["standard_error"]))
    y = alt.Y("accuracy:Q", title="Accuracy, %", scale=alt.Scale(domain=[0, top]))
    base = alt.Chart(frame)
    frontier = (
        base.transform_filter(alt.datum.on_frontier)
        .mark_line(interpolate="step-after", color="#98a2b3", strokeWidth=2)
        .encode(x=x, y=y, order="cost:Q")
    )
    bars = (
        base.transform_calculate(
            low="datum.accuracy - datum.standard_error",
            high="datum.accuracy + datum.standard_error",
        )
        .mark_rule(strokeWidth=2)
        .encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=alt.Color("kind:N", scale=_KIND))
    )
    points = base.mark_point(size=130, strokeWidth=2.5, filled=True).encode(
        x=x,
        y=y,
        color=alt.Color("kind:N", scale=_KIND, title=None, legend=alt.Legend(orient="top")),
        opacity=alt.Opacity(
            "probability:Q",
            scale=alt.Scale(domain=[0, 100], range=[0.25, 1.0]),
            title="on the frontier, %",
            legend=alt.Legend(orient="top", symbolFillColor=LABEL_COLOR),
        ),
        tooltip=[
            "name:N",
            "version:O",
            alt.Tooltip("accuracy:Q", format=".1f"),
            alt.Tooltip("standard_error:Q", format=".1f", title="± standard error"),
            alt.Tooltip("cost:Q", format=".4g", title=unit),
            alt.Tooltip("probability:Q", format=".0f", title="on the frontier, %"),
        ],
    )
    names = [
        base.transform_calculate(
            label="(datum.is_champion ? '★ ' : '') + datum.name + ' v' + datum.version"
        )
        .transform_filter(alt.datum.kind == kind)
        .mark_text(
            align="right" if kind == "dense" else "left",
            dx=-13 if kind == "dense" else 13,
            # Beside the frontier, whose line passes through the points.
            dy=9 if kind == "dense" else -9,
            fontSize=11,
            color=LABEL_COLOR,
        )
        .encode(x=x, y=y, text="label:N")
        for kind in ("dense", "MoE")
    ]
    return alt.layer(frontier, bars, points, *names).properties(height=430)


def accuracy_by_task(frame: pd.DataFrame) -> Chart:
    """Plot a bar for each task and version, with the random score as a tick.

    Args:
        frame: rows of `queries.tasks_frame`.
    """
    base = alt.Chart(frame)
    y = alt.Y("version:N", title=None)
    bars = base.mark_bar().encode(
        x=alt.X("accuracy:Q", title="Accuracy, %", scale=alt.Scale(domain=[0, 100])),
        y=y,
        color=alt.Color("kind:N", legend=None, scale=_KIND),
        fillOpacity=alt.FillOpacity("tuning:N", scale=_TUNING, legend=None),
        tooltip=["task", "version", alt.Tooltip("accuracy:Q", format=".1f"), "random_score"],
    )
    ticks = base.mark_tick(color="#1c2430", thickness=2, size=14).encode(x="random_score:Q", y=y)
    return (
        alt.layer(bars, ticks)
        .properties(height=90, width=260)
        .facet(facet=alt.Facet("task:N", title=None), columns=3)
    )
