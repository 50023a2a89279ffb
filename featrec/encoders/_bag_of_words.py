"""BagOfWords: how often each visual word occurs."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.base import StrOptions
from featrec.encoders._base import Encoder
from featrec.vocabularies import nearest_word, words_of

__all__ = ["BagOfWords"]


class BagOfWords(Encoder):
    """Count how often each word of a vocabulary occurs in an image.

    Every descriptor votes for its nearest word; the votes, normalised, are the code.

    Parameters
    ----------
    vocabulary : int or vocabulary estimator, default=500
        How many words to learn, of the kind that the descriptors' metric asks for; or a vocabulary, ours or
        scikit-learn's ``KMeans`` or ``MiniBatchKMeans``; or a fitted one inside ``FrozenEstimator``.
    norm : {"l1", "l2", "hellinger"} or None, default="l1"
        "l1" gives shares, "l2" unit length, "hellinger" the square root of the shares (so that a linear classifier
        compares with the Hellinger kernel), None counts.
    use_idf : bool, default=False
        Give rare words more weight, those in every image least.
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
    idf_ : array of shape (n_words,)
        The words' weights, with ``use_idf=True``.

    Notes
    -----
    The weight of a word found in d of n images is ``1 + log((1 + n) / (1 + d))``, scikit-learn's smoothed form. Sivic and
    Zisserman's ``log(n / d)`` is zero for a word found everywhere, which with dense descriptors can be every word.

    References
    ----------
    .. [1] G. Csurka, C. Dance, L. Fan, J. Willamowski, C. Bray. Visual categorization with bags of keypoints. ECCV
       workshop on statistical learning in computer vision, 2004.
    .. [2] J. Sivic, A. Zisserman. Video Google: a text retrieval approach to object matching in videos. ICCV 2003.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import DenseSIFT
    >>> from featrec.encoders import BagOfWords
    >>> train, test = load_dataset("textures")
    >>> bags = DenseSIFT(step=8, bin_sizes=4).transform(train[::8])
    >>> codes = BagOfWords(20, random_state=0).fit_transform(bags)
    >>> codes.shape == (len(bags), 20), float(codes[0].sum())
    (True, 1.0)
    """

    _parameter_constraints = {
        **Encoder._parameter_constraints,
        "norm": [StrOptions({"l1", "l2", "hellinger"}), None],
        "use_idf": ["boolean"],
    }

    def __init__(
        self,
        vocabulary: Any = 500,
        *,
        norm: str | None = "l1",
        use_idf: bool = False,
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.vocabulary = vocabulary
        self.norm = norm
        self.use_idf = use_idf
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _pool(self, descriptors: np.ndarray, cells: np.ndarray, n_cells: int) -> np.ndarray:
        words, metric = words_of(self.vocabulary_)
        slots = cells * len(words) + nearest_word(descriptors, words, metric)
        return np.bincount(slots, minlength=n_cells * len(words)).reshape(n_cells, len(words)).astype(np.float32)

    def _finish(self, pooled: np.ndarray, counts: np.ndarray) -> np.ndarray:
        weighted = pooled * self.idf_ if self.use_idf else pooled.copy()
        if self.norm is None:
            return weighted
        length = np.linalg.norm(weighted, axis=1) if self.norm == "l2" else weighted.sum(axis=1)
        weighted /= np.where(length > 0, length, 1)[:, None]
        return np.sqrt(weighted) if self.norm == "hellinger" else weighted

    def _width(self) -> int:
        return len(words_of(self.vocabulary_)[0])

    @staticmethod
    def _most_pooled(n_words: int, length: int) -> int:
        return n_words

    def _descriptor_kind(self) -> tuple[int, str]:
        words, metric = words_of(self.vocabulary_)
        return words.shape[1], metric

    def _needs_every_image(self) -> bool:
        return self.use_idf

    def _tally(self, pooled: np.ndarray) -> np.ndarray:
        return (pooled.sum(axis=0) > 0).astype(np.int64)

    def _settle(self, tally: np.ndarray, n_images: int) -> None:
        self.idf_ = (1 + np.log((1 + n_images) / (1 + tally))).astype(np.float32)
