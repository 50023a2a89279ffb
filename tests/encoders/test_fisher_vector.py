"""FisherVector against VLFeat, scikit-image and the formula."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from skimage.feature import fisher_vector
from sklearn.cluster import KMeans
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture

from featrec import Bag
from featrec.compiled import _mixture
from featrec.encoders import FisherVector
from featrec.exceptions import InputError, MetricError
from featrec.persistence import load, save
from featrec.vocabularies import BinaryVocabulary, GaussianVocabulary
from tests.encoders.some_bags import bag
from tests.naive import mixture as naive

REFERENCE = Path(__file__).parent.parent / "data" / "vlfeat_reference.npz"
KINDS = {
    "raw": {"power": 1.0, "norm": None},
    "square_root": {"power": 0.5, "norm": None},
    "normalized": {"power": 1.0, "norm": "l2"},
    "improved": {},
}


def frozen(weights, means, variances):
    """Return a fitted scikit-learn mixture with these numbers, which an encoder does not fit again."""
    mixture = GaussianMixture(len(weights), covariance_type="diag")
    mixture.weights_, mixture.means_, mixture.covariances_ = weights, means, variances
    mixture.precisions_cholesky_ = 1 / np.sqrt(variances)
    return FrozenEstimator(mixture)


def some_mixture(rng, k, d):
    return rng.dirichlet(np.full(k, 2.0)), rng.normal(size=(k, d)), rng.uniform(0.3, 1.5, (k, d))


def encode(mixture, descriptors, **parameters):
    bags = [Bag(descriptors)]
    return FisherVector(frozen(*mixture), **parameters).fit(bags).transform(bags)[0]


@pytest.fixture
def bags(rng):
    return [bag(rng, n) for n in (40, 25, 60, 31)]


@pytest.mark.parametrize("n, k, d", [(0, 2, 2), (1, 1, 1), (2, 3, 4), (50, 6, 5), (530, 2, 3), (150, 65, 7)])
@pytest.mark.parametrize("by_weight", [False, True])
def test_the_compiled_sums_agree_with_plain_loops(rng, n, k, d, by_weight):
    points, mixture = rng.normal(size=(n, d)).astype(np.float32), some_mixture(rng, k, d)
    cells = rng.integers(0, 4, n)
    order, starts = np.argsort(cells, kind="stable"), np.searchsorted(np.sort(cells), np.arange(6))
    found, expected = np.full((2, 5, 2 * k * d + by_weight * k), np.nan, np.float32)
    _mixture.fisher_sums(points, order, starts, *mixture, found)
    naive.fisher_sums(points, order, starts, *mixture, expected)
    assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * max(1, n))


@pytest.mark.parametrize("kind", KINDS)
def test_codes_are_those_of_vlfeat(kind):
    with np.load(REFERENCE) as reference:
        mixture = reference["enc_priors"], reference["enc_means"], reference["enc_variances"]
        found = encode(mixture, reference["enc_descriptors"], **KINDS[kind])
        assert_allclose(found, reference[f"fisher_{kind}"], atol=1e-5)


@pytest.mark.parametrize("n, k, d", [(1, 3, 4), (2, 5, 3), (400, 1, 6), (700, 16, 20)])
@pytest.mark.parametrize("alpha", [0.5, 0.3, None])
def test_codes_are_those_of_scikit_image(rng, n, k, d, alpha):
    descriptors, mixture = rng.normal(size=(n, d)), some_mixture(rng, k, d)
    theirs = fisher_vector(descriptors, frozen(*mixture).estimator, improved=alpha is not None, alpha=alpha or 0.5)
    # Their gradients with respect to standard deviations have the opposite sign.
    theirs[k + k * d :] *= -1
    parameters = {"power": 1.0, "norm": None} if alpha is None else {"power": alpha}
    found = encode(mixture, descriptors, weight_gradients=True, **parameters)
    assert_allclose(found, theirs, atol=1e-5 if alpha is None else 1e-3)
    assert found @ theirs / np.linalg.norm(found) / np.linalg.norm(theirs) > 0.99999


def test_weights_and_determinants_are_in_the_posteriors():
    """Two Gaussians with equal means differ only in weights and determinants."""
    weights, variances = np.array([0.9, 0.1]), np.array([[1.0, 1.0], [4.0, 4.0]])
    mixture = weights, np.zeros((2, 2)), variances
    found = encode(mixture, np.zeros((1, 2)), power=1.0, norm=None, weight_gradients=True)
    densities = weights / np.sqrt(variances.prod(axis=1))
    shares = densities / densities.sum()
    assert_allclose(shares, [0.973, 0.027], atol=1e-3)
    assert_allclose(found[:2], (shares - weights) / np.sqrt(weights), atol=1e-6)
    assert_allclose(found[6:], np.repeat(-shares / np.sqrt(2 * weights), 2), atol=1e-6)


def test_codes_contain_negative_numbers(rng):
    code = encode(some_mixture(rng, 4, 6), rng.normal(size=(300, 6)))
    assert 0.25 < (code < 0).mean() < 0.75
    one_sided = encode((np.ones(1), np.zeros((1, 2)), np.ones((1, 2))), np.full((5, 2), -3.0), norm=None)
    assert_allclose(one_sided, [-np.sqrt(3), -np.sqrt(3), np.sqrt(8 / np.sqrt(2)), np.sqrt(8 / np.sqrt(2))], rtol=1e-5)


def test_gradients_vanish_on_the_training_data_of_the_mixture(rng):
    """At the maximum of the likelihood, all gradients vanish."""
    X = (rng.normal(size=(5, 4))[rng.integers(5, size=3000)] + 0.5 * rng.normal(size=(3000, 4))).astype(np.float32)
    vocabulary = GaussianVocabulary(5, tol=0.0, max_iter=2000, random_state=0).fit(X)
    code = FisherVector(FrozenEstimator(vocabulary), power=1.0, norm=None, weight_gradients=True).fit_transform([Bag(X)])
    assert np.abs(code).max() < 2e-3
    moved = FisherVector(FrozenEstimator(vocabulary), power=1.0, norm=None).fit_transform([Bag(X + np.float32(0.1))])
    assert moved[0, :20].mean() > 0.01


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_a_common_offset_costs_little_precision(rng, offset):
    weights, means, variances = some_mixture(rng, 8, 10)
    X = rng.normal(size=(500, 10)).astype(np.float32)
    shifted = (X + np.float32(offset)).astype(np.float64)
    moved = encode((weights, means + offset, variances), shifted)
    plain = encode((weights, means, variances), shifted - offset)
    assert_allclose(moved, plain, atol=1e-4)


@pytest.mark.parametrize("value", [1e30, -1e30, 1e15])
def test_absurd_descriptors_give_finite_codes(rng, value):
    code = encode(some_mixture(rng, 3, 2), np.array([[0.1, 0.2], [value, 0.0]]), weight_gradients=True)
    assert np.isfinite(code).all()


def test_a_component_without_weight_has_no_gradients(rng):
    means, variances = rng.normal(size=(3, 2)), np.ones((3, 2))
    rare = np.array([0.5, 0.5 - 1e-9, 1e-9]), np.concatenate([means[:2], [[50.0, 50.0]]]), variances
    code = encode(rare, np.array([[50.0, 50.0], [0.0, 0.0]]), weight_gradients=True).reshape(-1)
    assert not code[2]
    assert not code[3 + 4 : 3 + 6].any()
    assert code[3:7].any()


def test_an_int_is_a_gaussian_vocabulary(bags):
    by_number = FisherVector(4, random_state=0).fit(bags)
    assert isinstance(by_number.vocabulary_, GaussianVocabulary)
    by_hand = FisherVector(GaussianVocabulary(4, random_state=0)).fit(bags)
    assert_array_equal(by_number.transform(bags), by_hand.transform(bags))


def test_a_mixture_of_scikit_learn_is_a_vocabulary(bags):
    mixture = GaussianMixture(3, covariance_type="diag", random_state=0, max_iter=300)
    fitted = FisherVector(mixture, weight_gradients=True).fit(bags)
    assert not hasattr(mixture, "means_")
    theirs = fisher_vector(bags[0].descriptors, fitted.vocabulary_, improved=True)
    theirs[3 + 18 :] *= -1
    assert fitted.transform(bags)[0] @ theirs > 0.99999


def test_errors_give_advice(bags, rng):
    for kind in ("full", "tied", "spherical"):
        with pytest.raises(InputError, match=rf'GaussianMixture\(covariance_type="{kind}"\): only mixtures with.*"diag"'):
            FisherVector(GaussianMixture(3, covariance_type=kind)).fit(bags)
    with pytest.raises(InputError, match="only mixtures with"):
        FisherVector(FrozenEstimator(GaussianMixture(3))).fit(bags)
    with pytest.raises(InputError, match="KMeans is not a mixture"):
        FisherVector(KMeans(2, n_init=1)).fit(bags)
    packed = [Bag(rng.integers(0, 256, (30, 8), np.uint8), metric="hamming")]
    with pytest.raises(MetricError, match="no variance"):
        FisherVector(3).fit(packed)
    with pytest.raises(InputError, match="BinaryVocabulary is not a mixture"):
        FisherVector(BinaryVocabulary(3)).fit(packed)
    flat = frozen(np.ones(1), np.zeros((1, 6)), np.ones((1, 6)))
    flat.estimator.covariances_ = np.zeros((1, 6))
    with pytest.raises(InputError, match=r"variances that are not positive.*reg_covar"):
        FisherVector(flat).fit(bags)


def test_a_model_file_with_a_mixture_of_scikit_learn(bags, tmp_path):
    model = FisherVector(GaussianMixture(2, covariance_type="diag", random_state=0, max_iter=300)).fit(bags)
    save(model, tmp_path / "model.featrec")
    assert_array_equal(load(tmp_path / "model.featrec").transform(bags), model.transform(bags))
