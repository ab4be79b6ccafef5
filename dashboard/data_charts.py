"""Altair charts of the page Data."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts import AnyChart
from dashboard.palette import Palette

MAX_TASKS = 30
"""Tasks of the chart of lengths: those with the most examples."""
_LABEL_LENGTH = 150


def share_chart(rows: pd.DataFrame, palette: Palette) -> AnyChart:
    """Plot the realised share of each mixture as a bar, and the share that was wanted as a tick.

    Args:
        rows: `mixture`, `wanted %` and `realised %`.
        palette: colours of the present theme.
    """
    y = alt.Y("mixture:N", title=None, sort=None, axis=alt.Axis(labelLimit=_LABEL_LENGTH))
    tooltip = [
        "mixture:N",
        alt.Tooltip("wanted %:Q", format=".2f"),
        alt.Tooltip("realised %:Q", format=".2f"),
    ]
    bars = (
        alt.Chart(rows)
        .mark_bar(color=palette.dense, opacity=0.6, height=16)
        .encode(x=alt.X("realised %:Q", title="share of the examples, %"), y=y, tooltip=tooltip)
    )
    ticks = (
        alt.Chart(rows)
        .mark_tick(color=palette.moe, thickness=4, size=28)
        .encode(x="wanted %:Q", y=y, tooltip=tooltip)
    )
    return alt.layer(bars, ticks).properties(height=60 + 34 * len(rows))


def length_chart(rows: pd.DataFrame, palette: Palette) -> AnyChart:
    """Plot the mean number of encoder and decoder tokens of an example by task.

    Args:
        rows: `task`, `side` and `tokens`.
        palette: colours of the present theme.
    """
    chart: alt.Chart = (
        alt.Chart(rows)
        .mark_point(size=70, filled=True)
        .encode(
            x=alt.X("tokens:Q", title="mean tokens of an example"),
            y=alt.Y(
                "task:N",
                title=None,
                sort=None,
                axis=alt.Axis(labelLimit=_LABEL_LENGTH, labelOverlap=False),
            ),
            color=alt.Color(
                "side:N",
                title=None,
                scale=alt.Scale(domain=["encoder", "decoder"], range=[palette.dense, palette.moe]),
                legend=alt.Legend(orient="top", labelColor=palette.text),
            ),
            shape=alt.Shape(
                "side:N",
                title=None,
                scale=alt.Scale(domain=["encoder", "decoder"], range=["circle", "diamond"]),
            ),
            tooltip=["task:N", "side:N", alt.Tooltip("tokens:Q", format=".1f")],
        )
        .properties(height=90 + 18 * rows["task"].nunique())
    )
    return chart
