"""TinyImage: the pixels of an image shrunk to a few."""

from __future__ import annotations

import os

import cv2
import numpy as np

from featrec.base import check_sizes, positive_integer
from featrec.images import DescriptorCache, GlobalExtractor, as_float, as_gray, as_rgb
from featrec.model_files import SizeLimit

__all__ = ["TinyImage"]

# Images with a smaller deviation from their mean are flat, because it may be rounding: a 16-bit step is 1.5e-5.
FLAT = 1e-6


class TinyImage(GlobalExtractor):
    """The pixels of an image shrunk to a small size: the baseline for all other representations.

    Images may have any size; proportions are not kept. With `normalize`, flat images become rows of zeros.

    Parameters
    ----------
    size : int or tuple of (rows, columns), default=(16, 16)
    color : bool, default=False
        Keep three channels; otherwise use the luma.
    normalize : bool, default=True
        Subtract the mean of the row and divide by its norm, which removes brightness and contrast. Otherwise, the values are
        in [0, 1].
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
    Each pixel is the mean of the area that it covers. Axes with too few pixels are interpolated linearly.

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
    """Average areas along axes that shrink, then interpolate linearly along axes that grow."""
    height, width = image.shape[:2]
    image = np.ascontiguousarray(image)
    image = cv2.resize(image, (min(width, columns), min(height, rows)), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR)
