"""Where in the picture descriptors are pooled: the whole of it, or the regions of a pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from featrec.bag import Bag
from featrec.exceptions import ImageError

__all__ = ["PyramidLayout", "WholeImage"]


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
    """

    def __init__(self, grids: Sequence[tuple[int, int]]):
        self.row_edges = _inner_edges([rows for rows, _ in grids])
        self.column_edges = _inner_edges([columns for _, columns in grids])
        self.members = np.concatenate([self._members(rows, columns) for rows, columns in grids])
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

    def _members(self, rows: int, columns: int) -> np.ndarray:
        """For each region of one grid, which cells lie in it."""
        in_row = _region_of_cell(self.row_edges, rows)[None, :] == np.arange(rows)[:, None]
        in_column = _region_of_cell(self.column_edges, columns)[None, :] == np.arange(columns)[:, None]
        return np.einsum("ai,bj->abij", in_row, in_column).reshape(rows * columns, -1)


def _inner_edges(divisions: list[int]) -> np.ndarray:
    """Where a unit length is cut, by any of the divisions; fractions keep 1/2 and 2/4 one cut."""
    cuts = {Fraction(i, n) for n in divisions for i in range(1, n)}
    return np.array([float(cut) for cut in sorted(cuts)])


def _region_of_cell(edges: np.ndarray, n: int) -> np.ndarray:
    borders = np.concatenate([[0.0], edges, [1.0]])
    middles = (borders[:-1] + borders[1:]) / 2
    return np.floor(middles * n).astype(int)
