"""`flanmoe metrics`: counters of this project for Prometheus."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.options import FILE


@click.command()
@click.option(
    "--to",
    "target",
    type=FILE,
    help="Write to this file instead, atomically, e.g. for node_exporter's textfile collector.",
)
def metrics(target: Path | None) -> None:
    """Print stages, retries, failures, promotions, GPU hours and utilization for Prometheus.

    They are computed from .flanmoe/usage.jsonl, which has a JSON line for each stage and promotion.
    """
    from data_pipelines.files import write_bytes
    from flows.runtime.metrics import render_metrics
    from flows.runtime.usage import read_usage
    from flows.runtime.workspace import find_project, project_of

    text = render_metrics(read_usage(project_of(find_project())))
    if target is None:
        click.echo(text, nl=False)
    else:
        write_bytes(target, text.encode())
