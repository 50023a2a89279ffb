"""LLC: which few words each descriptor is a mixture of, and the largest part each word has in any."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.base import StrOptions, positive_integer, real_number
from featrec.compiled._near_words import llc
from featrec.encoders._numbers import EncoderOfNumbers, scaled
from featrec.model_files import SizeLimit, check_neighbors
from featrec.parallel import one_inner_thread

__all__ = ["LLC"]


class LLC(EncoderOfNumbers):
    """Reconstruct each descriptor from its nearest words, keep each word's largest weight (locality-constrained linear coding).

    The weights of one descriptor sum to one, so that moving descriptors and words together changes nothing; they may be
    negative. Made for a pyramid and a linear classifier. Packed bits (ORB) are refused.

    Parameters
    ----------
    vocabulary : int or vocabulary estimator, default=1000
        How many words to learn by k-means; or a vocabulary, ours or scikit-learn's ``KMeans`` or ``MiniBatchKMeans``; or a
        fitted one inside ``FrozenEstimator``.
    n_neighbors : int, default=5
        How many words, the nearest, take part in a descriptor; all, where the vocabulary has fewer.
    regularization : float, default=1e-4
        How strongly the weights are drawn to one another, as a multiple of the sum of squared distances to the words.
    norm : {"l2"} or None, default="l2"
        "l2" brings the code to unit length.
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

    Notes
    -----
    This is the paper's approximated coding: constrained least squares over the nearest words only. The weights solve
    ``(C + regularization * trace(C) * I) c = 1``, with C the products of the words' differences from the descriptor, and are
    then divided by their sum; leaving that constraint out gives another code. A word that a descriptor does not use has weight
    zero there, and the zero takes part in the maximum: a pooled weight is negative only where all descriptors of a region use
    the word, and all with negative weight. The paper refines the codebook after k-means; that is left out here.

    References
    ----------
    .. [1] J. Wang, J. Yang, K. Yu, F. Lv, T. Huang, Y. Gong. Locality-constrained linear coding for image classification.
       CVPR 2010.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import DenseSIFT
    >>> from featrec.encoders import LLC, SpatialPyramid
    >>> train, test = load_dataset("textures")
    >>> bags = DenseSIFT(step=8, bin_sizes=4).transform(train[::8])
    >>> SpatialPyramid(LLC(20, random_state=0), levels=2).fit_transform(bags).shape[1]
    100
    """

    pooling = "max"
    _parameter_constraints = {
        **EncoderOfNumbers._parameter_constraints,
        "n_neighbors": [positive_integer()],
        "regularization": [real_number(0, closed="neither")],
        "norm": [StrOptions({"l2"}), None],
    }
    _file_limits = {"n_neighbors": SizeLimit(2**10)}
    _check_stored_arrays = staticmethod(check_neighbors)

    def __init__(
        self,
        vocabulary: Any = 1000,
        *,
        n_neighbors: int = 5,
        regularization: float = 1e-4,
        norm: str | None = "l2",
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.vocabulary = vocabulary
        self.n_neighbors = n_neighbors
        self.regularization = regularization
        self.norm = norm
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _pool(self, descriptors: np.ndarray, cells: np.ndarray, n_cells: int) -> np.ndarray:
        words = self._words()
        pooled = np.empty((n_cells, len(words)), np.float32)
        with one_inner_thread():
            llc(descriptors, words, cells, min(self.n_neighbors, len(words)), float(self.regularization), pooled)
        return pooled

    def _finish(self, pooled: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return scaled(pooled, self.norm)
