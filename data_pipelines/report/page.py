"""HTML page of the report on the mixture; it loads no resources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader


def render(report: dict[str, Any]) -> str:
    """Return the output of `gather_report` as HTML."""
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    environment.filters["count"] = lambda number: f"{number:,}"
    environment.filters["percent"] = lambda share: f"{100 * share:.1f} %"
    return environment.get_template("page.html.j2").render(r=report)
