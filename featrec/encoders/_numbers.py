"""What encoders share whose words are points in space: packed bits have no differences to measure."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from sklearn.frozen import FrozenEstimator

from featrec.base import StrOptions
from featrec.encoders._base import Encoder
from featrec.exceptions import MetricError
from featrec.lazy import Bags
from featrec.vocabularies import KMeansVocabulary, RandomVocabulary, words_of

__all__ = ["EncoderBothWays", "EncoderOfNumbers", "EncoderOfSums", "scaled", "unit_length"]


class EncoderOfNumbers(Encoder):
    """Base of the encoders with one column a word, or several, whose vocabulary is of numbers (euclidean)."""

    usual_vocabularies = MappingProxyType({"euclidean": KMeansVocabulary})

    def _learn_from(self, bags: Bags) -> None:
        inner = self.vocabulary.estimator if isinstance(self.vocabulary, FrozenEstimator) else self.vocabulary
        if getattr(inner, "metric", "euclidean") == "hamming":
            raise MetricError(
                f"{type(self).__name__} measures differences of numbers (euclidean); got {type(inner).__name__}, whose words "
                "are packed bits (hamming). BagOfWords takes those; KMeansVocabulary learns numbers."
            )
        super()._learn_from(bags)
        words_of(self.vocabulary_)

    def _words(self) -> np.ndarray:
        return np.ascontiguousarray(words_of(self.vocabulary_)[0], dtype=np.float32)

    def _width(self) -> int:
        return len(words_of(self.vocabulary_)[0])

    @staticmethod
    def _most_pooled(n_words: int, length: int) -> int:
        return n_words

    def _descriptor_kind(self) -> tuple[int, str]:
        words, metric = words_of(self.vocabulary_)
        return words.shape[1], metric


class EncoderOfSums(EncoderOfNumbers):
    """Base of the encoders whose columns are sums of what each descriptor gives, never less than 0."""

    _parameter_constraints = {
        **EncoderOfNumbers._parameter_constraints,
        "norm": [StrOptions({"mean", "l2", "hellinger"}), None],
    }
    norm: str | None

    def _finish(self, pooled: np.ndarray, counts: np.ndarray) -> np.ndarray:
        if self.norm == "mean":
            return pooled / np.maximum(counts, 1).astype(np.float32)[:, None]
        return scaled(pooled, self.norm)


class EncoderBothWays(EncoderOfSums):
    """Base of those with two columns a word, for it and for its opposite; a number of words draws them at random."""

    usual_vocabularies = MappingProxyType({"euclidean": RandomVocabulary})

    @staticmethod
    def _most_pooled(n_words: int, length: int) -> int:
        return 2 * n_words

    def _width(self) -> int:
        return 2 * super()._width()


def scaled(sums: np.ndarray, norm: str | None) -> np.ndarray:
    """Rows of unit length ("l2"), the square roots of their shares ("hellinger"), or a copy (None)."""
    if norm == "l2":
        return unit_length(sums)
    # The square roots of the shares have unit length.
    return unit_length(np.sqrt(sums)) if norm == "hellinger" else sums.copy()


def unit_length(rows: np.ndarray) -> np.ndarray:
    """Divide by the Euclidean length along the last axis; zeros stay zeros."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, np.float32(1))
