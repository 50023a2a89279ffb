"""Summaries of an explanation: one sentence, contributions by word, and the strongest patches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from featrec.explanation._explanation import ImageExplanation

__all__ = ["Group", "grouped", "method_told", "part_names", "sentence", "strongest", "target_told", "word_label"]

METHODS = {
    "sum": "exact",
    "path": "approximation by integrated gradients",
    "rules": "by the rules of the trees",
    "neighbors": "margin between nearest images",
    "occlusion": "by occlusion",
}


class Group(NamedTuple):
    """Parts that share a word, a name or a source. `word` is -1 if they have no word."""

    label: str
    value: float
    members: np.ndarray
    word: int


def target_told(item: ImageExplanation) -> str:
    """Return the class, or the two classes of a pair, as text."""
    return f"{item.target[0]} rather than {item.target[1]}" if isinstance(item.target, tuple) else str(item.target)


def method_told(item: ImageExplanation) -> str:
    """Return how the decision was explained, in a few words."""
    return METHODS.get(item.method, item.method)


def sentence(item: ImageExplanation) -> str:
    """Return the decision as a sum, in one line."""
    n = len(item.values)
    value, base, total = _rounded([item.decision, item.base_value, float(item.values.sum())], item.method != "path")
    start = f"{target_told(item)}: decision {value}"
    if not n:
        return f"{start} = base {base}; no features"
    parts = f"{n:,} part" + "s" * (n > 1)
    if item.method == "occlusion":
        return f"{start}, explained by occlusion of {n:,} blocks"
    sign, equals = ("−" if total.startswith("−") else "+"), ("=" if item.method != "path" else "≈")
    return f"{start} {equals} base {base} {sign} {total.lstrip('−')} from {parts} ({method_told(item)})"


def _rounded(values: list[float], adds_up: bool) -> list[str]:
    """Format the decision, the base value and the sum of contributions with the same number of decimals.

    If they add up, the rounded numbers do so, too.
    """
    size = max(map(abs, values))
    decimals = 2 if size == 0 else min(6, max(0, 2 - math.floor(math.log10(size))))
    numbers = [round(value, decimals) for value in values]
    if adds_up:
        numbers[2] = numbers[0] - numbers[1]
    return [f"{number + 0.0:,.{decimals}f}".replace("-", "−") for number in numbers]


def word_label(word: int) -> str:
    return f"word {word}" if word >= 0 else ""


def part_names(item: ImageExplanation, words: np.ndarray) -> np.ndarray:
    """Return the name of the group that each part belongs to: its word, or else its name or its source.

    If no part has a word or a name, and all have the same source, each part is a group and is named by its place.
    """
    several = len(np.unique(item.source)) > 1
    if not several and (words < 0).all() and not item.names.any():
        places = zip(item.source, item.frames[:, :2], strict=True)
        return np.array([f"{source} at {x:.0f}, {y:.0f}" for source, (x, y) in places])
    return np.array(
        [
            f"{source}: {inner}" if several and inner else inner or source
            for source, inner in zip(
                item.source,
                (name or word_label(word) for name, word in zip(item.names, words, strict=True)),
                strict=True,
            )
        ],
        dtype=str,
    )


def grouped(item: ImageExplanation, words: np.ndarray) -> list[Group]:
    """Add up the contributions by word (or name, or source); the largest sums come first."""
    if not len(item.values):
        return []
    labels, inverse = np.unique(part_names(item, words), return_inverse=True)
    sums = np.bincount(inverse, weights=item.values)
    order = np.argsort(inverse, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(inverse))[:-1])
    found = [
        Group(str(label), float(value), rows, int(words[rows[0]]))
        for label, value, rows in zip(labels, sums, members, strict=True)
    ]
    return sorted(found, key=lambda group: -abs(group.value))


def strongest(item: ImageExplanation, n: int, sign: int, among: np.ndarray | None = None) -> list[int]:
    """Return up to `n` parts with the largest contributions of a sign, largest first.

    Their centres are at least half a diameter apart (or a quarter, if there are not enough such parts), because neighbouring
    patches of a dense grid show almost the same pixels.
    """
    values = sign * item.values
    rows = np.arange(len(values)) if among is None else among
    rows = rows[(values[rows] > 0) & np.isfinite(item.frames[rows, 0])]
    rows = rows[np.argsort(-values[rows], kind="stable")]
    chosen: list[int] = []
    for share in (2, 4):
        for row in rows.tolist():
            x, y, diameter = item.frames[row, :3]
            kept = item.frames[chosen]
            apart = np.hypot(kept[:, 0] - x, kept[:, 1] - y) >= np.maximum(kept[:, 2], diameter) / share
            if row not in chosen and apart.all():
                chosen.append(row)
            if len(chosen) >= n:
                return sorted(chosen, key=lambda row: -values[row])
    return sorted(chosen, key=lambda row: -values[row])
