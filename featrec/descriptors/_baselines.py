"""TinyImage and ColorHistogram: simple codes of whole images, as baselines for other codes."""

from __future__ import annotations

import os
from functools import lru_cache
from itertools import pairwise, product

import cv2
import numpy as np

from featrec.base import StrOptions, check_sizes, positive_integer
from featrec.images import DescriptorCache, GlobalExtractor, as_float, as_gray, as_rgb, rectangles
from featrec.model_files import SizeLimit
from featrec.shared_docs import with_shared_docs

__all__ = ["ColorHistogram", "TinyImage"]

# TinyImage: if the standard deviation is smaller than this, the image counts as uniform. Such deviations may be rounding
# errors, because a step of 16-bit pixels is 1.5e-5.
FLAT = 1e-6
# ColorHistogram: tolerance at the border between two bins, in bin widths. Rounding to float32 changes the hue of 8-bit colours
# by up to 3e-6 bin widths if there are eight bins; without the tolerance, a colour could be in different bins in integer and
# float images.
ROUNDING = 1e-4
# Name, lower limit, upper limit and unit of each channel.
CHANNELS = {
    "rgb": (("red", 0, 1, ""), ("green", 0, 1, ""), ("blue", 0, 1, "")),
    "hsv": (("hue", 0, 360, "°"), ("saturation", 0, 1, ""), ("value", 0, 1, "")),
    "lab": (("L", 0, 100, ""), ("a", -128, 127, ""), ("b", -128, 127, "")),
}


@with_shared_docs
class TinyImage(GlobalExtractor):
    """The pixels of the image, resized to a small size: a baseline for other codes.

    Images may have any size; proportions are not preserved. With `normalize`, images of one colour become rows of zeros.

    Parameters
    ----------
    size : int or tuple of (rows, columns), default=(16, 16)
    color : bool, default=False
        If True, use three channels; if False, use the luma.
    normalize : bool, default=True
        If True, subtract the mean of the row and divide by its norm, which removes differences in brightness and contrast. If
        False, the values are in [0, 1].

    Attributes
    ----------
    n_features_out_ : int
        The length of a code.

    Notes
    -----
    Along axes that shrink, each new pixel is the mean of the area that it covers. Axes that grow are interpolated linearly.
    The parts of ``contributions`` are these areas.

    References
    ----------
    A. Torralba, R. Fergus and W. T. Freeman, "80 million tiny images", IEEE Transactions on Pattern Analysis and Machine
    Intelligence 30, 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.descriptors import TinyImage
    >>> halves = np.repeat([[0.0, 1.0]], 20, axis=1).repeat(30, axis=0)
    >>> TinyImage(size=(1, 4), normalize=False).extract(halves)
    array([0., 0., 1., 1.], dtype=float32)
    """

    _parameter_constraints = {
        **GlobalExtractor._parameter_constraints,
        "size": [positive_integer(), tuple, list],
        "color": ["boolean"],
        "normalize": ["boolean"],
    }
    _file_limits = {"size": SizeLimit(2**22, sides=2)}

    def __init__(
        self,
        *,
        size: int | tuple[int, int] = (16, 16),
        color: bool = False,
        normalize: bool = True,
        on_error: str = "raise",
        cache: str | os.PathLike | DescriptorCache | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.size = size
        self.color = color
        self.normalize = normalize
        self.on_error = on_error
        self.cache = cache
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_sizes("size", self.size, 2)

    def _describe(self, image: np.ndarray) -> np.ndarray:
        values = as_rgb(as_float(image)) if self.color else as_gray(as_float(image))
        row = _shrunk(values, *check_sizes("size", self.size, 2)).astype(np.float64).ravel()
        if not self.normalize:
            return row
        row -= row.mean()
        length = np.linalg.norm(row)
        return row / length if length > FLAT * np.sqrt(row.size) else np.zeros_like(row)

    def _code_parts(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray, None]:
        """Each new pixel is a part, with all its channels: the area of the image that it covers."""
        rows, columns = check_sizes("size", self.size, 2)
        down, across = np.linspace(0, height, rows + 1) - 0.5, np.linspace(0, width, columns + 1) - 0.5
        y, x = (each.ravel() for each in np.indices((rows, columns)))
        outlines = rectangles(across[x], down[y], across[x + 1], down[y + 1])
        return np.repeat(np.arange(rows * columns), 3 if self.color else 1), outlines, None


def _shrunk(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Resize: average areas along axes that shrink, then interpolate linearly along axes that grow."""
    height, width = image.shape[:2]
    image = np.ascontiguousarray(image)
    image = cv2.resize(image, (min(width, columns), min(height, rows)), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR)


@with_shared_docs
class ColorHistogram(GlobalExtractor):
    """The fraction of pixels in each bin of a colour space, regardless of position.

    Images may have any size; a gray image counts as three equal channels.

    Parameters
    ----------
    bins : int or tuple of three ints, default=(8, 8, 8)
        Number of bins per channel; an int applies to all three channels. The length of the code is the product of the three
        numbers. The bins of the last channel vary fastest.
    space : {"rgb", "hsv", "lab"}, default="rgb"
        "rgb": three channels from 0 to 1. "hsv": hue (a full turn from red to red), saturation and value.
        "lab": CIE L*a*b* of sRGB in daylight (D65, 2°), L from 0 to 100, a and b from -128 to 127.

    Attributes
    ----------
    n_features_out_ : int
        The length of a code.

    Notes
    -----
    A value on the border between two bins belongs to the upper bin; the maximum belongs to the last bin. A pixel
    without saturation has hue 0. The parts of ``contributions`` are the bins; they have names, but no places.

    References
    ----------
    M. J. Swain and D. H. Ballard, "Color indexing", International Journal of Computer Vision 7, 1991.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.descriptors import ColorHistogram
    >>> red = np.zeros((4, 4, 3), np.uint8)
    >>> red[:, :3, 0] = 255
    >>> ColorHistogram(bins=2).extract(red)
    array([0.25, 0.  , 0.  , 0.  , 0.75, 0.  , 0.  , 0.  ], dtype=float32)
    >>> found = ColorHistogram(bins=2).contributions(red, [0, 0, 0, 0, 8, 0, 0, 0])
    >>> print(found.names[4], "contributes", found.values[4])
    red 0.5 to 1, green 0 to 0.5, blue 0 to 0.5 contributes 6.0
    """

    _parameter_constraints = {
        **GlobalExtractor._parameter_constraints,
        "bins": [positive_integer(), tuple, list],
        "space": [StrOptions({"rgb", "hsv", "lab"})],
    }
    _file_limits = {"bins": SizeLimit(2**22, sides=3)}

    def __init__(
        self,
        *,
        bins: int | tuple[int, int, int] = (8, 8, 8),
        space: str = "rgb",
        on_error: str = "raise",
        cache: str | os.PathLike | DescriptorCache | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.bins = bins
        self.space = space
        self.on_error = on_error
        self.cache = cache
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._three_bins()

    def _three_bins(self) -> tuple[int, ...]:
        return check_sizes("bins", self.bins, 3)

    def _describe(self, image: np.ndarray) -> np.ndarray:
        bins = self._three_bins()
        rgb = as_float(as_rgb(image))
        channels = {"rgb": _rgb, "hsv": _hsv, "lab": _lab}[self.space](rgb)
        cell = np.zeros(rgb.shape[:2], np.intp)
        for values, n in zip(channels, bins, strict=True):
            cell *= n
            cell += np.clip(values * n + ROUNDING, 0, n - 1).astype(np.intp)
        return np.bincount(cell.ravel(), minlength=bins[0] * bins[1] * bins[2]) / cell.size

    def _code_parts(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        names = _bin_names(self._three_bins(), self.space)
        return np.arange(len(names)), np.full((len(names), 4, 2), np.nan), names


@lru_cache(maxsize=4)
def _bin_names(bins: tuple[int, ...], space: str) -> tuple[str, ...]:
    """Return descriptions of all bins, such as "hue 0° to 45°, saturation 0 to 0.5, value 0.5 to 1"."""
    ranges = []
    for (name, low, high, unit), n in zip(CHANNELS[space], bins, strict=True):
        limits = [f"{limit:.4g}{unit}" for limit in np.linspace(low, high, n + 1)]
        ranges.append([f"{name} {first} to {last}" for first, last in pairwise(limits)])
    return tuple(", ".join(each) for each in product(*ranges))


def _rgb(rgb: np.ndarray) -> tuple[np.ndarray, ...]:
    return rgb[..., 0], rgb[..., 1], rgb[..., 2]


def _hsv(rgb: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return hue, saturation and value in [0, 1]. OpenCV's conversion would put values on a bin border into either bin."""
    red, green, blue = np.moveaxis(rgb, 2, 0).copy()
    value = np.maximum(np.maximum(red, green), blue)
    chroma = value - np.minimum(np.minimum(red, green), blue)
    divisor = np.where(chroma > 0, chroma, 1)
    hue = np.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4)
    hue = np.where(value == red, (green - blue) / divisor, hue)
    return np.where(hue < 0, hue + 6, hue) / 6, chroma / np.where(value > 0, value, 1), value


def _lab(rgb: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return L, a and b, each scaled from its range to [0, 1]. OpenCV's conversion has errors of up to 0.6 units."""
    from skimage.color import rgb2lab

    lightness, a, b = np.moveaxis(rgb2lab(rgb), 2, 0)
    return lightness / 100, (a + 128) / 255, (b + 128) / 255
