"""`flanmoe report VERSION`: the numbers of a version as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.options import FILE, load_workspace, model_option, open_registry


@click.command(short_help="Write the numbers of a version into one HTML file.")
@click.argument("version", type=int)
@click.option(
    "--output", type=FILE, help="File to write. Default: MODEL-vVERSION.html in this folder."
)
@model_option
def report(version: int, output: Path | None, model: str | None) -> None:
    """Write the decision, scores, frontier, gates, lineage and history of VERSION as one HTML file.

    The file loads nothing from anywhere; its numbers are those of the dashboard.
    """
    from data_pipelines.files import write_bytes
    from flows.study.report.html import render_html
    from flows.version_report import report_version

    root, params = load_workspace()
    name = model or params.registry.model
    blocks = report_version(open_registry(root, params), name, version)
    path = output or Path(f"{_file_name(name)}-v{version}.html")
    write_bytes(path, render_html(f"{name} v{version}", blocks).encode("utf-8"))
    click.echo(f"wrote {path}")


def _file_name(model: str) -> str:
    """Return the name of a model as part of a file name."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in model)
