"""DenseSIFT: upright SIFT descriptors at all points of a grid."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import lru_cache
from numbers import Integral
from typing import NamedTuple

import cv2
import numpy as np

from featrec.bag import Bag
from featrec.base import StrOptions, positive_integer, real_number
from featrec.compiled._dense_sift import dense_sift, sift_room
from featrec.exceptions import InputError
from featrec.images import DescriptorCache, LocalExtractor, as_float, as_gray, as_rgb
from featrec.model_files import SizeLimit, Stored
from featrec.shared_docs import with_shared_docs

__all__ = ["DenseSIFT"]

# Weight of each channel in the contrast of a descriptor.
SHARES = {"gray": (1.0,), "rgb": (1 / 3, 1 / 3, 1 / 3), "opponent": (1.0, 0.0, 0.0), "hsv": (0.0, 0.0, 1.0)}
MONOCHROME = 0.01
BINS = 4
ORIENTATIONS = 8
NO_ANGLE = -1
# Minimum of magnif in model files; the smoothing filter gets longer as magnif gets smaller.
LEAST_MAGNIF = 0.01
# For each dtype: length of a descriptor, its largest value, and the number that is added for rounding before the conversion.
STORAGE = {"float32": (1, math.inf, 0), "uint8": (512, 255, 0.5)}


@with_shared_docs
class DenseSIFT(LocalExtractor):
    """Upright SIFT descriptors on a dense grid at a few fixed sizes, like VLFeat's ``vl_phow`` and ``vl_dsift``.

    Dense descriptors also describe regions where detectors find few keypoints, such as sky, walls or snow. They are the usual
    choice for recognising scenes and objects. Each descriptor covers a square of 4 × 4 bins and has 8 orientations per bin.
    Descriptors of all sizes have the same centres, to within half a pixel. The largest size determines the position of the
    first centre. The centres of all bins must be inside the image: bins of 10 pixels require at least 31 pixels in both
    directions. Use smaller `bin_sizes` for small images. If no size fits, the Bag is empty.

    Parameters
    ----------
    step : int, default=4
        Distance between neighbouring centres in pixels, in both directions.
    bin_sizes : int or sequence of int, default=(4, 6, 8, 10)
        Side of a bin in pixels, for each size.
    magnif : float or None, default=6
        Before descriptors are computed, the image is smoothed by a Gaussian with a standard deviation of bin size / magnif.
        None means no smoothing.
    contrast_threshold : float, default=0.005
        Minimum mean gradient per pixel, if the range from black to white is 1. Descriptors with a smaller mean gradient are
        set to zero, but stay in the Bag.
    window_size : float, default=1.5
        Standard deviation, in bins, of the Gaussian that gives inner bins more weight than outer bins.
    color : {"gray", "rgb", "opponent", "hsv"}, default="gray"
        Channels to describe. "gray": the luma. Otherwise, the descriptors of three channels are concatenated to a total of 384
        values. "rgb": red, green and blue. "opponent": luma, red - green and yellow - blue. "hsv": hue, saturation and value.
    window : {"flat", "gaussian"}, default="flat"
        "flat" weights whole bins; "gaussian" weights each pixel. "flat" is several times faster; results are nearly equal.
    dtype : {"float32", "uint8"}, default="float32"
        Data type of the descriptors. "uint8" multiplies them by 512, rounds, and clips at 255, like VLFeat. "uint8" needs a
        quarter of the memory.

    Notes
    -----
    The 128 values of a channel (4 bins in y × 4 bins in x × 8 orientations) have unit length. Orientations vary fastest, from x
    (right) towards y (down). The scale of a frame is the side of the square (four bins). VLFeat's scale, the bin size, is a
    quarter of this side; the ``size`` of an OpenCV keypoint with the same bins is a sixth of it. The angle is -1, because no
    direction is estimated. Descriptors are ordered by size, then by row.

    A flat window is constant within a bin, as with VLFeat's option ``fast``: the weight of a bin is the mean of the Gaussian
    over the bin. VLFeat approximates gradient angles with a cubic polynomial; DenseSIFT's angles are accurate to 3e-6 of an
    orientation bin. With a flat window, descriptors therefore differ by up to 0.012 from VLFeat's.

    Colour is handled as in ``vl_phow``. With "gray", colour images are converted to luma; with other values, gray images count
    as three equal channels. The contrast of a descriptor is computed on the luma for "opponent", on the value for "hsv", and
    as the mean over the channels for "rgb". If the contrast is below the threshold, the values of all three channels are set to
    zero. A hundredth of the luma is added to the opponent colours; otherwise, descriptors of gray regions would be pure noise.
    Hue is a number from 0 to 1 that jumps at red. Unlike in ``vl_phow``, the weights of the luma are 0.299, 0.587 and 0.114
    instead of 0.3, 0.59 and 0.11.

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

    why_empty = "They may be too small for bin_sizes of {name}: use Resize first, or smaller bin_sizes."
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
    _file_limits = {"bin_sizes": SizeLimit(2**24)}

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
                f"bin_sizes of DenseSIFT must be one or more positive integers; got {self.bin_sizes!r}. "
                "A common choice is (4, 6, 8, 10)."
            )

    def _describe(self, image: np.ndarray) -> Bag:
        height, width = image.shape[:2]
        lattices, frames = _places(height, width, int(self.step), tuple(int(size) for size in self._sizes()))
        descriptors: np.ndarray = np.empty((len(frames), self._dimension()), self._kind())
        if lattices:
            self._fill(image, lattices, descriptors)
        return Bag._made(descriptors, frames, (height, width))

    def _fill(self, image: np.ndarray, lattices: list[_Lattice], descriptors: np.ndarray) -> None:
        """Compute all sizes and channels in one call, because threads wait for each other at every call."""
        planes, white = _planes(image, self.color)
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

    @staticmethod
    def _check_stored_settings(stored: Stored) -> None:
        magnif = stored.get("magnif")
        if isinstance(magnif, (int, float)) and not magnif >= LEAST_MAGNIF:
            raise ValueError(f"magnif={magnif!r:.80} is below the limit of {LEAST_MAGNIF}")

    def _dimension(self) -> int:
        return len(SHARES[self.color]) * BINS * BINS * ORIENTATIONS

    def _kind(self) -> type:
        return np.uint8 if self.dtype == "uint8" else np.float32

    def _sizes(self) -> list:
        return [self.bin_sizes] if isinstance(self.bin_sizes, (int, Integral)) else list(self.bin_sizes)


def _planes(image: np.ndarray, color: str) -> tuple[np.ndarray, float]:
    """Return the channels as a new array (n, h, w) in float32, and the value of white.

    Gray values are not rescaled: descriptors do not depend on the scale, and a division would take another pass over the image.
    """
    if color == "gray":
        white = 1.0 if image.dtype.kind == "f" else float(np.iinfo(image.dtype).max)
        return as_gray(image).astype(np.float32, order="C")[None], white
    rgb = as_float(as_rgb(image)).astype(np.float32)
    if color == "hsv":
        hue, saturation, value = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV))
        return np.stack([hue / 360, saturation, value]), 1.0
    if color == "opponent":
        red, green, blue = cv2.split(rgb)
        luma = as_gray(rgb)
        red_green, yellow_blue = (red - green) / math.sqrt(2), (red + green - 2 * blue) / math.sqrt(6)
        return np.stack([luma, red_green + MONOCHROME * luma, yellow_blue + MONOCHROME * luma]).astype(np.float32), 1.0
    return np.stack(cv2.split(rgb)), 1.0


class _Lattice(NamedTuple):
    """The grid of one size. `first` is the centre of the first bin; `xs` and `ys` are the positions of descriptors."""

    bin_size: int
    first: int
    xs: np.ndarray
    ys: np.ndarray


@lru_cache(maxsize=32)
def _places(height: int, width: int, step: int, sizes: tuple[int, ...]) -> tuple[list[_Lattice], np.ndarray]:
    """Return the grids of the sizes that fit into an image, and all frames. Frames are read-only because Bags share them."""
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
    """Describe the grids for `dense_sift`, in arrays of the size of the largest grid; unused entries are 0 or -1."""
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
    """Return the pixels at the centres of cells, and, for each descriptor, the index of the first of its four adjacent cells.

    If all bins have the same filter, descriptors share cells. Cells are then ordered by position modulo bin size.
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
    """Return Gaussian filters, cut off at four standard deviations, as rows padded to a multiple of four, and their radii."""
    radii = np.array([math.ceil(4 * deviation) for deviation in deviations])
    filters = np.zeros((len(deviations), _multiple_of_four(2 * max(radii) + 1)), np.float32)
    for row, radius, deviation in zip(filters, radii, deviations, strict=True):
        places = np.arange(-radius, radius + 1)
        gaussian = np.exp(-0.5 * (places / deviation) ** 2) if deviation else np.ones(1)
        row[: len(places)] = gaussian / gaussian.sum()
    return radii, filters


@lru_cache(maxsize=32)
def _bin_filters(sizes: tuple[int, ...], window_size: float, window: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the filters of the four bins of a row, padded with zeros to a multiple of four, and the weights of these bins."""
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
