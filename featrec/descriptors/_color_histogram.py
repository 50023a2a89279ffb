"""ColorHistogram: how often each colour occurs."""

from __future__ import annotations

import os

import numpy as np

from featrec.base import StrOptions, check_sizes, positive_integer
from featrec.images import DescriptorCache, GlobalExtractor, as_float, as_rgb
from featrec.model_files import SizeLimit

__all__ = ["ColorHistogram"]

# Tolerance in units of bins. float32 changes the hue of 8-bit colours by up to 3e-6 of one of eight bins. Values on the
# border of a bin should not depend on whether an image has integers or floats.
ROUNDING = 1e-4


class ColorHistogram(GlobalExtractor):
    """The share of pixels in each bin of a colour space, regardless of position.

    Images may have any size; a gray image counts as three equal channels.

    Parameters
    ----------
    bins : int or tuple of three ints, default=(8, 8, 8)
        Number of bins per channel; an int applies to all three. The length of the code is the product; the last channel varies
        fastest.
    space : {"rgb", "hsv", "lab"}, default="rgb"
        "rgb": three channels from 0 to 1. "hsv": hue over the full turn from red to red, saturation, value.
        "lab": CIE L*a*b* of sRGB in daylight (D65, 2°), L from 0 to 100, a and b from -128 to 127.
    on_error : {"raise", "empty"}, default="raise"
        How unusable images are handled: an error that names the image; or a row of zeros, with one warning for all of them and
        a list in ``failures_``.
    cache : path or DescriptorCache, optional
        Folder in which descriptions are stored, so that each image is described only once over all folds, grid points and
        runs. See :class:`DescriptorCache`.
    n_jobs : int, optional
        Number of threads. None means the joblib context, else 1.
    verbose : int, default=0
        1 shows the progress on standard error.

    Attributes
    ----------
    n_features_out_ : int
        The length of a code.

    Notes
    -----
    A value on the border of two bins belongs to the upper bin, the largest value to the last bin. A pixel without saturation
    has hue 0.

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


def _rgb(rgb: np.ndarray) -> tuple[np.ndarray, ...]:
    return rgb[..., 0], rgb[..., 1], rgb[..., 2]


def _hsv(rgb: np.ndarray) -> tuple[np.ndarray, ...]:
    """Hue, saturation and value in [0, 1]. OpenCV's version puts values on bin borders on either side."""
    red, green, blue = np.moveaxis(rgb, 2, 0).copy()
    value = np.maximum(np.maximum(red, green), blue)
    chroma = value - np.minimum(np.minimum(red, green), blue)
    divisor = np.where(chroma > 0, chroma, 1)
    hue = np.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4)
    hue = np.where(value == red, (green - blue) / divisor, hue)
    return np.where(hue < 0, hue + 6, hue) / 6, chroma / np.where(value > 0, value, 1), value


def _lab(rgb: np.ndarray) -> tuple[np.ndarray, ...]:
    """L, a and b, each scaled from its range to [0, 1]. OpenCV's version has errors of up to 0.6 units."""
    from skimage.color import rgb2lab

    lightness, a, b = np.moveaxis(rgb2lab(rgb), 2, 0)
    return lightness / 100, (a + 128) / 255, (b + 128) / 255
