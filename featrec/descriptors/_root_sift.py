"""RootSIFT: descriptors whose dot product is the Hellinger kernel of the original ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from featrec.bag import Bag
from featrec.compiled._root_shares import root_shares
from featrec.descriptors._bag_step import BagStep
from featrec.exceptions import InputError

__all__ = ["RootSIFT"]


class RootSIFT(BagStep):
    """The square root of each descriptor's shares: SIFT's large bins no longer outweigh all others.

    A descriptor is divided by its sum, and the square root is taken, so that the Euclidean distance of the results is the
    Hellinger distance of the histograms. It suits any histogram (SIFT, DenseSIFT), stands right after the extractor and
    costs next to nothing. Descriptors of zeros stay zero; negative numbers and packed bits are refused.

    Notes
    -----
    The results have length 1 and are float32, whatever the scale of the input: SIFT's 0 to 255, uint8, or length 1.

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
            f"RootSIFT takes histograms, which have no negative numbers; got {descriptors.min():.4g}. "
            "Put it right after SIFT or DenseSIFT, before steps such as Whiten."
        )
    return roots
