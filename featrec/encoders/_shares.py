"""What each descriptor of an image adds to a weighted sum of its code.

A code is pooled values times factors: column j is ``factor[j] * pooled[j]``, where the factors contain the power, the
normalisation and the number of descriptors. With these factors held constant, a weight for the code becomes a weight for the
pooled values, and the pooled values are sums (or maxima) over descriptors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featrec.bag import Bag

if TYPE_CHECKING:
    from featrec.encoders._base import Encoder
    from featrec.encoders._layout import Layout

__all__ = ["Traced", "share_of_maxima", "share_of_sums", "traced", "weights_on_pooled"]

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
