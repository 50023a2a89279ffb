"""SignCode: which words are among the nearest to a descriptor, and which to its opposite."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from featrec.base import real_number
from featrec.compiled._two_sided_codes import sign_code
from featrec.encoders._numbers import EncoderBothWays
from featrec.parallel import one_inner_thread

__all__ = ["SignCode"]


class SignCode(EncoderBothWays):
    """Let each descriptor vote for the share of the words nearest to it, and apart from them for those nearest to its opposite.

    Each vote counts one, however near the word is. Made for whitened patches. Packed bits (ORB) are refused.

    Parameters
    ----------
    vocabulary : int or vocabulary estimator, default=1600
        How many words to draw at random from the descriptors, each divided by its length (:class:`RandomVocabulary`); or a
        vocabulary, ours or scikit-learn's ``KMeans`` or ``MiniBatchKMeans``; or a fitted one inside ``FrozenEstimator``.
    share : float, default=0.4
        The part of the words that a descriptor votes for, rounded to whole words, one at least.
    norm : {"mean", "l2", "hellinger"} or None, default="mean"
        "mean" divides by the number of descriptors, so that images of different sizes compare; "l2" gives unit length,
        "hellinger" the square root of the shares, None the numbers of votes.
    max_descriptors : int, default=100_000
        The size of the sample that the words are drawn from, where `vocabulary` is an int.
    random_state : int, RandomState or None, default=None
        For the sample and the words, where `vocabulary` is an int.
    n_jobs : int or None, default=None
        Threads over the images; None is one, unless a ``joblib.parallel_config`` says otherwise.
    verbose : int, default=0
        1 shows progress on the standard error.

    Attributes
    ----------
    vocabulary_ : estimator
        The fitted vocabulary.

    Notes
    -----
    The code has the votes of the descriptors and behind them those of their opposites, twice as many columns as words. Near
    is meant in Euclidean distance, so that words may have any length; words as near as the last one of the share all get a
    vote. The paper's words keep the length that their patches have: ``SignCode(RandomVocabulary(2048, unit_length=False))``.
    It averages over overlapping windows of an image, as ``SpatialPyramid(overlap=...)`` does.

    References
    ----------
    .. [1] L. Thiry, M. Arbel, E. Belilovsky, E. Oyallon. The unreasonable effectiveness of patches in deep convolutional
       kernels methods. ICLR 2021.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import DenseSIFT, Whiten
    >>> from featrec.encoders import SignCode
    >>> train, test = load_dataset("textures")
    >>> bags = DenseSIFT(step=8, bin_sizes=4).transform(train[::8])
    >>> bags = Whiten(random_state=0).fit_transform(bags)
    >>> codes = SignCode(20, random_state=0).fit_transform(bags)
    >>> codes.shape[1], round(float(codes[0, :20].sum()), 4)
    (40, 8.0)
    """

    _parameter_constraints = {
        **EncoderBothWays._parameter_constraints,
        "share": [real_number(0, 1, closed="right")],
    }

    def __init__(
        self,
        vocabulary: Any = 1600,
        *,
        share: float = 0.4,
        norm: str | None = "mean",
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.vocabulary = vocabulary
        self.share = share
        self.norm = norm
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _pool(self, descriptors: np.ndarray, cells: np.ndarray, n_cells: int) -> np.ndarray:
        words = self._words()
        pooled = np.empty((n_cells, 2 * len(words)), np.float32)
        with one_inner_thread():
            sign_code(descriptors, words, cells, *wanted_words(self.share, len(words)), pooled)
        return pooled


def wanted_words(share: float, k: int) -> tuple[int, np.float32, np.float32]:
    """How many words a share is, and the normal distribution's quantile and density there, where the search begins."""
    wanted = min(max(1, round(float(share) * k)), k)
    normal = NormalDist()
    quantile = normal.inv_cdf((wanted - 0.5) / k)
    return wanted, np.float32(quantile), np.float32(normal.pdf(quantile))
