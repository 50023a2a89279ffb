"""HOG: histograms of oriented gradients."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from featrec.base import StrOptions, positive_integer
from featrec.compiled._hog import L1, L1_SQRT, L2, L2_HYS, hog_blocks, hog_cells, hog_gradients
from featrec.descriptors._sizes import check_sizes
from featrec.exceptions import ImageError
from featrec.images import DescriptorCache, GlobalExtractor, read_image

__all__ = ["HOG"]

NORMS = {"L1": L1, "L1-sqrt": L1_SQRT, "L2": L2, "L2-Hys": L2_HYS}


class HOG(GlobalExtractor):
    """Histograms of oriented gradients, normalised in overlapping blocks.

    A picture is divided into cells; each cell holds how long the gradients of its pixels are, by orientation. Each block of
    neighbouring cells is divided by its norm, which takes out the local contrast. The code's length follows from the
    picture's size, so that pictures of unequal sizes need ``Resize`` first; a picture without room for one block is refused.

    Parameters
    ----------
    orientations : int, default=9
        Bins over half a turn.
    pixels_per_cell : tuple of (rows, columns), default=(8, 8)
    cells_per_block : tuple of (rows, columns), default=(3, 3)
    block_norm : {"L1", "L1-sqrt", "L2", "L2-Hys"}, default="L2-Hys"
        L2-Hys is L2, cut at 0.2, then L2 again.
    transform_sqrt : bool, default=False
        Take the square root of the values first, which evens out light and shadow.
    on_error : {"raise", "empty"}, default="raise"
        What happens to a picture that cannot be read or described: an error that names it, or a row of zeros, with one warning
        that counts them and ``failures_`` that lists them.
    cache : path or DescriptorCache, optional
        A folder where descriptions are kept: a picture that comes again, in another fold, at another point of a grid or in
        another run, is read there. See :class:`DescriptorCache`.
    n_jobs : int, optional
        Threads; None means what the joblib context says, else 1.
    verbose : int, default=0
        Above 0, progress is written to the standard error.

    Attributes
    ----------
    n_features_out_ : int
        The length of a code, learned from the first picture of ``fit``.

    Notes
    -----
    Parameters and numbers are those of ``skimage.feature.hog`` on the picture as floats in [0, 1], its last axis the
    channels. The departures from the paper are therefore the same: a pixel votes for one cell and one orientation without
    interpolation, and a block has no Gaussian window. Of a colour picture each pixel's longest gradient counts.

    A gradient that lies on the border of two bins up to rounding may vote for either. With 8 or 12 orientations this
    befalls the diagonal ones of integer pictures.

    References
    ----------
    N. Dalal and B. Triggs, "Histograms of oriented gradients for human detection", CVPR 2005.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.descriptors import HOG
    >>> pictures = np.random.default_rng(0).random((2, 32, 40))
    >>> HOG(orientations=8).fit_transform(pictures).shape
    (2, 432)
    """

    _parameter_constraints = {
        **GlobalExtractor._parameter_constraints,
        "orientations": [positive_integer()],
        "pixels_per_cell": [tuple, list],
        "cells_per_block": [tuple, list],
        "block_norm": [StrOptions(set(NORMS))],
        "transform_sqrt": ["boolean"],
    }

    def __init__(
        self,
        *,
        orientations: int = 9,
        pixels_per_cell: tuple[int, int] = (8, 8),
        cells_per_block: tuple[int, int] = (3, 3),
        block_norm: str = "L2-Hys",
        transform_sqrt: bool = False,
        on_error: str = "raise",
        cache: str | os.PathLike | DescriptorCache | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.orientations = orientations
        self.pixels_per_cell = pixels_per_cell
        self.cells_per_block = cells_per_block
        self.block_norm = block_norm
        self.transform_sqrt = transform_sqrt
        self.on_error = on_error
        self.cache = cache
        self.n_jobs = n_jobs
        self.verbose = verbose

    def cells(self, image: Any) -> np.ndarray:
        """The histograms of one picture's cells, before blocks are normalised.

        Parameters
        ----------
        image : array, path, encoded bytes or PIL image

        Returns
        -------
        cells : array of shape (cell rows, cell columns, orientations), float64
            The mean gradient length of the cell's pixels, by orientation from 0 to 180 degrees; 0 is a gradient that points
            to the right, and y points down. Pixels beyond the last whole cell are left out.
        """
        self._check_parameters()
        return self._cells(read_image(image))

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_sizes("pixels_per_cell", self.pixels_per_cell, 2)
        check_sizes("cells_per_block", self.cells_per_block, 2)

    def _describe(self, image: np.ndarray) -> np.ndarray:
        cells = self._cells(image)
        height, width = self.cells_per_block
        blocks = (cells.shape[0] - height + 1, cells.shape[1] - width + 1)
        if min(blocks) < 1:
            raise self._too_small(image)
        codes = np.empty((blocks[0] * blocks[1], height * width * self.orientations), np.float32)
        hog_blocks(cells, height, width, NORMS[self.block_norm], codes)
        return codes.ravel()

    def _cells(self, image: np.ndarray) -> np.ndarray:
        height, width = self.pixels_per_cell
        values = self._values(image)
        dx, dy = np.empty(image.shape[:2]), np.empty(image.shape[:2])
        hog_gradients(values, dx, dy)
        # NumPy's arctan2 and libm's differ in the last bit, which decides on which side of a bin's border the diagonals of
        # integer pictures fall: 1 % of the numbers of a photograph would differ from scikit-image's.
        angles = np.arctan2(dy, dx)
        cells = np.empty((image.shape[0] // height, image.shape[1] // width, self.orientations))
        hog_cells(dx, dy, angles, height, width, cells)
        return cells

    def _values(self, image: np.ndarray) -> np.ndarray:
        """float64 in [0, 1], with an axis for the channels."""
        top = 1.0 if image.dtype.kind == "f" else float(np.iinfo(image.dtype).max)
        values = np.ascontiguousarray(np.divide(image, top, dtype=np.float64))
        if self.transform_sqrt:
            np.sqrt(values, out=values)
        return values if values.ndim == 3 else values[..., None]

    def _too_small(self, image: np.ndarray) -> ImageError:
        rows, columns = (cell * block for cell, block in zip(self.pixels_per_cell, self.cells_per_block, strict=True))
        return ImageError(
            f"HOG needs {rows}×{columns} pixels for one block of cells; got {image.shape[0]}×{image.shape[1]}. "
            "Put Resize((height, width)) before it, or make pixels_per_cell or cells_per_block smaller."
        )
