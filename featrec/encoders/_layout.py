"""Layout: regions of an image in which descriptors are pooled. Traced: an encoded image, with the share of each descriptor.

A code is pooled values times factors: column j is ``factor[j] * pooled[j]``, where the factors contain the power, the
normalisation and the number of descriptors. For the shares, these factors are held constant. A weight for the code then becomes
a weight for the pooled values, which are sums (or maxima) over descriptors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from featrec.bag import Bag
from featrec.exceptions import ImageError

if TYPE_CHECKING:
    from featrec.encoders._base import Encoder

__all__ = ["Layout", "PyramidLayout", "Traced", "share_of_maxima", "share_of_sums", "traced", "weights_on_pooled"]


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


# Largest rounding error of a pooled sum, as a fraction of the sum of the absolute values that it consists of.
ROUNDING = 1e-2
# Maximum number of values of descriptors that are pooled one by one at once.
VALUES = 2**21


@dataclass(frozen=True, eq=False)
class Traced:
    """The code of one image and the values that it was computed from.

    `pooled` and `counts` have one row for each cell, `regions` and `in_regions` one for each region of the layout.
    """

    encoder: Encoder
    layout: Layout
    bag: Bag
    cells: np.ndarray
    pooled: np.ndarray
    counts: np.ndarray
    regions: np.ndarray
    in_regions: np.ndarray
    code: np.ndarray

    def contributions(self, weights: np.ndarray) -> np.ndarray:
        """Return what each descriptor adds to ``weights @ code``, as float64."""
        if not len(self.bag.descriptors):
            return np.zeros(0)
        on_cells = self.weights_on_cells(weights)
        shares = self.encoder._share(self.bag.descriptors, self.cells, on_cells)
        return shares if self.encoder.pooling == "max" else self._rounded(shares, on_cells)

    def weights_on_cells(self, weights: np.ndarray) -> np.ndarray:
        """Convert weights of the code to weights of the pooled values of cells."""
        n_regions = self.layout.n_regions
        codes = self.code.reshape(n_regions, -1).astype(np.float64)
        weights = np.asarray(weights, np.float64).reshape(n_regions, -1)
        on_regions = self.encoder._weights_on_pooled(self.regions, codes, weights)
        return self.layout.spread(on_regions, self.pooled, self.counts, self.encoder.pooling)

    def _rounded(self, shares: np.ndarray, on_cells: np.ndarray) -> np.ndarray:
        """Spread the rounding error of the pooled values evenly over the descriptors of each cell.

        Pooled values are sums in float32. If the values of descriptors cancel, as those of uniform areas do in a Fisher vector,
        the factors amplify the rounding errors of these sums. Larger differences are not spread, so a wrong ``_share`` shows.
        """
        expected = np.einsum("ij,ij->i", on_cells, self.pooled)
        n_cells = len(expected)
        found, sizes = (np.bincount(self.cells, weights=values, minlength=n_cells) for values in (shares, np.abs(shares)))
        missing = expected - found
        missing[np.abs(missing) > ROUNDING * sizes] = 0
        return shares + (missing / np.maximum(self.counts, 1))[self.cells]


def traced(encoder: Encoder, layout: Layout, bag: Bag) -> Traced:
    """Encode one image and keep the values that its code was computed from."""
    encoder._check_bag(bag)
    cells, n_cells = layout.cells(bag)
    pooled, counts = np.zeros((n_cells, encoder._pooled_width()), np.float32), np.zeros(n_cells, np.int64)
    if len(bag.descriptors):
        pooled, counts = encoder._pool(bag.descriptors, cells, n_cells), np.bincount(cells, minlength=n_cells)
    regions, in_regions = layout.merge(pooled, counts, encoder.pooling)
    code = encoder._finish(regions, in_regions)
    code[in_regions == 0] = 0
    code = (code * np.float32(layout.scale)).reshape(-1)
    return Traced(encoder, layout, bag, cells, pooled, counts, regions, in_regions, code)


def weights_on_pooled(pooled: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return weights for pooled values whose weighted sum equals the weighted sum of the code; 0 for pooled values of 0."""
    there = pooled != 0
    return np.divide(weights * codes, pooled, out=np.zeros(weights.shape), where=there)


def share_of_sums(encoder: Encoder, descriptors: np.ndarray, cells: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return what each descriptor adds to the weighted sum of pooled values, for sum pooling."""
    shares = np.empty(len(descriptors))
    for rows, alone in _one_by_one(encoder, descriptors):
        shares[rows] = np.einsum("ij,ij->i", alone, weights[cells[rows]])
    return shares


def share_of_maxima(encoder: Encoder, descriptors: np.ndarray, cells: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return what each descriptor adds, for max pooling: the descriptor with the largest value gets all of it."""
    largest, winners = np.full(weights.shape, -np.inf), np.zeros(weights.shape, np.int64)
    for rows, alone in _one_by_one(encoder, descriptors):
        for cell in np.unique(cells[rows]):
            here = np.flatnonzero(cells[rows] == cell)
            first = alone[here].argmax(axis=0)
            values = alone[here[first], np.arange(alone.shape[1])]
            larger = values > largest[cell]
            largest[cell, larger] = values[larger]
            winners[cell, larger] = (rows.start + here[first])[larger]
    added = np.where(weights != 0, weights * np.where(np.isfinite(largest), largest, 0), 0)
    return np.bincount(winners.ravel(), weights=added.ravel(), minlength=len(descriptors))


def _one_by_one(encoder: Encoder, descriptors: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Pool each descriptor alone; yield rows of descriptors and their pooled values."""
    length = max(1, VALUES // encoder._pooled_width())
    for start in range(0, len(descriptors), length):
        rows = slice(start, min(start + length, len(descriptors)))
        some = descriptors[rows]
        yield rows, encoder._pool(some, np.arange(len(some)), len(some))
