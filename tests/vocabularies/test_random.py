"""RandomVocabulary: words are descriptors, without zeros and copies."""

import numpy as np
import pytest

from featrec import Bag
from featrec.exceptions import InputError
from featrec.vocabularies import RandomVocabulary, words_of


def rows(array):
    return {tuple(row) for row in np.asarray(array).tolist()}


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
def test_words_are_descriptors(rng, kind):
    X = rng.integers(1, 256, (50, 6)).astype(kind)
    words = RandomVocabulary(20, unit_length=False, random_state=0).fit([Bag(X[:30]), Bag(X[30:])]).words_
    assert words.dtype == kind
    assert rows(words) <= rows(X)
    assert len(rows(words)) == 20


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.uint8])
def test_words_of_unit_length_are_descriptors_divided_by_their_length(rng, kind):
    X = rng.integers(1, 256, (40, 6)).astype(kind)
    words = RandomVocabulary(20, random_state=0).fit(X).words_
    assert words.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(words, axis=1), 1, rtol=1e-6)
    cosines = words @ (X / np.linalg.norm(X.astype(float), axis=1, keepdims=True)).T
    np.testing.assert_allclose(cosines.max(axis=1), 1, rtol=1e-6)
    assert len(set(cosines.argmax(axis=1))) == 20


def test_all_descriptors_are_equally_likely(rng):
    X = rng.normal(size=(10, 3)).astype(np.float32)
    drawn = np.zeros(10)
    for seed in range(400):
        words = RandomVocabulary(3, unit_length=False, random_state=seed).fit(X).words_
        drawn += (words[:, None] == X).all(axis=2).sum(axis=0)
    # 120 each, with a deviation of 9.
    assert drawn.sum() == 1200
    assert abs(drawn - 120).max() < 45


@pytest.mark.parametrize("unit_length", [True, False])
def test_zeros_and_copies_are_left_out(rng, unit_length):
    different = rng.normal(size=(7, 4)).astype(np.float32)
    X = np.concatenate([np.repeat(different, 30, axis=0), np.zeros((500, 4), np.float32)])
    words = RandomVocabulary(7, unit_length=unit_length, random_state=0).fit(X).words_
    assert len(rows(words)) == 7
    assert words.any(axis=1).all()
    with pytest.raises(
        InputError, match=r"cannot draw 8 words from 7 distinct .* \(n_samples=710, n_features=4\)\. Lower n_words"
    ):
        RandomVocabulary(8, unit_length=unit_length, random_state=0).fit(X)


def test_a_negative_zero_is_zero():
    X = np.array([[0.0, -0.0], [1.0, -0.0], [1.0, 0.0], [-0.0, -0.0]], np.float32)
    for unit_length in (True, False):
        with pytest.raises(InputError, match="cannot draw 2 words from 1 distinct"):
            RandomVocabulary(2, unit_length=unit_length).fit(X)


def test_multiples_are_copies_with_unit_length():
    X = np.array([[1, 0], [2, 0], [0, 3]], np.uint8)
    assert len(RandomVocabulary(3, unit_length=False).fit(X).words_) == 3
    with pytest.raises(InputError, match="from 2 distinct"):
        RandomVocabulary(3).fit(X)


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
def test_nearest_and_words_of(rng, kind):
    X = rng.integers(0, 256, (60, 5)).astype(kind)
    vocabulary = RandomVocabulary(9, unit_length=False, random_state=0).fit(X)
    apart = ((X[:, None].astype(float) - vocabulary.words_.astype(float)) ** 2).sum(axis=2)
    np.testing.assert_array_equal(vocabulary.nearest(Bag(X)), apart.argmin(axis=1))
    words, metric = words_of(vocabulary)
    assert words is vocabulary.words_
    assert metric == "euclidean"


def test_extremely_long_and_short_descriptors_have_directions():
    X = np.array([[3e38, 0, 3e38], [0, 1e-44, 0]], np.float32)
    words = RandomVocabulary(2, random_state=0).fit(X).words_
    np.testing.assert_allclose(np.sort(np.linalg.norm(words, axis=1)), 1, rtol=1e-6)
