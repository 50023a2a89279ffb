"""Base class of all vocabularies."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from featrec.bag import Bag
from featrec.base import JOBS, RANDOM_STATE, VERBOSE, Estimator, check_bags, positive_integer, refuse_empty, sample_descriptors
from featrec.exceptions import InputError, MetricError
from featrec.lazy import Bags, Images
from featrec.model_files import Stored, check_stored_array
from featrec.vocabularies._words import nearest_word

OTHER = {"euclidean": "BinaryVocabulary", "hamming": "KMeansVocabulary"}
HOLDS = {"euclidean": "numbers", "hamming": "packed bits"}


class Vocabulary(Estimator):
    """Base class of all vocabularies.

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
