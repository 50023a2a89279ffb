"""HOG: histograms of oriented gradients."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from featrec.base import StrOptions, positive_integer
from featrec.compiled._hog import (
    L1,
    L1_SQRT,
    L2,
    L2_HYS,
    NONE,
    hog_codes,
    hog_colour,
    hog_directions,
    hog_gradients,
    hog_gray,
    hog_grids,
    hog_room,
)
from featrec.descriptors._sizes import check_sizes
from featrec.exceptions import ImageError
from featrec.images import DescriptorCache, GlobalExtractor, read_image

__all__ = ["HOG"]

NORMS = {"L1": L1, "L1-sqrt": L1_SQRT, "L2": L2, "L2-Hys": L2_HYS}
# So many at once: what is known of a pixel of a float picture fits into the second cache.
PIXELS = 2**15


class HOG(GlobalExtractor):
    """Histograms of oriented gradients, normalised in overlapping blocks.

    A picture is divided into cells; each cell holds how long the gradients of its pixels are, by orientation. Each block of
    neighbouring cells is divided by its norm, which takes out the local contrast. The code's length follows from the
    picture's size, so that pictures of unequal sizes need ``Resize`` first; a picture without room for one block is refused.

    Parameters
    ----------
    orientations : int, default=9
        Bins over half a turn, or over a whole one where directions are signed.
    pixels_per_cell : tuple of (rows, columns), int for both, or a sequence of such tuples, default=(8, 8)
        Of several sizes the codes stand one after another; the gradients are computed once.
    cells_per_block : tuple of (rows, columns), or int for both, default=(3, 3)
        The same for all sizes of cells.
    block_norm : {"L1", "L1-sqrt", "L2", "L2-Hys"}, default="L2-Hys"
        L2-Hys is L2, cut at 0.2, then L2 again.
    transform_sqrt : bool, default=False
        Take the square root of the values first, which evens out light and shadow.
    signed : bool, default=False
        Whether a gradient from dark to bright and its opposite are two directions. They are one for things that stand before
        light and dark grounds alike, and two for strokes and prints, whose ground is known.
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
    interpolation, and a block has no Gaussian window. Of a colour picture each pixel's longest gradient counts. Several sizes
    of cells and signed directions go beyond scikit-image; the latter are in the paper, where they helped for vehicles and not
    for people.

    The gradients of 8-bit pictures are whole numbers, so that those on the border of two bins are in the upper one, as in
    ``skimage.feature.hog`` of the 8-bit picture. The same picture as floats has rounding errors, after which such a gradient
    may vote for either: the diagonal ones where the number of orientations is a multiple of 4, such as 8 or 12.

    Pictures of one size are described together, a batch in one call. One array ``(n, height, width)`` is quicker still than
    a list of pictures.

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
    >>> HOG(pixels_per_cell=[(8, 8), (4, 4)], cells_per_block=(1, 1), signed=True).fit_transform(pictures).shape
    (2, 900)
    """

    _parameter_constraints = {
        **GlobalExtractor._parameter_constraints,
        "orientations": [positive_integer()],
        "pixels_per_cell": [tuple, list, positive_integer()],
        "cells_per_block": [tuple, list, positive_integer()],
        "block_norm": [StrOptions(set(NORMS))],
        "transform_sqrt": ["boolean"],
        "signed": ["boolean"],
    }
    algorithm: ClassVar[int] = 2
    signed: bool = False  # for models that were saved before there was the parameter

    def __init__(
        self,
        *,
        orientations: int = 9,
        pixels_per_cell: int | tuple[int, int] | Sequence[tuple[int, int]] = (8, 8),
        cells_per_block: int | tuple[int, int] = (3, 3),
        block_norm: str = "L2-Hys",
        transform_sqrt: bool = False,
        signed: bool = False,
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
        self.signed = signed
        self.on_error = on_error
        self.cache = cache
        self.n_jobs = n_jobs
        self.verbose = verbose

    def cells(self, image: Any, *, pixels_per_cell: tuple[int, int] | None = None) -> np.ndarray:
        """The histograms of one picture's cells, before blocks are normalised.

        Parameters
        ----------
        image : array, path, encoded bytes or PIL image
        pixels_per_cell : tuple of (rows, columns), optional
            Another size of cells; None takes the first of the parameter's.

        Returns
        -------
        cells : array of shape (cell rows, cell columns, orientations), float32
            The mean gradient length of the cell's pixels, by orientation from 0 to 180 degrees, or to 360 where directions
            are signed; 0 is a gradient that points to the right, and y points down. Pixels beyond the last whole cell are
            left out.
        """
        self._check_parameters()
        image = read_image(image)
        size = self._sizes()[0] if pixels_per_cell is None else check_sizes("pixels_per_cell", pixels_per_cell, 2)
        codes = self._codes(image[None], [size], (1, 1), NONE)
        return codes.reshape(image.shape[0] // size[0], image.shape[1] // size[1], self.orientations)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._sizes()
        check_sizes("cells_per_block", self.cells_per_block, 2)

    def _sizes(self) -> list[tuple[int, ...]]:
        """The sizes of cells, in the order of their codes."""
        sizes: Any = self.pixels_per_cell
        if isinstance(sizes, (tuple, list)) and len(sizes) and isinstance(sizes[0], (tuple, list)):
            return [check_sizes("each of pixels_per_cell", size, 2) for size in sizes]
        return [check_sizes("pixels_per_cell", sizes, 2)]

    def _describe_stack(self, images: np.ndarray) -> np.ndarray:
        sizes, block = self._sizes(), check_sizes("cells_per_block", self.cells_per_block, 2)
        height, width = images.shape[1:3]
        largest = [max(each) for each in zip(*sizes, strict=True)]
        if height < largest[0] * block[0] or width < largest[1] * block[1]:
            raise self._too_small(height, width, largest)
        return self._codes(images, sizes, block, NORMS[self.block_norm])

    def _codes(self, images: np.ndarray, sizes: list[tuple[int, ...]], block: tuple[int, ...], norm: int) -> np.ndarray:
        """One row of numbers for each picture (n, h, w) or (n, h, w, channels)."""
        height, width = images.shape[1:3]
        counts = [(height // tall - block[0] + 1, width // wide - block[1] + 1) for tall, wide in sizes]
        length = sum(down * across for down, across in counts) * block[0] * block[1] * self.orientations
        codes = np.empty((len(images), length), np.float32)
        orientations = int(self.orientations)
        grids = hog_grids(height, width, orientations, sizes)
        gray = images.ndim == 3 or images.shape[3] == 1
        tall, wide = block[0], block[1]
        room, padded = hog_room(height, width, orientations, grids, 0 if gray else 1)
        if images.dtype == np.uint8 and not self.transform_sqrt:
            flat, table = images.reshape(len(images), -1), _bins_of_bytes(self.orientations, self.signed)
            # An array that is only read would have the loop compiled once more.
            flat = flat if flat.flags.writeable else flat.copy()
            if gray:
                hog_gray(flat, height, width, table, orientations, grids, tall, wide, norm, room, codes)
            else:
                hog_colour(
                    flat, images.shape[3], height, width, table, orientations, grids, tall, wide, norm, room, padded, codes
                )
            return codes
        # Room for a part at a time, used again: fresh memory for each would take half as long as the work.
        at_once = min(len(images), max(1, PIXELS // (height * width)))
        gradients, doubtful = np.empty((2, at_once, height, width)), np.empty(at_once * height * width, np.int64)
        bins, lengths = np.empty((at_once, height * width), np.int32), np.empty((at_once, height * width), np.float32)
        channels = images if images.ndim == 4 else images[..., None]
        own: np.ndarray = np.arange(orientations).astype(_kind_of_bins(orientations))
        for start in range(0, len(images), at_once):
            values = self._values(channels[start : start + at_once])
            part = slice(len(values))
            self._vote(values, gradients[:, part], bins[part], lengths[part], doubtful)
            out = codes[start : start + at_once]
            hog_codes(bins[part], lengths[part], width, own, orientations, grids, tall, wide, norm, room[2], room[3], out)
        return codes

    def _vote(
        self, values: np.ndarray, gradients: np.ndarray, bins: np.ndarray, lengths: np.ndarray, doubtful: np.ndarray
    ) -> None:
        """The bin and the length of each pixel's gradient, into the last arrays but one; the others are room for the work."""
        hog_gradients(values, gradients[0], gradients[1])
        dx, dy, bins, lengths = gradients[0].ravel(), gradients[1].ravel(), bins.reshape(-1), lengths.reshape(-1)
        half_turn = self.orientations / 2 if self.signed else float(self.orientations)
        axes = _bins_of_axes(self.orientations, self.signed)
        doubts = doubtful[: hog_directions(dx, dy, int(self.orientations), half_turn, axes, bins, lengths, doubtful)]
        if len(doubts):
            bins[doubts] = _bins(dy[doubts], dx[doubts], self.orientations, self.signed)

    def _values(self, images: np.ndarray) -> np.ndarray:
        """Floats in [0, 1]."""
        values = images
        if images.dtype.kind != "f":
            values = np.divide(images, float(np.iinfo(images.dtype).max), dtype=np.float64)
        if self.transform_sqrt:
            values = np.sqrt(values, dtype=np.float64)
        return np.ascontiguousarray(values)

    def _too_small(self, height: int, width: int, cell: list[int]) -> ImageError:
        block = check_sizes("cells_per_block", self.cells_per_block, 2)
        rows, columns = (each * times for each, times in zip(cell, block, strict=True))
        return ImageError(
            f"HOG needs {rows}×{columns} pixels for one block of cells; got {height}×{width}. "
            "Put Resize((height, width)) before it, or make pixels_per_cell or cells_per_block smaller."
        )


def _bins(dy: np.ndarray, dx: np.ndarray, orientations: int, signed: bool) -> np.ndarray:
    """The bins of gradients.

    NumPy's arctan2 and libm's differ in the last bit, which decides on which side of a bin's border the diagonals of integer
    pictures fall: 1 % of the numbers of a photograph would differ from scikit-image's.
    """
    turn = 360.0 if signed else 180.0
    # What is rounded to a whole turn is none.
    angles = np.rad2deg(np.arctan2(dy, dx)) % turn % turn
    borders = turn / orientations * np.arange(1, orientations)
    return np.searchsorted(borders, angles, side="right").astype(np.int32)


@lru_cache(maxsize=16)
def _bins_of_axes(orientations: int, signed: bool) -> np.ndarray:
    """The bins of 0, 90, 180 and 270 degrees."""
    return _bins(np.array([0.0, 1.0, 0.0, -1.0]), np.array([1.0, 0.0, -1.0, 0.0]), orientations, signed)


@lru_cache(maxsize=16)
def _bins_of_bytes(orientations: int, signed: bool) -> np.ndarray:
    """The bins of all gradients of 8-bit pictures, by dy and dx from -255 to 255."""
    differences = np.arange(-255.0, 256.0)
    bins = _bins(differences[:, None], differences, orientations, signed)
    return bins.astype(_kind_of_bins(orientations)).ravel()


def _kind_of_bins(orientations: int) -> type:
    return np.uint16 if orientations <= 2**16 else np.uint32
