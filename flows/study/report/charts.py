"""Charts as SVG text. Colours are CSS variables of the page, so that they fit light and dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from flows.study.report.blocks import Chart, ChartValue

WIDTH = 720
PLOT_START, MARGIN, PLOT_TOP = 56, 12, 34
PLOT_HEIGHT = 240
ROW_HEIGHT = 26
NUM_COLOURS = 6
CHARACTER_WIDTH = 6.6
"""Approximate width of a character of the labels, in SVG units."""
MAX_LABEL = 46


def draw(chart: Chart) -> str:
    """Return a chart as an SVG element."""
    match chart.kind:
        case "bars":
            body, height = _draw_bars(chart)
        case "intervals":
            body, height = _draw_intervals(chart)
        case "points":
            body, height = _draw_points(chart)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(chart.title)}">'
        f"<title>{escape(chart.title)}</title>{body}</svg>"
    )


def _draw_bars(chart: Chart) -> tuple[str, float]:
    """Draw groups of bars: a group for each category, a bar for each series."""
    series, categories = _unique(chart.values, "series"), _unique(chart.values, "category")
    low = min(0.0, *(value.low for value in chart.values))
    high = max(value.high for value in chart.values)
    ticks = _ticks(low, high)
    scale_y = _vertical_scale(ticks)
    parts = [_horizontal_grid(ticks, scale_y, chart.unit), _legend(series)]
    group_width = (WIDTH - PLOT_START - MARGIN) / len(categories)
    bar_width = min(36.0, 0.8 * group_width / len(series))
    for value in chart.values:
        group_start = PLOT_START + categories.index(value.category) * group_width
        number = series.index(value.series)
        x = group_start + group_width / 2 + (number - len(series) / 2) * bar_width
        top, bottom = scale_y(max(value.value, 0)), scale_y(min(value.value, 0))
        parts.append(
            f'<rect x="{x + 1:.1f}" y="{top:.1f}" width="{bar_width - 2:.1f}" '
            f'height="{max(bottom - top, 0.5):.1f}" class="s{number % NUM_COLOURS}"/>'
        )
        parts.append(
            _whisker(x + bar_width / 2, scale_y(value.low), scale_y(value.high), vertical=True)
        )
    if chart.reference is not None:
        y = scale_y(chart.reference)
        parts.append(_reference_line(PLOT_START, y, WIDTH - MARGIN, y))
        parts.append(_text(WIDTH - MARGIN, y - 4, chart.reference_label, anchor="end"))
    limit = max(4, int(group_width / CHARACTER_WIDTH))
    for number, category in enumerate(categories):
        x = PLOT_START + (number + 0.5) * group_width
        parts += _wrapped(x, PLOT_TOP + PLOT_HEIGHT + 16, category, limit)
    return "".join(parts), PLOT_TOP + PLOT_HEIGHT + 52


def _draw_intervals(chart: Chart) -> tuple[str, float]:
    """Draw a row for each value: its point and interval, with a line at the reference."""
    start = 10 + CHARACTER_WIDTH * min(MAX_LABEL, max(len(v.category) for v in chart.values))
    lows, highs = [v.low for v in chart.values], [v.high for v in chart.values]
    reference = chart.reference or 0.0
    ticks = _ticks(min(*lows, reference), max(*highs, reference))

    def scale_x(value: float) -> float:
        share = (value - ticks[0]) / (ticks[-1] - ticks[0])
        return start + share * (WIDTH - MARGIN - 24 - start)

    height = PLOT_TOP + ROW_HEIGHT * len(chart.values)
    parts = []
    for tick in ticks:
        x = scale_x(tick)
        parts.append(
            f'<line x1="{x:.1f}" y1="{PLOT_TOP - 8}" x2="{x:.1f}" y2="{height}" class="g"/>'
        )
        parts.append(_text(x, height + 16, f"{tick:g}", anchor="middle"))
    x = scale_x(reference)
    parts.append(_reference_line(x, PLOT_TOP - 8, x, height))
    series = _unique(chart.values, "series")
    for number, value in enumerate(chart.values):
        y = PLOT_TOP + ROW_HEIGHT * (number + 0.5)
        colour = f"s{series.index(value.series) % NUM_COLOURS}"
        label = value.category
        if len(label) > MAX_LABEL:
            label = f"{label[: MAX_LABEL - 1]}…"
        parts.append(_text(start - 8, y + 4, label, anchor="end"))
        parts.append(_whisker(y, scale_x(value.low), scale_x(value.high), vertical=False))
        parts.append(
            f'<circle cx="{scale_x(value.value):.1f}" cy="{y:.1f}" r="5" class="{colour}"/>'
        )
    parts.append(_legend(series))
    parts.append(_text(WIDTH - MARGIN, height + 32, chart.unit, anchor="end"))
    return "".join(parts), height + 40


def _draw_points(chart: Chart) -> tuple[str, float]:
    """Draw points over a logarithmic axis, joined for each series."""
    series = _unique(chart.values, "series")
    ticks = _ticks(
        min(0.0, *(value.low for value in chart.values)), max(v.high for v in chart.values)
    )
    scale_y = _vertical_scale(ticks)
    logs = [math.log10(value.x) for value in chart.values]
    first, last = min(logs) - 0.1, max(logs) + 0.1

    def scale_x(value: float) -> float:
        share = (math.log10(value) - first) / (last - first)
        return PLOT_START + share * (WIDTH - PLOT_START - MARGIN)

    parts = [_horizontal_grid(ticks, scale_y, chart.unit), _legend(series)]
    for number, name in enumerate(series):
        own = sorted((v for v in chart.values if v.series == name), key=lambda v: v.x)
        colour = f"s{number % NUM_COLOURS}"
        path = " ".join(f"{scale_x(v.x):.1f},{scale_y(v.value):.1f}" for v in own)
        parts.append(f'<polyline points="{path}" class="l {colour}l"/>')
        for value in own:
            x = scale_x(value.x)
            parts.append(_whisker(x, scale_y(value.low), scale_y(value.high), vertical=True))
            parts.append(
                f'<circle cx="{x:.1f}" cy="{scale_y(value.value):.1f}" r="4" class="{colour}"/>'
            )
    bottom = PLOT_TOP + PLOT_HEIGHT
    labels = {value.x: value.category for value in chart.values}
    last_right = -math.inf
    for position in sorted(labels):
        half = CHARACTER_WIDTH * len(labels[position]) / 2
        x = min(max(scale_x(position), half + 2), WIDTH - half - 2)
        if x - half > last_right:
            parts.append(_text(x, bottom + 16, labels[position], anchor="middle"))
            last_right = x + half
    if chart.reference is not None:
        y = scale_y(chart.reference)
        parts.append(_reference_line(PLOT_START, y, WIDTH - MARGIN, y))
        parts.append(_text(WIDTH - MARGIN, y - 4, chart.reference_label, anchor="end"))
    parts.append(_text(WIDTH - MARGIN, bottom + 36, chart.x_label, anchor="end"))
    return "".join(parts), bottom + 44


def _vertical_scale(ticks: Sequence[float]) -> Callable[[float], float]:
    """Return the function from values to vertical positions."""
    low, high = ticks[0], ticks[-1]
    return lambda value: PLOT_TOP + PLOT_HEIGHT * (1 - (value - low) / (high - low))


def _ticks(low: float, high: float) -> list[float]:
    """Return about five round values that enclose the interval."""
    span = max(high - low, 1e-9)
    magnitude = 10 ** math.floor(math.log10(span / 4))
    step = next(m * magnitude for m in (1, 2, 5, 10) if span / (m * magnitude) <= 6)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, max(last, first + 1) + 1)]


def _horizontal_grid(ticks: Sequence[float], scale_y: Callable[[float], float], unit: str) -> str:
    parts = [_text(4, PLOT_TOP - 14, unit, anchor="start")]
    for tick in ticks:
        y = scale_y(tick)
        parts.append(
            f'<line x1="{PLOT_START}" y1="{y:.1f}" x2="{WIDTH - MARGIN}" y2="{y:.1f}" class="g"/>'
        )
        parts.append(_text(PLOT_START - 6, y + 4, f"{tick:g}", anchor="end"))
    return "".join(parts)


def _legend(series: Sequence[str]) -> str:
    parts, x = [], float(WIDTH - MARGIN)
    for number, name in reversed(list(enumerate(series))):
        if not name:
            continue
        x -= CHARACTER_WIDTH * len(name)
        parts.append(_text(x, 14, name, anchor="start"))
        x -= 16
        parts.append(
            f'<rect x="{x:.1f}" y="5" width="10" height="10" class="s{number % NUM_COLOURS}"/>'
        )
        x -= 14
    return "".join(parts)


def _whisker(position: float, low: float, high: float, *, vertical: bool) -> str:
    cap = 4
    if vertical:
        lines = [
            (position, low, position, high),
            (position - cap, low, position + cap, low),
            (position - cap, high, position + cap, high),
        ]
    else:
        lines = [
            (low, position, high, position),
            (low, position - cap, low, position + cap),
            (high, position - cap, high, position + cap),
        ]
    return "".join(
        f'<line x1="{a:.1f}" y1="{b:.1f}" x2="{c:.1f}" y2="{d:.1f}" class="w"/>'
        for a, b, c, d in lines
    )


def _reference_line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="r"/>'


def _text(x: float, y: float, text: str, *, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _wrapped(x: float, y: float, text: str, limit: int) -> list[str]:
    """Return a label in up to two lines, broken at a space or underscore."""
    if len(text) <= limit:
        return [_text(x, y, text, anchor="middle")]
    breaks = [i for i, character in enumerate(text) if character in " _" and i <= limit]
    cut = breaks[-1] if breaks else limit
    lines = text[:cut], text[cut:].strip()
    return [_text(x, y + 14 * i, line, anchor="middle") for i, line in enumerate(lines)]


def _unique(values: Sequence[ChartValue], name: str) -> list[str]:
    return list(dict.fromkeys(getattr(value, name) for value in values))
