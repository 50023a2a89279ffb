"""AppendPosition: where in the image a descriptor lies, as dimensions of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from featrec.bag import Bag
from featrec.base import real_number
from featrec.descriptors._bag_step import BagStep
from featrec.exceptions import ImageError

__all__ = ["AppendPosition"]


class AppendPosition(BagStep):
    """Append x and y, from -1/2 to 1/2 over the image, to each descriptor; with `scale` also the logarithm of its size.

    A Fisher vector or VLAD of such descriptors knows roughly where in the image things lie, as a spatial pyramid does, and is
    hardly longer. It stands last before the encoder, after :class:`Whiten`, which would mix positions with the rest.
    Bags without frames or without the image's size are refused, and so are packed bits.

    Parameters
    ----------
    scale : bool, default=False
        Append also the logarithm of the descriptor's diameter over the square root of the image's area.
    weight : float, default=1.0
        What the appended numbers are multiplied by: more lets places count more against looks when the nearest word is sought.

    Notes
    -----
    x is (x + 1/2) / width - 1/2, where the first pixel's centre is 0, so that a mirrored image gives exactly -x; VLFeat's
    ``xy`` is half a pixel from it. Sánchez et al. append the scale too, and give the spatial numbers no weight.

    References
    ----------
    .. [1] J. Sánchez, F. Perronnin, T. de Campos. Modeling the spatial layout of images beyond spatial pyramids. Pattern
       Recognition Letters 33, 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec import Bag
    >>> from featrec.descriptors import AppendPosition
    >>> bag = Bag([[7.0], [7.0]], frames=[[0, 1, 8, -1], [3, 1, 8, -1]], size=(3, 4))
    >>> AppendPosition().apply(bag).descriptors
    array([[ 7.   , -0.375,  0.   ],
           [ 7.   ,  0.375,  0.   ]], dtype=float32)
    """

    _parameter_constraints = {"scale": ["boolean"], "weight": [real_number(0, closed="neither")]}

    def __init__(self, *, scale: bool = False, weight: float = 1.0):
        self.scale = scale
        self.weight = weight

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the descriptor's dimensions: those of `input_features`, then of those appended."""
        given = super().get_feature_names_out(input_features)
        return np.concatenate([given, [f"appendposition_{name}" for name in ("x", "y", "scale")[: self._more()]]])

    def _change(self, bag: Bag) -> Bag:
        self._refuse_bits(bag)
        n, width = bag.descriptors.shape
        descriptors = np.empty((n, width + self._more()), np.float32)
        if n:
            descriptors[:, :width] = bag.descriptors
            descriptors[:, width:] = self._position(bag)
        return replace(bag, descriptors=descriptors)

    def _more(self) -> int:
        return 3 if self.scale else 2

    def _position(self, bag: Bag) -> np.ndarray:
        if bag.frames is None or bag.size is None:
            lacking = "frames" if bag.frames is None else "the image's size"
            raise ImageError(
                f"AppendPosition needs frames and the image's size; this bag lacks {lacking}. Extractors give both; "
                "precomputed descriptors enter as Bag(descriptors, frames, size)."
            )
        height, width = bag.size
        columns = [(bag.frames[:, 0] + 0.5) / width - 0.5, (bag.frames[:, 1] + 0.5) / height - 0.5]
        if self.scale:
            columns.append(_logarithms(bag.frames[:, 2]) - np.log(height * width) / 2)
        return np.float32(self.weight) * np.stack(columns, axis=1)


def _logarithms(diameters: np.ndarray) -> np.ndarray:
    least = diameters.min()
    if not least > 0:
        raise ImageError(f"AppendPosition(scale=True) needs diameters over 0 in the frames; got {least:.4g}. Use scale=False.")
    return np.log(diameters)
