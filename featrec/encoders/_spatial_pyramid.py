"""SpatialPyramid: any encoder, applied to the regions of several grids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from featrec.base import HasMethods, check_is_fitted, positive_integer, real_number
from featrec.encoders._base import BagsTransformer, Encoder
from featrec.encoders._layout import PyramidLayout
from featrec.exceptions import InputError
from featrec.lazy import Bags
from featrec.model_files import Stored

__all__ = ["SpatialPyramid"]

# More levels are counted as 16, because 16 levels already exceed the limits of model files.
MOST_LEVELS = 16


class SpatialPyramid(BagsTransformer):
    """Encode the regions of several grids over an image and concatenate their codes.

    Unlike the code of a whole image, the code of a pyramid roughly describes where words occur. Each descriptor is assigned to
    words only once, even if there are several levels. Each region is normalised like an image.

    Parameters
    ----------
    encoder : encoder
        Encoder of the regions, such as ``BagOfWords(400)``, or a fitted encoder inside ``FrozenEstimator``.
    levels : int or sequence of (rows, columns), default=3
        Grids of the pyramid. 3 is the pyramid of the paper, with 1×1, 2×2 and 4×4 regions; ``[(1, 1), (3, 1)]`` consists of the
        whole image and three horizontal bands.
    overlap : float, default=0.0
        Overlap of neighbouring regions of a grid, as a fraction of a region's side.
    margin : float, default=0.0
        Width of the border that does not belong to any region, as a fraction of the image's side; at most 0.49.

    Attributes
    ----------
    encoder_ : encoder
        The fitted encoder.

    Notes
    -----
    Each region is normalised separately, and the code is divided by the square root of the number of levels. In contrast,
    Lazebnik et al. normalise the counts of the whole image and weight the levels. The code of a region without descriptors is
    zero. A descriptor belongs to the regions that contain its centre.

    References
    ----------
    .. [1] S. Lazebnik, C. Schmid, J. Ponce. Beyond bags of features: spatial pyramid matching for recognizing natural scene
       categories. CVPR 2006.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import DenseSIFT
    >>> from featrec.encoders import BagOfWords, SpatialPyramid
    >>> train, test = load_dataset("textures")
    >>> bags = DenseSIFT(step=8, bin_sizes=4).transform(train[::8])
    >>> SpatialPyramid(BagOfWords(20, random_state=0), levels=2).fit_transform(bags).shape[1]
    100
    """

    _parameter_constraints = {
        "encoder": [HasMethods(["fit", "transform"])],
        "levels": [positive_integer(), "array-like"],
        "overlap": [real_number(0.0, 1.0, closed="left")],
        "margin": [real_number(0.0, 0.49)],
    }
    # Defaults for models that were saved before these parameters existed.
    overlap: float = 0.0
    margin: float = 0.0

    def __init__(
        self,
        encoder: Encoder,
        *,
        levels: int | Sequence[tuple[int, int]] = 3,
        overlap: float = 0.0,
        margin: float = 0.0,
    ):
        self.encoder = encoder
        self.levels = levels
        self.overlap = overlap
        self.margin = margin

    def _learn_from(self, bags: Bags) -> None:
        self._layout()
        inner = self.encoder.estimator if isinstance(self.encoder, FrozenEstimator) else self.encoder
        if not isinstance(inner, Encoder):
            raise InputError(f"SpatialPyramid needs an encoder such as BagOfWords(400); got {inner!r}")
        if isinstance(self.encoder, FrozenEstimator):
            check_is_fitted(inner)
            self.encoder_ = inner
            return
        self.encoder_ = clone(self.encoder)
        self.encoder_._check_parameters()
        self.encoder_._learn_from(bags)

    def _encoder(self) -> Encoder:
        return self.encoder_

    def _needs_every_image(self) -> bool:
        return self.encoder_._needs_every_image() and not isinstance(self.encoder, FrozenEstimator)

    @staticmethod
    def _most_regions(stored: Stored) -> tuple[int, int]:
        """Return upper limits for the number of regions and the number of cells, without building the layout."""
        levels = stored["levels"].tolist() if isinstance(stored["levels"], np.ndarray) else stored["levels"]
        overlapping = any(stored.get(name) for name in ("overlap", "margin"))
        if isinstance(levels, int) and not overlapping:
            # Each level has four times as many regions as the previous one. The regions of the last level are the cells.
            levels = min(levels, MOST_LEVELS)
            return (4**levels // 3, 4 ** (levels - 1)) if levels > 0 else (0, 0)
        if isinstance(levels, int):
            levels = [[2**level, 2**level] for level in range(min(levels, MOST_LEVELS))]
        if not isinstance(levels, list):
            return 0, 0  # _layout raises an error
        grids = [grid for grid in levels if isinstance(grid, list) and [type(number) for number in grid] == [int, int]]
        # Overlapping regions do not share borders, so each region adds two.
        ends = 2 if overlapping else 1
        cells = math.prod(1 + ends * sum(abs(grid[axis]) for grid in grids) for axis in (0, 1))
        return sum(abs(rows * columns) for rows, columns in grids), cells

    def _layout(self) -> PyramidLayout:
        levels: Any = self.levels
        if isinstance(levels, Integral):
            levels = [(2**level, 2**level) for level in range(int(levels))]
        grids = [tuple(grid) if isinstance(grid, (Sequence, np.ndarray)) else (grid,) for grid in levels]
        for grid in grids:
            if len(grid) != 2 or not all(isinstance(n, Integral) and int(n) > 0 for n in grid):
                raise InputError(
                    f"levels must contain pairs of (rows, columns), each at least 1; got {grid!r} in {self.levels!r}"
                )
        if not grids:
            raise InputError("levels must contain at least one pair of (rows, columns); got none")
        return PyramidLayout(grids, overlap=self.overlap, margin=self.margin)
