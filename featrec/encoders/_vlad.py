"""VLAD: how an image's descriptors differ from the words they are nearest to."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.base import StrOptions, real_number
from featrec.compiled._near_words import vlad
from featrec.encoders._numbers import EncoderOfNumbers, unit_length
from featrec.parallel import one_inner_thread

__all__ = ["VLAD"]

# Residuals that cancel leave rounding, about so much of the words' own length.
ROUNDING = 1e-6


class VLAD(EncoderOfNumbers):
    """Sum what the descriptors differ from their nearest word by, for each word (vector of locally aggregated descriptors).

    A bag of words says how many descriptors a word has; this says where they lie around it, in as many numbers a word as a
    descriptor has, so that few words suffice. Packed bits (ORB) are refused: they have no differences to add.

    Parameters
    ----------
    vocabulary : int or vocabulary estimator, default=64
        How many words to learn by k-means; or a vocabulary, ours or scikit-learn's ``KMeans`` or ``MiniBatchKMeans``; or a
        fitted one inside ``FrozenEstimator``.
    average : bool, default=False
        The mean of each word's residuals rather than their sum: how many there are no longer counts.
    power : float, default=1.0
        Each number keeps its sign, and its size is raised to this power: 0.5 is the signed square root, 1 changes nothing.
    intra_norm : bool, default=True
        Bring each word's residuals to unit length, so that a word with many like descriptors does not drown the others.
    norm : {"l2"} or None, default="l2"
        "l2" brings the whole code to unit length, after all else.
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
    Steps follow one another in the order of the parameters: mean, power, each word, whole code. The default is [2]_'s
    intra-normalisation. [1]_ as refined by its authors is ``power=0.5, intra_norm=False``; VLFeat's default, the plain sums at
    unit length, is ``intra_norm=False``. Residuals that cancel but for rounding count as zero, so that intra-normalisation does
    not blow the rounding up.

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

    def _width(self) -> int:
        n_words, length = self._words().shape
        return n_words * length

    def _pooled_width(self) -> int:
        n_words, length = self._words().shape
        return n_words * (length + 1) if self.average else n_words * length

    @staticmethod
    def _most_pooled(n_words: int, length: int) -> int:
        return n_words * (length + 1)
