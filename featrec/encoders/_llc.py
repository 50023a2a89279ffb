"""LLC: locality-constrained linear coding."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.base import StrOptions, positive_integer, real_number
from featrec.compiled._near_words import llc
from featrec.encoders._base import EncoderOfNumbers, scaled
from featrec.model_files import SizeLimit, check_neighbors
from featrec.parallel import one_inner_thread
from featrec.shared_docs import with_shared_docs

__all__ = ["LLC"]


@with_shared_docs
class LLC(EncoderOfNumbers):
    """Reconstruct descriptors from their nearest words; the code is the largest weight of each word.

    This is locality-constrained linear coding, designed for a pyramid and a linear classifier. The weights of a descriptor sum
    to one and may be negative. Packed bits (ORB) are not supported.

    Parameters
    ----------
    vocabulary : int or vocabulary estimator, default=1000
        Number of words to learn by k-means. Alternatively, a featrec vocabulary, ``KMeans`` or ``MiniBatchKMeans``, or a
        fitted vocabulary inside ``FrozenEstimator``.
    n_neighbors : int, default=5
        Number of nearest words from which a descriptor is reconstructed; all words if the vocabulary is smaller.
    regularization : float, default=1e-4
        Strength of the regularisation towards equal weights, in units of the sum of squared distances from the words.
    norm : {"l2"} or None, default="l2"
        "l2" divides the code by its length.

    Attributes
    ----------
    vocabulary_ : estimator
        The fitted vocabulary.

    Notes
    -----
    This is the approximated coding of the paper: constrained least squares with the nearest words only. The weights c solve
    ``(C + regularization * trace(C) * I) c = 1``, where C is the Gram matrix of the differences between words and descriptor.
    Then they are divided by their sum. Words that are not among the nearest have weight zero, and these zeros are included in
    the maximum. A pooled weight is therefore negative only if the word has a negative weight for every descriptor of a region.
    The paper also refines the codebook after k-means; this class does not.

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
