"""Fit the `vocabulary` parameter of encoders: an integer (the number of words) or any vocabulary."""

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

# For each metric, the class of vocabulary that is used if `vocabulary` is an integer.
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
    """Return an unfitted vocabulary for the metric if `vocabulary` is the number of words; return an estimator unchanged."""
    if not isinstance(vocabulary, Integral):
        return vocabulary
    if metric not in usual:
        raise MetricError(
            f"{metric} descriptors (packed bits) have no mean and no variance, but this encoder needs them; "
            "use BagOfWords, or numeric descriptors such as SIFT or DenseSIFT."
        )
    # The first parameter of each vocabulary is the number of words.
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
    """Learn a vocabulary from Bags. An estimator passed as `vocabulary` is not changed.

    Parameters
    ----------
    vocabulary : int or estimator
        One of: the number of words as an int; a featrec vocabulary, which draws its own sample; another estimator such as
        scikit-learn's KMeans, which is fitted on a float32 array of descriptors; a fitted vocabulary inside FrozenEstimator.
    bags : Bags
    usual : mapping of metric to class
        For each metric, the class of vocabulary that is used if `vocabulary` is an int.
    max_descriptors : int, default=100_000
        Size of the sample, unless the vocabulary draws its own sample.
    random_state : int, RandomState or None, default=None
        Seed of the sample and, if `vocabulary` is an int, of the words.
    n_jobs, verbose : int
        Used to read the sample and, if `vocabulary` is an int, to learn the words.

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
        # The vocabulary is fitted on the same sample that determines the metric (and so the class of vocabulary), so no image
        # is read twice.
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
            f"{name} would treat packed bits (hamming) as numbers. Use BinaryVocabulary, or pass the number of words as an "
            "integer."
        )
    _check_enough(vocabulary, len(sample.descriptors))
    return clone(vocabulary).fit(sample.descriptors.astype(np.float32, copy=False))


def _check_enough(vocabulary: Any, n: int) -> None:
    for name in ("n_clusters", "n_components"):
        wanted = vocabulary.get_params().get(name)
        if isinstance(wanted, Integral) and n < int(wanted):
            raise InputError(
                f"{type(vocabulary).__name__}: {wanted} words cannot be learned from {n} descriptors. "
                f"Lower {name}, raise max_descriptors, or use more images."
            )
