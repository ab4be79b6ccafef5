"""Data: the mixture that was wanted and realised, what was dropped, and what is known about it."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import data_charts, data_frames, text, url_state
from dashboard.cached_queries import open_view
from dashboard.data_files import (
    PROJECT,
    DataFileError,
    count_rejected_rows,
    list_workspaces,
    read_overlaps,
    read_stage_params,
    read_stage_report,
)
from dashboard.figure import show_figure, show_table
from dashboard.palette import current_palette
from registry.datasets import RegisteredDataset
from registry.errors import RegistryError
from registry.store import Registry

PAGE_SIZE = 50
_SHARE = st.column_config.NumberColumn(format="%.2f")
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)


def show() -> None:
    """Show the data of the project or a workspace, and its difference to a registered version."""
    workspaces = list_workspaces()
    name = url_state.choose("Data of", list(workspaces), key="workspace", title=text.name)
    folder = workspaces[name]
    if not (folder / "data").is_dir():
        st.info(
            f"{text.escape(str(folder.resolve()))} has no folder data/. Run `flanmoe run`: its "
            "first stages prepare the data, and this page shows them."
        )
    else:
        for heading, section in _SECTIONS.items():
            _show_section(heading, section, folder)
    _show_section("What changed since an earlier data version?", _show_difference, folder)
    where = "the project" if name == PROJECT else f"the workspace {text.escape(name)}"
    st.markdown(f"As of {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, from the files of {where}.")


def _show_section(heading: str, section: Callable[[Path], None], folder: Path) -> None:
    """Show a part of the page; what is missing or malformed is one line, and the rest works."""
    st.header(heading, anchor=False)
    try:
        section(folder)
    except DataFileError as error:
        st.warning(text.escape(str(error)))
    except RegistryError as error:
        st.error(text.escape(str(error)))
    except _MALFORMED as error:
        st.warning(
            f"The reports of the data stages are not as this release writes them "
            f"({text.escape(f'{type(error).__name__}: {error}', 200)}); run `flanmoe run`."
        )


def _show_mixture(folder: Path) -> None:
    mix = _read_mix(folder)
    caps = read_stage_params(folder, "mix", "data_pipelines.mix").get("caps") or {}
    table = data_frames.mixtures_table(mix, caps)
    st.markdown(
        f"{mix['examples']:,} examples, {mix['validation']:,} of them for validation; "
        f"{mix['few_shot']:,} few-shot, {mix['repeated']:,} repeated, {mix['flagged']:,} flagged; "
        f"{mix['texts']:,} plain texts."
    )
    palette = current_palette()
    show_figure(
        data_charts.share_chart(table, palette),
        table,
        name="mixture",
        alternative="Share of each mixture that was wanted, and the realised one",
        reading="Each bar is the realised share of a mixture, and the tick the share that "
        "params.yaml wants; a bar that ends before its tick had too few rows.",
        palette=palette,
    )
    largest = float((table["wanted %"] - table["realised %"]).abs().max())
    difference = f"{largest:.2f} points" if math.isfinite(largest) else "not finite"
    st.markdown(
        f"The largest difference is {difference}. A task counts for its rate with at most "
        f"the cap of its mixture: {_describe_caps(caps)}."
    )


def _describe_caps(caps: dict[str, Any]) -> str:
    if not caps:
        return "the caps are not known, because dvc.lock has no run of the stage mix"
    return ", ".join(f"{text.escape(str(name))} {cap:,}" for name, cap in caps.items())


def _show_lengths(folder: Path) -> None:
    summary = read_stage_report(folder, "data/packed/summary.json", "pack")
    show_table(
        data_frames.packing_table(summary),
        name="packing",
        alternative="Packed corpora with rows, fill and truncated examples",
        column_config=dict.fromkeys(("encoder fill %", "decoder fill %"), _SHARE),
    )
    tasks = data_frames.tasks_table(
        _read_mix(folder),
        read_stage_report(folder, "data/clean/report.json", "clean"),
        read_stage_report(folder, "data/packed/train/manifest.json", "pack"),
    )
    search = url_state.enter("Task", key="task", placeholder="part of a name").casefold()
    matches = [search in task.casefold() for task in tasks["task"]]
    tasks = tasks[matches]
    if tasks.empty:
        st.info("No task matches.")
        return
    frequent = tasks.nlargest(data_charts.MAX_TASKS, "examples")
    lengths = pd.concat(
        [
            pd.DataFrame(
                {"task": frequent["task"], "side": side, "tokens": frequent[f"{side} tokens"]}
            )
            for side in ("encoder", "decoder")
        ]
    ).dropna()
    if not lengths.empty:
        palette = current_palette()
        show_figure(
            data_charts.length_chart(lengths, palette),
            lengths,
            name="lengths",
            alternative="Mean number of encoder and decoder tokens of an example by task",
            reading=f"Each row is one of the {len(frequent)} tasks with the most examples: the "
            "circle is the mean length of its prompts, the diamond that of its answers.",
            palette=palette,
        )
    show_table(
        tasks,
        name="tasks",
        alternative="Tasks with examples, lengths, duplicates and contaminated rows",
        column_config={
            name: st.column_config.NumberColumn(format="%.1f")
            for name in ("characters", "encoder tokens", "decoder tokens")
        },
    )


def _show_dropped(folder: Path) -> None:
    clean = read_stage_report(folder, "data/clean/report.json", "clean")
    duplicates = ", ".join(
        f"{number:,} {text.escape(str(kind))}" for kind, number in clean["duplicates"].items()
    )
    st.markdown(
        f"Duplicates: {duplicates or 'none'}. {clean['rows_dropped']:,} rows were dropped, "
        f"{clean['rows_flagged']:,} flagged and {clean['rows_excluded']:,} excluded by name."
    )
    records = read_stage_report(folder, "data/records/report.json", "read")
    st.markdown(
        f"Quarantine: {records['quarantined']:,} of "
        f"{records['quarantined'] + records['examples']:,} rows could not be read."
    )
    if records["quarantined"]:
        reasons = count_rejected_rows(folder)
        for column in ("reason", "source_file"):
            reasons[column] = [text.shorten(str(value), 300) for value in reasons[column]]
        show_table(
            reasons,
            name="quarantine",
            alternative="Rows that could not be read, by reason and source file",
        )


def _show_overlap(folder: Path) -> None:
    clean = read_stage_report(folder, "data/clean/report.json", "clean")
    contamination = read_stage_report(folder, "data/mixture/contamination.json", "mix")
    show_table(
        data_frames.overlap_table(clean, contamination),
        name="contamination",
        alternative="Evaluation items that overlap with the sources and the mixture, by suite",
    )
    search = url_state.enter("Pairs with", key="pairs", placeholder="a suite, task or item")
    pairs, num_matches = read_overlaps(folder, search.strip(), offset=0, limit=PAGE_SIZE)
    offset = url_state.choose_page(num_matches, PAGE_SIZE)
    if offset:
        pairs, _ = read_overlaps(folder, search.strip(), offset=offset, limit=PAGE_SIZE)
    st.markdown(f"{num_matches:,} pairs of a row and an item that it contains.")
    if not pairs.empty:
        pairs = pairs.map(lambda value: text.shorten(str(value), 300))
        show_table(pairs, name="pairs", alternative="Rows of the sources and the items in them")


def _show_self_test(folder: Path) -> None:
    self_test = read_stage_report(folder, "data/mixture/self_test.json", "mix")
    columns = st.columns(2)
    columns[0].metric("Smallest recall, word for word", text.percent(self_test["min_recall"]))
    columns[1].metric("Precision", text.percent(self_test["precision"]))
    table = data_frames.self_test_table(self_test)
    show_table(
        table,
        name="self-test",
        alternative="Planted rows by kind, and the share that the check matches",
        column_config={"matched %": st.column_config.NumberColumn(format="%.1f")},
    )
    st.markdown(
        "Evaluation items were planted in rows of the mixture: the check should match every "
        "overlap that is word for word, and no boilerplate."
    )


def _show_expectations(folder: Path) -> None:
    findings = read_stage_report(folder, "data/validation/results.json", "validate")
    findings = findings + read_stage_report(folder, "data/packed/validation.json", "pack")
    failed = data_frames.failed_table(findings)
    st.markdown(f"{len(findings):,} expectations were checked, {len(failed):,} failed.")
    if not failed.empty:
        show_table(failed, name="expectations", alternative="Expectations of the data that failed")
        st.markdown("An error stops the pipeline; a warning is recorded with every score.")


def _show_difference(folder: Path) -> None:
    """Compare the mixture with that of a registered data version."""
    view = open_view()
    models = [model.name for model in view.read(Registry.models)]
    datasets: dict[str, RegisteredDataset] = {}
    if models:
        model = url_state.choose(
            "Registered model", models, key="model", title=text.name, is_remembered=True
        )
        registered = view.read(Registry.datasets, model)
        datasets = {dataset.record.data_version: dataset for dataset in registered}
    version, mix = _present_mixture(folder, datasets)
    earlier = {name: dataset for name, dataset in datasets.items() if name != version}
    if not earlier or mix is None:
        st.markdown(
            "The registry has no other data version to compare with. `flanmoe data diff BEFORE "
            "AFTER` compares two folders or git revisions row by row."
        )
        return
    chosen = url_state.choose(
        "Compare with", list(earlier), key="before", title=lambda name: _title(earlier[name])
    )
    before = earlier[chosen].record
    st.markdown(
        f"From data version {text.escape(chosen)} to {text.escape(version)}: "
        f"{before.mixture['examples']:,} → {mix['examples']:,} examples, "
        f"{before.mixture['texts']:,} → {mix['texts']:,} plain texts."
    )
    show_table(
        data_frames.difference_table(before.mixture, mix),
        name="difference",
        alternative="Examples by mixture and task in both data versions",
        column_config=dict.fromkeys(("share before %", "share after %"), _SHARE),
    )
    st.markdown(
        "Tasks with equal numbers of examples are left out. `flanmoe data diff BEFORE AFTER` "
        "compares row by row."
    )


def _present_mixture(
    folder: Path, datasets: dict[str, RegisteredDataset]
) -> tuple[str, dict[str, Any] | None]:
    """Return data version and mixture of the folder; without files, of the last registered."""
    try:
        manifest = read_stage_report(folder, "data/packed/train/manifest.json", "pack")
        return str(manifest["version"]), _read_mix(folder)
    except DataFileError:
        newest = next(iter(datasets.values()), None)
        return (newest.record.data_version, newest.record.mixture) if newest else ("", None)


def _title(dataset: RegisteredDataset) -> str:
    return (
        f"{text.name(dataset.record.data_version)}, registered {dataset.created_at:%Y-%m-%d}, "
        f"{dataset.num_versions:,} versions up to v{dataset.newest_version}"
    )


def _read_mix(folder: Path) -> Any:
    return read_stage_report(folder, "data/mixture/report.json", "mix")


_SECTIONS: dict[str, Callable[[Path], None]] = {
    "Which mixture was realised?": _show_mixture,
    "How long are the examples?": _show_lengths,
    "What was dropped?": _show_dropped,
    "What overlaps with the evaluation?": _show_overlap,
    "Can the contamination check be trusted?": _show_self_test,
    "Which expectations failed?": _show_expectations,
}
"""By heading, in the order of the page."""
