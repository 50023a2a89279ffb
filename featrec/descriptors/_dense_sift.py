"""SIFT descriptors of one size and direction at every point of a lattice."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import lru_cache
from numbers import Integral
from typing import NamedTuple

import numpy as np

from featrec.bag import Bag
from featrec.base import StrOptions, positive_integer, real_number
from featrec.compiled._dense_sift import dense_sift, sift_room
from featrec.descriptors._colour_planes import SHARES, colour_planes
from featrec.exceptions import InputError
from featrec.images import DescriptorCache, LocalExtractor

__all__ = ["DenseSIFT"]

BINS = 4
ORIENTATIONS = 8
NO_ANGLE = -1
# How a number is stored: the length of a descriptor, the largest number, and what is added before uint8 cuts off the rest.
STORAGE = {"float32": (1, math.inf, 0), "uint8": (512, 255, 0.5)}


class DenseSIFT(LocalExtractor):
    """SIFT descriptors on a lattice, upright and at a few fixed sizes, as VLFeat's ``vl_phow`` and ``vl_dsift``.

    Where an interest point detector finds little, in sky, walls or snow, a lattice still describes the image: this is
    the usual choice for recognising scenes and objects. Each descriptor is a square of 4 × 4 bins with 8 orientations
    each. All sizes share their centres, up to half a pixel, so that they start where the largest one does. The centres of
    all bins lie in the image: bins of 10 need 31 pixels in both directions, and smaller images want smaller
    `bin_sizes`. An image into which no size fits gives an empty Bag.

    Parameters
    ----------
    step : int, default=4
        Pixels between neighbouring centres, in both directions.
    bin_sizes : int or sequence of int, default=(4, 6, 8, 10)
        Sides of a bin in pixels.
    magnif : float or None, default=6
        For a bin size the image is first smoothed by a Gaussian whose deviation is the bin size divided by this. None
        smooths nothing.
    contrast_threshold : float, default=0.005
        A descriptor whose mean gradient, in parts of the range from black to white per pixel, is less becomes zero; its
        frame stays.
    window_size : float, default=1.5
        Deviation, in bins, of the Gaussian that gives the inner bins more weight than the outer ones.
    color : {"gray", "rgb", "opponent", "hsv"}, default="gray"
        What is described: the luma, or three channels, whose descriptors are put one after another, 384 numbers in all. The
        channels are red, green and blue; the luma and the opponent colours red - green and yellow - blue; or hue, saturation
        and value.
    window : {"flat", "gaussian"}, default="flat"
        Whether the Gaussian weighs whole bins or each pixel. Flat is several times as fast and nearly the same.
    dtype : {"float32", "uint8"}, default="float32"
        Of the descriptors' numbers. uint8 holds them times 512, rounded and at most 255, as VLFeat does: a quarter of the
        memory, and whole numbers for a vocabulary.
    on_error : {"raise", "empty"}, default="raise"
        What happens to an image that cannot be read or described: an error that names it, or an empty Bag, with one warning
        that counts them and ``failures_`` that lists them.
    cache : path or DescriptorCache, optional
        A folder where descriptions are kept: an image that comes again, in another fold, at another point of a grid or in
        another run, is read there. See :class:`DescriptorCache`.

    Notes
    -----
    Bags hold descriptors of length 1 per channel: 4 bins in y × 4 in x × 8 orientations, the orientations fastest, from x
    (right) towards y (down). A frame's scale is the side of the square, four bins; VLFeat's fourth row, the bin size, is a
    quarter of that, and the ``size`` of an OpenCV keypoint that is described on the same bins is a sixth. The angle is -1,
    since no direction is estimated. Descriptors come size by size, and row by row within a size.

    A flat window is constant within a bin, as in VLFeat's ``fast``: a bin's weight is the mean of the Gaussian over it. VLFeat
    approximates a gradient's angle by a cubic; here it is exact to 3e-6 of an orientation bin. That is what the
    descriptors differ by, at most 0.012 on VLFeat's reference figures with a flat window.

    Colour follows ``vl_phow``. A colour image is described in gray by its luma, and a gray image in colour as one of three
    equal channels. The contrast of a descriptor is that of the luma for "opponent", the mean over the channels for "rgb" and
    that of the value for "hsv"; under the threshold all three channels' numbers become zero. The opponent colours have a
    hundredth of the luma added, so that a gray region's are not noise. Departures: the luma's weights are 0.299, 0.587 and
    0.114 instead of 0.3, 0.59 and 0.11; a hue, like there, is a number from 0 to 1 that jumps at red.

    References
    ----------
    .. [1] D. G. Lowe, "Distinctive image features from scale-invariant keypoints", International Journal of Computer
       Vision 60, 2004.
    .. [2] A. Bosch, A. Zisserman and X. Muñoz, "Image classification using random forests and ferns", ICCV 2007.
    .. [3] A. Vedaldi and B. Fulkerson, "VLFeat: an open and portable library of computer vision algorithms", 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.descriptors import DenseSIFT
    >>> image = np.random.default_rng(0).integers(0, 256, (64, 80), dtype=np.uint8)
    >>> DenseSIFT(step=8, bin_sizes=(4, 6)).extract(image)
    Bag(111 descriptors of 128 float32, frames, image 64×80, euclidean)
    """

    why_empty = "They may be too small for bin_sizes of {name}: Resize first, or take smaller ones."
    _parameter_constraints = {
        **LocalExtractor._parameter_constraints,
        "step": [positive_integer()],
        "bin_sizes": [positive_integer(), "array-like"],
        "magnif": [real_number(0, closed="neither"), None],
        "contrast_threshold": [real_number(0, closed="left")],
        "window_size": [real_number(0, closed="neither")],
        "color": [StrOptions(set(SHARES))],
        "window": [StrOptions({"flat", "gaussian"})],
        "dtype": [StrOptions(set(STORAGE))],
    }

    def __init__(
        self,
        *,
        step: int = 4,
        bin_sizes: int | Sequence[int] = (4, 6, 8, 10),
        magnif: float | None = 6,
        contrast_threshold: float = 0.005,
        window_size: float = 1.5,
        color: str = "gray",
        window: str = "flat",
        dtype: str = "float32",
        on_error: str = "raise",
        cache: str | os.PathLike | DescriptorCache | None = None,
    ):
        self.step = step
        self.bin_sizes = bin_sizes
        self.magnif = magnif
        self.contrast_threshold = contrast_threshold
        self.window_size = window_size
        self.color = color
        self.window = window
        self.dtype = dtype
        self.on_error = on_error
        self.cache = cache

    def _check_parameters(self) -> None:
        super()._check_parameters()
        sizes = self._sizes()
        if not sizes or not all(isinstance(size, Integral) and int(size) >= 1 for size in sizes):
            raise InputError(
                f"bin_sizes of DenseSIFT must be one or more whole numbers of pixels, at least 1; got {self.bin_sizes!r}. "
                "(4, 6, 8, 10) is usual."
            )

    def _describe(self, image: np.ndarray) -> Bag:
        height, width = image.shape[:2]
        lattices, frames = _places(height, width, int(self.step), tuple(int(size) for size in self._sizes()))
        descriptors: np.ndarray = np.empty((len(frames), self._dimension()), self._kind())
        if lattices:
            self._fill(image, lattices, descriptors)
        return Bag._made(descriptors, frames, (height, width))

    def _fill(self, image: np.ndarray, lattices: list[_Lattice], descriptors: np.ndarray) -> None:
        """All sizes and channels in one call, so that threads meet but once."""
        planes, white = colour_planes(image, self.color)
        sizes = tuple(lattice.bin_size for lattice in lattices)
        deviations = tuple(0.0 if self.magnif is None else size / self.magnif for size in sizes)
        filters, weights = _bin_filters(sizes, float(self.window_size), self.window)
        radii, smoothers = _smoothers(deviations)
        steps = _steps(max(filters.shape[2], smoothers.shape[1]))
        firsts = tuple(lattice.first for lattice in lattices)
        height, width = image.shape[:2]
        planned = plan(height, width, int(self.step), sizes, firsts, filters.shape[1])
        dense_sift(
            planes.reshape(len(planes), height * width),
            *planned,
            radii,
            smoothers,
            filters,
            weights,
            np.array(SHARES[self.color], np.float32),
            (self.contrast_threshold * white * (3 * np.array(sizes) + 1) ** 2).astype(np.float32),
            np.array(STORAGE[self.dtype], np.float32),
            steps,
            np.empty_like(steps),
            *sift_room(planned[0], radii, len(planes), height, width),
            descriptors.reshape(-1),
        )

    def _dimension(self) -> int:
        return len(SHARES[self.color]) * BINS * BINS * ORIENTATIONS

    def _kind(self) -> type:
        return np.uint8 if self.dtype == "uint8" else np.float32

    def _sizes(self) -> list:
        return [self.bin_sizes] if isinstance(self.bin_sizes, (int, Integral)) else list(self.bin_sizes)


class _Lattice(NamedTuple):
    """The descriptors of one size: `first` is where the first bin is centred, `xs` and `ys` where the descriptors are."""

    bin_size: int
    first: int
    xs: np.ndarray
    ys: np.ndarray


@lru_cache(maxsize=32)
def _places(height: int, width: int, step: int, sizes: tuple[int, ...]) -> tuple[list[_Lattice], np.ndarray]:
    """The lattices of those sizes that fit into an image, and the frames of all descriptors, read-only: bags share them."""
    lattices = []
    for size in sizes:
        first = 3 * (max(sizes) - size) // 2
        xs, ys = (np.arange(first, length - 3 * size, step) + 1.5 * size for length in (width, height))
        if len(xs) and len(ys):
            lattices.append(_Lattice(size, first, xs, ys))
    frames = np.empty((sum(len(lattice.xs) * len(lattice.ys) for lattice in lattices), 4), np.float32)
    frames[:, 3] = NO_ANGLE
    start = 0
    for lattice in lattices:
        end = start + len(lattice.ys) * len(lattice.xs)
        own = frames[start:end].reshape(len(lattice.ys), len(lattice.xs), 4)
        own[..., 0], own[..., 1], own[..., 2] = lattice.xs, lattice.ys[:, None], BINS * lattice.bin_size
        start = end
    frames.setflags(write=False)
    return lattices, frames


@lru_cache(maxsize=32)
def plan(
    height: int, width: int, step: int, sizes: tuple[int, ...], firsts: tuple[int, ...], n_filters: int
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """What `dense_sift` is told of the lattices; places of what a size has fewer of are left over."""
    counts = np.array([[(length - 1 - first - 3 * size) // step + 1 for length in (height, width)]
                       for size, first in zip(sizes, firsts, strict=True)])  # fmt: skip
    marks = np.full((len(sizes), height, n_filters), -1)
    row_places = np.zeros((len(sizes), counts[:, 0].max(), BINS), np.int64)
    column_places = np.zeros((len(sizes), counts[:, 1].max()), np.int64)
    pixels = np.zeros((len(sizes), max(width, BINS * counts[:, 1].max())), np.int64)
    cells = np.empty((len(sizes), 2), np.int64)
    for s, (size, first) in enumerate(zip(sizes, firsts, strict=True)):
        rows, columns = (first + step * np.arange(n)[:, None] + size * np.arange(BINS) for n in counts[s])
        filters = np.arange(BINS) % n_filters
        wanted = np.zeros((height, n_filters), bool)
        wanted[rows, filters] = True
        marks[s][wanted] = np.arange(wanted.sum())
        row_places[s, : len(rows)] = marks[s][rows, filters]
        centres, starts = _columns(columns, size, n_filters)
        column_places[s, : len(columns)], pixels[s, : len(centres)] = starts, centres
        cells[s] = wanted.sum(), len(centres)
    lattices = np.column_stack([np.array(sizes), counts, cells])
    return lattices, (marks, row_places, column_places, pixels)


def _columns(columns: np.ndarray, size: int, n_filters: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels that cells are centred on, and where each descriptor's four, side by side, begin.

    With one filter for all bins descriptors share cells: those that leave one rest by the bin size lie together.
    """
    if n_filters > 1:
        return columns.ravel(), BINS * np.arange(len(columns))
    centres = np.unique(columns)
    centres = centres[np.lexsort((centres, centres % size))]
    places = np.empty(centres.max() + 1, np.int64)
    places[centres] = np.arange(len(centres))
    return centres, places[columns[:, 0]]


@lru_cache(maxsize=32)
def _steps(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.uint64)


@lru_cache(maxsize=32)
def _smoothers(deviations: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Gaussians cut at four deviations: the radii, and the filters in rows, filled with zeros to a multiple of four."""
    radii = np.array([math.ceil(4 * deviation) for deviation in deviations])
    filters = np.zeros((len(deviations), _multiple_of_four(2 * max(radii) + 1)), np.float32)
    for row, radius, deviation in zip(filters, radii, deviations, strict=True):
        places = np.arange(-radius, radius + 1)
        gaussian = np.exp(-0.5 * (places / deviation) ** 2) if deviation else np.ones(1)
        row[: len(places)] = gaussian / gaussian.sum()
    return radii, filters


@lru_cache(maxsize=32)
def _bin_filters(sizes: tuple[int, ...], window_size: float, window: str) -> tuple[np.ndarray, np.ndarray]:
    """Filters of the bins of a row, filled with zeros to a multiple of four, and the bins' weights."""
    own = BINS if window == "gaussian" else 1
    filters = np.zeros((len(sizes), own, _multiple_of_four(2 * max(sizes) - 1)), np.float32)
    weights = np.ones((len(sizes), BINS), np.float32)
    for row, weight, size in zip(filters, weights, sizes, strict=True):
        places = np.arange(1 - size, size)
        centres = size * (np.arange(BINS) - (BINS - 1) / 2)
        gaussians = np.exp(-0.5 * ((centres[:, None] + places) / (size * window_size)) ** 2)
        row[:, : len(places)] = 1 - np.abs(places) / size
        if window == "gaussian":
            row[:, : len(places)] *= gaussians
        else:
            weight[:] = gaussians.mean(axis=1)
    return filters, weights


def _multiple_of_four(n: int) -> int:
    return -(-n // 4) * 4
