"""Altair charts. MoE and dense differ in shape and colour, and the champion has a star."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from dashboard.palette import Palette

AnyChart = alt.Chart | alt.LayerChart | alt.FacetChart

MAX_LABELS = 12
"""Number of points up to which every point has its name beside it."""
_LABEL_LENGTH = 150


def curves(frame: pd.DataFrame, value: str, palette: Palette) -> alt.Chart:
    """Plot a logged value against steps, one line per run; runs in progress are dashed.

    Args:
        frame: rows of `training_logs`.
        value: column to plot.
        palette: colours of the present theme.
    """
    chart: alt.Chart = (
        alt.Chart(frame)
        .mark_line()
        .encode(
            x=alt.X("step:Q", title="step"),
            y=alt.Y(f"{value}:Q", title=value, scale=alt.Scale(zero=False)),
            color=alt.Color(
                "run:N",
                title=None,
                legend=alt.Legend(orient="top", columns=2, labelLimit=300, labelColor=palette.text),
            ),
            strokeDash=alt.StrokeDash("running:N", legend=None),
            tooltip=["run:N", "step:Q", f"{value}:Q"],
        )
        .properties(height=320)
    )
    return chart


def frontier_chart(
    points: pd.DataFrame, lines: pd.DataFrame, *, cost: str, score: str, palette: Palette
) -> AnyChart:
    """Plot a score against a cost, with the Pareto frontier as a step line.

    A point's opacity is its probability of being on the frontier.

    Args:
        points: rows of `frontier_points`.
        lines: rows of `frontier_lines`: both ends of each line between two points.
        cost: title of the cost axis.
        score: title of the score axis.
        palette: colours of the present theme.
    """
    x = alt.X(
        "cost:Q",
        title=cost,
        scale=alt.Scale(type="log", domain=_cost_domain(points["cost"]), nice=False),
        axis=alt.Axis(format=".3~g", tickCount=5),
    )
    low, high = min(0.0, float(points["low"].min())), float(points["high"].max())
    y = alt.Y(
        "score:Q", title=f"{score}, %", scale=alt.Scale(domain=[low, 1.15 * high + 2], nice=False)
    )
    colour = alt.Color(
        "kind:N",
        title=None,
        scale=alt.Scale(domain=["dense", "MoE"], range=[palette.dense, palette.moe]),
        legend=alt.Legend(orient="top", labelColor=palette.text),
    )
    base = alt.Chart(points)
    layers: list[alt.Chart] = [
        base.mark_rule(strokeDash=[5, 4], color=palette.muted).encode(
            y=alt.Y("mean(random_score):Q")
        ),
        base.transform_filter(alt.datum.on_frontier)
        .mark_line(interpolate="step-after", color=palette.muted, strokeWidth=2)
        .encode(x=x, y=y, order="cost:Q"),
    ]
    if not lines.empty:
        layers.append(
            alt.Chart(lines)
            .mark_line(color=palette.muted, strokeWidth=1.2)
            .encode(
                x=x,
                y=y,
                detail="line:N",
                strokeDash=alt.StrokeDash(
                    "relation:N",
                    title=None,
                    scale=alt.Scale(
                        domain=["trained from", "dense partner"], range=[[1, 0], [2, 3]]
                    ),
                    legend=None,
                ),
            )
        )
    layers += [
        base.mark_rule(strokeWidth=2).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=colour),
        base.mark_point(size=130, strokeWidth=2.5, filled=True).encode(
            x=x,
            y=y,
            color=colour,
            shape=alt.Shape(
                "kind:N",
                title=None,
                scale=alt.Scale(domain=["dense", "MoE"], range=["circle", "diamond"]),
                legend=alt.Legend(orient="top", labelColor=palette.text),
            ),
            opacity=alt.Opacity(
                "probability:Q",
                scale=alt.Scale(domain=[0, 100], range=[0.3, 1.0]),
                legend=None,
            ),
            tooltip=[
                alt.Tooltip("label:N", title="model"),
                alt.Tooltip("score:Q", format=".1f", title=f"{score}, %"),
                alt.Tooltip("standard_error:Q", format=".1f", title="± standard error"),
                alt.Tooltip("cost:Q", format=".4g", title=cost),
                alt.Tooltip("probability:Q", format=".0f", title="on the frontier, %"),
                alt.Tooltip("tie_group:O", title="tie group"),
                alt.Tooltip("seeds:Q", title="seeds"),
            ],
        ),
        *_labels(points, x, y, palette),
    ]
    return alt.layer(*layers).properties(height=430)


def _labels(points: pd.DataFrame, x: alt.X, y: alt.Y, palette: Palette) -> list[alt.Chart]:
    """Return names beside points: dense ones before and MoE ones behind, as partners are close."""
    is_shown = points["champion"] | points["on_frontier"]
    labelled = points if len(points) <= MAX_LABELS else points[is_shown].head(MAX_LABELS)
    return [
        alt.Chart(labelled[(labelled["kind"] == kind) & (labelled["champion"] == is_champion)])
        .mark_text(
            align="right" if kind == "dense" else "left",
            dx=-12 if kind == "dense" else 12,
            dy=10 if kind == "dense" else -10,
            fontSize=13 if is_champion else 11,
            fontWeight="bold" if is_champion else "normal",
            color=palette.text,
            limit=_LABEL_LENGTH,
        )
        .encode(x=x, y=y, text="label:N")
        for kind in ("dense", "MoE")
        for is_champion in (False, True)
    ]


def _cost_domain(costs: pd.Series[float]) -> list[float]:
    """Return a range wide enough that models of equal compute look equal and labels fit beside."""
    low, high = float(costs.min()), float(costs.max())
    return [low / 2.5, high * 2.5]


def difference_chart(
    rows: pd.DataFrame, order: Sequence[str], *, title: str, palette: Palette
) -> AnyChart:
    """Plot differences with their intervals, a row each, and a line at 0 (a forest plot).

    Args:
        rows: `label`, `difference`, `low` and `high`, in points, and `verdict`.
        order: labels from top to bottom.
        title: title of the axis.
        palette: colours of the present theme.
    """
    y = alt.Y("label:N", title=None, sort=list(order), axis=alt.Axis(labelLimit=_LABEL_LENGTH))
    base = alt.Chart(rows)
    colours = {
        "better": palette.moe,
        "same quality": palette.text,
        "not worse": palette.text,
        "undecided": palette.muted,
        "worse": palette.dense,
    }
    present = [verdict for verdict in colours if verdict in set(rows["verdict"])]
    colour = alt.Color(
        "verdict:N",
        title=None,
        scale=alt.Scale(domain=present, range=[colours[verdict] for verdict in present]),
        legend=alt.Legend(orient="top", labelColor=palette.text),
    )
    zero = (
        alt.Chart(pd.DataFrame({"zero": [0.0]}))
        .mark_rule(color=palette.muted, strokeDash=[4, 3])
        .encode(x="zero:Q")
    )
    intervals = base.mark_rule(strokeWidth=2.5).encode(
        x=alt.X("low:Q", title=title), x2="high:Q", y=y, color=colour
    )
    estimates = base.mark_point(size=90, filled=True).encode(
        x="difference:Q",
        y=y,
        color=colour,
        tooltip=[
            alt.Tooltip("label:N", title="comparison"),
            alt.Tooltip("difference:Q", format="+.2f"),
            alt.Tooltip("low:Q", format="+.2f"),
            alt.Tooltip("high:Q", format="+.2f"),
            alt.Tooltip("verdict:N"),
        ],
    )
    return alt.layer(zero, intervals, estimates).properties(height=140 + 36 * len(order))


def heat_map(rows: pd.DataFrame, *, title: str, palette: Palette) -> AnyChart:
    """Plot differences by suite and subject as coloured cells with their numbers.

    Args:
        rows: `suite`, `subject` and `difference`, in points.
        title: what the colour shows.
        palette: colours of the present theme.
    """
    limit = max(1.0, float(rows["difference"].abs().max()))
    base = alt.Chart(rows).encode(
        x=alt.X("suite:N", title=None, axis=alt.Axis(orient="top", labelAngle=0, labelLimit=120)),
        y=alt.Y("subject:N", title=None, axis=alt.Axis(labelLimit=_LABEL_LENGTH)),
        tooltip=[
            alt.Tooltip("suite:N"),
            alt.Tooltip("subject:N"),
            alt.Tooltip("difference:Q", format="+.2f", title=title),
            alt.Tooltip("verdict:N"),
        ],
    )
    cells = base.mark_rect(opacity=0.6).encode(
        color=alt.Color(
            "difference:Q",
            title=title,
            scale=alt.Scale(
                domain=[-limit, 0, limit],
                range=[palette.dense, palette.background, palette.moe],
                interpolate="rgb",
            ),
            legend=alt.Legend(
                orient="top", labelColor=palette.text, titleColor=palette.text, gradientLength=150
            ),
        )
    )
    numbers = base.mark_text(color=palette.text, fontSize=10).encode(
        text=alt.Text("difference:Q", format="+.1f")
    )
    return alt.layer(cells, numbers).properties(height=140 + 18 * rows["subject"].nunique())


def router_map(rows: pd.DataFrame, palette: Palette) -> AnyChart:
    """Plot the load of each expert in each MoE layer as coloured cells.

    Args:
        rows: `layer`, `expert` and `load`, relative to the mean of the layer.
        palette: colours of the present theme.
    """
    limit = max(2.0, float(rows["load"].max()))
    chart: alt.Chart = (
        alt.Chart(rows)
        .mark_rect()
        .encode(
            x=alt.X("expert:O", title="expert", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("layer:N", title=None, sort=None, axis=alt.Axis(labelLimit=_LABEL_LENGTH)),
            color=alt.Color(
                "load:Q",
                title="load, × mean",
                scale=alt.Scale(
                    domain=[0, 1, limit],
                    range=[palette.dense, palette.background, palette.moe],
                    interpolate="rgb",
                ),
                legend=alt.Legend(
                    orient="top",
                    labelColor=palette.text,
                    titleColor=palette.text,
                    gradientLength=150,
                ),
            ),
            tooltip=["layer:N", "expert:O", alt.Tooltip("load:Q", format=".2f")],
        )
        .properties(height=170 + 26 * rows["layer"].nunique())
    )
    return chart


def gate_map(rows: pd.DataFrame, palette: Palette) -> AnyChart:
    """Plot which candidate passes which gate: a cell each, with a sign and a colour.

    Args:
        rows: `candidate`, `gate`, `result`, `sign` and `value`.
        palette: colours of the present theme.
    """
    base = alt.Chart(rows).encode(
        x=alt.X(
            "candidate:N",
            title=None,
            sort=None,
            axis=alt.Axis(
                orient="top", labelAngle=-40, labelLimit=_LABEL_LENGTH, labelOverlap=False
            ),
        ),
        y=alt.Y(
            "gate:N",
            title=None,
            sort=None,
            axis=alt.Axis(labelLimit=_LABEL_LENGTH, labelOverlap=False),
        ),
        tooltip=["candidate:N", "gate:N", "result:N", "value:N"],
    )
    cells = base.mark_rect(opacity=0.6, stroke=palette.background).encode(
        color=alt.Color(
            "result:N",
            title=None,
            scale=alt.Scale(
                domain=["passes", "fails", "no result"],
                range=[palette.dense, palette.moe, palette.background],
            ),
            legend=alt.Legend(orient="top", labelColor=palette.text),
        )
    )
    signs = base.mark_text(color=palette.text, fontSize=12).encode(text="sign:N")
    return alt.layer(cells, signs).properties(height=200 + 20 * rows["gate"].nunique())
