"""LBP: histograms of local binary patterns in the image or in the cells of a grid."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import lru_cache
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

from featrec.base import StrOptions, positive_integer
from featrec.compiled._pixels import count_patterns, lbp_patterns
from featrec.exceptions import InputError
from featrec.images import Contributions, DescriptorCache, GlobalExtractor, as_float, as_gray, frames_of, read_image, rectangles
from featrec.model_files import Stored
from featrec.shared_docs import with_shared_docs

__all__ = ["LBP"]

# Maximum number of counts in the settings of a model file. A file with more counts is not loaded.
MOST_COUNTS = 2**22
MOST_POINTS = 16
# Side of the squares of pixels whose contributions are added up.
SQUARE = 8
# Fixed-point representation of 1: the largest power of two whose product with the brightest pixel fits into 31 bits.
ONE_FOR_8_BITS, ONE_FOR_16_BITS = 1 << 23, 1 << 15


@with_shared_docs
class LBP(GlobalExtractor):
    """Histograms of local binary patterns, which describe the texture around each pixel.

    Each pixel is compared with points on a circle around it. The pattern of the pixel has one bit per point, which is set
    unless the point is darker than the pixel. The code contains the number of occurrences of each pattern in each cell of one
    or more grids. Patterns do not depend on brightness or contrast. They are less informative about scenes than dense SIFT,
    but work well together with it.

    Parameters
    ----------
    n_points : int or sequence of int, default=8
        Number of points on the circle, at most 16. For several radii, pass a sequence with one number per radius.
    radius : float or sequence of float, default=1
        Radius of the circle in pixels. The codes of several radii are concatenated.
    method : {"default", "ror", "uniform", "nri_uniform"}, default="nri_uniform"
        How patterns are grouped into bins; the names are those of scikit-image. "default": one bin per pattern,
        ``2 ** n_points`` bins. "ror": rotated patterns share a bin. "uniform": patterns with at most two changes around the
        circle are grouped by their number of set bits, and all others share one bin; ``n_points + 2`` bins. "nri_uniform":
        each pattern with at most two changes has a bin, and all others share one bin; ``n_points * (n_points - 1) + 3`` bins.
    grids : sequence of (int, int), default=((1, 1),)
        Number of rows and columns of each grid. Patterns are counted in each cell.
    norm : {"l1", "l2", "hellinger"} or None, default="hellinger"
        Normalisation of the counts in a cell. "l1": divided by their sum; "l2": unit length; "hellinger": square root of "l1";
        None: counts without normalisation.

    Attributes
    ----------
    n_features_out_ : int
        The length of a code.

    Notes
    -----
    Colour images are converted to gray. A pixel is ignored if its circle extends beyond the image (scikit-image treats the
    outside as black). If all pixels of an image or cell are ignored, the result contains only zeros.

    Points between pixels are interpolated with integer weights whose sum is a power of two. In areas of one colour, points
    therefore have exactly the value of the pixel, and codes are the same on every machine. Weights are accurate to 2**-24 for
    8-bit images, and to 2**-16 for 16-bit and float images, which are converted to 16 bits.

    The parts of ``contributions`` are squares of up to 8×8 pixels. The norm of a cell counts as a constant, so that all pixels
    in the same bin and cell contribute the same. A pattern also depends on pixels up to `radius` away.

    References
    ----------
    .. [1] T. Ojala, M. Pietikäinen and T. Mäenpää, "Multiresolution gray-scale and rotation invariant texture classification
       with local binary patterns", IEEE Transactions on Pattern Analysis and Machine Intelligence 24, 2002.
    .. [2] J. Wu and J. M. Rehg, "CENTRIST: a visual descriptor for scene categorization", IEEE Transactions on Pattern
       Analysis and Machine Intelligence 33, 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.descriptors import LBP
    >>> image = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)
    >>> LBP(radius=(1, 2), grids=((1, 1), (2, 2))).extract(image).shape
    (590,)
    """

    _parameter_constraints = {
        **GlobalExtractor._parameter_constraints,
        "n_points": [positive_integer(), "array-like"],
        "radius": [Real, "array-like"],
        "method": [StrOptions({"default", "ror", "uniform", "nri_uniform"})],
        "grids": ["array-like"],
        "norm": [StrOptions({"l1", "l2", "hellinger"}), None],
    }
    algorithm: ClassVar[int] = 2

    def __init__(
        self,
        *,
        n_points: int | Sequence[int] = 8,
        radius: float | Sequence[float] = 1,
        method: str = "nri_uniform",
        grids: Sequence[tuple[int, int]] = ((1, 1),),
        norm: str | None = "hellinger",
        on_error: str = "raise",
        cache: str | os.PathLike | DescriptorCache | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.n_points = n_points
        self.radius = radius
        self.method = method
        self.grids = grids
        self.norm = norm
        self.on_error = on_error
        self.cache = cache
        self.n_jobs = n_jobs
        self.verbose = verbose

    def patterns(self, image: Any) -> np.ndarray:
        """Compute the pattern of each pixel of one image, before grouping and counting.

        Parameters
        ----------
        image : array, path, encoded bytes or PIL image

        Returns
        -------
        patterns : array of shape (height - 2 * margin, width - 2 * margin), uint8 or uint16
            The bits of the points on the first circle; bit k is the point at k times the angle between two points. The margin
            is the radius, rounded up: pixels whose circle extends beyond the image have no pattern.
        """
        self._check_parameters()
        gray, one = _whole_numbers(as_gray(read_image(image)))
        return patterns_of(gray, one, *self._circles()[0])

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._circles()
        self._grids()

    def _circles(self) -> list[tuple[int, float]]:
        """Return the number of points and the radius of each circle."""
        n_points: Any = self.n_points
        radius: Any = self.radius
        radii = [radius] if isinstance(radius, Real) else list(radius)
        points = [n_points] * len(radii) if isinstance(n_points, Integral) else list(n_points)
        if not radii or not all(isinstance(each, Real) and 0 < float(each) <= 100 for each in radii):
            raise InputError(f"radius of LBP must be one or more numbers above 0 and at most 100; got {self.radius!r}")
        if not all(isinstance(number, Integral) and 1 <= int(number) <= MOST_POINTS for number in points):
            raise InputError(f"n_points of LBP must be integers from 1 to {MOST_POINTS}; got {self.n_points!r}")
        if len(points) != len(radii):
            raise InputError(f"LBP: n_points and radius must have the same length; got {len(points)} and {len(radii)}")
        return [(int(number), float(each)) for number, each in zip(points, radii, strict=True)]

    def _grids(self) -> list[tuple[int, int]]:
        grids = [tuple(np.atleast_1d(grid).tolist()) for grid in self.grids]
        if not grids or not all(len(grid) == 2 and all(isinstance(n, int) and n > 0 for n in grid) for grid in grids):
            raise InputError(f"grids of LBP must contain pairs of (rows, columns), each at least 1; got {self.grids!r}")
        return grids

    @staticmethod
    def _check_stored_settings(stored: Stored) -> None:
        """Check the number of counts. There is one count per circle, cell and bin."""
        points, radii, grids = (_listed(stored.get(name)) for name in ("n_points", "radius", "grids"))
        most = max((abs(number) for number in points if isinstance(number, int)), default=1)
        patterns = 2 ** min(most, MOST_POINTS) if stored.get("method") in ("default", "ror") else 2**8
        cells = sum(abs(math.prod(grid)) for grid in grids if isinstance(grid, list) and all(type(n) is int for n in grid))
        counts = max(len(points), len(radii)) * cells * patterns
        if counts > MOST_COUNTS:
            raise ValueError(f"the number of counts={counts!r:.80} is above the limit of {MOST_COUNTS:,}")

    def _describe(self, image: np.ndarray) -> np.ndarray:
        gray, one = _whole_numbers(as_gray(image))
        parts = []
        for n_points, radius in self._circles():
            patterns, bins = patterns_of(gray, one, n_points, radius), pattern_bins(n_points, self.method)
            parts += [_counts(patterns, gray.shape, *bins, grid) for grid in self._grids()]
        return np.concatenate([_normalized(part, self.norm).ravel() for part in parts])

    def _contributed(self, image: np.ndarray, weights: np.ndarray, code: np.ndarray) -> Contributions:
        """Divide the weighted value of each bin equally among its pixels, then add up squares of pixels."""
        gray, one = _whole_numbers(as_gray(image))
        pixels, start = np.zeros(gray.shape), 0
        for n_points, radius in self._circles():
            patterns, (bins, n_bins) = patterns_of(gray, one, n_points, radius), pattern_bins(n_points, self.method)
            margin = (gray.shape[0] - patterns.shape[0]) // 2
            inner = pixels[margin : margin + patterns.shape[0], margin : margin + patterns.shape[1]]
            for grid in self._grids():
                counts = _counts(patterns, gray.shape, bins, n_bins, grid)
                part = slice(start, start + counts.size)
                each = (weights[part] * code[part]).reshape(counts.shape) / np.maximum(counts, 1)
                if patterns.size:
                    rows, columns = _cells(patterns, gray.shape, grid)
                    inner += each[rows[:, None], columns, bins[patterns]]
                start = part.stop
        return _squares(pixels)


def _listed(value: Any) -> list:
    value = value.tolist() if isinstance(value, np.ndarray) else value
    return value if isinstance(value, list) else [value]


def _whole_numbers(gray: np.ndarray) -> tuple[np.ndarray, int]:
    if gray.dtype == np.uint8:
        return gray, ONE_FOR_8_BITS
    if gray.dtype == np.uint16:
        return gray, ONE_FOR_16_BITS
    return np.rint(as_float(gray) * 65535).astype(np.uint16), ONE_FOR_16_BITS


def _counts(patterns: np.ndarray, shape: tuple[int, ...], bins: np.ndarray, n_bins: int, grid: tuple[int, int]) -> np.ndarray:
    """Return the histograms of all cells as an array (rows, columns, bins). `shape` is the shape of the image."""
    counts = np.zeros((*grid, n_bins), np.int32)
    if patterns.size:
        count_patterns(patterns, bins, *_cells(patterns, shape, grid), counts)
    return counts


def _cells(patterns: np.ndarray, shape: tuple[int, ...], grid: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the row of the grid to which each row of patterns belongs, and likewise for columns."""
    margin = (shape[0] - patterns.shape[0]) // 2
    rows, columns = ((np.arange(margin, length - margin) * cells) // length for length, cells in zip(shape, grid, strict=True))
    return rows, columns


def _squares(pixels: np.ndarray) -> Contributions:
    """Add up the contributions of the pixels in each square; in small images, about eight squares fit into the shorter side."""
    side = min(SQUARE, max(1, min(pixels.shape) // 8))
    first = [np.arange(0, length, side) for length in pixels.shape]
    last = [np.minimum(each + side, length) for each, length in zip(first, pixels.shape, strict=True)]
    values = np.add.reduceat(np.add.reduceat(pixels, first[0], axis=0), first[1], axis=1)
    rows, columns = (each.ravel() for each in np.indices(values.shape))
    edges = first[1][columns], first[0][rows], last[1][columns], last[0][rows]
    outlines = rectangles(*(edge - 0.5 for edge in edges))
    return Contributions(values.ravel(), frames_of(outlines), outlines)


def patterns_of(gray: np.ndarray, one: int, n_points: int, radius: float) -> np.ndarray:
    """Return the pattern of each pixel whose circle is inside the image."""
    offsets, weights = _circle(n_points, radius, one)
    margin = math.ceil(radius - 1e-5)
    shape = tuple(max(0, length - 2 * margin) for length in gray.shape)
    patterns: np.ndarray = np.empty(shape, np.uint8 if n_points <= 8 else np.uint16)
    if patterns.size:
        lbp_patterns(gray, margin, offsets, weights, np.int32(one), patterns)
    return patterns


@lru_cache(maxsize=32)
def _circle(n_points: int, radius: float, one: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the points, and the weights of the four pixels around each point."""
    angles = 2 * np.pi * np.arange(n_points) / n_points
    # As in scikit-image, points that differ from a pixel by a rounding error are moved to the pixel.
    places = np.round(radius * np.stack([-np.sin(angles), np.cos(angles)], axis=1), 5)
    offsets = np.floor(places).astype(np.int64)
    down, right = (places - offsets).T
    shares = np.stack([(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right], axis=1)
    weights = np.rint(shares * one).astype(np.int32)
    largest = shares.argmax(axis=1)
    weights[np.arange(n_points), largest] += (one - weights.sum(axis=1)).astype(np.int32)
    return offsets, weights


@lru_cache(maxsize=16)
def pattern_bins(n_points: int, method: str) -> tuple[np.ndarray, int]:
    """Return the bin of each pattern, and the number of bins."""
    patterns = np.arange(1 << n_points)
    turned = np.stack([(patterns >> k) | ((patterns << (n_points - k)) & ((1 << n_points) - 1)) for k in range(n_points)])
    bits = ((patterns[:, None] >> np.arange(n_points)) & 1).sum(axis=1)
    changes = (((patterns ^ turned[1 % n_points])[:, None] >> np.arange(n_points)) & 1).sum(axis=1)
    if method == "default":
        keys = patterns
    elif method == "ror":
        keys = turned.min(axis=0)
    elif method == "uniform":
        keys = np.where(changes <= 2, bits, n_points + 1)
    else:
        keys = np.where(changes <= 2, patterns, 1 << n_points)
    kinds, bins = np.unique(keys, return_inverse=True)
    if method == "uniform":
        kinds, bins = np.arange(n_points + 2), keys
    bins = bins.astype(np.uint16)
    bins.setflags(write=False)
    return bins, len(kinds)


def _normalized(counts: np.ndarray, norm: str | None) -> np.ndarray:
    values: Any = counts.astype(np.float32)
    if norm is None:
        return values
    length = np.linalg.norm(values, axis=2) if norm == "l2" else values.sum(axis=2)
    values /= np.where(length > 0, length, 1)[..., None]
    return np.sqrt(values) if norm == "hellinger" else values
