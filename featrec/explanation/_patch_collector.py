"""PatchCollector: counts and nearest patches of words, collected while images are read; ElementTable: elements of a class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from featrec.explanation._explanation import ImageExplanation
from featrec.explanation._word_source import WordSource
from featrec.images import as_rgb, as_uint8
from featrec.lazy import Images

__all__ = ["SIDE", "Best", "ElementTable", "ImageRecord", "PatchCollector", "cut_all", "first_of_each", "record_of"]


# Side of a patch in pixels.
SIDE = 32
# Number of rows that are sorted at once.
ROWS = 256


class Best:
    """The `n` entries with the smallest scores of each row. Memory depends on the number of rows, not on that of entries.

    `fields` has a name, a shape, a data type and a filling for the values that belong to an entry.
    """

    def __init__(self, n_rows: int, n: int, fields: dict[str, tuple[tuple[int, ...], Any, Any]]):
        self.fields = fields
        self.scores = np.full((n_rows, n), np.inf)
        self.values = {name: np.full((n_rows, n, *shape), filling, dtype) for name, (shape, dtype, filling) in fields.items()}

    def limits(self) -> np.ndarray:
        """Return the score that an entry of each row must be below to be kept."""
        limits: np.ndarray = self.scores.max(axis=1)
        return limits

    def grow(self, n_rows: int) -> None:
        """Add empty rows up to this number."""
        n_missing = n_rows - len(self.scores)
        if n_missing > 0:
            more = Best(n_missing, self.scores.shape[1], self.fields)
            self.scores = np.concatenate([self.scores, more.scores])
            self.values = {name: np.concatenate([old, more.values[name]]) for name, old in self.values.items()}

    def update(self, rows: np.ndarray, scores: np.ndarray, values: dict[str, Any]) -> None:
        """Offer one entry to each of several different rows. It replaces the worst entry of its row, if that is worse."""
        places = self.scores[rows].argmax(axis=1)
        better = scores < self.scores[rows, places]
        rows, places = rows[better], places[better]
        self.scores[rows, places] = scores[better]
        for name, kept in self.values.items():
            given = values[name]
            kept[rows, places] = given[better] if isinstance(given, np.ndarray) else given

    def sort(self) -> None:
        """Sort the entries of each row, the best first. Some rows at a time are copied, because patches need much memory."""
        for start in range(0, len(self.scores), ROWS):
            some = slice(start, start + ROWS)
            order = np.argsort(self.scores[some], axis=1, kind="stable")
            rows = np.arange(len(order))[:, None]
            for kept in (self.scores, *self.values.values()):
                kept[some] = kept[some][rows, order]


def first_of_each(groups: np.ndarray, scores: np.ndarray, quota: int = 1) -> list[np.ndarray]:
    """Return the positions with the smallest score of each group, then those with the second smallest, and so on."""
    order = np.lexsort((np.arange(len(groups)), scores, groups))
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    ranks = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
    return [order[ranks == rank] for rank in range(quota)]


class Batch(NamedTuple):
    """What a batch of images adds: patches by word and class, images by word, and candidates for the nearest patches."""

    class_counts: np.ndarray
    image_counts: np.ndarray
    candidates: list[tuple[np.ndarray, np.ndarray, dict[str, Any]]]


class PatchCollector:
    """Adds up counts and keeps the nearest patches. `collect` may run in several threads, `add` in one.

    Parameters
    ----------
    source : WordSource
    chosen : array of int
        The words to collect; results have one row for each of them.
    images : Images
    numbers : array of shape (n_images,), int
        The number of the class of each image.
    n_patches : int
    extent : float
    """

    def __init__(
        self, source: WordSource, chosen: np.ndarray, images: Images, numbers: np.ndarray, n_patches: int, extent: float
    ):
        self.source, self.images, self.numbers, self.extent = source, images, numbers, float(extent)
        self.rows = np.full(len(source.points()), -1)
        self.rows[chosen] = np.arange(len(chosen))
        self.quota = -(-n_patches // len(images))
        patch = {"image": ((), np.int64, -1), "frame": ((4,), np.float32, np.nan), "patch": ((SIDE, SIDE, 3), np.uint8, 128)}
        self.best = Best(len(chosen), n_patches, patch)
        self.class_counts = np.zeros((len(chosen), numbers.max() + 1), np.int64)
        self.image_counts = np.zeros(len(chosen), np.int64)

    def collect(self, positions: np.ndarray) -> Batch:
        found = Batch(np.zeros_like(self.class_counts), np.zeros_like(self.image_counts), [])
        limits = self.best.limits()
        for position in positions.tolist():
            with self.images.naming(position):
                image = self.images[position]
                words, distances, frames, outlines = self.source.assign(image)
            rows = self.rows[words]
            there = np.bincount(rows[rows >= 0], minlength=len(limits))
            found.class_counts[:, self.numbers[position]] += there
            found.image_counts[:] += there > 0
            near = np.flatnonzero((rows >= 0) & (distances < limits[rows]))
            if not len(near):
                continue
            pixels = as_rgb(as_uint8(image))
            for first in first_of_each(rows[near], distances[near], self.quota):
                kept = near[first]
                patches = cut_all(pixels, outlines[kept], self.extent)
                found.candidates.append(
                    (rows[kept], distances[kept], {"image": position, "frame": frames[kept], "patch": patches})
                )
        return found

    def add(self, batch: Batch) -> None:
        self.class_counts += batch.class_counts
        self.image_counts += batch.image_counts
        for rows, distances, values in batch.candidates:
            self.best.update(rows, distances, values)

    def sorted(self) -> Best:
        """Return the nearest patches of each word, the nearest first."""
        self.best.sort()
        return self.best


def cut_all(image: np.ndarray, outlines: np.ndarray, extent: float = 1.0) -> np.ndarray:
    """Return the insides of outlines as squares of SIDE pixels, turned upright; gray where there is no place.

    Parameters
    ----------
    image : array of shape (h, w, 3), uint8
    outlines : array of shape (n, 4, 2)
    extent : float
        Factor of the sides of outlines.

    Returns
    -------
    array of shape (n, SIDE, SIDE, 3), uint8
    """
    found = np.full((len(outlines), SIDE, SIDE, 3), 128, np.uint8)
    placed = np.isfinite(outlines).all(axis=(1, 2))
    corners = outlines[placed].astype(np.float32)
    along, across = ((corners[:, side] - corners[:, 0])[:, None, None] for side in (1, 3))
    steps = ((np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE - 0.5) * np.float32(extent)
    places = corners.mean(axis=1)[:, None, None] + along * steps[:, None] + across * steps[:, None, None]
    x, y = (np.clip(places[..., axis], 0, image.shape[1 - axis] - 1) for axis in (0, 1))
    left, top = x.astype(np.int32), y.astype(np.int32)
    right, bottom = np.minimum(left + 1, image.shape[1] - 1), np.minimum(top + 1, image.shape[0] - 1)
    beside, below = (x - left)[..., None], (y - top)[..., None]
    upper = (1 - beside) * image[top, left] + beside * image[top, right]
    lower = (1 - beside) * image[bottom, left] + beside * image[bottom, right]
    found[placed] = np.rint((1 - below) * upper + below * lower)
    return found


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
