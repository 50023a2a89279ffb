"""What encoders share whose words are points in space: packed bits have no differences to measure."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from sklearn.frozen import FrozenEstimator

from featrec.encoders._base import Encoder
from featrec.exceptions import MetricError
from featrec.lazy import Bags
from featrec.vocabularies import KMeansVocabulary, words_of

__all__ = ["EncoderOfNumbers", "unit_length"]


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

    def _descriptor_kind(self) -> tuple[int, str]:
        words, metric = words_of(self.vocabulary_)
        return words.shape[1], metric


def unit_length(rows: np.ndarray) -> np.ndarray:
    """Divide by the Euclidean length along the last axis; zeros stay zeros."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, np.float32(1))
