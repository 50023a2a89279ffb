"""The nearest word against plain loops, and the words of any estimator."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from numba import config, njit, types
from sklearn.cluster import DBSCAN, KMeans, MiniBatchKMeans
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from featrec.compiled import _dot_products, _hamming, _kmeans
from featrec.compiled._parts import wide_vectors
from featrec.exceptions import InputError, MetricError
from featrec.vocabularies import BinaryVocabulary, KMeansVocabulary, _base, nearest_word, words_of
from featrec.vocabularies._base import float_groups, half_norms, integer_groups, packed_blocks
from tests.naive import hamming as naive_hamming, kmeans as naive_kmeans


@pytest.mark.parametrize("n, k, d", [(0, 3, 5), (1, 1, 1), (7, 1, 4), (40, 9, 17), (20, 25, 6), (259, 3, 2)])
def test_compiled_euclidean_search_agrees_with_plain_loops(rng, n, k, d):
    points, words = rng.normal(size=(n, d)).astype(np.float32), rng.normal(size=(k, d)).astype(np.float32)
    found, expected = np.full((2, n), -1, np.int32)
    apart, wanted = np.empty((2, n), np.float32)
    _kmeans.nearest_euclidean(points, words, half_norms(words), found, apart)
    naive_kmeans.nearest_euclidean(points, words, half_norms(words), expected, wanted)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(apart, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n, k, n_bytes", [(0, 3, 32), (1, 1, 1), (7, 1, 32), (30, 9, 32), (30, 5, 61), (515, 2, 16)])
def test_compiled_hamming_search_agrees_with_plain_loops(rng, n, k, n_bytes):
    points, words = rng.integers(0, 256, (n, n_bytes), np.uint8), rng.integers(0, 256, (k, n_bytes), np.uint8)
    found, expected = np.full((2, 2, n), -1, np.int32)
    _hamming.nearest_hamming(packed_blocks(points), packed_blocks(words), *found)
    naive_hamming.nearest_hamming(points, words, *expected)
    np.testing.assert_array_equal(found, expected)
    if n_bytes <= 32:
        found[:] = -1
        _hamming.nearest_of_256_bits(packed_blocks(points), packed_blocks(words), *found)
        naive_hamming.nearest_of_256_bits(points, words, *expected)
        np.testing.assert_array_equal(found, expected)


integer_dot = pytest.mark.skipif(
    not _dot_products.has_integer_dot() and not config.DISABLE_JIT, reason="the processor has no VNNI, so floats are used"
)


def in_bytes(rng, n, k, d, top=256):
    return rng.integers(0, top, (n, d), np.uint8), rng.integers(0, top, (k, d), np.uint8)


@integer_dot
@pytest.mark.parametrize("n, k, d", [(0, 3, 5), (1, 1, 1), (7, 1, 4), (40, 9, 17), (64, 6, 64), (65, 13, 3), (130, 2, 2)])
@pytest.mark.parametrize("top", [256, 2])
def test_compiled_integer_search_agrees_with_plain_loops(rng, n, k, d, top):
    points, words = in_bytes(rng, n, k, d, top)
    results = np.full((4, n), -1, np.int32)
    _dot_products.nearest_by_dot(*integer_groups(points, words), *results[:2])
    naive_kmeans.nearest_by_dot(points, words, None, None, *results[2:])
    results[1] += (points.astype(int) ** 2).sum(axis=1) - 256 * points.sum(axis=1, dtype=int)
    np.testing.assert_array_equal(results[:2], results[2:])


@integer_dot
@pytest.mark.parametrize("value", [0, 127, 128, 255])
def test_integer_distances_of_the_smallest_and_largest_bytes(value):
    words = np.array([[0], [127], [128], [129], [254], [255]], np.uint8).repeat(300, axis=1)
    points = np.full((3, 300), value, np.uint8)
    found = np.empty(3, np.int32)
    _dot_products.nearest_by_dot(*integer_groups(points, words), found, np.empty_like(found))
    expected = int(np.argmin(abs(words[:, 0].astype(int) - value)))
    assert found.tolist() == [expected] * 3


@pytest.mark.skipif(
    not _dot_products.has_float_dot() and not config.DISABLE_JIT, reason="the processor has no AVX-512, so BLAS is used"
)
@pytest.mark.parametrize("n, k, d", [(0, 3, 5), (1, 1, 1), (7, 1, 4), (40, 9, 17), (64, 6, 64), (65, 13, 3), (130, 2, 2)])
def test_compiled_float_search_agrees_with_plain_loops(rng, n, k, d):
    points, words = rng.normal(size=(n, d)).astype(np.float32), rng.normal(size=(k, d)).astype(np.float32)
    found, expected = np.full((2, n), -1, np.int32)
    left, apart = np.full((2, n), -1, np.float32)
    _dot_products.nearest_by_dot(*float_groups(points, words), found, left)
    naive_kmeans.nearest_by_dot(points, words, None, None, expected, apart)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(2 * left + (points**2).sum(axis=1), apart, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["bytes", "numbers"])
def test_distances_without_the_instruction_agree_with_plain_loops(rng, kind):
    points, words = in_bytes(rng, _dot_products.LANES, 3 * _dot_products.WORDS_AT_ONCE, 9)
    if kind == "bytes":
        points, words, norms, _ = integer_groups(points, words)
    else:
        points, words, norms, _ = float_groups(points.astype(np.float32), words.astype(np.float32))
    found, expected = np.full((2, _dot_products.WORDS_AT_ONCE, len(points)), -1, norms.dtype)
    _dot_products._plain_distances(points.T, words, norms, 6, found)
    naive_kmeans.distances_less_shared(points.T, words[6:12], norms[6:12], expected)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("d", [1, 64, 128])
def test_the_same_words_are_found_with_and_without_blas(rng, monkeypatch, d):
    points, words = rng.normal(size=(300, d)).astype(np.float32), rng.normal(size=(1100, d)).astype(np.float32)
    here = nearest_word(points, words, "euclidean")
    monkeypatch.setattr(_base, "has_float_dot", lambda: False)
    there = nearest_word(points, words, "euclidean")
    apart = [((points - words[found].astype(float)) ** 2).sum(axis=1) for found in (here, there)]
    np.testing.assert_allclose(*apart, rtol=1e-5, atol=1e-5)
    assert np.mean(here != there) < 0.01


@pytest.mark.skipif(config.DISABLE_JIT, reason="only compiled loops could hang")
def test_infinite_numbers_do_not_hang():
    points = np.array([[np.nan, 0.0], [np.inf, 1.0], [3e38, 3e38]], np.float32)
    found = nearest_word(points, np.eye(2, dtype=np.float32), "euclidean")
    assert set(found.tolist()) <= {0, 1}


@pytest.mark.parametrize("k, d, top", [(40, 258, 256), (1100, 4, 8), (90, 384, 40)])
def test_the_same_words_are_found_with_and_without_integers(rng, monkeypatch, k, d, top):
    points, words = in_bytes(rng, 70, k, d, top)
    integers = nearest_word(points, words, "euclidean")
    monkeypatch.setattr(_base, "has_integer_dot", lambda: False)
    np.testing.assert_array_equal(nearest_word(points, words, "euclidean"), integers)
    monkeypatch.setattr(_base, "has_float_dot", lambda: False)
    np.testing.assert_array_equal(nearest_word(points, words, "euclidean"), integers)


def test_bytes_and_floats_are_compared_as_floats(rng):
    points, words = in_bytes(rng, 50, 8, 12)
    expected = np.empty(50, np.int32)
    naive_kmeans.nearest_by_dot(points, words, None, None, expected, np.empty(50))
    for left, right in [(np.uint8, np.float32), (np.float32, np.uint8), (np.float64, np.uint8), (np.uint8, np.uint8)]:
        np.testing.assert_array_equal(nearest_word(points.astype(left), words.astype(right), "euclidean"), expected)


def test_bytes_too_wide_for_integers_are_compared_as_floats(rng):
    words = rng.integers(0, 2, (3, _dot_products.LARGEST_WIDTH + 1), np.uint8)
    assert nearest_word(words[::-1], words, "euclidean").tolist() == [2, 1, 0]
    # The distance to the first word, less the common part, exceeds 2 ** 31.
    words = np.array([[0] * 40_000, [200] * 40_000], np.uint8)
    assert nearest_word(np.full((1, 40_000), 255, np.uint8), words, "euclidean").tolist() == [1]


@pytest.mark.parametrize(
    "features, lanes", [("+avx512f,+avx512vnni", 16), ("+avxvnni", 8), ("-avx512vnni,-avxvnni", 0), ("", 0)]
)
def test_the_instruction_follows_the_processor_that_numba_compiles_for(features, lanes):
    codegen = SimpleNamespace(magic_tuple=lambda: ("x86_64", "some", features))
    context = SimpleNamespace(codegen=lambda: codegen)
    assert _dot_products._vector_lanes(context, types.uint32) == lanes
    assert _dot_products._vector_lanes(context, types.float32) == (16 if "+avx512f" in features else 0)


@pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")
def test_the_hint_for_wide_vectors_reaches_the_calling_function():
    @njit
    def asking():
        wide_vectors()

    asking()
    assert '"prefer-vector-width"="512"' in asking.inspect_llvm(())


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"NUMBA_CPU_NAME": "generic"}, {"NUMBA_DISABLE_JIT": "1"}])
def test_a_processor_without_the_instruction_gives_the_same_words(settings, tmp_path):
    code = (
        "import numpy as np; from featrec.vocabularies import nearest_word;"
        "from featrec.compiled._dot_products import has_float_dot, has_integer_dot;"
        "assert not has_float_dot() and not has_integer_dot();"
        "rng = np.random.default_rng(5);"
        "points, words = rng.integers(0, 256, (30, 20), np.uint8), rng.integers(0, 256, (9, 20), np.uint8);"
        "print(*nearest_word(points, words, 'euclidean'))"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), **settings}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    rng = np.random.default_rng(5)
    points, words = rng.integers(0, 256, (30, 20), np.uint8), rng.integers(0, 256, (9, 20), np.uint8)
    assert done.stdout.split() == [str(word) for word in nearest_word(points, words, "euclidean")]


def test_nearest_word_searches_all_tiles(rng):
    words = rng.normal(size=(1100, 3)).astype(np.float32)
    order = rng.permutation(1100)[:600]
    np.testing.assert_array_equal(nearest_word(words[order], words, "euclidean"), order)
    numbers = rng.permutation(2**16)[:1100].astype(np.uint16).view(np.uint8).reshape(1100, 2)
    np.testing.assert_array_equal(nearest_word(numbers[order], numbers, "euclidean"), order)
    bits = rng.integers(0, 256, (1100, 61), np.uint8)
    np.testing.assert_array_equal(nearest_word(bits[order], bits, "hamming"), order)


@pytest.mark.parametrize("metric, dtype", [("euclidean", np.float32), ("euclidean", np.uint8), ("hamming", np.uint8)])
def test_the_first_of_equally_near_words_is_returned(metric, dtype):
    words = np.full((300, 4), 7, dtype)
    assert nearest_word(np.zeros((5, 4), dtype), words, metric).tolist() == [0] * 5


def test_nearest_word_accepts_read_only_and_strided_arrays(rng):
    descriptors = rng.integers(0, 256, (50, 16), np.uint8)
    words = descriptors[:5].astype(np.float32)
    expected = nearest_word(descriptors.astype(np.float64), words, "euclidean")
    strided = np.asfortranarray(descriptors)
    strided.flags.writeable = False
    np.testing.assert_array_equal(nearest_word(strided, words, "euclidean"), expected)
    np.testing.assert_array_equal(nearest_word(descriptors[::2], words, "euclidean"), expected[::2])


def test_the_error_for_a_wrong_width_names_both(rng):
    with pytest.raises(InputError, match=r"must have shape \(n, 3\).*got \(2, 4\)"):
        nearest_word(np.zeros((2, 4)), np.zeros((5, 3), np.float32), "euclidean")


def test_packed_bits_must_be_bytes():
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


def test_words_of_refuses_other_estimators(rng):
    with pytest.raises(NotFittedError, match="not fitted"):
        words_of(KMeans())
    with pytest.raises(InputError, match=r"DBSCAN has no words.*KMeansVocabulary"):
        words_of(DBSCAN().fit(rng.random((9, 2))))
