"""Steps from Bags to Bags: BagStep (the base class), RootSIFT and AppendPosition."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, Self

import numpy as np

from featrec.bag import Bag
from featrec.base import NoOutputContainer, Tags, Transformer, check_bags, check_is_fitted, real_number
from featrec.compiled._rows import root_shares
from featrec.exceptions import ImageError, InputError, MetricError
from featrec.lazy import Bags

__all__ = ["AppendPosition", "BagStep", "RootSIFT"]


class BagStep(NoOutputContainer, Transformer):
    """Base class of steps from Bags to Bags between extractor and encoder. A subclass implements ``_change(bag) -> Bag``.

    A subclass that changes the dimensions also implements ``get_feature_names_out``. For an empty Bag, `_change` must return
    an empty Bag of the same width as for other Bags.
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters and the type of X, without computing any Bag.

        Parameters
        ----------
        X : Bags, or list of Bag
        y : ignored

        Returns
        -------
        self
        """
        self._check_parameters()
        check_bags(X, stage=f"{type(self).__name__}.fit")
        return self

    def transform(self, X: Any) -> Bags:
        """Change Bags lazily: each Bag is changed when it is accessed.

        Parameters
        ----------
        X : Bags, or list of Bag

        Returns
        -------
        Bags
        """
        check_is_fitted(self)
        self._check_parameters()
        return check_bags(X, stage=type(self).__name__).then(copy.copy(self)._change)

    def apply(self, bag: Bag) -> Bag:
        """Change one bag."""
        return self.transform([bag])[0]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the descriptor dimensions: `input_features`, because this step does not change the dimensions."""
        if input_features is None:
            raise InputError(
                f"{type(self).__name__} needs the names of the extractor's dimensions: "
                "pass input_features, the result of the extractor's get_feature_names_out()"
            )
        return np.array(input_features, dtype=object)

    def _change(self, bag: Bag) -> Bag:
        raise NotImplementedError

    def _refuse_bits(self, bag: Bag) -> None:
        if bag.metric != "euclidean":
            raise MetricError(
                f"{type(self).__name__} expects numbers (euclidean); got packed bits ({bag.metric}), which have neither sums "
                f"nor means. Omit {type(self).__name__}, or use SIFT or DenseSIFT."
            )

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


class RootSIFT(BagStep):
    """L1-normalise each descriptor and take the square root, which reduces the influence of large bins.

    The Euclidean distance between results is the Hellinger distance between the original histograms. Use RootSIFT directly
    after SIFT or DenseSIFT, whose descriptors are histograms; it takes almost no time. Descriptors of zeros stay zero.
    Negative values and packed bits raise an error.

    Notes
    -----
    Results are float32 descriptors of unit length; the scale of the input does not matter.

    References
    ----------
    .. [1] R. Arandjelović, A. Zisserman. Three things everyone should know to improve object retrieval. CVPR 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec import Bag
    >>> from featrec.descriptors import RootSIFT
    >>> RootSIFT().apply(Bag([[9.0, 0.0, 16.0], [0.0, 0.0, 0.0]])).descriptors
    array([[0.6, 0. , 0.8],
           [0. , 0. , 0. ]], dtype=float32)
    """

    _parameter_constraints: dict[str, list] = {}

    def _change(self, bag: Bag) -> Bag:
        self._refuse_bits(bag)
        roots = np.empty(bag.descriptors.shape, np.float32)
        if root_shares(np.ascontiguousarray(bag.descriptors), roots):
            raise InputError(
                f"RootSIFT expects histograms without negative values; got {bag.descriptors.min():.4g}. "
                "Put it right after SIFT or DenseSIFT, before steps such as Whiten."
            )
        return replace(bag, descriptors=roots)


class AppendPosition(BagStep):
    """Append to each descriptor its position (x and y, from -1/2 to 1/2) and optionally the logarithm of its size.

    With these descriptors, the codes of ``FisherVector`` and ``VLAD`` roughly describe where descriptors are. Unlike with a
    spatial pyramid, the codes become only slightly longer. Use AppendPosition as the last step before the encoder. In
    particular, use it after :class:`Whiten`, because Whiten would mix positions with other dimensions. Packed bits, and Bags
    without frames or image size, raise an error.

    Parameters
    ----------
    scale : bool, default=False
        Whether to also append the logarithm of (diameter of the descriptor / square root of the image area).
    weight : float, default=1.0
        Factor by which the appended values are multiplied. With larger factors, positions have more influence on the nearest
        word.

    Notes
    -----
    The appended x is (x + 1/2) / width - 1/2, where the centre of the first pixel is at 0. In the mirrored image, the appended
    x has exactly the opposite sign. VLFeat's ``xy`` differs by half a pixel. Sánchez et al. also append the scale, and they do
    not weight the appended values.

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
        """Return the names of the descriptor dimensions: `input_features`, followed by the names of the appended dimensions."""
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
                f"AppendPosition needs frames and the image size; this Bag lacks {lacking}. Extractors provide both; "
                "wrap precomputed descriptors as Bag(descriptors, frames, size)."
            )
        height, width = bag.size
        columns = [(bag.frames[:, 0] + 0.5) / width - 0.5, (bag.frames[:, 1] + 0.5) / height - 0.5]
        if self.scale:
            least = bag.frames[:, 2].min()
            if not least > 0:
                raise ImageError(
                    f"AppendPosition(scale=True) needs positive diameters in the frames; got {least:.4g}. Use scale=False."
                )
            columns.append(np.log(bag.frames[:, 2]) - np.log(height * width) / 2)
        return np.float32(self.weight) * np.stack(columns, axis=1)
