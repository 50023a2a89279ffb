"""The words of any vocabulary, ours or scikit-learn's, and which of them is nearest."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from featrec.compiled._dot_products import LARGEST_WIDTH, WORDS_AT_ONCE, has_float_dot, has_integer_dot, nearest_by_dot
from featrec.compiled._hamming import nearest_hamming, nearest_of_256_bits
from featrec.compiled._kmeans import nearest_euclidean
from featrec.exceptions import InputError, MetricError
from featrec.parallel import one_inner_thread

# The Hamming search takes four blocks of 64 bits at a time.
BLOCK_BYTES = 32


def words_of(vocabulary: Any) -> tuple[np.ndarray, str]:
    """The words of a fitted vocabulary and how they are compared.

    Parameters
    ----------
    vocabulary : estimator
        One of ours, or scikit-learn's with ``cluster_centers_`` (KMeans, MiniBatchKMeans, BisectingKMeans); also inside
        FrozenEstimator.

    Returns
    -------
    words : array of shape (n_words, d)
        float32; or uint8: packed bits, or the rounded means of descriptors that are bytes.
    metric : {"euclidean", "hamming"}

    Raises
    ------
    InputError
        Where it has no words.
    sklearn.exceptions.NotFittedError
        Where it has not been fitted.
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
        "KMeansVocabulary, BinaryVocabulary and scikit-learn's KMeans and MiniBatchKMeans have."
    )


def nearest_word(descriptors: Any, words: np.ndarray, metric: str) -> np.ndarray:
    """The index of each descriptor's nearest word; of equally near words the first.

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
        Where the widths differ, or packed bits are no uint8.

    Notes
    -----
    One thread, whatever BLAS is set to: images are what `n_jobs` spreads over threads.

    Where descriptors and words both are bytes and the processor multiplies bytes (VNNI), the distances are integers. Elsewhere
    they are float32, and the words found are the same: up to 258 dimensions always, and beyond wherever the squared lengths
    stay under 2²⁴, as those of any SIFT descriptor do.

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
            f"descriptors of shape (n, {words.shape[1]}) are expected, like the words; got {descriptors.shape}. "
            "Use the extractor, with the parameters, that the vocabulary was fitted on."
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
    """Fill in, for packed blocks of 64 bits, each one's nearest word and the number of bits that differ."""
    loop = nearest_of_256_bits if 8 * blocks.shape[1] == BLOCK_BYTES else nearest_hamming
    loop(blocks, words, nearest, distances)


def _are_bytes(descriptors: np.ndarray, words: np.ndarray) -> bool:
    return descriptors.dtype == words.dtype == np.uint8 and 0 < words.shape[1] <= LARGEST_WIDTH


def integer_groups(descriptors: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.int32]:
    """Descriptors and words as rows of four bytes, the words less 128, and the words' squared lengths."""
    points, filled = _filled(descriptors, 4), whole_sixes(_filled(words, 4))
    norms = np.einsum("ij,ij->i", filled, filled, dtype=np.int32)
    return points.view(np.uint32), (filled ^ 128).view(np.int32), norms, np.int32(np.iinfo(np.int32).max)


def float_groups(points: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.float32]:
    """The same of numbers."""
    filled = whole_sixes(words)
    return points, filled, half_norms(filled), np.float32(np.inf)


def whole_sixes(words: np.ndarray) -> np.ndarray:
    """The last word repeated to fill the last six; of equally near words the first wins, so that no copy is ever found."""
    missing = -len(words) % WORDS_AT_ONCE
    return np.concatenate([words, np.repeat(words[-1:], missing, axis=0)]) if missing else words


def _filled(rows: np.ndarray, multiple: int) -> np.ndarray:
    """Rows of bytes, contiguous, filled up with zeros to a multiple of so many."""
    n, width = rows.shape
    if width % multiple == 0:
        return np.ascontiguousarray(rows)
    filled = np.zeros((n, -(-width // multiple) * multiple), np.uint8)
    filled[:, :width] = rows
    return filled


def half_norms(rows: np.ndarray) -> np.ndarray:
    """Half the squared length of each row, float32."""
    return (0.5 * np.einsum("ij,ij->i", rows, rows, dtype=np.float64)).astype(np.float32)


def packed_blocks(packed: np.ndarray) -> np.ndarray:
    """Packed bits as rows of uint64, filled up with zeros, which differ from no zeros."""
    if packed.dtype != np.uint8:
        raise MetricError(f"packed bits are uint8; got {packed.dtype}. np.packbits(bits, axis=1) packs them.")
    return _filled(packed, BLOCK_BYTES).view(np.uint64)
