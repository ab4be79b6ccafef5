"""A report as Markdown; charts are left to the HTML file, their values are in the tables."""

from __future__ import annotations

from collections.abc import Sequence

from flows.study.report.blocks import Block, BulletList, Chart, DataTable, Heading, Paragraph


def render_markdown(blocks: Sequence[Block]) -> str:
    """Return the Markdown of a report."""
    parts = [_render(block) for block in blocks if not isinstance(block, Chart)]
    return "\n\n".join(parts) + "\n"


def _render(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {block.text}"
        case Paragraph():
            return block.text
        case BulletList():
            return "\n".join(f"- {item}" for item in block.items)
        case DataTable():
            return _render_table(block)
        case Chart():
            return ""


def _render_table(table: DataTable) -> str:
    header = [column.removeprefix(">") for column in table.columns]
    rule = ["---:" if column.startswith(">") else "---" for column in table.columns]
    rows = [header, rule, *table.rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
