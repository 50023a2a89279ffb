"""Change gray values and colours: Grayscale, AdjustLight, NormalizeContrast, CLAHE and Rescale."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import cv2
import numpy as np

from featrec.base import Interval, positive_integer, real_number
from featrec.exceptions import InputError, UnsupportedImageError
from featrec.images import Preprocessor, as_float, as_gray, as_uint8
from featrec.model_files import SizeLimit

__all__ = ["CLAHE", "AdjustLight", "Grayscale", "NormalizeContrast", "Rescale", "as_type", "with_tones"]


def with_tones(image: np.ndarray, curve: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply `curve` to the values of an image as floats in [0, 1]. The result has the data type of the image.

    For integer images, the curve is computed once for every possible value and stored in a lookup table.
    """
    if image.dtype.kind == "f":
        return as_type(curve(image), image.dtype)
    top = np.iinfo(image.dtype).max
    table = as_type(curve(np.arange(top + 1) / top), image.dtype)
    return table[image]


def as_type(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Clip numbers to [0, 1] and convert them to a data type. For integer types, numbers are scaled and rounded."""
    values = np.clip(values, 0, 1)
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


class Grayscale(Preprocessor):
    """Convert colour images to luma (0.299 R + 0.587 G + 0.114 B); gray images do not change.

    The data type does not change. Extractors for gray images convert colour images themselves. Use this step before other
    estimators, or to remove the colour before an extractor that uses it.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.preprocessing import Grayscale
    >>> red = np.zeros((4, 6, 3), np.uint8)
    >>> red[..., 0] = 255
    >>> Grayscale().transform([red])[0].shape
    (4, 6)
    >>> int(Grayscale().apply(red)[0, 0])
    76
    """

    _keeps_places = True

    def _change(self, image: np.ndarray) -> np.ndarray:
        return as_gray(image)


class AdjustLight(Preprocessor):
    """Change gamma, contrast and brightness of all images by the same amount.

    A value v in [0, 1] becomes ``(v**gamma - 0.5) * contrast + 0.5 + brightness``, clipped to [0, 1].

    Parameters
    ----------
    gamma : float, default=1.0
        Exponent. Values below 1 brighten shadows, and values above 1 darken them. 0.5 is the square root that the authors of
        HOG tested; 2.2 converts camera images approximately to linear light.
    contrast : float, default=1.0
        Factor by which differences from middle gray are multiplied.
    brightness : float, default=0.0
        Value to add; 1 turns black into white.

    Notes
    -----
    The data type does not change; integers are rounded.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.preprocessing import AdjustLight
    >>> image = np.array([[0, 64, 128, 255]], np.uint8)
    >>> AdjustLight(0.5).apply(image).tolist()
    [[0, 128, 181, 255]]
    >>> AdjustLight(brightness=0.2).apply(image).tolist()
    [[51, 115, 179, 255]]
    """

    _parameter_constraints = {
        "gamma": [real_number(0, closed="neither")],
        "contrast": [real_number(0)],
        "brightness": [real_number(-1, 1)],
    }
    _keeps_places = True

    def __init__(self, gamma: float = 1.0, *, contrast: float = 1.0, brightness: float = 0.0):
        self.gamma = gamma
        self.contrast = contrast
        self.brightness = brightness

    def _change(self, image: np.ndarray) -> np.ndarray:
        if (self.gamma, self.contrast, self.brightness) == (1, 1, 0):
            return image
        return with_tones(image, self._curve)

    def _curve(self, values: np.ndarray) -> np.ndarray:
        return (values**self.gamma - 0.5) * self.contrast + (0.5 + self.brightness)


class NormalizeContrast(Preprocessor):
    """Normalise the mean and the standard deviation of gray values, for the whole image or for local windows.

    Values are shifted and scaled to a mean of 0.5 and a standard deviation of `spread`, then clipped to [0, 1]. Without a
    `window`, this removes differences in exposure between images. Such differences affect raw pixels and methods with
    thresholds on gray values (such as SIFT, AKAZE and ORB). A `window` also removes shadows within an image.

    Parameters
    ----------
    spread : float, default=0.2
        Target standard deviation (white is 1).
    window : float, optional
        Standard deviation of the Gaussian window around each pixel, as a fraction of the shorter side of the image. Use 0.1 if
        an object fills the image. Default: normalise the whole image.
    floor : float, default=0.02
        Minimum standard deviation to divide by. Lower standard deviations are treated as noise, so uniform images and regions
        become gray.

    Notes
    -----
    The data type does not change. Statistics are computed on the luma and applied to all channels, which preserves hues. A
    window has little effect on HOG and SIFT, because they already normalise contrast in blocks.

    References
    ----------
    Jarrett, Kavukcuoglu, Ranzato and LeCun, "What is the best multi-stage architecture for object recognition?", 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.preprocessing import NormalizeContrast
    >>> dark = np.random.default_rng(0).random((40, 40)) * 0.1
    >>> bright = dark * 3 + 0.6
    >>> [round(float(image.mean()), 2) for image in NormalizeContrast().transform([dark, bright])]
    [0.5, 0.5]
    """

    _parameter_constraints = {
        "spread": [real_number(0, 1, closed="right")],
        "window": [real_number(0, 1, closed="right"), None],
        "floor": [real_number(0, closed="neither")],
    }
    _keeps_places = True

    def __init__(self, spread: float = 0.2, *, window: float | None = None, floor: float = 0.02):
        self.spread = spread
        self.window = window
        self.floor = floor

    def _change(self, image: np.ndarray) -> np.ndarray:
        values = as_float(image)
        luma = as_gray(image) if image.dtype.kind == "f" else as_float(as_gray(image))
        mean, deviation = self._statistics(luma.astype(np.float64))
        slope = self.spread / np.maximum(deviation, self.floor)
        if image.ndim == 3 and self.window is not None:
            mean, slope = mean[..., None], slope[..., None]
        return as_type(0.5 + (values - mean) * slope, image.dtype)

    def _statistics(self, luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation: numbers for the whole image, or arrays with one value per pixel."""
        if self.window is None:
            return luma.mean(), luma.std()
        sigma = self.window * min(luma.shape)
        mean = _blurred(luma, sigma)
        # The mean of squares minus the squared mean would lose precision.
        return mean, np.sqrt(_blurred((luma - mean) ** 2, sigma))


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)


class CLAHE(Preprocessor):
    """Equalise contrast within tiles of the image, with a limit that avoids amplifying noise.

    Use this step for images with dark and bright parts. The histogram of each tile is clipped at the limit and equalised;
    between the centres of tiles, the results are interpolated.

    Parameters
    ----------
    clip_limit : float, default=2.0
        Maximum slope of the tone curve of a tile; 1 is the slope for a uniform histogram. Larger values increase contrast and
        noise.
    grid : tuple of (rows, columns), default=(8, 8)
        Number of tiles in each direction, limited to the number of pixels.

    Notes
    -----
    The data type does not change. For colour images, the luma is equalised, and its change is added to the three channels. The
    result is the same as after replacing Y in YCbCr, but without intermediate rounding.

    Tone curves are computed with 8 bits. For 16-bit and float images, the change in 8 bits is added to the original values,
    which preserves details finer than 1/255. OpenCV's 16-bit version is not used, because its limit has no effect in tiles with
    fewer than 65536 / `clip_limit` pixels. If images use only part of their value range, use :class:`Rescale` first.

    References
    ----------
    Zuiderveld, "Contrast limited adaptive histogram equalization", Graphics Gems IV, 1994.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.preprocessing import CLAHE
    >>> dim = np.arange(100, 164, dtype=np.uint8).reshape(8, 8).repeat(8, axis=0).repeat(8, axis=1)
    >>> int(np.ptp(dim)), bool(np.ptp(CLAHE(4.0, grid=(1, 1)).apply(dim)) > 200)
    (63, True)
    """

    _parameter_constraints = {"clip_limit": [real_number(0, closed="neither")], "grid": [tuple, list]}
    _file_limits = {"grid": SizeLimit(2**16, sides=2)}
    _keeps_places = True

    def __init__(self, clip_limit: float = 2.0, *, grid: tuple[int, int] = (8, 8)):
        self.clip_limit = clip_limit
        self.grid = grid

    def _check_parameters(self) -> None:
        super()._check_parameters()
        grid: Any = tuple(self.grid)
        if len(grid) != 2 or not all(isinstance(tiles, Integral) and int(tiles) > 0 for tiles in grid):
            raise InputError(f"CLAHE: grid must be a pair (rows, columns) of positive integers; got {self.grid!r}")

    def _change(self, image: np.ndarray) -> np.ndarray:
        luma = as_uint8(as_gray(image))
        equalised = self._equalised(luma)
        if image.dtype == np.uint8 and image.ndim == 2:
            return equalised
        difference = (equalised.astype(np.float32) - luma) / np.float32(255)
        return as_type(as_float(image) + (difference if image.ndim == 2 else difference[..., None]), image.dtype)

    def _equalised(self, luma: np.ndarray) -> np.ndarray:
        rows, columns = (min(tiles, side) for tiles, side in zip(self.grid, luma.shape, strict=True))
        return cv2.createCLAHE(clipLimit=float(self.clip_limit), tileGridSize=(int(columns), int(rows))).apply(luma)


class Rescale(Preprocessor):
    """Stretch images that use only part of their value range to the full range.

    A 12-bit sensor writes values from 0 to 4095 into 16-bit files, in which white is 65535, so these images look nearly black.
    If you know the value of white, set `max_value` or `bits`; all images are then stretched in the same way. Otherwise, each
    image is stretched between two of its percentiles.

    Parameters
    ----------
    max_value : int, optional
        Value of white, such as 4095. Float images, and images of integer types that cannot exceed this value, are not changed;
        a folder may therefore contain both 12-bit scans and 8-bit images. An image with a larger value raises an error.
    bits : int, optional
        Number of bits; the same as ``max_value=2**bits - 1``. Set at most one of the two.
    percentiles : tuple of (low, high), default=(0, 100)
        Percentiles of the image that become black and white if neither `max_value` nor `bits` is set; values outside are
        clipped. (0.5, 99.5) ignores dust and hot pixels. All channels are stretched in the same way, which preserves hues.
        If all values of an image are equal, the image is not changed.

    Notes
    -----
    The data type does not change. Set the value of white if you know it, because ``Rescale()`` without it makes dim images as
    bright as others and amplifies the noise of blank images.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.preprocessing import Rescale
    >>> scan = np.array([[0, 1024, 4095]], np.uint16)
    >>> Rescale(bits=12).apply(scan).tolist()
    [[0, 16388, 65535]]
    >>> Rescale().apply(np.array([[100, 120, 150]], np.uint8)).tolist()
    [[0, 102, 255]]
    """

    _parameter_constraints = {
        "max_value": [positive_integer(), None],
        "bits": [Interval(Integral, 1, 16, closed="both"), None],
        "percentiles": [tuple, list],
    }
    _keeps_places = True

    def __init__(
        self, max_value: int | None = None, *, bits: int | None = None, percentiles: tuple[float, float] = (0.0, 100.0)
    ):
        self.max_value = max_value
        self.bits = bits
        self.percentiles = percentiles

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.max_value is not None and self.bits is not None:
            raise InputError(
                f"Rescale: max_value={self.max_value} and bits={self.bits} both define white; set only one of them"
            )
        ends: Any = tuple(self.percentiles)
        if len(ends) != 2 or not all(isinstance(end, Real) for end in ends) or not 0 <= ends[0] < ends[1] <= 100:
            raise InputError(f"Rescale: percentiles must be (low, high) with 0 <= low < high <= 100; got {self.percentiles!r}")

    def _change(self, image: np.ndarray) -> np.ndarray:
        white = 2**self.bits - 1 if self.bits is not None else self.max_value
        if white is not None:
            return _declared(image, white)
        low, high = _ends(image, *self.percentiles)
        return image if low == high else with_tones(image, lambda values: (values - low) / (high - low))


def _declared(image: np.ndarray, white: int) -> np.ndarray:
    if image.dtype.kind == "f" or np.iinfo(image.dtype).max <= white:
        return image
    if image.max() > white:
        raise UnsupportedImageError(
            f"Rescale: white is set to {white}, but an image of type {image.dtype} contains the value {image.max()}. "
            f"Set white to the largest possible value, such as bits={int(image.max()).bit_length()}."
        )
    top = np.iinfo(image.dtype).max
    return with_tones(image, lambda values: values * (top / white))


def _ends(image: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Return the values in [0, 1] that become black and white: percentiles or, if these are equal, minimum and maximum."""
    top = 1 if image.dtype.kind == "f" else np.iinfo(image.dtype).max
    black, white = np.percentile(image, (low, high))
    if black == white:
        black, white = image.min(), image.max()
    return float(black) / top, float(white) / top
