"""HTML page with every expectation, its limits and the observed values; it loads no resources."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from data_pipelines.expectations.runner import Finding


def render(findings: list[Finding]) -> str:
    """Return the page as HTML."""
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    return environment.get_template("page.html.j2").render(
        findings=findings,
        num_passed=sum(f.success for f in findings),
        num_failed=sum(not f.success and f.blocking for f in findings),
        num_warnings=sum(not f.success and not f.blocking for f in findings),
    )
