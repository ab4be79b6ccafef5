"""Write the files of a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_pipelines.files import write_json
from flows.study.report.html import render_html
from flows.study.report.markdown import render_markdown
from flows.study.report.sections import make_blocks


def write_report(results: dict[str, Any], folder: Path) -> list[Path]:
    """Write NAME.html, NAME.md and NAME.json and return their paths.

    Args:
        results: results of a study as JSON values.
        folder: folder to write to; it need not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    html, markdown, values = (folder / f"{results['study']}.{e}" for e in ("html", "md", "json"))
    blocks = make_blocks(results)
    html.write_text(render_html(results["question"], blocks), encoding="utf-8")
    markdown.write_text(render_markdown(blocks), encoding="utf-8")
    write_json(values, results)
    return [html, markdown, values]
