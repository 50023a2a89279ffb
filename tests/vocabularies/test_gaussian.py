"""GaussianVocabulary against scikit-learn, and its loops against plain loops."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

from featrec import Bag
from featrec.compiled import _mixture
from featrec.encoders import BagOfWords
from featrec.exceptions import InputError, MetricError
from featrec.vocabularies import GaussianVocabulary, KMeansVocabulary, mixture_of
from featrec.vocabularies._gaussian import Learning, Mixture
from tests.naive import mixture as naive


def clusters(rng, n, d, k, spread=0.2):
    return (rng.normal(size=(k, d))[rng.integers(k, size=n)] + spread * rng.normal(size=(n, d))).astype(np.float32)


def some_mixture(rng, k, d):
    return Mixture(rng.dirichlet(np.full(k, 3.0)), rng.normal(size=(k, d)), rng.uniform(0.2, 2.0, (k, d)))


@pytest.mark.parametrize("n, k, d", [(1, 1, 1), (50, 6, 5), (161, 40, 13), (530, 3, 2), (300, 70, 4)])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.uint8])
def test_compiled_sums_agree_with_plain_loops(rng, n, k, d, kind):
    points = (rng.normal(size=(n, d)) if kind != np.uint8 else rng.integers(0, 4, (n, d))).astype(kind)
    mixture = some_mixture(rng, k, d)
    found, expected = np.empty((2, k, 2 * d + 1))
    likelihood = _mixture.mixture_sums(points, *mixture, *_mixture.mixture_frame(*mixture), found)
    plain = naive.mixture_sums(points, *mixture, *_mixture.mixture_frame(*mixture), expected)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * n)
    assert likelihood == pytest.approx(plain, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("n, k, d", [(0, 3, 2), (1, 1, 1), (60, 7, 5), (530, 4, 2)])
def test_the_compiled_most_probable_component_agrees_with_plain_loops(rng, n, k, d):
    points, mixture = rng.normal(size=(n, d)).astype(np.float32), some_mixture(rng, k, d)
    found, expected = np.full((2, n), -1, np.int32)
    _mixture.most_probable(points, *mixture, *_mixture.mixture_frame(*mixture), found)
    naive.most_probable(points, *mixture, *_mixture.mixture_frame(*mixture), expected)
    np.testing.assert_array_equal(found, expected)


def test_the_first_of_equally_probable_components_is_returned(rng):
    mixture = Mixture(np.full(4, 0.25), np.zeros((4, 3)), np.ones((4, 3)))
    found = np.full(9, -1, np.int32)
    _mixture.most_probable(rng.normal(size=(9, 3)).astype(np.float32), *mixture, *_mixture.mixture_frame(*mixture), found)
    assert not found.any()


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_em_gives_the_mixture_of_scikit_learn_from_the_same_start(rng, offset):
    X = clusters(rng, 3000, 12, 30, 0.5) + np.float32(offset)
    learning = Learning(X, 15, 0.0, 1e-9, None)
    start = learning.start(20, np.random.RandomState(0))
    ours = learning.run(start)
    theirs = GaussianMixture(
        20,
        covariance_type="diag",
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=1 / start.variances,
        max_iter=ours.rounds,
        tol=1e-300,
        reg_covar=0.0,
    )
    with pytest.warns(match="did not converge"):
        theirs.fit(X.astype(np.float64))
    assert theirs.n_iter_ == 15
    assert ours.likelihood == pytest.approx(theirs.score(X.astype(np.float64)), abs=1e-5)
    for found, expected in zip(ours.mixture, (theirs.weights_, theirs.means_, theirs.covariances_), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


def as_theirs(vocabulary):
    """A mixture of scikit-learn with the same numbers."""
    theirs = GaussianMixture(len(vocabulary.weights_), covariance_type="diag")
    theirs.weights_, theirs.means_, theirs.covariances_ = mixture_of(vocabulary)
    theirs.precisions_cholesky_ = 1 / np.sqrt(theirs.covariances_)
    return theirs


def test_likelihood_and_nearest_are_those_of_the_mixture(rng):
    X = clusters(rng, 800, 6, 10)
    for max_iter in (1, 200):
        vocabulary = GaussianVocabulary(9, max_iter=max_iter, random_state=0).fit(X)
        theirs = as_theirs(vocabulary)
        assert vocabulary.lower_bound_ == pytest.approx(theirs.score(X), abs=1e-4)
        assert np.mean(vocabulary.nearest(X) == theirs.predict(X)) > 0.998
        assert 1 <= vocabulary.n_iter_ <= max_iter
        assert vocabulary.converged_ == (max_iter == 200)
        assert vocabulary.weights_.sum() == pytest.approx(1)


def test_fit_is_as_good_as_that_of_scikit_learn(rng):
    X = clusters(rng, 3000, 8, 40)
    ours = [GaussianVocabulary(30, random_state=seed).fit(X).lower_bound_ for seed in range(3)]
    theirs = [GaussianMixture(30, covariance_type="diag", random_state=seed, max_iter=50).fit(X).score(X) for seed in range(3)]
    assert np.mean(ours) > np.mean(theirs) - 0.2


def test_more_starts_are_no_worse(rng):
    X = clusters(rng, 400, 4, 20)
    one, many = (GaussianVocabulary(20, n_init=n, random_state=3).fit(X).lower_bound_ for n in (1, 5))
    assert many >= one


def test_the_likelihood_never_decreases(rng):
    X = clusters(rng, 2000, 5, 12, 0.6)
    bounds = [GaussianVocabulary(8, max_iter=n, tol=0.0, random_state=0).fit(X).lower_bound_ for n in range(1, 9)]
    assert np.all(np.diff(bounds) > -1e-5)


def test_a_component_without_weight_takes_half_of_the_heaviest(rng):
    X = np.concatenate([rng.normal(0, 1, (300, 2)), rng.normal(40, 1, (500, 2)) * [1, 3]]).astype(np.float32)
    learning = Learning(X, 100, 1e-6, 1e-4, None)
    two = learning.run(Mixture(np.array([0.4, 0.6]), np.array([[0.0, 0.0], [40.0, 120.0]]), np.ones((2, 2))))
    weights, means, variances = two.mixture
    # Splitting a good component reduces the likelihood at first; the rounds continue.
    lost = Mixture(
        np.append(weights, 1e-9), np.append(means, [[1e4, 1e4]], axis=0), np.append(variances, np.ones((1, 2)), axis=0)
    )
    run = learning.run(lost)
    assert (run.mixture.weights * len(X) > 1).all()
    assert np.abs(run.mixture.means).max() < 200
    assert run.likelihood > two.likelihood + 1e-4


def test_copies_of_a_few_descriptors_give_finite_numbers():
    X = np.repeat(np.array([[0.0, 1.0], [5.0, 5.0]], np.float32), 10, axis=0)
    vocabulary = GaussianVocabulary(4, random_state=0).fit(X)
    assert all(np.isfinite(part).all() for part in mixture_of(vocabulary))
    assert (vocabulary.covariances_ > 0).all()
    assert np.isfinite(vocabulary.lower_bound_)
    assert len(set(vocabulary.nearest(X[[0, 10]]))) == 2


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((5, 2)),
        np.full((20, 3), 0.1),
        np.c_[np.arange(20.0), np.full(20, 1e6)],
        np.full((1, 2), 3.0),
        np.eye(3) * 1e-40,
    ],
)
def test_dimensions_without_variance(X):
    vocabulary = GaussianVocabulary(1, random_state=0).fit(X)
    np.testing.assert_allclose(vocabulary.means_[0], X.mean(axis=0), rtol=1e-6, atol=1e-38)
    assert (vocabulary.covariances_ > 0).all()
    assert np.isfinite(vocabulary.lower_bound_)


def test_one_component_is_mean_and_variance(rng):
    X = rng.gamma(2.0, size=(700, 4))
    vocabulary = GaussianVocabulary(1).fit(X)
    np.testing.assert_allclose(vocabulary.means_[0], X.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(vocabulary.covariances_[0], X.var(axis=0), rtol=1e-4)
    assert vocabulary.weights_.tolist() == [1.0]


def test_variances_have_a_minimum(rng):
    X = np.concatenate([rng.normal(size=(300, 3)), np.zeros((200, 3))])
    for floor in (1e-4, 1e-2):
        vocabulary = GaussianVocabulary(2, min_variance=floor, random_state=0, max_iter=200).fit(X)
        assert vocabulary.covariances_.min() == pytest.approx(floor * X.var(axis=0).min(), rel=0.2)
        assert (vocabulary.covariances_ >= floor * X.var(axis=0) * (1 - 1e-9)).all()


def test_bytes_and_large_integers_are_numbers(rng):
    X = rng.integers(0, 256, (200, 8), np.uint8)
    from_bytes, from_floats = (GaussianVocabulary(5, random_state=0).fit([Bag(x)]) for x in (X, X.astype(np.float32)))
    np.testing.assert_allclose(from_bytes.means_, from_floats.means_, rtol=1e-5)
    np.testing.assert_array_equal(from_bytes.nearest(Bag(X)), from_floats.nearest(X.astype(np.int64)))
    X = rng.integers(0, 1000, (50, 3))
    whole, real = (GaussianVocabulary(2, random_state=0).fit(X.astype(kind)) for kind in (np.int64, np.float32))
    np.testing.assert_array_equal(whole.means_, real.means_)


def test_nearest_accepts_read_only_and_strided_arrays(rng):
    X = clusters(rng, 300, 6, 4)
    vocabulary = GaussianVocabulary(4, random_state=0).fit(X)
    expected = vocabulary.nearest(X)
    strided = np.asfortranarray(X)
    strided.flags.writeable = False
    np.testing.assert_array_equal(vocabulary.nearest(strided), expected)
    np.testing.assert_array_equal(vocabulary.nearest(X[::2]), expected[::2])
    np.testing.assert_array_equal(GaussianVocabulary(4, random_state=0).fit(strided).means_, vocabulary.means_)


def test_as_many_components_as_descriptors(rng):
    X = rng.normal(size=(6, 3)).astype(np.float32)
    vocabulary = GaussianVocabulary(6, random_state=0).fit(X)
    assert np.isfinite(vocabulary.means_).all()
    assert np.isfinite(vocabulary.lower_bound_)


def test_the_mixture_of_any_estimator(rng):
    X = rng.random((60, 4))
    ours = GaussianVocabulary(3, random_state=0).fit(X)
    assert mixture_of(FrozenEstimator(ours)).means is not None
    np.testing.assert_array_equal(mixture_of(ours).variances, ours.covariances_)
    for theirs in (GaussianMixture, BayesianGaussianMixture):
        fitted = theirs(n_components=2, covariance_type="diag", random_state=0, max_iter=500).fit(X.astype(np.float32))
        np.testing.assert_allclose(mixture_of(fitted).weights, fitted.weights_)
        assert mixture_of(fitted).means.dtype == np.float64


def test_mixture_of_refuses_other_estimators(rng):
    X = rng.random((30, 2))
    with pytest.raises(InputError, match=r'GaussianMixture\(covariance_type="full"\).*only mixtures with.*="diag"'):
        mixture_of(GaussianMixture(2).fit(X))
    with pytest.raises(InputError, match=r'KMeans is not a mixture.*GaussianMixture\(covariance_type="diag"\)'):
        mixture_of(KMeans(2, n_init=1).fit(X))
    with pytest.raises(InputError, match="KMeansVocabulary is not a mixture"):
        mixture_of(KMeansVocabulary(2).fit(X))
    with pytest.raises(NotFittedError, match="not fitted"):
        mixture_of(GaussianVocabulary(2))


def test_a_bag_of_words_refuses_a_mixture(rng):
    with pytest.raises(InputError, match="GaussianVocabulary has no words"):
        BagOfWords(GaussianVocabulary(2)).fit_transform([Bag(rng.random((30, 2)))])


def test_errors_give_advice(rng):
    bag = Bag(rng.random((4, 2)))
    packed = Bag(np.zeros((4, 2), np.uint8), metric="hamming")
    fitted = GaussianVocabulary(2).fit([bag])
    with pytest.raises(MetricError, match="GaussianVocabulary needs numbers"):
        fitted.nearest(packed)
    with pytest.raises(InputError, match=r"must have shape \(n, 2\), like the means; got \(4, 3\)"):
        fitted.nearest(np.zeros((4, 3)))
