"""BagOfWords, SoftBagOfWords and LLC: histograms and sparse codes of visual words."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.base import StrOptions, positive_integer, real_number
from featrec.compiled._dense_codes import soft_words
from featrec.compiled._near_words import llc, soft_neighbors
from featrec.encoders._base import Encoder, EncoderOfNumbers, scaled
from featrec.lazy import Bags
from featrec.model_files import SizeLimit, check_neighbors
from featrec.parallel import one_inner_thread
from featrec.shared_docs import with_shared_docs
from featrec.vocabularies import nearest_word, words_of

__all__ = ["LLC", "BagOfWords", "SoftBagOfWords"]


# Maximum of 1 / sigma². Nearly equal words could make the Gaussian so narrow that float32 overflows.
SHARPEST = 1e30


@with_shared_docs
class BagOfWords(Encoder):
    """Count how often each word of a vocabulary occurs in an image.

    The code is the normalised histogram of the nearest words of all descriptors.

    Parameters
    ----------
    vocabulary : int or vocabulary estimator, default=500
        Number of words to learn with :class:`KMeansVocabulary` or :class:`BinaryVocabulary`, depending on the metric of the
        descriptors. Alternatively, a featrec vocabulary, ``KMeans`` or ``MiniBatchKMeans``, or a fitted vocabulary inside
        ``FrozenEstimator``.
    norm : {"l1", "l2", "hellinger"} or None, default="l1"
        Normalisation of the code. "l1": divide the counts by their sum; "l2": unit length; "hellinger": square root of "l1" (a
        linear classifier then uses the Hellinger kernel); None: counts.
    use_idf : bool, default=False
        Whether to give more weight to words that occur in few images.

    Attributes
    ----------
    vocabulary_ : estimator
        The fitted vocabulary.
    idf_ : array of shape (n_words,)
        Weights of the words; only with ``use_idf=True``.

    Notes
    -----
    If a word occurs in d of n images, its weight is ``1 + log((1 + n) / (1 + d))``, the smoothed form that scikit-learn uses.
    The weight of Sivic and Zisserman, ``log(n / d)``, is zero if the word occurs in all images; with dense descriptors, this
    may be true for every word.

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

    def _share(self, descriptors: np.ndarray, cells: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return weights[cells, self._nearest(descriptors)]

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


@with_shared_docs
class SoftBagOfWords(EncoderOfNumbers):
    """Count words like :class:`BagOfWords`, but divide the vote of each descriptor among several nearby words.

    Packed bits (ORB) are not supported.

    Parameters
    ----------
    vocabulary : int or vocabulary estimator, default=500
        Number of words to learn by k-means. Alternatively, a featrec vocabulary, ``KMeans`` or ``MiniBatchKMeans``, or a
        fitted vocabulary inside ``FrozenEstimator``.
    smoothing : float, default=0.5
        Standard deviation of the Gaussian that weights words by their distance. The unit is the mean distance between a word
        and its nearest other word. For values near 0, the code equals that of ``BagOfWords``.
    n_neighbors : int or None, default=5
        Number of nearest words that share the vote of a descriptor; None means all.
    norm : {"l1", "l2", "hellinger"} or None, default="l1"
        Normalisation of the code. "l1": divide the sums of votes by their total; "l2": unit length; "hellinger": square root of
        "l1"; None: sums of votes.

    Attributes
    ----------
    vocabulary_ : estimator
        The fitted vocabulary.
    sigma_ : float
        Standard deviation of the Gaussian, in the same unit as the descriptors.

    Notes
    -----
    With ``n_neighbors=None``, the votes are the codeword uncertainty of [1]_: Gaussian weights divided by their sum, so each
    descriptor has one vote in total. If `n_neighbors` is a number, the votes are the localized soft assignment of [2]_, except
    that the paper pools votes by their maximum instead of their sum. Both papers choose the width of the Gaussian by
    validation. In contrast, `smoothing` does not depend on the scale of the descriptors.

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
    """Return the mean distance between a word and its nearest other word; 1 for a single word or equal words."""
    if len(words) == 1:
        return 1.0
    from sklearn.neighbors import NearestNeighbors  # imported here, because the import takes more than 0.1 s

    distances, _ = NearestNeighbors(n_neighbors=1).fit(words).kneighbors()
    return float(distances.mean()) or 1.0


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
