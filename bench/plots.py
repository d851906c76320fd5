"""Bars and lines in SVG: enough to see what costs what, and what grows, without a library for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

ROW, LABEL, WIDTH = 22, 260, 420
PLOT_WIDTH, PLOT_HEIGHT, MARGIN = 720, 300, 70
POINTS = 600
"""Of a line; of more values each so-manieth is drawn."""

COLOURS = ("#4878a8", "#c05030", "#50905a", "#8a5aa0", "#b08a20", "#707070", "#308a8a", "#a04070")


def bars(title: str, figures: Mapping[str, float]) -> str:
    """One bar for each figure, the longest as wide as there is room."""
    most = max(figures.values(), default=0.0) or 1.0
    height = ROW * (len(figures) + 2)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LABEL + WIDTH + 90}" height="{height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<text x="4" y="16" font-weight="bold">{escape(title)}</text>',
    ]
    for row, (name, value) in enumerate(figures.items(), 1):
        y, width = ROW * row + 6, value / most * WIDTH
        lines += [
            f'<text x="{LABEL - 6}" y="{y + 13}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{ROW - 6}" fill="#4878a8"/>',
            f'<text x="{LABEL + width + 5:.1f}" y="{y + 13}">{value:,.0f}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


def lines(title: str, series: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> str:
    """One line for each series of seconds and values, from 0 up; time in minutes."""
    end = max((seconds[-1] for seconds, _ in series.values() if seconds), default=0.0) or 1.0
    most = max((max(values) for _, values in series.values() if values), default=0.0) or 1.0
    bottom, height = ROW + PLOT_HEIGHT, ROW + PLOT_HEIGHT + ROW * (len(series) + 2)
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{PLOT_WIDTH + 2 * MARGIN}" height="{height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<text x="4" y="16" font-weight="bold">{escape(title)}</text>',
    ]
    for part in range(5):
        y, x = bottom - PLOT_HEIGHT * part / 4, MARGIN + PLOT_WIDTH * part / 4
        drawn += [
            f'<line x1="{MARGIN}" y1="{y}" x2="{MARGIN + PLOT_WIDTH}" y2="{y}" stroke="#ddd"/>',
            f'<text x="{MARGIN - 6}" y="{y + 4}" text-anchor="end">{most * part / 4:,.4g}</text>',
            f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{end * part / 240:.1f} min</text>',
        ]
    for number, (name, (seconds, values)) in enumerate(series.items()):
        step, colour = max(1, len(values) // POINTS), COLOURS[number % len(COLOURS)]
        points = " ".join(
            f"{MARGIN + at / end * PLOT_WIDTH:.1f},{bottom - value / most * PLOT_HEIGHT:.1f}"
            for at, value in list(zip(seconds, values, strict=True))[::step]
        )
        y = bottom + ROW * (number + 2)
        drawn += [
            f'<polyline points="{points}" fill="none" stroke="{colour}"/>',
            f'<text x="{MARGIN}" y="{y}" fill="{colour}">{escape(name)}</text>',
        ]
    return "\n".join([*drawn, "</svg>", ""])
