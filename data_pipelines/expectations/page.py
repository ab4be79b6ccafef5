"""The page a person reads: every expectation, its limits and what was seen. Needs no network."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from data_pipelines.expectations.runner import Finding


def render(findings: list[Finding]) -> str:
    """HTML with all styles inside."""
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    return environment.get_template("page.html.j2").render(
        findings=findings,
        passed=sum(f.success for f in findings),
        failed=sum(not f.success and f.blocking for f in findings),
        warned=sum(not f.success and not f.blocking for f in findings),
    )
