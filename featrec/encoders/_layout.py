"""Where in the picture descriptors are pooled: the whole of it, or the regions of a pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from featrec.bag import Bag
from featrec.exceptions import ImageError

__all__ = ["PyramidLayout", "WholeImage"]

Span = tuple[Fraction, Fraction]
# Overlaps and margins are taken as fractions with no larger denominator.
FINEST = 10_000


class WholeImage:
    """One region, which holds every descriptor."""

    n_regions = 1
    scale = 1.0

    def cells(self, bag: Bag) -> tuple[np.ndarray, int]:
        """The cell of each descriptor, and how many cells there are."""
        return np.zeros(len(bag.descriptors), np.int64), 1

    def merge(self, pooled: np.ndarray, counts: np.ndarray, pooling: str) -> tuple[np.ndarray, np.ndarray]:
        """Regions from cells."""
        return pooled, counts


class PyramidLayout:
    """Regions of several grids over one picture.

    Descriptors are pooled once, in the cells of the grids' common refinement; each region is merged from its cells.

    Parameters
    ----------
    grids : sequence of (rows, columns)
    overlap : float, default=0.0
        The part of a region's side that it shares with the next one.
    margin : float, default=0.0
        The part of the picture's side, at each border, that lies in no region.
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
        """The cell of each descriptor, and how many cells there are."""
        if not len(bag.descriptors):
            return np.zeros(0, np.int64), self.members.shape[1]
        if bag.frames is None or bag.size is None:
            raise ImageError(
                "a spatial pyramid needs to know where descriptors lie; this Bag has no frames or no size. "
                "Bag(descriptors, frames, (height, width)) has them; without them, use the encoder alone."
            )
        height, width = bag.size
        rows = np.searchsorted(self.row_edges, (bag.frames[:, 1] + 0.5) / height, side="right")
        columns = np.searchsorted(self.column_edges, (bag.frames[:, 0] + 0.5) / width, side="right")
        return rows * (len(self.column_edges) + 1) + columns, self.members.shape[1]

    def merge(self, pooled: np.ndarray, counts: np.ndarray, pooling: str) -> tuple[np.ndarray, np.ndarray]:
        """Regions from cells, by sum or maximum."""
        if pooling == "sum":
            return self.members.astype(pooled.dtype) @ pooled, self.members @ counts
        filled = np.where(counts[:, None] > 0, pooled, -np.inf)
        merged = np.stack([filled[cells].max(axis=0) for cells in self.members])
        return np.where(np.isfinite(merged), merged, 0).astype(pooled.dtype), self.members @ counts

    def _members(self, rows: list[Span], columns: list[Span]) -> np.ndarray:
        """For each region of one grid, which cells lie in it."""
        in_row, in_column = _cells_within(self.row_edges, rows), _cells_within(self.column_edges, columns)
        return np.einsum("ai,bj->abij", in_row, in_column).reshape(len(rows) * len(columns), -1)


def _spans(n: int, overlap: float, margin: float) -> list[Span]:
    """Where each of n regions begins and ends on a side of unit length; fractions keep 1/2 and 2/4 one place."""
    shared, outside = (Fraction(value).limit_denominator(FINEST) for value in (overlap, margin))
    side = (1 - 2 * outside) / (n - (n - 1) * shared)
    starts = [outside + i * side * (1 - shared) for i in range(n)]
    return [(start, start + side) for start in starts]


def _inner_edges(grids: list[list[Span]]) -> np.ndarray:
    """Where a unit length is cut, by any region of any grid."""
    cuts = {end for spans in grids for span in spans for end in span if 0 < end < 1}
    return np.array([float(cut) for cut in sorted(cuts)])


def _cells_within(edges: np.ndarray, spans: list[Span]) -> np.ndarray:
    """For each region which stretches between the edges lie in it."""
    borders = np.concatenate([[0.0], edges, [1.0]])
    middles = (borders[:-1] + borders[1:]) / 2
    starts, ends = np.array(spans, dtype=float).T[..., None]
    return (starts < middles) & (middles < ends)
