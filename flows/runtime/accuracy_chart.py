"""Accuracy against compute as an SVG image, for an artifact in Prefect."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, MARGIN = 640, 360, 56
Z_95 = 1.96


@dataclass(frozen=True, kw_only=True)
class ChartPoint:
    """A version in the chart."""

    label: str
    flops_per_token: float
    accuracy: float
    standard_error: float
    is_champion: bool


def render_svg(points: Sequence[ChartPoint]) -> str:
    """Draw accuracy in percent, with 95 % intervals, against GFLOPs per token (logarithmic)."""
    costs = [math.log10(point.flops_per_token) for point in points]
    lows = [point.accuracy - Z_95 * point.standard_error for point in points]
    highs = [point.accuracy + Z_95 * point.standard_error for point in points]
    x_range = _padded(min(costs), max(costs), 0.05)
    y_range = _padded(min(lows), max(highs), 0.01)
    elements = [*_axes(x_range, y_range)]
    for point, cost, low, high in zip(points, costs, lows, highs, strict=True):
        x = _scale(cost, x_range, MARGIN, WIDTH - 20)
        y, y_low, y_high = (
            _scale(value, y_range, HEIGHT - MARGIN, 20) for value in (point.accuracy, low, high)
        )
        colour = "#b8860b" if point.is_champion else "#1f77b4"
        elements += [
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y_low:.1f}" y2="{y_high:.1f}" '
            f'stroke="{colour}"/>',
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>',
            f'<text x="{x + 7:.1f}" y="{y - 5:.1f}">'
            f"{'★ ' if point.is_champion else ''}{escape(point.label)}</text>",
        ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" font-family="sans-serif" font-size="11">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>{"".join(elements)}</svg>'
    )


def to_data_uri(svg: str) -> str:
    """Return an image as a URI that markdown can show without a server."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _axes(x_range: tuple[float, float], y_range: tuple[float, float]) -> list[str]:
    x_start, x_end, top, bottom = MARGIN, WIDTH - 20, 20, HEIGHT - MARGIN
    elements = [
        f'<path d="M{x_start} {top}V{bottom}H{x_end}" fill="none" stroke="#444"/>',
        f'<text x="{(x_start + x_end) / 2}" y="{HEIGHT - 12}" text-anchor="middle">'
        "GFLOPs per token</text>",
        f'<text x="14" y="{HEIGHT / 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {HEIGHT / 2})">accuracy, % (95 % interval)</text>',
    ]
    for i in range(5):
        cost = x_range[0] + i / 4 * (x_range[1] - x_range[0])
        accuracy = y_range[0] + i / 4 * (y_range[1] - y_range[0])
        x, y = _scale(cost, x_range, x_start, x_end), _scale(accuracy, y_range, bottom, top)
        elements += [
            f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">'
            f"{10 ** (cost - 9):.3g}</text>",
            f'<text x="{x_start - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{100 * accuracy:.1f}</text>",
        ]
    return elements


def _padded(low: float, high: float, padding: float) -> tuple[float, float]:
    padding = max(padding, 0.1 * (high - low))
    return low - padding, high + padding


def _scale(value: float, source: tuple[float, float], start: float, end: float) -> float:
    return start + (value - source[0]) / (source[1] - source[0]) * (end - start)
