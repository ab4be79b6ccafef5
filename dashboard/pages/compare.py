"""Compare: two models item by item, in quality, in cost and in their parameters."""

from __future__ import annotations

import streamlit as st

from dashboard import charts, comparison_frames, frames, selections, text, url_state
from dashboard.cached_queries import RegistryView
from dashboard.figure import show_figure, show_table
from dashboard.palette import Palette, current_palette
from registry.comparison.compare import Comparison, ComparisonConfig
from registry.store import Registry


def show(view: RegistryView, model: str) -> None:
    """Show paired differences of two models by suite and task, with costs and parameters."""
    pair = selections.choose_pair(view, model)
    if pair is None:
        st.info("There is only a single model, so there is nothing to compare it with.")
        return
    a, b = pair
    is_clean = url_state.switch(
        "Clean items only",
        key="clean",
        help_text="Without the items that overlap with a training mixture of A or B.",
    )
    config = ComparisonConfig(clean=is_clean)
    compared = view.read(Registry.compare, model, a.versions, b.versions, config)
    labels = frames.point_label(a), frames.point_label(b)
    st.markdown(_describe_recipe(compared))
    for warning in compared.warnings:
        st.warning(text.escape(warning))
    palette = current_palette()
    _show_differences(compared, labels, palette)
    _show_costs(compared, labels)
    _show_params(compared, labels)


def _describe_recipe(compared: Comparison) -> str:
    if not compared.recipe_differences:
        return "A and B have the same recipe: the same data, tasks, steps, seeds and start chain."
    differences = "; ".join(compared.recipe_differences)
    return f"A and B differ in more than their architecture: {text.escape(differences)}."


def _show_differences(compared: Comparison, labels: tuple[str, str], palette: Palette) -> None:
    title = "A − B, points"
    reading = (
        f"A is {text.escape(labels[0])} and B is {text.escape(labels[1])}. Each row is A minus B "
        "on the same items with its 95 % interval; verdicts are corrected for the number of rows "
        "(Holm). Right of 0 A is better; “not worse” loses less than "
        f"{100 * compared.config.margin:g} points; “undecided” needs the items of the table."
    )
    for noun, rows in (("suite", compared.suites), ("task", compared.tasks)):
        table = comparison_frames.comparison_table(rows)
        st.header(f"By {noun}", anchor=False)
        show_figure(
            charts.difference_chart(table, list(table["label"]), title=title, palette=palette),
            table,
            name=f"difference-by-{noun}",
            alternative=f"Paired difference of A and B in points by {noun}, with intervals",
            reading=reading,
            palette=palette,
        )
    if len(compared.tasks) > 1:
        subjects = comparison_frames.subjects_table(compared.tasks)
        show_figure(
            charts.heat_map(subjects, title=title, palette=palette),
            subjects,
            name="difference-by-subject",
            alternative="Heat map of the difference of A and B in points by suite and subject",
            reading="Each cell is A minus B in points on one subject; orange: A is better, blue: B "
            "is better. Single cells are noisy: the verdicts are in the table above.",
            palette=palette,
        )


def _show_costs(compared: Comparison, labels: tuple[str, str]) -> None:
    st.header("Costs", anchor=False)
    show_table(
        comparison_frames.costs_table(compared, labels),
        name="costs",
        alternative="Costs of A and B in FLOPs",
        column_config={
            name: st.column_config.NumberColumn(format="%.4g")
            for name in (f"A, {labels[0]}", f"B, {labels[1]}", "A ÷ B")
        },
    )
    st.markdown("Training includes the runs that a model started from; ratio: A ÷ B.")


def _show_params(compared: Comparison, labels: tuple[str, str]) -> None:
    st.header("Parameters that differ", anchor=False)
    if not compared.param_differences:
        st.write("None.")
        return
    show_table(
        comparison_frames.params_table(compared, labels),
        name="parameters",
        alternative="Parameters of training and model that differ",
    )
