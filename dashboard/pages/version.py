"""Version: parameters, lineage, gates, scores and files of a registered version."""

from __future__ import annotations

import json

import pandas as pd
import streamlit as st

from dashboard import charts, frames, text, url_state
from dashboard.cached_queries import RegistryView
from dashboard.figure import show_figure, show_table
from dashboard.palette import current_palette
from registry.artifacts.manifest import ArtifactFile
from registry.comparison.precision import describe_precision
from registry.errors import MissingArtifact
from registry.store import Registry
from registry.versions import VersionInfo


def show(view: RegistryView, model: str) -> None:
    """Show everything about the version of the URL, by default the newest."""
    newest = next(entry.newest for entry in view.read(Registry.models) if entry.name == model)
    number = url_state.choose_number("Version", key="version", default=newest)
    version = view.read(Registry.show, model, number)
    st.header(
        text.escape(frames.label(version.name, version.version, is_champion=version.is_champion)),
        anchor=False,
    )
    _show_overview(version)
    _show_remarks(view, version)
    _show_gates(view, version)
    _show_lineage(version)
    _show_scores(version)
    _show_routers(version)
    _show_files(view, version)
    with st.expander("Parameters of the run"):
        st.json(json.dumps(version.run_record.params, default=str), expanded=2)


def _show_overview(version: VersionInfo) -> None:
    run, scores = version.run_record, version.evaluation
    seconds = version.speed.seconds_per_item if version.speed else None
    rows = {
        "state": version.standing + (", pinned" if version.is_pinned else ""),
        "accuracy": f"{text.percent(scores.accuracy)} ± {text.percent(scores.standard_error)}, "
        f"chance {text.percent(scores.random_score)}"
        + (" (partial evaluation)" if scores.partial else ""),
        "normalised average": f"{scores.normalised:.1f} ± {scores.normalised_standard_error:.1f}",
        "kind": f"{version.kind}, {'instruction-tuned' if run.tuned else 'not tuned'}, preset "
        f"{run.preset}",
        "seed": str(version.seed),
        "parameters": f"{run.total_parameters:,} in memory, {run.active_parameters:,} active",
        "FLOPs": f"{run.flops_per_token / 1e9:.4g} G per token, "
        f"{scores.flops_per_item / 1e9:.4g} G per item",
        "training": _describe_flops(run.cumulative_training_flops)
        + f" with the runs before, {_describe_flops(run.training_flops)} in this run",
        "time per item": "not measured" if seconds is None else f"{1e3 * seconds:.1f} ms",
        "evaluated in": f"{describe_precision(scores)}, {scores.num_items:,} items",
        "contaminated items": "unknown"
        if scores.num_contaminated is None
        else f"{scores.num_contaminated:,}",
        "commit": run.git_commit,
        "data version": run.data_version,
        "registered": f"{version.created_at:%Y-%m-%d %H:%M:%S} UTC",
    }
    table = pd.DataFrame(
        {"property": rows.keys(), "value": [text.shorten(v) for v in rows.values()]}
    )
    st.dataframe(table, hide_index=True, alt="Properties of the version", height="content")


def _describe_flops(flops: float | None) -> str:
    return "unknown" if flops is None else f"{flops / 1e12:.4g} TFLOPs"


def _show_remarks(view: RegistryView, version: VersionInfo) -> None:
    """Show aliases, tags, description, notes and warnings about the data."""
    lines = [f"alias: {alias}" for alias in version.aliases]
    lines += [f"tag {key}: {value}" for key, value in version.tags.items()]
    lines += [version.description] if version.description else []
    lines += [
        f"{note.author}, {note.at:%Y-%m-%d %H:%M}: {note.text}"
        for note in view.read(Registry.notes, version.model, version.version)
    ]
    removal = view.read(Registry.removal_note, version)
    for line in lines + ([removal] if removal else []):
        st.text(text.shorten(line))
    warnings = version.evaluation.data_warnings
    if warnings:
        with st.expander(f"Data warnings: {len(warnings)}"):
            for warning in warnings:
                st.text(text.shorten(warning))


def _show_gates(view: RegistryView, version: VersionInfo) -> None:
    st.subheader("Gates", anchor=False)
    verdicts = view.read(Registry.verdicts, version.model, version.version)
    if not verdicts:
        st.write(
            f"The gates were not asked yet; `flanmoe registry promote {version.version} --dry-run` "
            "shows them."
        )
        return
    last = verdicts[-1]
    champion = "without a champion" if last.champion is None else f"against v{last.champion}"
    st.write(
        f"{last.outcome} on {last.at:%Y-%m-%d %H:%M} UTC, {champion}, asked by "
        f"{text.escape(last.actor)}; {len(verdicts)} verdicts are stored."
    )
    show_table(
        frames.gates_table(last), name="gates", alternative="Gates with their values and limits"
    )


def _show_lineage(version: VersionInfo) -> None:
    st.subheader("Lineage", anchor=False)
    chain = version.run_record.training_chain
    origin = {"scratch": "random weights", "unknown": "weights of unknown origin"}
    st.write(f"Training began with {origin.get(chain.origin, 'imported weights ' + chain.origin)}.")
    show_table(
        frames.lineage_table(chain),
        name="lineage",
        alternative="Training runs that led to the weights, oldest first",
    )


def _show_scores(version: VersionInfo) -> None:
    st.subheader("Suites and tasks", anchor=False)
    show_table(
        frames.suites_table(version.evaluation),
        name="suites",
        alternative="Scores by suite",
        column_config=frames.SCORE_FORMATS,
    )
    show_table(
        frames.tasks_table(version.evaluation),
        name="tasks",
        alternative="Scores by task",
        column_config=frames.SCORE_FORMATS,
    )
    st.markdown("“Clean” is without the items that overlap with the training mixture.")


def _show_routers(version: VersionInfo) -> None:
    """Show the load of the experts at the end of training."""
    health = version.run_record.router_health
    if not health:
        return
    st.subheader("Routers", anchor=False)
    table, palette = frames.router_table(health), current_palette()
    show_figure(
        charts.router_map(table, palette),
        table,
        name="router-load",
        alternative="Load of each expert in each MoE layer, relative to the mean of the layer",
        reading="Each cell is an expert of an MoE layer at the end of training: blue experts get "
        "fewer tokens than the mean of their layer, orange ones more.",
        palette=palette,
    )


def _show_files(view: RegistryView, version: VersionInfo) -> None:
    st.subheader("Files", anchor=False)
    try:
        files = view.read(_stored_files, version)
    except MissingArtifact as error:
        st.warning(text.escape(str(error)))
        return
    show_table(
        pd.DataFrame(
            [{"file": file.path, "bytes": file.size, "SHA-256": file.sha256} for file in files]
        ),
        name="files",
        alternative="Stored files with size and checksum",
    )


def _stored_files(registry: Registry, version: VersionInfo) -> tuple[ArtifactFile, ...]:
    """Return the files of a version and of its newest evaluation."""
    references = dict.fromkeys((version.artifact, version.evaluation_artifact))
    files = [file for ref in references for file in registry.artifacts.manifest(ref).files]
    return tuple({file.path: file for file in files}.values())
