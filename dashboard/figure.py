"""A chart with its accessible name, a sentence on how to read it, its table, and its export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.charts import AnyChart
from dashboard.palette import Palette

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def show_figure(
    chart: AnyChart,
    table: pd.DataFrame,
    *,
    name: str,
    alternative: str,
    reading: str,
    palette: Palette,
) -> None:
    """Show a chart; a button above saves it as PNG, and the button below its values as CSV.

    Args:
        chart: the chart.
        table: its values, for people who do not see it and for the CSV.
        name: file name of the exports, without suffix.
        alternative: what the chart shows, for screen readers.
        reading: a sentence on how to read it; it may have Markdown.
        palette: colours of the present theme.
    """
    chart = chart.properties(background=palette.background).configure_axis(
        labelColor=palette.text, titleColor=palette.text
    )
    st.altair_chart(chart, alt=alternative, key=f"{name}-chart")
    st.markdown(reading)
    with st.expander("Values of the chart, and export"):
        show_table(table, name=name, alternative=f"Values of the chart: {alternative}")
        st.markdown("The button “Download as PNG” appears above the chart when it has the pointer.")


def show_table(
    table: pd.DataFrame,
    *,
    name: str,
    alternative: str,
    column_config: Mapping[str, Any] | None = None,
) -> None:
    """Show a table and a button that saves it as CSV.

    Args:
        table: the rows.
        name: file name of the CSV, without suffix.
        alternative: what the table has, for screen readers.
        column_config: Streamlit's configuration of its columns.
    """
    st.dataframe(
        table,
        hide_index=True,
        alt=alternative,
        column_config=dict(column_config or {}),
        key=f"{name}-table",
    )
    st.download_button(
        "Save as CSV",
        lambda: to_csv(table),
        file_name=f"{name}.csv",
        mime="text/csv",
        key=f"{name}-csv",
        on_click="ignore",
    )


def to_csv(table: pd.DataFrame) -> bytes:
    """Return a table as CSV in which no text of a cell is a formula of a spreadsheet."""

    def quote(value: object) -> object:
        return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

    return table.map(quote).to_csv(index=False).encode("utf-8-sig")
