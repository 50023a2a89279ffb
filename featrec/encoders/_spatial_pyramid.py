"""SpatialPyramid: any encoder, applied to the regions of several grids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from featrec.bag import Bag
from featrec.base import HasMethods, check_is_fitted, positive_integer, real_number
from featrec.encoders._base import BagsTransformer, Encoder, Layout
from featrec.exceptions import ImageError, InputError
from featrec.lazy import Bags
from featrec.model_files import Stored

__all__ = ["PyramidLayout", "SpatialPyramid"]

Span = tuple[Fraction, Fraction]
# Overlaps and margins are rounded to fractions with at most this denominator.
FINEST = 10_000
# More levels are counted as 16, because 16 levels already exceed the limits of model files.
MOST_LEVELS = 16


class SpatialPyramid(BagsTransformer):
    """Encode the regions of several grids over an image and concatenate their codes.

    Unlike the code of a whole image, the code of a pyramid roughly describes where words occur. Each descriptor is assigned to
    words only once, even if there are several levels. Each region is normalised like an image.

    Parameters
    ----------
    encoder : encoder
        Encoder of the regions, such as ``BagOfWords(400)``, or a fitted encoder inside ``FrozenEstimator``.
    levels : int or sequence of (rows, columns), default=3
        Grids of the pyramid. 3 is the pyramid of the paper, with 1×1, 2×2 and 4×4 regions; ``[(1, 1), (3, 1)]`` consists of the
        whole image and three horizontal bands.
    overlap : float, default=0.0
        Overlap of neighbouring regions of a grid, as a fraction of a region's side.
    margin : float, default=0.0
        Width of the border that does not belong to any region, as a fraction of the image's side; at most 0.49.

    Attributes
    ----------
    encoder_ : encoder
        The fitted encoder.

    Notes
    -----
    Each region is normalised separately, and the code is divided by the square root of the number of levels. In contrast,
    Lazebnik et al. normalise the counts of the whole image and weight the levels. The code of a region without descriptors is
    zero. A descriptor belongs to the regions that contain its centre.

    References
    ----------
    .. [1] S. Lazebnik, C. Schmid, J. Ponce. Beyond bags of features: spatial pyramid matching for recognizing natural scene
       categories. CVPR 2006.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import DenseSIFT
    >>> from featrec.encoders import BagOfWords, SpatialPyramid
    >>> train, test = load_dataset("textures")
    >>> bags = DenseSIFT(step=8, bin_sizes=4).transform(train[::8])
    >>> SpatialPyramid(BagOfWords(20, random_state=0), levels=2).fit_transform(bags).shape[1]
    100
    """

    _parameter_constraints = {
        "encoder": [HasMethods(["fit", "transform"])],
        "levels": [positive_integer(), "array-like"],
        "overlap": [real_number(0.0, 1.0, closed="left")],
        "margin": [real_number(0.0, 0.49)],
    }
    # Defaults for models that were saved before these parameters existed.
    overlap: float = 0.0
    margin: float = 0.0

    def __init__(
        self,
        encoder: Encoder,
        *,
        levels: int | Sequence[tuple[int, int]] = 3,
        overlap: float = 0.0,
        margin: float = 0.0,
    ):
        self.encoder = encoder
        self.levels = levels
        self.overlap = overlap
        self.margin = margin

    def _learn_from(self, bags: Bags) -> None:
        self._layout()
        inner = self.encoder.estimator if isinstance(self.encoder, FrozenEstimator) else self.encoder
        if not isinstance(inner, Encoder):
            raise InputError(f"SpatialPyramid needs an encoder such as BagOfWords(400); got {inner!r}")
        if isinstance(self.encoder, FrozenEstimator):
            check_is_fitted(inner)
            self.encoder_ = inner
            return
        self.encoder_ = clone(self.encoder)
        self.encoder_._check_parameters()
        self.encoder_._learn_from(bags)

    def _encoder(self) -> Encoder:
        return self.encoder_

    def _needs_every_image(self) -> bool:
        return self.encoder_._needs_every_image() and not isinstance(self.encoder, FrozenEstimator)

    @staticmethod
    def _most_regions(stored: Stored) -> tuple[int, int]:
        """Return upper limits for the number of regions and the number of cells, without building the layout."""
        levels = stored["levels"].tolist() if isinstance(stored["levels"], np.ndarray) else stored["levels"]
        overlapping = any(stored.get(name) for name in ("overlap", "margin"))
        if isinstance(levels, int) and not overlapping:
            # Each level has four times as many regions as the previous one. The regions of the last level are the cells.
            levels = min(levels, MOST_LEVELS)
            return (4**levels // 3, 4 ** (levels - 1)) if levels > 0 else (0, 0)
        if isinstance(levels, int):
            levels = [[2**level, 2**level] for level in range(min(levels, MOST_LEVELS))]
        if not isinstance(levels, list):
            return 0, 0  # _layout raises an error
        grids = [grid for grid in levels if isinstance(grid, list) and [type(number) for number in grid] == [int, int]]
        # Overlapping regions do not share borders, so each region adds two.
        ends = 2 if overlapping else 1
        cells = math.prod(1 + ends * sum(abs(grid[axis]) for grid in grids) for axis in (0, 1))
        return sum(abs(rows * columns) for rows, columns in grids), cells

    def _layout(self) -> PyramidLayout:
        levels: Any = self.levels
        if isinstance(levels, Integral):
            levels = [(2**level, 2**level) for level in range(int(levels))]
        grids = [tuple(grid) if isinstance(grid, (Sequence, np.ndarray)) else (grid,) for grid in levels]
        for grid in grids:
            if len(grid) != 2 or not all(isinstance(n, Integral) and int(n) > 0 for n in grid):
                raise InputError(
                    f"levels must contain pairs of (rows, columns), each at least 1; got {grid!r} in {self.levels!r}"
                )
        if not grids:
            raise InputError("levels must contain at least one pair of (rows, columns); got none")
        return PyramidLayout(grids, overlap=self.overlap, margin=self.margin)


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
