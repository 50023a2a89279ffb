"""Figures of the page as SVG whose colours follow the page, and small copies of the images on which models disagree."""

from __future__ import annotations

import base64
import io
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from featrec.exceptions import FeatrecError
from featrec.images import as_uint8, check_images, read_image

if TYPE_CHECKING:
    from featrec.evaluation._comparison import Comparison

__all__ = ["Point", "Scale", "contested", "gallery", "mark", "missed_by_all", "scatter", "source_of", "strip"]

WIDTH, HEIGHT = 480, 350
LEFT, RIGHT, TOP, BOTTOM = 46, 22, 34, 44
# Width of a letter in units of the figure.
LETTER = 8.7
FONT = 14
# Maximum number of images in a gallery, maximum side in pixels, and maximum bytes of all pictures together.
MOST, SIDE, MOST_BYTES = 24, 176, 700_000
# Images whose longer side is at most this are shown enlarged, without smoothing.
TINY = 64
# Maximum number of predicted classes below an image.
MOST_LINES = 5
Source = Callable[[int], np.ndarray]


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


def source_of(comparison: Comparison, images: Any) -> Source | None:
    """Return a function from the position of a prediction to its image, or None if the images are unknown."""
    if images is None:
        paths = comparison.paths
        return None if paths is None else lambda place: read_image(paths[place])
    checked = check_images(images)
    return lambda place: checked[place if comparison.rows is None else int(comparison.rows[place])]


def contested(correct: np.ndarray, y_true: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    """Return the positions of the images on which the models disagree most, from all classes in turn.

    `correct` has one row per prediction and one column per model.
    """
    n_right = correct.sum(axis=1)
    divided = np.minimum(n_right, correct.shape[1] - n_right)
    return _in_turn(np.flatnonzero(divided), -divided, y_true, rows)


def missed_by_all(correct: np.ndarray, y_true: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    """Return the positions of the images that no model predicts correctly, from all classes in turn."""
    return _in_turn(np.flatnonzero(~correct.any(axis=1)), np.zeros(len(correct), int), y_true, rows)


def _in_turn(places: np.ndarray, order: np.ndarray, y_true: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    """Sort positions by `order`; if equal, take one image from each class in turn. Each image occurs once."""
    if rows is not None:
        places = places[np.sort(np.unique(rows[places], return_index=True)[1])]
    turns: dict[tuple[int, Any], int] = {}
    keys = []
    for place in places.tolist():
        group = int(order[place]), y_true[place]
        turns[group] = turns.get(group, -1) + 1
        keys.append((group[0], turns[group], place))
    return np.array([place for *_, place in sorted(keys)], int)


def gallery(comparison: Comparison, places: np.ndarray, source: Source) -> str:
    """Return the first images at these positions, with the true class and all predictions."""
    items: list[str] = []
    left = MOST_BYTES
    for place in places[:MOST].tolist():
        try:
            picture, tiny = _picture(source(place))
        except FeatrecError:  # moved or damaged since
            continue
        left -= len(picture)
        if left < 0:
            break
        items.append(f"<li>{_figure(comparison, place, picture, tiny=tiny)}</li>")
    return f'<ul class="gallery">{"".join(items)}</ul>' if items else ""


def _figure(comparison: Comparison, place: int, picture: str, *, tiny: bool) -> str:
    true = str(comparison.y_true[place])
    path = None if comparison.paths is None else comparison.paths[place]
    title = f' title="{escape("/".join(Path(path).parts[-2:]))}"' if path else ""
    kind = ' class="tiny"' if tiny else ""
    image = f'<img{kind} src="{picture}" alt="Test image of the class {escape(true)}"{title} loading="lazy">'
    predicted = "".join(f"<li>{line}</li>" for line in _predictions(comparison, place, true))
    return f"<figure>{image}<figcaption><b>{escape(true)}</b><ul>{predicted}</ul></figcaption></figure>"


def _predictions(comparison: Comparison, place: int, true: str) -> list[str]:
    """Return a line for each predicted class, the true class first, with the models that predict it."""
    models: dict[str, list[str]] = {}
    for result in comparison.results:
        models.setdefault(str(result.y_pred[place]), []).append(result.name)
    lines = []
    for label in sorted(models, key=lambda label: (label != true, -len(models[label]))):
        kind, sign = ("right", "✓") if label == true else ("wrong", "✗")
        told = f'<span class="{kind}">{sign} {escape(label)}</span>'
        lines.append(f"{told}: {escape(_listed(models[label]))}")
    rest = len(lines) - MOST_LINES
    return lines if rest <= 0 else [*lines[:MOST_LINES], f"and {rest} other classes"]


def _listed(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _picture(image: np.ndarray) -> tuple[str, bool]:
    """Return a small image as a data URL, and whether it is to be enlarged without smoothing."""
    from PIL import Image

    picture = Image.fromarray(as_uint8(image))
    tiny = max(picture.size) <= TINY
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    kind, options = ("png", {"optimize": True}) if tiny else ("jpeg", {"quality": 74, "optimize": True})
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}", tiny
