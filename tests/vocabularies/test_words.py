"""The nearest word against its plain twins, and the words of any estimator."""

import numpy as np
import pytest
from sklearn.cluster import DBSCAN, KMeans, MiniBatchKMeans
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from featrec.compiled import _hamming, _kmeans
from featrec.exceptions import InputError, MetricError
from featrec.vocabularies import BinaryVocabulary, KMeansVocabulary, nearest_word, words_of
from featrec.vocabularies._words import half_norms, packed_blocks
from tests.naive import hamming as naive_hamming
from tests.naive import kmeans as naive_kmeans


@pytest.mark.parametrize("n, k, d", [(0, 3, 5), (1, 1, 1), (7, 1, 4), (40, 9, 17), (259, 3, 2)])
def test_nearest_euclidean_is_its_naive_twin(rng, n, k, d):
    points, words = rng.normal(size=(n, d)).astype(np.float32), rng.normal(size=(k, d)).astype(np.float32)
    found, expected = np.full((2, n), -1, np.int32)
    _kmeans.nearest_euclidean(points, words, half_norms(words), found)
    naive_kmeans.nearest_euclidean(points, words, half_norms(words), expected)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("n, k, n_bytes", [(0, 3, 32), (1, 1, 1), (7, 1, 32), (30, 9, 32), (30, 5, 61), (515, 2, 16)])
def test_nearest_hamming_is_its_naive_twin(rng, n, k, n_bytes):
    points, words = rng.integers(0, 256, (n, n_bytes), np.uint8), rng.integers(0, 256, (k, n_bytes), np.uint8)
    found, expected = np.full((2, 2, n), -1, np.int32)
    _hamming.nearest_hamming(packed_blocks(points), packed_blocks(words), *found)
    naive_hamming.nearest_hamming(points, words, *expected)
    np.testing.assert_array_equal(found, expected)


def test_nearest_word_looks_through_all_tiles_of_words_and_points(rng):
    words = rng.normal(size=(600, 3)).astype(np.float32)
    order = rng.permutation(600)
    np.testing.assert_array_equal(nearest_word(words[order], words, "euclidean"), order)
    bits = rng.integers(0, 256, (600, 61), np.uint8)
    np.testing.assert_array_equal(nearest_word(bits[order], bits, "hamming"), order)


@pytest.mark.parametrize("metric, dtype", [("euclidean", np.float32), ("hamming", np.uint8)])
def test_of_equally_near_words_the_first_wins(metric, dtype):
    words = np.full((300, 4), 7, dtype)
    assert nearest_word(np.zeros((5, 4), dtype), words, metric).tolist() == [0] * 5


def test_nearest_word_takes_bytes_read_only_and_strided_arrays(rng):
    descriptors = rng.integers(0, 256, (50, 16), np.uint8)
    words = descriptors[:5].astype(np.float32)
    expected = nearest_word(descriptors.astype(np.float64), words, "euclidean")
    strided = np.asfortranarray(descriptors)
    strided.flags.writeable = False
    np.testing.assert_array_equal(nearest_word(strided, words, "euclidean"), expected)
    np.testing.assert_array_equal(nearest_word(descriptors[::2], words, "euclidean"), expected[::2])


def test_a_wrong_width_names_both(rng):
    with pytest.raises(InputError, match=r"\(n, 3\) are expected.*got \(2, 4\)"):
        nearest_word(np.zeros((2, 4)), np.zeros((5, 3), np.float32), "euclidean")


def test_packed_bits_are_bytes():
    with pytest.raises(MetricError, match=r"uint8; got float64.*packbits"):
        nearest_word(np.zeros((2, 4)), np.zeros((5, 4), np.uint8), "hamming")


def test_words_of_scikit_learn_and_ours(rng):
    X = rng.random((60, 4))
    kmeans = KMeans(3, n_init=1, random_state=0).fit(X)
    words, metric = words_of(FrozenEstimator(kmeans))
    assert words.dtype == np.float32
    assert metric == "euclidean"
    np.testing.assert_array_equal(nearest_word(X, words, metric), kmeans.predict(X))
    assert words_of(MiniBatchKMeans(3, n_init=1, random_state=0).fit(X))[0].shape == (3, 4)
    assert words_of(KMeansVocabulary(3).fit(X))[1] == "euclidean"
    assert words_of(BinaryVocabulary(3).fit(rng.integers(0, 256, (9, 8), np.uint8)))[1] == "hamming"


def test_words_of_says_what_it_cannot_use(rng):
    with pytest.raises(NotFittedError, match="not fitted"):
        words_of(KMeans())
    with pytest.raises(InputError, match=r"DBSCAN has no words.*KMeansVocabulary"):
        words_of(DBSCAN().fit(rng.random((9, 2))))
