"""SoftBagOfWords: how often each visual word occurs, where a descriptor between words counts for several."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.base import StrOptions, positive_integer, real_number
from featrec.compiled._dense_codes import soft_words
from featrec.compiled._near_words import soft_neighbors
from featrec.encoders._numbers import EncoderOfNumbers, scaled
from featrec.lazy import Bags
from featrec.model_files import SizeLimit, check_neighbors
from featrec.parallel import one_inner_thread

__all__ = ["SoftBagOfWords"]

# Words that lie closer than this together are one: a sharper Gaussian would overflow float32.
SHARPEST = 1e30


class SoftBagOfWords(EncoderOfNumbers):
    """Count words as :class:`BagOfWords` does, but divide each descriptor's vote among the words near it.

    A descriptor halfway between two words votes for both. Packed bits (ORB) are refused.

    Parameters
    ----------
    vocabulary : int or vocabulary estimator, default=500
        How many words to learn by k-means; or a vocabulary, ours or scikit-learn's ``KMeans`` or ``MiniBatchKMeans``; or a
        fitted one inside ``FrozenEstimator``.
    smoothing : float, default=0.5
        The standard deviation of the Gaussian that weighs words by their distance, as a multiple of the mean distance between
        a word and the word nearest to it. Towards 0 the code becomes that of ``BagOfWords``.
    n_neighbors : int or None, default=5
        A descriptor votes for so many words, the nearest; None: for all of them.
    norm : {"l1", "l2", "hellinger"} or None, default="l1"
        "l1" gives shares, "l2" unit length, "hellinger" the square root of the shares, None sums of votes.
    max_descriptors : int, default=100_000
        The size of the sample that the vocabulary is learned from, where `vocabulary` is an int.
    random_state : int, RandomState or None, default=None
        For the sample and the vocabulary, where `vocabulary` is an int.
    n_jobs : int or None, default=None
        Threads over the images; None is one, unless a ``joblib.parallel_config`` says otherwise.
    verbose : int, default=0
        1 shows progress on the standard error.

    Attributes
    ----------
    vocabulary_ : estimator
        The fitted vocabulary.
    sigma_ : float
        The Gaussian's standard deviation, in the descriptors' units.

    Notes
    -----
    The votes are [1]_'s codeword uncertainty: Gaussian weights divided by their sum, so that each descriptor has one vote.
    Fewer than all words are [2]_'s localized soft assignment, with sums where [2]_ takes the maximum. Both papers choose the
    Gaussian's width by validation; `smoothing` makes its scale independent of the descriptors'.

    References
    ----------
    .. [1] J. C. van Gemert, C. J. Veenman, A. W. M. Smeulders, J.-M. Geusebroek. Visual word ambiguity. IEEE TPAMI, 2010.
    .. [2] L. Liu, L. Wang, X. Liu. In defense of soft-assignment coding. ICCV 2011.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import DenseSIFT
    >>> from featrec.encoders import SoftBagOfWords
    >>> train, test = load_dataset("textures")
    >>> bags = DenseSIFT(step=8, bin_sizes=4).transform(train[::8])
    >>> codes = SoftBagOfWords(20, random_state=0).fit_transform(bags)
    >>> codes.shape[1], round(float(codes[0].sum()), 4)
    (20, 1.0)
    """

    _parameter_constraints = {
        **EncoderOfNumbers._parameter_constraints,
        "smoothing": [real_number(0, closed="neither")],
        "n_neighbors": [positive_integer(), None],
        "norm": [StrOptions({"l1", "l2", "hellinger"}), None],
    }
    _file_limits = {"n_neighbors": SizeLimit(2**10)}
    _check_stored_arrays = staticmethod(check_neighbors)

    def __init__(
        self,
        vocabulary: Any = 500,
        *,
        smoothing: float = 0.5,
        n_neighbors: int | None = 5,
        norm: str | None = "l1",
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.vocabulary = vocabulary
        self.smoothing = smoothing
        self.n_neighbors = n_neighbors
        self.norm = norm
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _learn_from(self, bags: Bags) -> None:
        super()._learn_from(bags)
        self.sigma_ = float(self.smoothing) * spacing(self._words())

    def _pool(self, descriptors: np.ndarray, cells: np.ndarray, n_cells: int) -> np.ndarray:
        words = self._words()
        pooled = np.empty((n_cells, len(words)), np.float32)
        scale = np.float32(min(self.sigma_**-2, SHARPEST))
        n_neighbors = len(words) if self.n_neighbors is None else min(self.n_neighbors, len(words))
        with one_inner_thread():
            if n_neighbors == len(words):
                soft_words(descriptors, words, cells, scale, pooled)
            else:
                soft_neighbors(descriptors, words, cells, n_neighbors, scale, pooled)
        return pooled

    def _finish(self, pooled: np.ndarray, counts: np.ndarray) -> np.ndarray:
        if self.norm == "l1":
            return pooled / np.maximum(pooled.sum(axis=1), np.float32(1e-30))[:, None]
        return scaled(pooled, self.norm)


def spacing(words: np.ndarray) -> float:
    """The mean distance between a word and the word nearest to it; 1 where there is none, or all are one."""
    if len(words) == 1:
        return 1.0
    from sklearn.neighbors import NearestNeighbors  # 0.1 s and more, which models without this encoder do not pay

    distances, _ = NearestNeighbors(n_neighbors=1).fit(words).kneighbors()
    return float(distances.mean()) or 1.0
