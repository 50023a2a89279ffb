"""SoftBagOfWords against plain loops and scikit-learn's distances."""

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances

from featrec import Bag
from featrec.compiled._dense_codes import soft_words
from featrec.compiled._near_words import soft_neighbors
from featrec.encoders import BagOfWords, SoftBagOfWords
from tests.encoders.some_bags import bag, vocabulary_of
from tests.naive import codes as naive


def votes(points, words, sigma, n_neighbors):
    """Return the share of its vote that each descriptor gives to each word."""
    z = pairwise_distances(points.astype(np.float64), words.astype(np.float64))
    far = np.sort(z, axis=1)[:, n_neighbors - 1 : n_neighbors]
    weights = np.exp((z.min(axis=1, keepdims=True) ** 2 - z**2) / (2 * sigma**2)) * (z <= far)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
@pytest.mark.parametrize("n_neighbors", [1, 2, 4, None])
@pytest.mark.parametrize("n, k, d, n_cells", [(1, 4, 1, 1), (2, 5, 5, 1), (40, 7, 6, 3), (35, 4, 3, 35)])
def test_the_compiled_loops_agree_with_plain_loops(rng, n, k, d, n_cells, n_neighbors, kind):
    points, words = (rng.uniform(0, 25, (rows, d)).astype(kind) for rows in (n, k))
    cells, words = rng.integers(n_cells, size=n), words.astype(np.float32)
    found, expected = np.empty((2, n_cells, k), np.float32)
    if n_neighbors is None:
        soft_words(points, words, cells, np.float32(0.03), found)
        naive.soft_words(points, words, cells, 0.03, expected)
    else:
        soft_neighbors(points, words, cells, n_neighbors, np.float32(0.03), found)
        naive.soft_neighbors(points, words, cells, n_neighbors, 0.03, expected)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("n, k", [(191, 9), (193, 9), (700, 450)])
@pytest.mark.parametrize("n_neighbors", [3, None])
@pytest.mark.parametrize("smoothing", [0.05, 0.5, 20.0])
def test_the_code_is_that_of_the_paper(rng, n, k, n_neighbors, smoothing):
    one = bag(rng, n)
    words = rng.normal(size=(k, 6)).astype(np.float32)
    encoder = SoftBagOfWords(vocabulary_of(words), smoothing=smoothing, n_neighbors=n_neighbors, norm=None).fit([one])
    between = pairwise_distances(words) + np.diag(np.full(k, np.inf))
    assert encoder.sigma_ == pytest.approx(smoothing * between.min(axis=1).mean(), rel=1e-5)
    expected = votes(one.descriptors, words, encoder.sigma_, n_neighbors or k).sum(axis=0)
    np.testing.assert_allclose(encoder.transform([one])[0], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("norm", ["l1", "l2", "hellinger", None])
def test_norms_are_those_of_the_bag_of_words(rng, norm):
    bags = [bag(rng, 60), bag(rng, 30)]
    soft = SoftBagOfWords(7, smoothing=1e-3, norm=norm, random_state=0).fit_transform(bags)
    np.testing.assert_allclose(soft, BagOfWords(7, norm=norm, random_state=0).fit_transform(bags), atol=1e-5)


@pytest.mark.parametrize("n_neighbors", [2, None])
def test_a_descriptor_between_two_words_votes_for_both(n_neighbors):
    words = vocabulary_of([[0.0], [2.0], [100.0]])
    code = SoftBagOfWords(words, n_neighbors=n_neighbors).fit_transform([Bag([[1.0]])])
    np.testing.assert_allclose(code, [[0.5, 0.5, 0.0]], atol=1e-6)


def test_one_word_has_every_vote(rng):
    np.testing.assert_allclose(SoftBagOfWords(1, norm=None).fit_transform([bag(rng, 3)]), [[3.0]], rtol=1e-6)


@pytest.mark.parametrize("n_neighbors", [2, None])
def test_equal_words_share_the_votes(n_neighbors):
    words = vocabulary_of(np.ones((4, 3)))
    code = SoftBagOfWords(words, n_neighbors=n_neighbors).fit_transform([Bag(np.zeros((2, 3)))])[0]
    used = n_neighbors or 4
    np.testing.assert_allclose(np.sort(code), [0] * (4 - used) + [1 / used] * used, atol=1e-6)
