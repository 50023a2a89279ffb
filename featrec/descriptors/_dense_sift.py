"""SIFT descriptors of one size and direction at every point of a lattice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import NamedTuple

import cv2
import numpy as np

from featrec.bag import Bag
from featrec.base import positive_integer, real_number
from featrec.compiled._dense_sift import dense_sift
from featrec.exceptions import InputError
from featrec.images import LocalExtractor, as_float, as_gray

__all__ = ["DenseSIFT"]

BINS = 4
ORIENTATIONS = 8
NO_ANGLE = -1


class DenseSIFT(LocalExtractor):
    """SIFT descriptors on a lattice, upright and at a few fixed sizes, as VLFeat's ``vl_phow`` and ``vl_dsift``.

    Where an interest point detector finds little, in sky, walls or snow, a lattice still describes the picture: this is
    the usual choice for recognising scenes and objects. Each descriptor is a square of 4 × 4 bins with 8 orientations
    each. All sizes share their centres, up to half a pixel, so that they start where the largest one does. The centres of
    all bins lie in the picture: bins of 10 need 31 pixels in both directions, and smaller pictures want smaller
    `bin_sizes`. A picture into which no size fits gives an empty Bag.

    Parameters
    ----------
    step : int, default=4
        Pixels between neighbouring centres, in both directions.
    bin_sizes : int or sequence of int, default=(4, 6, 8, 10)
        Sides of a bin in pixels.
    magnif : float or None, default=6
        For a bin size the picture is first smoothed by a Gaussian whose deviation is the bin size divided by this. None
        smooths nothing.
    contrast_threshold : float, default=0.005
        A descriptor whose mean gradient, in parts of the range from black to white per pixel, is less becomes zero; its
        frame stays.
    window_size : float, default=1.5
        Deviation, in bins, of the Gaussian that gives the inner bins more weight than the outer ones.
    on_error : {"raise", "empty"}, default="raise"
        What happens to a picture that cannot be read or described: an error that names it, or an empty Bag, with one warning
        that counts them and ``failures_`` that lists them.

    Notes
    -----
    Bags hold float32 descriptors of length 1 (VLFeat's are these times 512): 4 bins in y × 4 in x × 8 orientations, the
    orientations fastest, from x (right) towards y (down). Colour is turned to gray. A frame's scale is the side of the
    square, four bins; VLFeat's fourth row, the bin size, is a quarter of that, and the ``size`` of an OpenCV key point that
    is described on the same bins is a sixth. The angle is -1, since no direction is estimated. Descriptors come size by
    size, and row by row within a size.

    The window is flat within a bin, as in VLFeat's ``fast``: a bin's weight is the mean of the Gaussian over it. VLFeat
    approximates a gradient's angle by a cubic; here it is exact to 2e-5 of an orientation bin. That is what the
    descriptors differ by, at most 0.012 on VLFeat's reference figures.

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
    >>> picture = np.random.default_rng(0).integers(0, 256, (64, 80), dtype=np.uint8)
    >>> DenseSIFT(step=8, bin_sizes=(4, 6)).extract(picture)
    Bag(111 descriptors of 128 float32, frames, image 64×80, euclidean)
    """

    _parameter_constraints = {
        **LocalExtractor._parameter_constraints,
        "step": [positive_integer()],
        "bin_sizes": [positive_integer(), "array-like"],
        "magnif": [real_number(0, closed="neither"), None],
        "contrast_threshold": [real_number(0, closed="left")],
        "window_size": [real_number(0, closed="neither")],
    }

    def __init__(
        self,
        *,
        step: int = 4,
        bin_sizes: int | Sequence[int] = (4, 6, 8, 10),
        magnif: float | None = 6,
        contrast_threshold: float = 0.005,
        window_size: float = 1.5,
        on_error: str = "raise",
    ):
        self.step = step
        self.bin_sizes = bin_sizes
        self.magnif = magnif
        self.contrast_threshold = contrast_threshold
        self.window_size = window_size
        self.on_error = on_error

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
        gray = np.array(as_float(as_gray(image)), dtype=np.float32, order="C")
        lattices = list(self._lattices(height, width))
        ends = np.cumsum([len(lattice.xs) * len(lattice.ys) for lattice in lattices], dtype=int)
        descriptors = np.empty((ends[-1] if lattices else 0, self._dimension()), np.float32)
        for lattice, own in zip(lattices, np.split(descriptors, ends[:-1]), strict=False):
            smooth = gray if self.magnif is None else _smooth(gray, lattice.bin_size / self.magnif)
            weights = _window_weights(lattice.bin_size, self.window_size)
            least = float(self.contrast_threshold)
            dense_sift(smooth, int(self.step), lattice.bin_size, lattice.first, weights, least, own)
        frames = np.concatenate([np.empty((0, 4), np.float32), *map(_frames, lattices)])
        return Bag(descriptors, frames, (height, width))

    def _dimension(self) -> int:
        return BINS * BINS * ORIENTATIONS

    def _sizes(self) -> list:
        return [self.bin_sizes] if isinstance(self.bin_sizes, (int, Integral)) else list(self.bin_sizes)

    def _lattices(self, height: int, width: int) -> Iterator[_Lattice]:
        """The lattices of those sizes that fit into the picture."""
        sizes = [int(size) for size in self._sizes()]
        for size in sizes:
            first = 3 * (max(sizes) - size) // 2
            xs, ys = (np.arange(first, length - 3 * size, self.step) + 1.5 * size for length in (width, height))
            if len(xs) and len(ys):
                yield _Lattice(size, first, xs, ys)


class _Lattice(NamedTuple):
    """The descriptors of one size: `first` is where the first bin is centred, `xs` and `ys` where the descriptors are."""

    bin_size: int
    first: int
    xs: np.ndarray
    ys: np.ndarray


def _frames(lattice: _Lattice) -> np.ndarray:
    frames = np.empty((len(lattice.ys), len(lattice.xs), 4), np.float32)
    frames[..., 0], frames[..., 1] = lattice.xs, lattice.ys[:, None]
    frames[..., 2], frames[..., 3] = BINS * lattice.bin_size, NO_ANGLE
    return frames.reshape(-1, 4)


def _smooth(gray: np.ndarray, deviation: float) -> np.ndarray:
    """Filter by a Gaussian, cut at four deviations; the picture's border is repeated."""
    radius = math.ceil(4 * deviation)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2)
    kernel /= kernel.sum()
    return cv2.sepFilter2D(gray, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REPLICATE)


def _window_weights(size: int, window_size: float) -> np.ndarray:
    """Mean of the window over each of the bins of a row."""
    centres = size * (np.arange(BINS) - (BINS - 1) / 2)
    places = centres[:, None] + np.arange(1 - size, size)
    return np.exp(-0.5 * (places / (size * window_size)) ** 2).mean(axis=1).astype(np.float32)
