"""AppendPosition: adds the position in the image to each descriptor."""

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
    """Append x and y, from -1/2 to 1/2 over the image, to each descriptor; with `scale`, also the logarithm of its size.

    A Fisher vector or VLAD of these descriptors contains rough positions in the image, like a spatial pyramid, but is hardly
    longer. Use it as the last step before the encoder, after :class:`Whiten`, which would mix positions with other dimensions.
    Bags without frames or image size, and packed bits, are errors.

    Parameters
    ----------
    scale : bool, default=False
        Also append the logarithm of the descriptor's diameter divided by the square root of the image area.
    weight : float, default=1.0
        Factor of the appended numbers. Larger values give positions more influence on the nearest word.

    Notes
    -----
    The appended number is (x + 1/2) / width - 1/2, with the centre of the first pixel at 0, so that a mirrored image gives
    exactly the opposite sign. VLFeat's ``xy`` differs by half a pixel. Sánchez et al. also append the scale and use no weight.

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
        """Names of the descriptor dimensions: `input_features`, followed by the appended ones."""
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
            lacking = "frames" if bag.frames is None else "the image size"
            raise ImageError(
                f"AppendPosition needs frames and the image size; this bag lacks {lacking}. Extractors provide both; "
                "wrap precomputed descriptors as Bag(descriptors, frames, size)."
            )
        height, width = bag.size
        columns = [(bag.frames[:, 0] + 0.5) / width - 0.5, (bag.frames[:, 1] + 0.5) / height - 0.5]
        if self.scale:
            columns.append(_logarithms(bag.frames[:, 2]) - np.log(height * width) / 2)
        return np.float32(self.weight) * np.stack(columns, axis=1)


def _logarithms(diameters: np.ndarray) -> np.ndarray:
    least = diameters.min()
    if not least > 0:
        raise ImageError(
            f"AppendPosition(scale=True) needs positive diameters in the frames; got {least:.4g}. Use scale=False."
        )
    return np.log(diameters)
