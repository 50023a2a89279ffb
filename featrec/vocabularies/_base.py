"""Base class of all vocabularies, and the search for the nearest words."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from featrec.bag import Bag
from featrec.base import JOBS, RANDOM_STATE, VERBOSE, Estimator, check_bags, positive_integer, refuse_empty, sample_descriptors
from featrec.compiled._dot_products import LARGEST_WIDTH, WORDS_AT_ONCE, has_float_dot, has_integer_dot, nearest_by_dot
from featrec.compiled._hamming import nearest_hamming, nearest_of_256_bits
from featrec.compiled._kmeans import nearest_euclidean
from featrec.exceptions import InputError, MetricError
from featrec.lazy import Bags, Images
from featrec.model_files import Stored, check_stored_array
from featrec.parallel import one_inner_thread

# The Hamming search compares four blocks of 64 bits at once.
BLOCK_BYTES = 32


def words_of(vocabulary: Any) -> tuple[np.ndarray, str]:
    """Return the words of a fitted vocabulary, and their metric.

    Parameters
    ----------
    vocabulary : estimator
        A featrec vocabulary, or an estimator with ``cluster_centers_`` (KMeans, MiniBatchKMeans, BisectingKMeans). It may be
        inside FrozenEstimator.

    Returns
    -------
    words : array of shape (n_words, d)
        uint8 for packed bits and for rounded means of uint8 descriptors, otherwise float32.
    metric : {"euclidean", "hamming"}

    Raises
    ------
    InputError
        If the estimator has no words.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    """
    if isinstance(vocabulary, FrozenEstimator):
        vocabulary = vocabulary.estimator
    if hasattr(vocabulary, "words_"):
        return vocabulary.words_, vocabulary.metric
    if hasattr(vocabulary, "cluster_centers_"):
        return np.ascontiguousarray(vocabulary.cluster_centers_, dtype=np.float32), "euclidean"
    check_is_fitted(vocabulary)
    raise InputError(
        f"{type(vocabulary).__name__} has no words: neither words_ nor cluster_centers_ after fit. "
        "Use KMeansVocabulary, BinaryVocabulary, or scikit-learn's KMeans or MiniBatchKMeans."
    )


def nearest_word(descriptors: Any, words: np.ndarray, metric: str) -> np.ndarray:
    """Return the index of the nearest word of each descriptor. If several words are equally near, the first is used.

    Parameters
    ----------
    descriptors : array of shape (n, d)
    words : array of shape (n_words, d)
    metric : {"euclidean", "hamming"}

    Returns
    -------
    words : array of shape (n,), int32

    Raises
    ------
    InputError
        If the widths differ, or packed bits are not uint8.

    Notes
    -----
    The search uses one thread, because encoders process several images in parallel.

    If descriptors and words are bytes and the processor can multiply bytes (VNNI), distances are computed as integers.
    Otherwise they are computed in float32. For bytes, both methods find the same words in up to 258 dimensions, and in more
    dimensions if squared lengths are below 2²⁴, as for SIFT.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.vocabularies import nearest_word
    >>> nearest_word([[0.9, 0.0], [0.1, 0.2]], np.eye(2, dtype=np.float32), "euclidean")
    array([0, 1], dtype=int32)
    """
    descriptors = np.asarray(descriptors)
    if descriptors.ndim != 2 or descriptors.shape[1] != words.shape[1]:
        raise InputError(
            f"descriptors must have shape (n, {words.shape[1]}), like the words; got {descriptors.shape}. "
            "Use the extractor and the parameters that the vocabulary was fitted with."
        )
    nearest = np.empty(len(descriptors), np.int32)
    if metric == "hamming":
        nearest_bits(packed_blocks(descriptors), packed_blocks(words), nearest, np.empty_like(nearest))
        return nearest
    if _are_bytes(descriptors, words) and has_integer_dot():
        nearest_by_dot(*integer_groups(descriptors, words), nearest, np.empty_like(nearest))
        return nearest
    points = np.ascontiguousarray(descriptors, dtype=np.float32)
    words = np.ascontiguousarray(words, dtype=np.float32)
    if has_float_dot():
        nearest_by_dot(*float_groups(points, words), nearest, np.empty(len(points), np.float32))
        return nearest
    with one_inner_thread():
        nearest_euclidean(points, words, half_norms(words), nearest, np.empty(len(points), np.float32))
    return nearest


def nearest_bits(blocks: np.ndarray, words: np.ndarray, nearest: np.ndarray, distances: np.ndarray) -> None:
    """Write the nearest word of each row, and the number of different bits. Rows consist of blocks of 64 bits."""
    loop = nearest_of_256_bits if 8 * blocks.shape[1] == BLOCK_BYTES else nearest_hamming
    loop(blocks, words, nearest, distances)


def _are_bytes(descriptors: np.ndarray, words: np.ndarray) -> bool:
    return descriptors.dtype == words.dtype == np.uint8 and 0 < words.shape[1] <= LARGEST_WIDTH


def integer_groups(descriptors: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.int32]:
    """Return descriptors and words (minus 128) in groups of four bytes, squared lengths of words, and the largest integer."""
    points, filled = _filled(descriptors, 4), whole_sixes(_filled(words, 4))
    norms = np.einsum("ij,ij->i", filled, filled, dtype=np.int32)
    return points.view(np.uint32), (filled ^ 128).view(np.int32), norms, np.int32(np.iinfo(np.int32).max)


def float_groups(points: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.float32]:
    """Return points and words as float32, half the squared lengths of the words, and infinity."""
    filled = whole_sixes(words)
    return points, filled, half_norms(filled), np.float32(np.inf)


def whole_sixes(words: np.ndarray) -> np.ndarray:
    """Repeat the last word until the number of words is a multiple of six. `nearest` returns the first of equal words."""
    missing = -len(words) % WORDS_AT_ONCE
    return np.concatenate([words, np.repeat(words[-1:], missing, axis=0)]) if missing else words


def _filled(rows: np.ndarray, multiple: int) -> np.ndarray:
    """Return contiguous rows of bytes, padded with zeros to a width that is a multiple of `multiple`."""
    n, width = rows.shape
    if width % multiple == 0:
        return np.ascontiguousarray(rows)
    filled = np.zeros((n, -(-width // multiple) * multiple), np.uint8)
    filled[:, :width] = rows
    return filled


def half_norms(rows: np.ndarray) -> np.ndarray:
    """Return half the squared length of each row as float32."""
    return (0.5 * np.einsum("ij,ij->i", rows, rows, dtype=np.float64)).astype(np.float32)


def packed_blocks(packed: np.ndarray) -> np.ndarray:
    """Return packed bits as rows of uint64, padded with zeros."""
    if packed.dtype != np.uint8:
        raise MetricError(f"packed bits must be uint8; got {packed.dtype}. Use np.packbits(bits, axis=1).")
    return _filled(packed, BLOCK_BYTES).view(np.uint64)


OTHER = {"euclidean": "BinaryVocabulary", "hamming": "KMeansVocabulary"}
HOLDS = {"euclidean": "numbers", "hamming": "packed bits"}


class Vocabulary(Estimator):
    """Base class of all vocabularies, and the search for the nearest words.

    A subclass sets ``metric`` and implements ``_learn(descriptors, random)`` and ``_check_array(X)``. Its first parameter is
    the number of words; ``size_parameter`` is the name of this parameter.
    """

    metric: ClassVar[str]
    word_types: ClassVar[tuple[type, ...]] = (np.float32, np.uint8)
    size_parameter: ClassVar[str] = "n_words"
    _parameter_constraints = {
        "n_words": [positive_integer()],
        "max_iter": [positive_integer()],
        "max_descriptors": [positive_integer()],
        **RANDOM_STATE,
        **JOBS,
        **VERBOSE,
    }

    n_words: int
    max_descriptors: int
    random_state: Any
    n_jobs: int | None
    verbose: int
    words_: np.ndarray

    @classmethod
    def _check_stored_arrays(cls, stored: Stored) -> None:
        """Check the shape and type of the words, because compiled loops do not."""
        if "words_" in stored:
            check_stored_array("words", stored["words_"], (None, stored["n_features_in_"]), *cls.word_types)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the words.

        Parameters
        ----------
        X : Bags, list of Bag, or array of shape (n, d)
            From Bags, at most `max_descriptors` descriptors are drawn. All rows of an array are used.
        y : ignored

        Returns
        -------
        self
        """
        self._check_parameters()
        random = check_random_state(self.random_state)
        if not _holds_bags(X):
            return self._fit_descriptors(self._check_array(X), random)
        bags = check_bags(X, stage=f"{type(self).__name__}.fit")
        sample = sample_descriptors(bags, self.max_descriptors, random, n_jobs=self.n_jobs, verbose=self.verbose)
        return self._fit_sample(sample, bags, random)

    def nearest(self, descriptors: Any) -> np.ndarray:
        """Find the nearest word of each descriptor.

        Parameters
        ----------
        descriptors : array of shape (n, d), or Bag

        Returns
        -------
        words : array of shape (n,), int32
            Indices of rows of ``words_``. If several words are equally near, the first is used.
        """
        return nearest_word(self._to_compare(descriptors), self.words_, self.metric)

    def _to_compare(self, descriptors: Any) -> Any:
        """Return the descriptors passed to `nearest` as an array or a Bag. Raise an error if the vocabulary is not fitted."""
        check_is_fitted(self)
        if not isinstance(descriptors, Bag):
            return descriptors
        self._check_metric(descriptors)
        return descriptors.descriptors

    def _fit_sample(self, sample: Bag, bags: Bags, random: np.random.RandomState) -> Self:
        """Learn from a sample of the Bags. `random` is the generator that drew the sample."""
        refuse_empty(sample, bags, f"{type(self).__name__}.fit")
        self._check_metric(sample)
        return self._fit_descriptors(sample.descriptors, random)

    def _fit_descriptors(self, descriptors: np.ndarray, random: np.random.RandomState) -> Self:
        self._check_enough(len(descriptors))
        self.n_features_in_ = descriptors.shape[1]
        self._learn(descriptors, random)
        return self

    def _check_metric(self, bag: Bag) -> None:
        if bag.metric != self.metric:
            raise MetricError(
                f"{type(self).__name__} needs {HOLDS[self.metric]} ({self.metric}); got {HOLDS[bag.metric]} ({bag.metric}). "
                f"Use {OTHER[self.metric]}, or pass the number of words to the encoder as an integer; the encoder then "
                "chooses the vocabulary."
            )

    def _check_enough(self, n: int) -> None:
        name = self.size_parameter
        wanted = getattr(self, name)
        if n < wanted:
            raise InputError(
                f"{type(self).__name__}: {wanted} {name.removeprefix('n_')} cannot be learned from {n} descriptors "
                f"(n_samples={n}). Lower {name}, raise max_descriptors, or use more images."
            )

    def _check_array(self, X: Any) -> np.ndarray:
        raise NotImplementedError

    def _learn(self, descriptors: np.ndarray, random: np.random.RandomState) -> None:
        raise NotImplementedError


def _holds_bags(X: Any) -> bool:
    """Return whether `X` must be checked as Bags.

    This is also true for images and lists of arrays, because check_bags raises a helpful error for them.
    """
    if isinstance(X, (Bags, Bag, Images)):
        return True
    if isinstance(X, np.ndarray) and X.dtype != object:
        return False
    if not isinstance(X, (list, tuple, np.ndarray)):
        return False
    first = X[0] if len(X) else Bag(np.empty((0, 0)))
    return isinstance(first, Bag) or (isinstance(first, np.ndarray) and first.ndim > 1)
