"""A number of words, or any vocabulary, to a fitted one: what the encoders' `vocabulary` parameter means."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from types import MappingProxyType
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from featrec.base import refuse_empty, sample_descriptors
from featrec.exceptions import InputError, MetricError
from featrec.lazy import Bags
from featrec.vocabularies._base import Vocabulary
from featrec.vocabularies._binary import BinaryVocabulary
from featrec.vocabularies._kmeans import KMeansVocabulary

# What a number of words means, by the metric of the descriptors.
USUAL: Mapping[str, type[Vocabulary]] = MappingProxyType({"euclidean": KMeansVocabulary, "hamming": BinaryVocabulary})


def make_vocabulary(
    vocabulary: Any,
    metric: str,
    *,
    usual: Mapping[str, type[Vocabulary]] = USUAL,
    max_descriptors: int = 100_000,
    random_state: Any = None,
    n_jobs: int | None = None,
) -> Any:
    """A number of words as an unfitted vocabulary of the kind that the metric asks for; an estimator as it is."""
    if not isinstance(vocabulary, Integral):
        return vocabulary
    if metric not in usual:
        raise MetricError(
            f"{metric} descriptors (packed bits) have no mean and no variance, which this encoder needs; "
            "BagOfWords takes them, and SIFT or DenseSIFT gives numbers."
        )
    # A vocabulary's first parameter is how many words it learns, whatever its name.
    return usual[metric](int(vocabulary), max_descriptors=max_descriptors, random_state=random_state, n_jobs=n_jobs)


def fit_vocabulary(
    vocabulary: Any,
    bags: Bags,
    *,
    usual: Mapping[str, type[Vocabulary]] = USUAL,
    max_descriptors: int = 100_000,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Any:
    """Learn a vocabulary from bags; the one that is given stays as it is.

    Parameters
    ----------
    vocabulary : int or estimator
        A number of words; one of our vocabularies, which draws its own sample; any other estimator, such as
        scikit-learn's KMeans, which is fitted on an array of descriptors, float32; or a FrozenEstimator, used as it is.
    bags : Bags
    usual : mapping of metric to class
        What a number of words means.
    max_descriptors : int, default=100_000
        The size of the sample, unless the vocabulary draws its own.
    random_state : int, RandomState or None, default=None
        For the sample, and for the words where `vocabulary` is an int.
    n_jobs, verbose : int
        For reading the sample, and for learning where `vocabulary` is an int.

    Returns
    -------
    vocabulary : fitted estimator
    """
    if isinstance(vocabulary, FrozenEstimator):
        check_is_fitted(vocabulary.estimator)
        return vocabulary
    if isinstance(vocabulary, Vocabulary):
        return clone(vocabulary).fit(bags, None)
    random = check_random_state(random_state)
    sample = sample_descriptors(bags, max_descriptors, random, n_jobs=n_jobs, verbose=verbose)
    if isinstance(vocabulary, Integral):
        # The kind follows the sample, and learns from the same: no image is read twice to find out.
        made = make_vocabulary(
            vocabulary,
            sample.metric,
            usual=usual,
            max_descriptors=max_descriptors,
            random_state=random_state,
            n_jobs=n_jobs,
        )
        return made._fit_sample(sample, bags, random)
    name = type(vocabulary).__name__
    refuse_empty(sample, bags, f"{name}.fit")
    if sample.metric == "hamming":
        raise MetricError(
            f"{name} would take packed bits (hamming) for numbers. Use BinaryVocabulary, or give the number of words."
        )
    _check_enough(vocabulary, len(sample.descriptors))
    return clone(vocabulary).fit(sample.descriptors.astype(np.float32, copy=False))


def _check_enough(vocabulary: Any, n: int) -> None:
    for name in ("n_clusters", "n_components"):
        wanted = vocabulary.get_params().get(name)
        if isinstance(wanted, Integral) and n < int(wanted):
            raise InputError(
                f"{type(vocabulary).__name__}: {wanted} words cannot be learned from {n} descriptors. "
                f"Lower {name}, raise max_descriptors, or give more images."
            )
