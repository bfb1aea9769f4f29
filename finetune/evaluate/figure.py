"""A picture of scores with their intervals, as SVG text: small, sharp, the same every time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from finetune.evaluate.scores import Pair, Score

_WIDTH, _RIGHT, _ROW, _TOP, _BOTTOM = 520, 30, 46, 12, 42
_LETTER = 7.5  # width of a letter of the labels, about
_COLOURS = {"base": "#9a6a00", "adapter": "#0b5cad"}  # a style sheet may override them


def ticks(low: float, high: float, *, about: int = 6) -> list[float]:
    """Return round numbers from `low` to `high` at steps of 1, 2 or 5 times a power of ten.

    >>> ticks(1.13, 2.04)
    [1.2, 1.4, 1.6, 1.8, 2.0]
    """
    rough = max(high - low, 1e-9) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(step * i, 10) for i in range(first, last + 1)]


def interval_chart(pairs: Sequence[Pair], *, labels: Sequence[str], axis: str) -> str:
    """Draw base and adapter of each pair as two dots with intervals on one axis; returns SVG."""
    begin = 30 + _LETTER * max(len(label) for label in labels)
    scores = [score for pair in pairs for score in (pair.base, pair.adapter)]
    low, high = min(s.low for s in scores), max(s.high for s in scores)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - margin, high + margin

    def across(value: float) -> float:
        return begin + _WIDTH * (value - low) / (high - low)

    bottom = _TOP + _ROW * len(pairs)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" class="chart" '
        f'viewBox="0 0 {begin + _WIDTH + _RIGHT:.0f} {bottom + _BOTTOM}" '
        'font-family="sans-serif" font-size="13">',
        f"<title>{escape(axis)}</title>",
    ]
    for tick in ticks(low, high):
        x = across(tick)
        parts.append(
            f'<line class="grid" stroke="#d9d9d9" '
            f'x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom}"/>'
        )
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>'
        )
    for row, (pair, label) in enumerate(zip(pairs, labels, strict=True)):
        middle = _TOP + _ROW * row + _ROW / 2
        parts.append(
            f'<text x="{begin - 12:.1f}" y="{middle + 4:.1f}" text-anchor="end">'
            f"{escape(label)}</text>"
        )
        parts += _mark(pair.base, across=across, y=middle - 8)
        parts += _mark(pair.adapter, across=across, y=middle + 8)
    parts.append(
        f'<text class="tick" x="{begin + _WIDTH / 2:.1f}" y="{bottom + 36}" '
        f'text-anchor="middle">{escape(axis)}</text></svg>'
    )
    return "\n".join(parts)


def _mark(score: Score, *, across: Callable[[float], float], y: float) -> list[str]:
    colour = _COLOURS[score.system]
    left, dot, right = across(score.low), across(score.value), across(score.high)
    return [
        f'<g class="{score.system}" stroke="{colour}" fill="{colour}">'
        f"<title>{score.system}: {score.value:.3f} [{score.low:.3f}, {score.high:.3f}]</title>"
        f'<line x1="{left:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}" stroke-width="2.5"/>'
        f'<circle cx="{dot:.1f}" cy="{y:.1f}" r="5"/></g>'
    ]
