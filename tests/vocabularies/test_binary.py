"""BinaryVocabulary: its loops against plain loops, its rounds against a plain k-majority."""

import itertools

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from featrec import Bag
from featrec.compiled import _hamming
from featrec.exceptions import InputError, MetricError
from featrec.vocabularies import BinaryVocabulary
from featrec.vocabularies._base import packed_blocks
from featrec.vocabularies._binary import _Majority
from featrec.vocabularies._kmeans import seeding_draws
from tests.naive import hamming as naive


def packed_clusters(rng, n, n_bytes, k, flips=0.08):
    bits = rng.integers(0, 2, (k, 8 * n_bytes))[rng.integers(k, size=n)] ^ (rng.random((n, 8 * n_bytes)) < flips)
    return np.packbits(bits.astype(np.uint8), axis=1)


@pytest.mark.parametrize("n, k, n_bytes", [(1, 1, 1), (40, 5, 4), (30, 3, 61)])
def test_compiled_votes_agree_with_plain_loops(rng, n, k, n_bytes):
    bits, nearest = rng.integers(0, 2, (n, 8 * n_bytes), np.uint8), rng.integers(0, k, n, np.int32)
    found, expected = ((np.empty((k, 8 * n_bytes), np.int32), np.empty(k, np.int64)) for _ in range(2))
    _hamming.majority_votes(bits, nearest, *found)
    naive.majority_votes(bits, nearest, *expected)
    for ours, plain in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, plain)


@pytest.mark.parametrize("n, k", [(1, 1), (20, 1), (40, 7)])
def test_the_compiled_start_agrees_with_plain_loops(rng, n, k):
    packed = rng.integers(0, 256, (n, 9), np.uint8)
    first, draws = seeding_draws(n, k, np.random.RandomState(0))
    found, expected = np.empty((2, k), np.int64)
    _hamming.seed_hamming(packed_blocks(packed), first, draws, found)
    naive.seed_hamming(packed, first, draws, expected)
    np.testing.assert_array_equal(found, expected)


def test_words_become_the_majority_of_each_bit_and_ties_keep_it(rng):
    packed = packed_clusters(rng, 60, 4, 3)
    words = packed[:3]
    moved = _Majority(packed, None).round(words)
    bits, old = np.unpackbits(packed, axis=1), np.unpackbits(words, axis=1)
    nearest = [int(np.argmin([naive.distance(x, w) for w in words])) for x in packed]
    for word in range(3):
        mean = bits[np.array(nearest) == word].mean(axis=0)
        expected = np.where(mean == 0.5, old[word], mean > 0.5)
        np.testing.assert_array_equal(np.unpackbits(moved[word]), expected)


def test_a_tie_of_two_descriptors_keeps_the_bit():
    packed = np.array([[0b1100], [0b1010]], np.uint8)
    assert _Majority(packed, None).round(np.array([[0b0110]], np.uint8)).tolist() == [[0b1110]]


def test_the_inertia_never_increases(rng):
    packed = packed_clusters(rng, 800, 8, 30, flips=0.2)
    inertia = [BinaryVocabulary(12, max_iter=rounds, random_state=0).fit(packed).inertia_ for rounds in range(1, 9)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(inertia))
    assert inertia[-1] < inertia[0]


def test_clear_clusters_are_found(rng):
    centers = packed_clusters(rng, 6, 32, 6, flips=0.0)
    centers = np.unique(centers, axis=0)
    packed = np.packbits(
        np.unpackbits(np.repeat(centers, 60, axis=0), axis=1) ^ (rng.random((60 * len(centers), 256)) < 0.1), axis=1
    )
    vocabulary = BinaryVocabulary(len(centers), random_state=0).fit(packed)
    assert np.unique(vocabulary.words_, axis=0).tolist() == centers.tolist()
    assert vocabulary.words_.dtype == np.uint8


def test_inertia_is_that_of_the_nearest_words(rng):
    packed = packed_clusters(rng, 300, 61, 10)
    for max_iter in (1, 50):
        vocabulary = BinaryVocabulary(7, max_iter=max_iter, random_state=0).fit([Bag(packed, metric="hamming")])
        nearest = vocabulary.nearest(packed)
        assert vocabulary.inertia_ == sum(naive.distance(x, vocabulary.words_[w]) for x, w in zip(packed, nearest, strict=True))
        assert vocabulary.n_features_in_ == 61


def test_a_word_without_members_moves_to_the_farthest_point():
    packed = np.array([[0b0], [0b1], [0b10], [0b11111111]], np.uint8)
    moved = _Majority(packed, None).round(np.array([[0b0], [0b0]], np.uint8))
    assert moved.tolist() == [[0b0], [0b11111111]]


def test_fewer_distinct_descriptors_than_words_warn():
    with pytest.warns(ConvergenceWarning, match="1 of 3 words have no member"):
        BinaryVocabulary(3, random_state=0).fit(np.repeat(np.array([[3], [200]], np.uint8), 5, axis=0))


def test_errors_give_advice(rng):
    packed = rng.integers(0, 256, (4, 8), np.uint8)
    with pytest.raises(MetricError, match=r"uint8; got float64.*packbits"):
        BinaryVocabulary(2).fit(packed.astype(float))
    with pytest.raises(InputError, match=r"shape \(n, n_bytes\); got shape \(8,\)"):
        BinaryVocabulary(2).fit(packed[0])
