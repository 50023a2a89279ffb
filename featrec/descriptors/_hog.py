"""HOG: histograms of oriented gradients."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import clone

from featrec.base import StrOptions, Tags, check_is_fitted, check_one_label_each, check_sizes, positive_integer
from featrec.compiled._hog import L1, L1_SQRT, L2, L2_HYS, NONE
from featrec.descriptors._hog_codes import (
    PLANE,
    Bins,
    any_colour,
    cell_sums,
    code_parts,
    color_layout,
    color_scale,
    gradient_codes,
    spread,
)
from featrec.exceptions import FailedImageWarning, ImageError, InputError
from featrec.images import DescriptorCache, GlobalExtractor, check_images, read_image
from featrec.lazy import Images
from featrec.model_files import SizeLimit
from featrec.shared_docs import with_shared_docs

__all__ = ["HOG"]

NORMS = {"L1": L1, "L1-sqrt": L1_SQRT, "L2": L2, "L2-Hys": L2_HYS}
# Maximum number of training images, evenly spaced, from which the factor of the layout is computed.
DESCRIBED = 2000


@with_shared_docs
class HOG(GlobalExtractor):
    """Histograms of oriented gradients, normalised in overlapping blocks.

    The image is divided into cells. For each cell, a histogram sums gradient magnitudes by orientation. The histograms of each
    block of neighbouring cells are divided by their norm, which removes differences in local contrast. The length of the code
    depends on the image size, so images of different sizes need ``Resize`` first. An image smaller than one block raises an
    error.

    Parameters
    ----------
    orientations : int, default=9
        Number of orientation bins over 180 degrees, or over 360 degrees if `signed` is True.
    pixels_per_cell : tuple of (rows, columns), int for both, a sequence of such tuples, or "auto", default=(8, 8)
        Cell size or sizes. Codes for several cell sizes are concatenated; gradients are computed only once. "auto" uses three
        sizes: an eighth, a quarter and half of the image sides. These are 4, 8 and 16 pixels for images of 32 × 32 pixels, and
        4, 7 and 14 for 28 × 28.
    cells_per_block : tuple of (rows, columns), or int for both, default=(3, 3)
        Number of cells per block, for all cell sizes.
    block_norm : {"L1", "L1-sqrt", "L2", "L2-Hys"}, default="L2-Hys"
        Norm by which blocks are divided. "L2-Hys" divides by the L2 norm, clips at 0.2, and divides by the L2 norm again.
    transform_sqrt : bool, default=False
        If True, take the square root of pixel values first, which reduces the effects of lighting.
    signed : bool, default=False
        Whether dark-to-bright and bright-to-dark gradients are counted in different bins. Use True for handwriting
        and prints, which have the same background in all images, and False for objects on light or dark backgrounds.
    balance : bool, default=False
        If True, divide the code of each cell size by the square root of its number of blocks. All sizes then have about the
        same weight in distances between codes.
    color : {"gray", "rgb", "auto"} or None, default=None
        Append a layout to the histograms: means and standard deviations, in 4 × 4 cells, of lightness ("gray"), or of lightness
        and two opponent colours ("rgb"). "auto" selects "rgb" in `fit` if any of up to 100 training images has colour, else
        "gray". It also scales the layout down so that it contributes at most a quarter of the variance of the codes. If `fit`
        gets labels, it compares how well layout and histograms separate the classes in up to 2,000 images; if the layout is
        worse, it is scaled down further. None appends no layout.
    mirror : bool, default=False
        If True, append the code of the mirrored image, which doubles the length. Use it with a classifier that supports several
        views, such as ``NystroemRidgeClassifier(n_views=2)``.

    Attributes
    ----------
    n_features_out_ : int
        Length of a code, learned from the first image in ``fit``.
    color_ : {"gray", "rgb"}
        The type of layout. Only available with ``color="auto"``.
    color_scale_ : float
        Factor by which the layout is multiplied. Only available with ``color="auto"``.

    Notes
    -----
    Parameters and results equal those of ``skimage.feature.hog`` on float images in [0, 1] with channels last. Both
    implementations differ from the paper: each pixel votes for one cell and one orientation without interpolation, and blocks
    have no Gaussian window. In colour images, only the largest gradient of each pixel is used. Several cell sizes and signed
    directions are not available in scikit-image. In the paper, signed directions helped for vehicles but not for people.

    Gradients of 8-bit images are integers, so gradients on the border between two bins always belong to the upper bin, as with
    ``skimage.feature.hog`` applied to the 8-bit image. In float images, rounding errors may put such gradients into either bin.
    This affects diagonal gradients if the number of orientations is a multiple of 4, such as 8 or 12.

    Images of the same size are described together in batches. One array ``(n, height, width)`` is faster than a list of images.

    The parts of ``contributions`` are the cells of each size, and each column of the layout. A cell contributes through all
    blocks that contain it. With `mirror`, cells of the mirror image are parts of their own, with their places in the image.

    References
    ----------
    N. Dalal and B. Triggs, "Histograms of oriented gradients for human detection", CVPR 2005.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.descriptors import HOG
    >>> images = np.random.default_rng(0).random((2, 32, 40))
    >>> HOG(orientations=8).fit_transform(images).shape
    (2, 432)
    >>> HOG(pixels_per_cell=[(8, 8), (4, 4)], cells_per_block=(1, 1), signed=True).fit_transform(images).shape
    (2, 900)

    The weighted sum of a code is the sum of what its 4 × 5 cells contribute:

    >>> weights = np.linspace(-1, 1, 432)
    >>> hog = HOG(orientations=8)
    >>> found = hog.contributions(images[0], weights)
    >>> found.values.shape
    (20,)
    >>> bool(np.isclose(found.values.sum(), weights @ hog.extract(images[0])))
    True
    """

    _parameter_constraints = {
        **GlobalExtractor._parameter_constraints,
        "orientations": [positive_integer()],
        "pixels_per_cell": [tuple, list, positive_integer(), StrOptions({"auto"})],
        "cells_per_block": [tuple, list, positive_integer()],
        "block_norm": [StrOptions(set(NORMS))],
        "transform_sqrt": ["boolean"],
        "signed": ["boolean"],
        "balance": ["boolean"],
        "color": [StrOptions({"gray", "rgb", "auto"}), None],
        "mirror": ["boolean"],
    }
    _file_limits = {"orientations": SizeLimit(2**10), "cells_per_block": SizeLimit(2**10, sides=2)}
    algorithm: ClassVar[int] = 2
    # Values for models that were saved before these parameters existed.
    signed: bool = False
    balance: bool = False
    color: str | None = None
    mirror: bool = False

    def __init__(
        self,
        *,
        orientations: int = 9,
        pixels_per_cell: int | tuple[int, int] | Sequence[tuple[int, int]] | str = (8, 8),
        cells_per_block: int | tuple[int, int] = (3, 3),
        block_norm: str = "L2-Hys",
        transform_sqrt: bool = False,
        signed: bool = False,
        balance: bool = False,
        color: str | None = None,
        mirror: bool = False,
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
        self.balance = balance
        self.color = color
        self.mirror = mirror
        self.on_error = on_error
        self.cache = cache
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Read the first image to learn the length of a code; ``color="auto"`` examines more images.

        Parameters
        ----------
        X : images
        y : array-like of shape (n_images,), optional
            Labels are used only for the weight of colours with ``color="auto"``.

        Returns
        -------
        self
        """
        self._check_parameters()
        if self.color == "auto":
            images = check_images(X)
            check_one_label_each(y, len(images))
            self.color_ = "rgb" if any_colour(images, self.on_error) else "gray"
            self.color_scale_ = self._scale(images, y) if len(images) else 1.0
        return super().fit(X, y)

    def _scale(self, images: Images, y: Any) -> float:
        places, labels = spread(len(images), DESCRIBED), None if y is None else np.asarray(y)
        probe = clone(self).set_params(color=self.color_, mirror=False, cache=None, verbose=0)
        with warnings.catch_warnings():
            # `transform` reports unusable images.
            warnings.simplefilter("ignore", FailedImageWarning)
            codes = probe.set_output(transform="default").transform(images[places])
        used = np.flatnonzero(codes.any(axis=1))
        codes, width = codes[used], 3 * PLANE if self.color_ == "rgb" else PLANE
        return color_scale(codes[:, :-width], codes[:, -width:], None if labels is None else labels[places[used]])

    def transform(self, X: Any) -> np.ndarray:
        """Describe images.

        Parameters
        ----------
        X : images

        Returns
        -------
        codes : array of shape (n_images, n_features), float32
        """
        self._resolved_color()
        return super().transform(X)

    def _resolved_color(self) -> str | None:
        if self.color != "auto":
            return self.color
        message = '%(name)s(color="auto") decides in fit whether images have colour; call fit, or set "gray" or "rgb".'
        check_is_fitted(self, "color_", msg=message)
        return self.color_

    def _decides(self) -> dict[str, Any]:
        """Return the fitted value instead of "auto"."""
        color = self._resolved_color()
        return super()._decides() | {"color": color, "color_": color}

    def __sklearn_is_fitted__(self) -> bool:
        return self.color != "auto" or hasattr(self, "color_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = self.color == "auto"
        return tags

    def cells(self, image: Any, *, pixels_per_cell: tuple[int, int] | None = None) -> np.ndarray:
        """Compute the cell histograms of one image, before block normalisation.

        Parameters
        ----------
        image : array, path, encoded bytes or PIL image
        pixels_per_cell : tuple of (rows, columns), optional
            Cell size. Default: the first size in the parameter of the same name.

        Returns
        -------
        cells : array of shape (cell rows, cell columns, orientations), float32
            Mean gradient magnitude in each cell, by orientation from 0 to 180 degrees, or to 360 degrees if `signed` is True.
            At 0 degrees, the gradient points right; at 90 degrees, it points down. Pixels beyond the last whole cell are
            ignored.
        """
        self._check_parameters()
        image = read_image(image)
        size = (
            self._sizes(*image.shape[:2])[0] if pixels_per_cell is None else check_sizes("pixels_per_cell", pixels_per_cell, 2)
        )
        codes = self._codes(image[None], [size], (1, 1), NONE)
        return codes.reshape(image.shape[0] // size[0], image.shape[1] // size[1], self.orientations)

    def cell_sizes(self, image_size: tuple[int, int]) -> list[tuple[int, ...]]:
        """Return the cell sizes for images of one size, as (rows, columns) in pixels.

        Parameters
        ----------
        image_size : tuple of (height, width)

        Returns
        -------
        sizes : list of tuple of (rows, columns)
        """
        self._check_parameters()
        return self._sizes(*image_size)

    def cell_weights(self, weights: Any, image_size: tuple[int, int]) -> list[np.ndarray]:
        """Add up weights of the columns of a code by cell, to show what a linear model looks for.

        A cell belongs to several blocks, so its histogram occurs several times in a code, each time divided by another norm.

        Parameters
        ----------
        weights : array of shape (n_features_out_,) or (n, n_features_out_)
            One or more weights for each column of a code.
        image_size : tuple of (height, width)
            Size of the images that the code describes.

        Returns
        -------
        cells : list of arrays of shape (..., cell rows, cell columns, orientations)
            One array for each cell size. Weights of the layout (`color`) are left out. With ``mirror=True``, the weights of the
            mirrored view are left out too.
        """
        self._check_parameters()
        values, (height, width) = np.asarray(weights, np.float64), image_size
        sizes, block = self._sizes(height, width), check_sizes("cells_per_block", self.cells_per_block, 2)
        factors, lengths = self._weights(height, width, sizes, block)
        layout = {None: 0, "gray": PLANE, "rgb": 3 * PLANE}[self._resolved_color()]
        expected = (int(lengths.sum()) + layout) * (1 + bool(self.mirror))
        if values.ndim not in (1, 2) or values.shape[-1] != expected:
            raise InputError(
                f"a code of images of {height}×{width} pixels has {expected} columns; got weights of shape {values.shape}. "
                "Use the size of the images that HOG receives (after Resize)."
            )
        parts = np.split(values[..., : lengths.sum()], np.cumsum(lengths)[:-1], axis=-1)
        grids = [(height // tall, width // wide) for tall, wide in sizes]
        return [
            cell_sums(part * (factor if self.balance else 1), grid, block, int(self.orientations))
            for part, factor, grid in zip(parts, factors, grids, strict=True)
        ]

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._sizes(1, 1)
        check_sizes("cells_per_block", self.cells_per_block, 2)

    def _sizes(self, height: int, width: int) -> list[tuple[int, ...]]:
        """Return the cell sizes for images of this size, in the order of their codes."""
        sizes: Any = self.pixels_per_cell
        if isinstance(sizes, str):
            eighth = (max(1, (height + 4) // 8), max(1, (width + 4) // 8))
            return [eighth, *((max(1, height // part), max(1, width // part)) for part in (4, 2))]
        if isinstance(sizes, (tuple, list)) and len(sizes) and isinstance(sizes[0], (tuple, list)):
            return [check_sizes("each of pixels_per_cell", size, 2) for size in sizes]
        return [check_sizes("pixels_per_cell", sizes, 2)]

    def _describe_stack(self, images: np.ndarray) -> np.ndarray:
        height, width = images.shape[1:3]
        sizes, block = self._sizes(height, width), check_sizes("cells_per_block", self.cells_per_block, 2)
        largest = [max(each) for each in zip(*sizes, strict=True)]
        if height < largest[0] * block[0] or width < largest[1] * block[1]:
            raise self._too_small(height, width, largest)
        if not self.mirror:
            return self._view(images, sizes, block)
        mirrored = np.ascontiguousarray(images[:, :, ::-1])
        return np.hstack([self._view(images, sizes, block), self._view(mirrored, sizes, block)])

    def _view(self, images: np.ndarray, sizes: list[tuple[int, ...]], block: tuple[int, ...]) -> np.ndarray:
        """Return the normalised histograms of one view, followed by the layout if requested."""
        codes, color = self._codes(images, sizes, block, NORMS[self.block_norm]), self._resolved_color()
        if self.balance:
            codes *= np.repeat(*self._weights(images.shape[1], images.shape[2], sizes, block))
        if color is None:
            return codes
        return np.hstack([codes, color_layout(images, color) * np.float32(self.color_scale_ if self.color == "auto" else 1)])

    def _weights(
        self, height: int, width: int, sizes: list[tuple[int, ...]], block: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the factor and the length of the code of each cell size."""
        blocks = np.array([(height // tall - block[0] + 1) * (width // wide - block[1] + 1) for tall, wide in sizes])
        return (1 / np.sqrt(blocks)).astype(np.float32), blocks * block[0] * block[1] * int(self.orientations)

    def _codes(self, images: np.ndarray, sizes: list[tuple[int, ...]], block: tuple[int, ...], norm: int) -> np.ndarray:
        bins = Bins(int(self.orientations), bool(self.signed))
        return gradient_codes(images, sizes, block, norm, bins, bool(self.transform_sqrt))

    def _code_parts(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...] | None]:
        sizes, block = tuple(self._sizes(height, width)), check_sizes("cells_per_block", self.cells_per_block, 2)
        return code_parts(height, width, sizes, block, int(self.orientations), self._resolved_color(), bool(self.mirror))

    def _too_small(self, height: int, width: int, cell: list[int]) -> ImageError:
        block = check_sizes("cells_per_block", self.cells_per_block, 2)
        rows, columns = (each * times for each, times in zip(cell, block, strict=True))
        return ImageError(
            f"HOG needs at least {rows}×{columns} pixels for one block of cells; got {height}×{width}. "
            "Put Resize((height, width)) before it, or reduce pixels_per_cell or cells_per_block."
        )
