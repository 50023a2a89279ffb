"""ThresholdCode: how far a descriptor reaches along each word, both ways, beyond a threshold."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.base import real_number
from featrec.compiled._codes_by_dot import threshold_code_by_dot
from featrec.compiled._dot_products import has_float_dot
from featrec.compiled._two_sided_codes import threshold_code
from featrec.encoders._numbers import EncoderBothWays
from featrec.parallel import one_inner_thread

__all__ = ["ThresholdCode"]


class ThresholdCode(EncoderBothWays):
    """Let each descriptor vote for the words that it points along, and apart from them for those that it points against.

    The vote is the product of descriptor and word less a threshold, where anything is left. Made for whitened patches and
    words of unit length. Packed bits (ORB) are refused.

    Parameters
    ----------
    vocabulary : int or vocabulary estimator, default=1600
        How many words to draw at random from the descriptors, each divided by its length (:class:`RandomVocabulary`); or a
        vocabulary, ours or scikit-learn's ``KMeans`` or ``MiniBatchKMeans``; or a fitted one inside ``FrozenEstimator``.
    threshold : float, default=1.0
        What is taken off each product, in the units of descriptor times word; 0 only parts the two signs.
    norm : {"mean", "l2", "hellinger"} or None, default="mean"
        "mean" divides by the number of descriptors, so that images of different sizes compare; "l2" gives unit length,
        "hellinger" the square root of the shares, None the sums.
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
    A descriptor x gives word w two activations, ``max(0, x·w - threshold)`` and ``max(0, -x·w - threshold)``. The code has
    the first ones of all words and behind them the second ones, twice as many columns as words. The paper whitens inside
    the words and not the patches, and averages over a 3×3 grid: ``SpatialPyramid(ThresholdCode(norm=None), levels=[(3, 3)])``
    behind ``Whiten`` gives such sums, where each descriptor lies in one region only.

    References
    ----------
    .. [1] A. Coates, A. Y. Ng. The importance of encoding versus training with sparse coding and vector quantization. ICML
       2011.
    .. [2] B. Recht, R. Roelofs, L. Schmidt, V. Shankar. Do ImageNet classifiers generalize to ImageNet? ICML 2019.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import DenseSIFT, Whiten
    >>> from featrec.encoders import ThresholdCode
    >>> train, test = load_dataset("textures")
    >>> bags = DenseSIFT(step=8, bin_sizes=4).transform(train[::8])
    >>> bags = Whiten(random_state=0).fit_transform(bags)
    >>> codes = ThresholdCode(20, random_state=0).fit_transform(bags)
    >>> codes.shape[1], bool((codes >= 0).all())
    (40, True)
    """

    _parameter_constraints = {
        **EncoderBothWays._parameter_constraints,
        "threshold": [real_number(0, closed="left")],
    }

    def __init__(
        self,
        vocabulary: Any = 1600,
        *,
        threshold: float = 1.0,
        norm: str | None = "mean",
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.vocabulary = vocabulary
        self.threshold = threshold
        self.norm = norm
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _pool(self, descriptors: np.ndarray, cells: np.ndarray, n_cells: int) -> np.ndarray:
        words = self._words()
        pooled = np.empty((n_cells, 2 * len(words)), np.float32)
        threshold = np.float32(self.threshold)
        if has_float_dot():
            threshold_code_by_dot(descriptors, words, cells, threshold, pooled)
            return pooled
        with one_inner_thread():
            threshold_code(descriptors, words, cells, threshold, pooled)
        return pooled
