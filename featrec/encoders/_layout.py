"""Regions of an image in which descriptors are pooled."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from featrec.bag import Bag
from featrec.exceptions import ImageError

__all__ = ["Layout", "PyramidLayout"]

Span = tuple[Fraction, Fraction]
# Overlaps and margins are rounded to fractions with at most this denominator.
FINEST = 10_000


class Layout:
    """The regions in which descriptors are pooled. By default, the only region is the whole image."""

    n_regions: int = 1
    scale: float = 1.0

    def cells(self, bag: Bag) -> tuple[np.ndarray, int]:
        """Return the cell of each descriptor, and the number of cells."""
        return np.zeros(len(bag.descriptors), np.int64), 1

    def merge(self, pooled: np.ndarray, counts: np.ndarray, pooling: str) -> tuple[np.ndarray, np.ndarray]:
        """Merge cells into regions."""
        return pooled, counts

    def spread(self, weights: np.ndarray, pooled: np.ndarray, counts: np.ndarray, pooling: str) -> np.ndarray:
        """Convert weights for the values of regions to weights for the values of cells: the reverse of :meth:`merge`."""
        return weights


class PyramidLayout(Layout):
    """Regions of several grids over an image.

    The borders of all regions divide the image into cells. Descriptors are pooled only once, by cell. The code of a region is
    then merged from its cells.
    """

    def __init__(self, grids: Sequence[tuple[int, int]], *, overlap: float = 0.0, margin: float = 0.0):
        rows = [_spans(n, overlap, margin) for n, _ in grids]
        columns = [_spans(n, overlap, margin) for _, n in grids]
        self.row_edges, self.column_edges = _inner_edges(rows), _inner_edges(columns)
        of_grids = [self._members(*spans) for spans in zip(rows, columns, strict=True)]
        self.members = np.concatenate(of_grids)
        self.n_regions = len(self.members)
        self.scale = 1.0 / np.sqrt(len(grids))

    def cells(self, bag: Bag) -> tuple[np.ndarray, int]:
        if not len(bag.descriptors):
            return np.zeros(0, np.int64), self.members.shape[1]
        if bag.frames is None or bag.size is None:
            raise ImageError(
                "a spatial pyramid needs the positions of descriptors; this Bag has no frames or no size. "
                "Use Bag(descriptors, frames, (height, width)), or the encoder without a pyramid."
            )
        height, width = bag.size
        rows = np.searchsorted(self.row_edges, (bag.frames[:, 1] + 0.5) / height, side="right")
        columns = np.searchsorted(self.column_edges, (bag.frames[:, 0] + 0.5) / width, side="right")
        return rows * (len(self.column_edges) + 1) + columns, self.members.shape[1]

    def merge(self, pooled: np.ndarray, counts: np.ndarray, pooling: str) -> tuple[np.ndarray, np.ndarray]:
        if pooling == "sum":
            return self.members.astype(pooled.dtype) @ pooled, self.members @ counts
        filled = np.where(counts[:, None] > 0, pooled, -np.inf)
        merged = np.stack([filled[cells].max(axis=0) for cells in self.members])
        return np.where(np.isfinite(merged), merged, 0).astype(pooled.dtype), self.members @ counts

    def spread(self, weights: np.ndarray, pooled: np.ndarray, counts: np.ndarray, pooling: str) -> np.ndarray:
        if pooling == "sum":
            return self.members.T.astype(weights.dtype) @ weights
        filled = np.where(counts[:, None] > 0, pooled, -np.inf)
        spread, columns = np.zeros((len(pooled), weights.shape[1])), np.arange(weights.shape[1])
        for region, cells in zip(weights, self.members, strict=True):
            inside = np.flatnonzero(cells)
            spread[inside[filled[inside].argmax(axis=0)], columns] += region
        return spread

    def _members(self, rows: list[Span], columns: list[Span]) -> np.ndarray:
        """Return a boolean table that shows which cells belong to each region of a grid."""
        in_row, in_column = _cells_within(self.row_edges, rows), _cells_within(self.column_edges, columns)
        return np.einsum("ai,bj->abij", in_row, in_column).reshape(len(rows) * len(columns), -1)


def _spans(n: int, overlap: float, margin: float) -> list[Span]:
    """Return start and end of n regions on a side of length 1, as exact fractions: 1/2 equals 2/4."""
    shared, outside = (Fraction(value).limit_denominator(FINEST) for value in (overlap, margin))
    side = (1 - 2 * outside) / (n - (n - 1) * shared)
    starts = [outside + i * side * (1 - shared) for i in range(n)]
    return [(start, start + side) for start in starts]


def _inner_edges(grids: list[list[Span]]) -> np.ndarray:
    """Return all borders of regions between 0 and 1."""
    cuts = {end for spans in grids for span in spans for end in span if 0 < end < 1}
    return np.array([float(cut) for cut in sorted(cuts)])


def _cells_within(edges: np.ndarray, spans: list[Span]) -> np.ndarray:
    """Return a boolean table that shows which intervals between edges belong to each region."""
    borders = np.concatenate([[0.0], edges, [1.0]])
    middles = (borders[:-1] + borders[1:]) / 2
    starts, ends = np.array(spans, dtype=float).T[..., None]
    return (starts < middles) & (middles < ends)
