"""Bars in SVG: enough to see what costs what, without a library for it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

ROW, LABEL, WIDTH = 22, 260, 420


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
