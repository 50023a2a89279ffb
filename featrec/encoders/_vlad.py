"""VLAD: sums of differences between descriptors and their nearest words."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.base import StrOptions, real_number
from featrec.compiled._near_words import vlad
from featrec.encoders._base import EncoderOfNumbers, unit_length
from featrec.parallel import one_inner_thread
from featrec.shared_docs import with_shared_docs

__all__ = ["VLAD"]

# Maximum rounding error that remains if residuals cancel, as a fraction of the length of the word.
ROUNDING = 1e-6


@with_shared_docs
class VLAD(EncoderOfNumbers):
    """Sum the differences between each word and its descriptors (VLAD: vector of locally aggregated descriptors).

    The code describes how descriptors are distributed around each word. For each word, it has as many values as a descriptor,
    so few words suffice. Packed bits (ORB) are not supported, because they cannot be subtracted.

    Parameters
    ----------
    vocabulary : int or vocabulary estimator, default=64
        Number of words to learn by k-means. Alternatively, a featrec vocabulary, ``KMeans`` or ``MiniBatchKMeans``, or a
        fitted vocabulary inside ``FrozenEstimator``.
    average : bool, default=False
        If True, use the means of the differences (residuals) instead of the sums.
    power : float, default=1.0
        Exponent of the absolute values; signs do not change. 0.5 is the signed square root; 1 changes nothing.
    intra_norm : bool, default=True
        If True, divide the residuals of each word by their length, so words with many similar descriptors do not dominate.
    norm : {"l2"} or None, default="l2"
        "l2" divides the whole code by its length at the end.

    Attributes
    ----------
    vocabulary_ : estimator
        The fitted vocabulary.

    Notes
    -----
    The steps are applied in the order of the parameters: mean, power, normalisation of each word, normalisation of the code.
    The default is the intra-normalisation of [2]_. ``power=0.5, intra_norm=False`` is the later version of [1]_, and
    ``intra_norm=False`` is VLFeat's default: sums, divided by the length of the code. If residuals cancel except for rounding,
    they are set to zero, because intra-normalisation would amplify rounding errors.

    References
    ----------
    .. [1] H. Jégou, M. Douze, C. Schmid, P. Pérez. Aggregating local descriptors into a compact image representation.
       CVPR 2010.
    .. [2] R. Arandjelović, A. Zisserman. All about VLAD. CVPR 2013.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import DenseSIFT
    >>> from featrec.encoders import VLAD
    >>> train, test = load_dataset("textures")
    >>> bags = DenseSIFT(step=8, bin_sizes=4).transform(train[::8])
    >>> VLAD(8, random_state=0).fit_transform(bags).shape[1] == 8 * 128
    True
    """

    _parameter_constraints = {
        **EncoderOfNumbers._parameter_constraints,
        "average": ["boolean"],
        "power": [real_number(0, 1, closed="right")],
        "intra_norm": ["boolean"],
        "norm": [StrOptions({"l2"}), None],
    }

    def __init__(
        self,
        vocabulary: Any = 64,
        *,
        average: bool = False,
        power: float = 1.0,
        intra_norm: bool = True,
        norm: str | None = "l2",
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.vocabulary = vocabulary
        self.average = average
        self.power = power
        self.intra_norm = intra_norm
        self.norm = norm
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _pool(self, descriptors: np.ndarray, cells: np.ndarray, n_cells: int) -> np.ndarray:
        words = self._words()
        residuals = np.empty((n_cells, *words.shape), np.float32)
        counts = np.empty((n_cells, len(words)), np.float32)
        with one_inner_thread():
            vlad(descriptors, words, cells, residuals, counts)
        rows = residuals.reshape(n_cells, -1)
        return np.hstack([rows, counts]) if self.average else rows

    def _finish(self, pooled: np.ndarray, counts: np.ndarray) -> np.ndarray:
        words = self._words()
        residuals = pooled[:, : words.size].reshape(-1, *words.shape).copy()
        least = ROUNDING * np.linalg.norm(words, axis=1)
        residuals[np.linalg.norm(residuals, axis=2) <= least] = 0
        if self.average:
            residuals /= np.maximum(pooled[:, words.size :], 1)[:, :, None]
        if self.power != 1:
            residuals = np.sign(residuals) * np.abs(residuals) ** np.float32(self.power)
        if self.intra_norm:
            residuals = unit_length(residuals)
        rows = residuals.reshape(len(pooled), -1)
        return unit_length(rows) if self.norm == "l2" else rows

    def _weights_on_pooled(self, pooled: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
        on_residuals = super()._weights_on_pooled(pooled[:, : self._width()], codes, weights)
        return np.pad(on_residuals, [(0, 0), (0, self._pooled_width() - self._width())])

    def _share(self, descriptors: np.ndarray, cells: np.ndarray, weights: np.ndarray) -> np.ndarray:
        words = self._words()
        nearest = self._nearest(descriptors)
        of_words = weights[:, : words.size].reshape(len(weights), *words.shape)
        return np.einsum("ij,ij->i", descriptors - words[nearest], of_words[cells, nearest])

    def _width(self) -> int:
        n_words, length = self._words().shape
        return n_words * length

    def _pooled_width(self) -> int:
        n_words, length = self._words().shape
        return n_words * (length + 1) if self.average else n_words * length

    @staticmethod
    def _most_pooled(n_words: int, length: int) -> int:
        return n_words * (length + 1)
