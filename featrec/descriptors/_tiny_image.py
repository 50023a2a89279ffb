"""TinyImage: an image's pixels, shrunk to a few."""

from __future__ import annotations

import os

import cv2
import numpy as np

from featrec.base import positive_integer
from featrec.descriptors._sizes import check_sizes
from featrec.images import DescriptorCache, GlobalExtractor, as_float, as_gray, as_rgb

__all__ = ["TinyImage"]

# An image that departs less from its mean is flat, and what departs is rounding: a 16-bit step is 1.5e-5.
FLAT = 1e-6


class TinyImage(GlobalExtractor):
    """An image shrunk to a few pixels, in a row: the baseline that every other representation has to beat.

    Every image works, of any size; proportions are not kept. A flat one becomes a row of zeros when normalised.

    Parameters
    ----------
    size : int or tuple of (rows, columns), default=(16, 16)
    color : bool, default=False
        Keep three channels; otherwise the luma is taken.
    normalize : bool, default=True
        Subtract the mean of the row and divide it by its length, which takes out brightness and contrast. Otherwise the
        values lie in [0, 1].
    on_error : {"raise", "empty"}, default="raise"
        What happens to an image that cannot be read or described: an error that names it, or a row of zeros, with one warning
        that counts them and ``failures_`` that lists them.
    cache : path or DescriptorCache, optional
        A folder where descriptions are kept: an image that comes again, in another fold, at another point of a grid or in
        another run, is read there. See :class:`DescriptorCache`.
    n_jobs : int, optional
        Threads; None means what the joblib context says, else 1.
    verbose : int, default=0
        Above 0, progress is written to the standard error.

    Attributes
    ----------
    n_features_out_ : int
        The length of a code.

    Notes
    -----
    A tiny pixel is the mean of the area that it covers. Along an axis on which the image has too few pixels it is
    interpolated linearly.

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
        values = as_float(image)
        row = (
            _shrunk(as_rgb(values) if self.color else as_gray(values), *check_sizes("size", self.size, 2))
            .astype(np.float64)
            .ravel()
        )
        if not self.normalize:
            return row
        row -= row.mean()
        length = np.linalg.norm(row)
        return row / length if length > FLAT * np.sqrt(row.size) else np.zeros_like(row)


def _shrunk(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The mean over areas along axes that are too long, then linear interpolation along those that are too short."""
    height, width = image.shape[:2]
    image = np.ascontiguousarray(image)
    image = cv2.resize(image, (min(width, columns), min(height, rows)), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR)
