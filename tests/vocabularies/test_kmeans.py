"""KMeansVocabulary against scikit-learn, and its loops against plain loops."""

import numpy as np
import pytest
from numba import config
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from featrec import Bag
from featrec.compiled import _kmeans
from featrec.compiled._dot_products import has_float_dot
from featrec.exceptions import InputError, MetricError
from featrec.vocabularies import KMeansVocabulary
from featrec.vocabularies._base import half_norms
from featrec.vocabularies._kmeans import Lloyd, seeding_draws
from tests.naive import kmeans as naive


def clusters(rng, n, d, k, spread=0.2):
    return (rng.normal(size=(k, d))[rng.integers(k, size=n)] + spread * rng.normal(size=(n, d))).astype(np.float32)


@pytest.mark.parametrize("n, k, d", [(1, 1, 1), (50, 6, 5), (300, 4, 3)])
def test_compiled_sums_of_members_agree_with_plain_loops(rng, n, k, d):
    points, nearest = rng.normal(size=(n, d)).astype(np.float32), rng.integers(k, size=n).astype(np.int32)
    start = rng.normal(size=n).astype(np.float32)
    results = []
    for module in (_kmeans, naive):
        out = start.copy(), np.empty((k, d)), np.empty(k, np.int64)
        module.gather_members(points, half_norms(points), nearest, *out)
        results.append(out)
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("by_dot", [False, True])
def test_distances_to_the_words_are_squared_lengths(rng, monkeypatch, by_dot):
    if by_dot and not has_float_dot() and not config.DISABLE_JIT:
        pytest.skip("the processor has no AVX-512, so BLAS is used")
    monkeypatch.setattr("featrec.vocabularies._kmeans.has_float_dot", lambda: by_dot)
    points, words = rng.normal(size=(300, 5)).astype(np.float32), rng.normal(size=(7, 5)).astype(np.float32)
    lloyd = Lloyd(points, 1, 0.0, None)
    sums, counts = lloyd._assign(words)
    apart = ((points[:, None] - words) ** 2).sum(axis=2)
    np.testing.assert_array_equal(lloyd.nearest, apart.argmin(axis=1))
    np.testing.assert_allclose(lloyd.distances, apart.min(axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(counts, np.bincount(lloyd.nearest, minlength=7))
    np.testing.assert_allclose(sums.sum(axis=0), points.sum(axis=0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n, k", [(1, 1), (30, 1), (40, 7)])
def test_the_compiled_start_agrees_with_plain_loops(rng, n, k):
    points = rng.normal(size=(n, 4)).astype(np.float32)
    first, draws = seeding_draws(n, k, np.random.RandomState(0))
    found, expected = np.empty((2, k), np.int64)
    _kmeans.seed_euclidean(points, half_norms(points), first, draws, found)
    naive.seed_euclidean(points, half_norms(points), first, draws, expected)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_lloyd_has_the_inertia_of_scikit_learn_from_the_same_start(rng, offset):
    X = clusters(rng, 3000, 16, 30) + np.float32(offset)
    start = X[:25]
    theirs = KMeans(25, init=start, n_init=1, max_iter=300, tol=0, algorithm="lloyd").fit(X.astype(np.float64))
    mean = X.mean(axis=0)
    ours = Lloyd(X - mean, 300, 0.0, None).run(start - mean)
    assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-3)


def test_fit_is_as_good_as_that_of_scikit_learn(rng):
    X = clusters(rng, 3000, 8, 40)
    ours = [KMeansVocabulary(30, random_state=seed).fit(X).inertia_ for seed in range(5)]
    theirs = [KMeans(30, n_init=1, max_iter=20, random_state=seed).fit(X).inertia_ for seed in range(5)]
    assert np.mean(ours) < 1.05 * np.mean(theirs)


def test_inertia_is_that_of_the_nearest_words(rng):
    X = clusters(rng, 500, 6, 10)
    for max_iter in (1, 100):
        vocabulary = KMeansVocabulary(9, max_iter=max_iter, random_state=0).fit(X)
        apart = ((X - vocabulary.words_[vocabulary.nearest(X)]) ** 2).sum()
        assert vocabulary.inertia_ == pytest.approx(apart, rel=1e-4)
        assert 1 <= vocabulary.n_iter_ <= max_iter
        assert vocabulary.words_.dtype == np.float32


def test_more_starts_are_no_worse(rng):
    X = clusters(rng, 400, 4, 20)
    one, many = (KMeansVocabulary(20, n_init=n, random_state=3).fit(X).inertia_ for n in (1, 6))
    assert many <= one


def test_a_word_without_members_moves_to_the_farthest_point():
    X = np.array([[0.0], [0.1], [0.2], [50.0], [9.0]], np.float32)
    run = Lloyd(X, 20, 0.0, None).run(np.array([[0.1], [-100.0], [-200.0]], np.float32))
    np.testing.assert_allclose(np.sort(run.words.ravel()), [0.1, 9.0, 50.0], rtol=1e-6)
    assert run.empty == 0


def test_fewer_distinct_descriptors_than_words_warn():
    X = np.repeat(np.array([[0.0, 1.0], [5.0, 5.0]], np.float32), 10, axis=0)
    with pytest.warns(ConvergenceWarning, match="2 of 4 words have no member"):
        vocabulary = KMeansVocabulary(4, random_state=0).fit(X)
    assert vocabulary.inertia_ == pytest.approx(0.0, abs=1e-9)
    assert np.isfinite(vocabulary.words_).all()


def test_means_of_bytes_are_rounded(rng):
    X = rng.integers(0, 256, (200, 8), np.uint8)
    from_bytes, from_floats = (KMeansVocabulary(5, random_state=0).fit([Bag(x)]) for x in (X, X.astype(np.float32)))
    assert from_bytes.words_.dtype == np.uint8
    np.testing.assert_array_equal(from_bytes.words_, np.rint(from_floats.words_))
    nearest = from_bytes.nearest(Bag(X))
    apart = ((X.astype(float) - from_bytes.words_[nearest]) ** 2).sum()
    assert from_bytes.inertia_ == pytest.approx(apart, rel=1e-5)
    np.testing.assert_array_equal(nearest, from_bytes.nearest(X.astype(np.float32)))
    assert KMeansVocabulary(5, random_state=0).fit(X).words_.dtype == np.uint8


def test_words_of_bytes_stay_bytes_at_both_ends():
    X = np.repeat(np.array([[0, 255], [255, 0]], np.uint8), 9, axis=0)
    vocabulary = KMeansVocabulary(2, random_state=0).fit(X)
    assert sorted(vocabulary.words_.tolist()) == [[0, 255], [255, 0]]
    assert vocabulary.inertia_ == pytest.approx(0.0, abs=1e-3)


def test_as_many_words_as_descriptors(rng):
    X = rng.normal(size=(6, 3)).astype(np.float32)
    vocabulary = KMeansVocabulary(6, random_state=0).fit(X)
    assert sorted(vocabulary.nearest(X)) == list(range(6))


def test_errors_give_advice(rng):
    with pytest.raises(InputError, match=r"expects Bags; item 0 is an array of shape \(4, 2\)"):
        KMeansVocabulary(2).fit([np.zeros((4, 2)), np.zeros((3, 2))])
    with pytest.raises(InputError, match=r"got one Bag\. Use \[bag\]"):
        KMeansVocabulary(2).fit(Bag(rng.random((4, 2))))
    with pytest.raises(MetricError, match="KMeansVocabulary needs numbers"):
        KMeansVocabulary(2).fit(rng.random((4, 2))).nearest(Bag(np.zeros((4, 2), np.uint8), metric="hamming"))
