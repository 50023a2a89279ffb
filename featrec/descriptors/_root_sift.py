"""RootSIFT: descriptors whose dot product is the Hellinger kernel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from featrec.bag import Bag
from featrec.compiled._rows import root_shares
from featrec.descriptors._bag_step import BagStep
from featrec.exceptions import InputError

__all__ = ["RootSIFT"]


class RootSIFT(BagStep):
    """L1-normalise each descriptor and take the square root, so that large bins of SIFT no longer dominate.

    The Euclidean distance of the results is the Hellinger distance of the histograms. Use it directly after an extractor of
    histograms (SIFT, DenseSIFT); it takes almost no time. Descriptors of zeros stay zero; negative numbers and packed bits are
    errors.

    Notes
    -----
    Results have unit length and type float32, for any scale of the input: SIFT's 0 to 255, uint8, or unit length.

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
        return replace(bag, descriptors=_square_roots_of_shares(bag.descriptors))


def _square_roots_of_shares(descriptors: np.ndarray) -> np.ndarray:
    roots = np.empty(descriptors.shape, np.float32)
    if root_shares(np.ascontiguousarray(descriptors), roots):
        raise InputError(
            f"RootSIFT expects histograms without negative numbers; got {descriptors.min():.4g}. "
            "Put it right after SIFT or DenseSIFT, before steps such as Whiten."
        )
    return roots
