"""Figures of the page as SVG whose colours follow the page: intervals of accuracies, and accuracy against a cost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

__all__ = ["Point", "Scale", "mark", "scatter", "strip"]

WIDTH, HEIGHT = 480, 350
LEFT, RIGHT, TOP, BOTTOM = 46, 22, 34, 44
# Width of a letter in units of the figure.
LETTER = 8.7
FONT = 14


@dataclass(frozen=True)
class Point:
    """One model: its accuracy with interval as shares, and a positive cost."""

    name: str
    kind: str
    cost: float
    accuracy: float
    interval: tuple[float, float]


class Scale(NamedTuple):
    """A scale of percentages that contains all intervals and ends at round numbers."""

    low: float
    high: float
    step: float

    @classmethod
    def of(cls, intervals: Sequence[tuple[float, float]]) -> Scale:
        low, high = 100 * min(low for low, _ in intervals), 100 * max(high for _, high in intervals)
        span = max(high - low, 0.5)
        step = next(size for size in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if span / size <= 6 or size == 20)
        return cls(max(0.0, math.floor(low / step) * step), min(100.0, math.ceil(high / step) * step), step)

    def ticks(self) -> list[float]:
        n = round((self.high - self.low) / self.step)
        return [self.low + place * self.step for place in range(n + 1)]

    def share(self, percent: float) -> float:
        return (percent - self.low) / (self.high - self.low)


class LogScale(NamedTuple):
    """A logarithmic scale of costs that starts and ends at powers of ten, with room for labels."""

    low: float
    high: float

    @classmethod
    def of(cls, costs: Sequence[float]) -> LogScale:
        low, high = math.log10(min(costs)), math.log10(max(costs))
        margin = max(0.16 * (high - low), 0.2)
        return cls(low - margin, high + 1.8 * margin)  # most labels are to the right of their marks

    def ticks(self) -> list[float]:
        span = self.high - self.low
        steps = (1,) if span > 2.2 else (1, 3) if span > 1.2 else (1, 2, 5)
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        values = [step * 10.0**power for power in powers for step in steps]
        return [value for value in values if self.low <= math.log10(value) <= self.high]

    def across(self, cost: float) -> float:
        return LEFT + (math.log10(cost) - self.low) / (self.high - self.low) * (WIDTH - LEFT - RIGHT)


def mark(kind: str, x: float = 5, y: float = 5, size: float = 5) -> str:
    """Return the shape for a kind of model: circle, diamond or triangle, so that colour is not needed."""
    if kind == "engineered":
        return f'<circle class="shape" cx="{x:.1f}" cy="{y:.1f}" r="{size:g}"/>'
    tall = 1.3 * size
    corners = [(0, -tall), (tall, 0), (0, tall), (-tall, 0)] if kind == "network" else [(0, -tall), (tall, size), (-tall, size)]
    points = " ".join(f"{x + across:.1f},{y + down:.1f}" for across, down in corners)
    return f'<polygon class="shape" points="{points}"/>'


def strip(kind: str, accuracy: float, interval: tuple[float, float], scale: Scale, guess: float) -> str:
    """Return a small figure of one interval, for a cell of a table."""
    left, right, middle = (6 + 140 * scale.share(100 * share) for share in (*interval, accuracy))
    lines = ['<line class="axis" x1="6" x2="146" y1="17.5" y2="17.5" opacity=".25"/>']
    if scale.low <= 100 * guess <= scale.high:
        place = 6 + 140 * scale.share(100 * guess)
        lines.append(f'<line class="guess" x1="{place:.1f}" x2="{place:.1f}" y1="0" y2="18"/>')
    lines.append(f'<line class="range" x1="{left:.1f}" x2="{right:.1f}" y1="9" y2="9"/>')
    inside = "".join([*lines, mark(kind, middle, 9, 4)])
    return f'<svg class="strip {escape(kind)}" viewBox="0 0 152 18" aria-hidden="true">{inside}</svg>'


def scatter(points: Sequence[Point], what: str, unit: str, label: str) -> str:
    """Draw accuracy against a cost on a logarithmic scale.

    A line connects the models that no other model beats in both accuracy and cost.
    """
    costs, scale = LogScale.of([point.cost for point in points]), Scale.of([point.interval for point in points])
    places = [(costs.across(point.cost), _down(scale, 100 * point.accuracy)) for point in points]
    front = _front(points, places)
    parts = [_grid(scale), _cost_axis(costs, what, unit), _line(front)]
    for point, (x, _) in zip(points, places, strict=True):
        low, high = (_down(scale, 100 * share) for share in point.interval)
        parts.append(f'<line class="range {escape(point.kind)}" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
    for point, (x, y) in zip(points, places, strict=True):
        parts.append(f'<g class="{escape(point.kind)}">{mark(point.kind, x, y)}</g>')
    parts += _labels([point.name for point in points], places, _along(front))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}" font-size="{FONT}">{"".join(parts)}</svg>'
    )


def _down(scale: Scale, percent: float) -> float:
    return TOP + (1 - scale.share(percent)) * (HEIGHT - TOP - BOTTOM)


def _with_unit(value: float, unit: str) -> str:
    """Format a value of seconds or bytes, such as ``3 ms`` or ``100 kB``."""
    scales = {"s": [(1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")], "B": [(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")]}
    size, name = next((pair for pair in scales[unit] if value >= pair[0] * 0.999), scales[unit][-1])
    return f"{value / size:,.3g} {name}"


def _grid(scale: Scale) -> str:
    lines = []
    for tick in scale.ticks():
        y = _down(scale, tick)
        lines.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text x="{LEFT - 7}" y="{y + 4.5:.1f}" text-anchor="end">{tick:.4g}</text>')
    lines.append('<text class="faint" x="0" y="14">accuracy, %</text>')
    return "".join(lines)


def _cost_axis(costs: LogScale, what: str, unit: str) -> str:
    y = HEIGHT - BOTTOM
    parts = [f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>']
    for value in costs.ticks():
        x = costs.across(value)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + 4}"/>')
        parts.append(f'<text x="{x:.1f}" y="{y + 18}" text-anchor="middle">{_with_unit(value, unit)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    return "".join([*parts, f'<text class="faint" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(what)}</text>'])


def _front(points: Sequence[Point], places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the places of the models for which no cheaper model is at least as accurate."""
    best, corners = -1.0, []
    for place in sorted(range(len(points)), key=lambda place: (points[place].cost, -points[place].accuracy)):
        if points[place].accuracy > best:
            best = points[place].accuracy
            corners.append(places[place])
    return corners


def _line(corners: Sequence[tuple[float, float]]) -> str:
    return f'<polyline class="front" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in corners)}"/>'


def _along(corners: Sequence[tuple[float, float]], n: int = 24) -> list[Box]:
    """Return small boxes along a line, which texts should not cover."""
    steps = [place / n for place in range(n)]
    pairs = itertools.pairwise(corners)
    points = [(x + step * (u - x), y + step * (v - y)) for (x, y), (u, v) in pairs for step in steps]
    return [Box(x - 2, y - 2, x + 2, y + 2) for x, y in points]


class Box(NamedTuple):
    """A rectangle that a text or a mark occupies."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)


def _labels(names: Sequence[str], places: Sequence[tuple[float, float]], line: Sequence[Box]) -> list[str]:
    """Write each name beside its mark, where it overlaps other texts, marks and the line least."""
    taken = [*(Box(x - 7, y - 7, x + 7, y + 7) for x, y in places), *line]
    frame = Box(LEFT, 0, WIDTH, HEIGHT - BOTTOM)
    parts = []
    for place, name in enumerate(names):
        text = name if len(name) <= 28 else f"{name[:27]}…"
        others = taken[:place] + taken[place + 1 :]
        x, y, anchor, box = min(
            _candidates(*places[place], LETTER * len(text)), key=lambda one: _cost_of(one[3], others, frame)
        )
        taken.append(box)
        parts.append(f'<text class="name" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')
    return parts


def _candidates(x: float, y: float, width: float) -> list[tuple[float, float, str, Box]]:
    """Return the possible places of a text around a mark, best first, each with position, anchor and box."""
    found = []
    for down in (4.5, -7, 17, -14, 25, -24, 36):
        found.append((x + 11, y + down, "start", Box(x + 11, y + down - 11, x + 11 + width, y + down + 4)))
        found.append((x - 11, y + down, "end", Box(x - 11 - width, y + down - 11, x - 11, y + down + 4)))
    for down in (-12, 23):
        found.append((x, y + down, "middle", Box(x - width / 2, y + down - 11, x + width / 2, y + down + 4)))
    return found


def _cost_of(box: Box, others: Sequence[Box], frame: Box) -> float:
    area = (box.right - box.left) * (box.bottom - box.top)
    return sum(box.overlap(other) for other in others) + 20 * (area - box.overlap(frame))
