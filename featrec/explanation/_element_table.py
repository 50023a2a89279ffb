"""ElementTable: sums of contributions by word, name and place over many images, with the strongest parts as examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from featrec.explanation._explanation import ImageExplanation
from featrec.explanation._patch_collector import Best, first_of_each

__all__ = ["ElementTable", "ImageRecord", "record_of"]

FIELDS = {"image": ((), np.int64, -1), "value": ((), np.float64, 0.0), "outline": ((4, 2), np.float32, np.nan)}
Example = tuple[int, float, np.ndarray]


class Added(NamedTuple):
    """What one image adds to the elements of one kind and source; one part of each element is the example."""

    kind: str
    source: str
    ids: np.ndarray
    sums: np.ndarray
    values: np.ndarray
    outlines: np.ndarray


class ImageRecord(NamedTuple):
    """The explanation of one image, reduced to the sums of its elements."""

    position: int
    target: Any
    decision: float
    base_value: float
    exact: bool
    added: list[Added]


def record_of(item: ImageExplanation, position: int, grid: tuple[int, int]) -> ImageRecord:
    """Add up the contributions of one image by word, by name and by place."""
    words, named, cells = item.words, item.names != "", _cells(item, grid)
    added = []
    for source in np.unique(item.source):
        own = item.source == source
        kinds = (("word", words, own & (words >= 0)), ("name", item.names, own & named), ("place", cells, own & (cells >= 0)))
        added += [_added(item, kind, str(source), ids, np.flatnonzero(there)) for kind, ids, there in kinds if there.any()]
    return ImageRecord(position, item.target, item.decision, item.base_value, item.exact, added)


def _cells(item: ImageExplanation, grid: tuple[int, int]) -> np.ndarray:
    """Return the cell of the grid that contains the centre of each part; -1 for parts without a place."""
    height, width = item.image.shape[:2]
    centres = item.frames[:, :2]
    placed = np.isfinite(centres).all(axis=1)
    across, down = np.where(placed[:, None], (centres + 0.5) / (width, height), 0).T
    row, column = (np.clip((share * n).astype(int), 0, n - 1) for share, n in zip((down, across), grid, strict=True))
    return np.where(placed, row * grid[1] + column, -1)


def _added(item: ImageExplanation, kind: str, source: str, ids: np.ndarray, rows: np.ndarray) -> Added:
    values = item.values[rows]
    found, inverse = np.unique(ids[rows], return_inverse=True)
    sums = np.bincount(inverse, weights=values)
    (first,) = first_of_each(inverse, -values * np.where(sums < 0, -1, 1)[inverse])
    return Added(kind, source, found, sums, values[first], item.outlines[rows[first]])


class _Elements:
    """Sums, numbers of images and examples of the elements of one kind and source; `names` are numbered as they come."""

    def __init__(self, n_examples: int):
        self.sums: np.ndarray = np.zeros(0)
        self.counts: np.ndarray = np.zeros(0, np.int64)
        self.best = Best(0, n_examples, FIELDS)
        self.names: dict[str, int] = {}

    def add(self, added: Added, position: int) -> None:
        rows = added.ids
        if added.kind == "name":
            rows = np.array([self.names.setdefault(name, len(self.names)) for name in rows.tolist()])
        missing = int(rows.max()) + 1 - len(self.sums)
        if missing > 0:
            missing = max(missing, len(self.sums) // 2)
            self.sums, self.counts = np.pad(self.sums, (0, missing)), np.pad(self.counts, (0, missing))
            self.best.grow(len(self.sums))
        self.sums[rows] += added.sums
        self.counts[rows] += added.sums != 0
        self.best.update(rows, -np.abs(added.values), {"image": position, "value": added.values, "outline": added.outlines})


class ElementTable:
    """Sums over the images of one group. Its size does not depend on the number of images."""

    def __init__(self, grid: tuple[int, int], n_examples: int, n_strongest: int):
        self.grid, self.n_examples = grid, n_examples
        self.n_images, self.decision, self.base_value, self.exact = 0, 0.0, 0.0, True
        self.elements: dict[tuple[str, str], _Elements] = {}
        self.decisions = Best(1, n_strongest, {"image": ((), np.int64, -1)})

    def add(self, record: ImageRecord) -> None:
        self.n_images += 1
        self.decision += record.decision
        self.base_value += record.base_value
        self.exact &= record.exact
        first = np.zeros(1, int)
        self.decisions.update(first, np.array([-record.decision]), {"image": record.position})
        for added in record.added:
            key = added.kind, added.source
            if key not in self.elements:
                self.elements[key] = _Elements(self.n_examples)
            self.elements[key].add(added, record.position)

    def places(self) -> np.ndarray:
        """Return the sums by place, over all sources."""
        found = np.zeros(self.grid[0] * self.grid[1])
        for (kind, _), elements in self.elements.items():
            if kind == "place":
                found[: len(elements.sums)] += elements.sums[: len(found)]
        return found.reshape(self.grid)

    def strongest(self) -> np.ndarray:
        """Return the positions of the images with the largest decision values, the largest first."""
        self.decisions.sort()
        positions = self.decisions.values["image"][0]
        return positions[positions >= 0]

    def rows(self) -> Iterator[tuple[str, str, Any, float, int, list[Example]]]:
        """Yield kind, source, element, sum, number of images and examples of each element that occurs."""
        for (kind, source), elements in self.elements.items():
            names = {number: name for name, number in elements.names.items()}
            elements.best.sort()
            for row in np.flatnonzero(elements.best.scores[:, 0] < np.inf).tolist():
                element = names[row] if kind == "name" else divmod(row, self.grid[1]) if kind == "place" else row
                yield kind, source, element, float(elements.sums[row]), int(elements.counts[row]), _examples(elements, row)


def _examples(elements: _Elements, row: int) -> list[Example]:
    images, values, outlines = (elements.best.values[name][row] for name in FIELDS)
    sign = np.sign(elements.sums[row])
    return [
        (int(image), float(value), outline)
        for image, value, outline in zip(images, values, outlines, strict=True)
        if image >= 0 and value * sign > 0
    ]
