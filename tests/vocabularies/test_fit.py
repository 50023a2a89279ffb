"""Possible values of the `vocabulary` of encoders."""

import numpy as np
import pytest
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from featrec import Bag, Bags
from featrec.exceptions import InputError, MetricError
from featrec.vocabularies import BinaryVocabulary, KMeansVocabulary, fit_vocabulary, make_vocabulary


@pytest.fixture
def bags(rng):
    return Bags([Bag(np.empty((0, 4))), *(Bag(rng.random((150, 4))) for _ in range(5))])


@pytest.fixture
def packed(rng):
    empty = Bag(np.empty((0, 0)))
    return Bags([empty, *(Bag(rng.integers(0, 256, (60, 8), np.uint8), metric="hamming") for _ in range(3))])


def test_a_number_means_a_vocabulary_for_the_metric(bags, packed):
    assert isinstance(fit_vocabulary(3, bags), KMeansVocabulary)
    assert isinstance(fit_vocabulary(np.int64(3), packed), BinaryVocabulary)
    kmeans = KMeans(3)
    assert make_vocabulary(kmeans, "euclidean") is kmeans


def test_a_number_is_the_vocabulary_with_the_same_parameters(bags):
    given = fit_vocabulary(7, bags, max_descriptors=300, random_state=5)
    by_hand = KMeansVocabulary(7, max_descriptors=300, random_state=5).fit(bags)
    np.testing.assert_array_equal(given.words_, by_hand.words_)


def test_a_vocabulary_of_featrec_draws_its_own_sample(bags):
    vocabulary = KMeansVocabulary(4, max_descriptors=200, random_state=0)
    fitted = fit_vocabulary(vocabulary, bags, max_descriptors=10, random_state=9)
    assert not hasattr(vocabulary, "words_")
    np.testing.assert_array_equal(fitted.words_, vocabulary.fit(bags).words_)


@pytest.mark.parametrize("kind", [KMeans, MiniBatchKMeans])
def test_a_vocabulary_of_scikit_learn_is_fitted_on_a_sample(bags, kind):
    vocabulary = kind(4, n_init=1, random_state=0)
    fitted = fit_vocabulary(vocabulary, bags, max_descriptors=100, random_state=0)
    assert len(fitted.labels_) == 100
    assert fitted.cluster_centers_.dtype == np.float32
    assert not hasattr(vocabulary, "labels_")


def test_a_frozen_vocabulary_is_not_fitted(bags):
    frozen = FrozenEstimator(KMeans(4, n_init=1).fit(np.random.default_rng(0).random((20, 4))))
    assert fit_vocabulary(frozen, bags) is frozen
    with pytest.raises(NotFittedError, match="not fitted"):
        fit_vocabulary(FrozenEstimator(KMeans(4)), bags)


def test_errors_give_advice(bags, packed):
    with pytest.raises(MetricError, match=r"KMeans would treat packed bits.*BinaryVocabulary"):
        fit_vocabulary(KMeans(3), packed)
    with pytest.raises(InputError, match=r"800 words cannot be learned from 750 descriptors.*n_clusters"):
        fit_vocabulary(KMeans(800), bags)
    with pytest.raises(InputError, match="800 words cannot be learned from 750 descriptors"):
        fit_vocabulary(800, bags)
    for vocabulary in (3, KMeans(3), KMeansVocabulary(3)):
        with pytest.raises(InputError, match=r"all bags are empty; none of the 1 images"):
            fit_vocabulary(vocabulary, bags[:1])
