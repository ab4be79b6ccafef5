"""A report as one HTML file: charts inline, no script, no request to anywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from flows.study.report.blocks import Block, BulletList, Chart, DataTable, Heading, Paragraph
from flows.study.report.charts import draw

_CODE = re.compile(r"`([^`]+)`")
STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --muted: #57606a; --page: #ffffff;
  --line: #d0d7de; --stripe: #f6f8fa; --c0: #0969da; --c1: #bc4c00; --c2: #1a7f37; --c3: #8250df;
  --c4: #bf3989; --c5: #6e7781; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --muted: #9198a1; --page: #0d1117;
  --line: #3d444d; --stripe: #151b23; --c0: #4493f8; --c1: #f0883e; --c2: #3fb950; --c3: #ab7df8;
  --c4: #db61a2; --c5: #9198a1; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 60rem; color: var(--text);
  background: var(--page); font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { margin-top: 2.2rem; font-size: 1.25rem;
  border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
h3 { margin-top: 1.6rem; font-size: 1.05rem; overflow-wrap: anywhere; }
p, li { overflow-wrap: anywhere; }
code { font: .875em ui-monospace, monospace; background: var(--stripe); padding: .1em .3em; }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .875rem; width: 100%; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; min-width: 3.5rem; }
td.long { min-width: 13rem; }
th { color: var(--muted); font-weight: 600; } tr:nth-child(even) td { background: var(--stripe); }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1rem 0; overflow-x: auto; } svg { width: 100%; min-width: 32rem; height: auto; }
svg text { fill: var(--muted); font: 12px system-ui, sans-serif; }
.g { stroke: var(--line); } .r { stroke: var(--text); stroke-dasharray: 4 3; }
.w { stroke: var(--text); stroke-width: 1.25; } .l { fill: none; stroke-width: 1.5; }
""" + "".join(
    f".s{n} {{ fill: var(--c{n}); }} .s{n}l {{ stroke: var(--c{n}); }}\n" for n in range(6)
)


def render_html(title: str, blocks: Sequence[Block]) -> str:
    """Return the HTML page of a report."""
    body = "\n".join(_render(block) for block in blocks)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _render(block: Block) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
        case Paragraph():
            return f"<p>{_inline(block.text)}</p>"
        case BulletList():
            return f"<ul>{''.join(f'<li>{_inline(item)}</li>' for item in block.items)}</ul>"
        case DataTable():
            return _render_table(block)
        case Chart():
            return f"<figure>{draw(block)}</figure>"


def _render_table(table: DataTable) -> str:
    classes = [' class="n"' if column.startswith(">") else "" for column in table.columns]
    header = "".join(
        f"<th{c}>{escape(column.removeprefix('>'))}</th>"
        for c, column in zip(classes, table.columns, strict=True)
    )
    rows = "".join(
        f"<tr>{''.join(_cell(c, cell) for c, cell in zip(classes, row, strict=True))}</tr>"
        for row in table.rows
    )
    return (
        f'<div class="table"><table><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>'
        "</div>"
    )


def _cell(css_class: str, text: str) -> str:
    if not css_class and len(text) > 40:
        css_class = ' class="long"'
    return f"<td{css_class}>{_inline(text)}</td>"


def _inline(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text, quote=False))
