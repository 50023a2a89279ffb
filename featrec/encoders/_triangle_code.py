"""TriangleCode: how much nearer than usual each word is."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.compiled._codes_by_dot import triangle_code_by_dot
from featrec.compiled._dense_codes import triangle_code
from featrec.compiled._dot_products import has_float_dot
from featrec.encoders._numbers import EncoderOfSums
from featrec.parallel import one_inner_thread

__all__ = ["TriangleCode"]


class TriangleCode(EncoderOfSums):
    """Let each descriptor vote for all words that are nearer to it than its mean distance, by how much they are nearer.

    About half of the words get a vote, where a bag of words gives one; a linear classifier profits from that. Made for
    whitened patches. Packed bits (ORB) are refused.

    Parameters
    ----------
    vocabulary : int or vocabulary estimator, default=1600
        How many words to learn by k-means; or a vocabulary, ours or scikit-learn's ``KMeans`` or ``MiniBatchKMeans``; or a
        fitted one inside ``FrozenEstimator``.
    norm : {"mean", "l2", "hellinger"} or None, default="mean"
        "mean" divides by the number of descriptors, so that images of different sizes compare; "l2" gives unit length,
        "hellinger" the square root of the shares, None the sums.
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
    A descriptor gives word k the activation ``max(0, mean of z - z[k])``, where ``z[k]`` is its distance to the word. The
    paper sums activations over the quadrants of an image, ``SpatialPyramid(TriangleCode(norm=None), levels=[(2, 2)])``, and
    standardises the columns before the classifier. With standardised columns ``norm="mean"`` and ``norm=None`` come to the
    same where all images are of one size.

    References
    ----------
    .. [1] A. Coates, H. Lee, A. Y. Ng. An analysis of single-layer networks in unsupervised feature learning. AISTATS 2011.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import DenseSIFT
    >>> from featrec.encoders import TriangleCode
    >>> train, test = load_dataset("textures")
    >>> bags = DenseSIFT(step=8, bin_sizes=4).transform(train[::8])
    >>> codes = TriangleCode(20, random_state=0).fit_transform(bags)
    >>> codes.shape[1], bool((codes >= 0).all())
    (20, True)
    """

    def __init__(
        self,
        vocabulary: Any = 1600,
        *,
        norm: str | None = "mean",
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.vocabulary = vocabulary
        self.norm = norm
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _pool(self, descriptors: np.ndarray, cells: np.ndarray, n_cells: int) -> np.ndarray:
        words = self._words()
        pooled = np.empty((n_cells, len(words)), np.float32)
        if has_float_dot():
            triangle_code_by_dot(descriptors, words, cells, pooled)
            return pooled
        with one_inner_thread():
            triangle_code(descriptors, words, cells, pooled)
        return pooled
