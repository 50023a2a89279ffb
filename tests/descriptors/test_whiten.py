"""Whiten agrees with scikit-learn's PCA and the formulas; results depend only on the sample and the seed."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from featrec import Bag
from featrec.compiled._rows import project
from featrec.descriptors import AppendPosition, DenseSIFT, RootSIFT, Whiten
from featrec.descriptors._whiten import _rows_at_once
from featrec.encoders import BagOfWords, SpatialPyramid
from featrec.exceptions import FailedImageWarning, InputError
from tests.naive import whiten as naive


@pytest.fixture
def points(rng):
    return (rng.normal(size=(500, 12)) @ rng.normal(size=(12, 12)) + 5).astype(np.float32)


def as_bags(points):
    return [Bag(part) for part in np.array_split(points, 7)]


def all_of(bags):
    return np.concatenate([bag.descriptors for bag in bags])


@pytest.mark.parametrize("whiten", [True, False])
@pytest.mark.parametrize("n_components", [None, 5, 1])
def test_components_equal_pca_of_scikit_learn(points, whiten, n_components):
    step = Whiten(n_components, whiten=whiten, regularization=0, max_descriptors=10_000)
    found = all_of(step.fit_transform(as_bags(points)))
    pca = PCA(n_components, whiten=whiten).fit(points.astype(np.float64))
    signs = np.sign((pca.components_ * step.components_).sum(axis=1))
    np.testing.assert_allclose(step.components_, pca.components_ * signs[:, None], atol=1e-5)
    np.testing.assert_allclose(step.explained_variance_, pca.explained_variance_, rtol=1e-5)
    np.testing.assert_allclose(step.mean_, pca.mean_, rtol=1e-5)
    np.testing.assert_allclose(found, pca.transform(points.astype(np.float64)) * signs, atol=2e-4)
    assert found.dtype == np.float32


def test_regularization_is_relative_and_epsilon_absolute(points):
    """VLFeat adds a share of the largest variance; Coates and Ng add an absolute number."""
    bags = as_bags(points)
    turned = Whiten(whiten=False).fit(bags)
    variances = turned.explained_variance_
    for given, added in (({"regularization": 0.1}, 0.1 * variances[0]), ({"regularization": 0, "epsilon": 2.0}, 2.0)):
        expected = all_of(turned.transform(bags)) / np.sqrt(variances + added)
        np.testing.assert_allclose(all_of(Whiten(**given).fit_transform(bags)), expected, atol=1e-4)


@pytest.mark.parametrize("no", [False, np.False_])
def test_whiten_accepts_a_bool_of_numpy(points, no):
    bags = as_bags(points)
    step = Whiten(whiten=no).fit(bags)
    np.testing.assert_allclose(np.var(all_of(step.transform(bags)), axis=0, ddof=1), step.explained_variance_, rtol=1e-3)


def test_zca_follows_the_formula(points):
    """The matrix is W = U (D + epsilon)^-1/2 U^T if the covariance is U D U^T."""
    found = all_of(Whiten(whiten="zca", regularization=0, epsilon=0.1).fit_transform(as_bags(points)))
    centred = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    u, d, _ = np.linalg.svd(np.cov(centred.T))
    np.testing.assert_allclose(found, centred @ (u @ np.diag((d + 0.1) ** -0.5) @ u.T), atol=1e-4)
    with pytest.raises(InputError, match="requires all components; got n_components=3"):
        Whiten(3, whiten="zca").fit(as_bags(points))


def test_the_sign_of_components_is_fixed(points):
    components = Whiten().fit(as_bags(points)).components_
    largest = np.abs(components).argmax(axis=1)
    assert (components[np.arange(12), largest] > 0).all()


def test_renormalized_results_have_unit_length(points):
    found = all_of(Whiten(4, renormalize=True).fit_transform(as_bags(points)))
    plain = all_of(Whiten(4).fit_transform(as_bags(points)))
    np.testing.assert_allclose(found, plain / np.linalg.norm(plain, axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("whiten", [True, False, "zca"])
def test_directions_without_variance_give_zeros(points, whiten):
    flat = np.column_stack([points[:, :3], points[:, 0] - points[:, 1], np.full(500, 7)]).astype(np.float32)
    step = Whiten(whiten=whiten, regularization=0, renormalize=True).fit([Bag(flat)])
    found = step.apply(Bag(flat)).descriptors
    assert np.isfinite(found).all()
    assert np.abs(found[:, -1]).max() < 1e-6 if whiten != "zca" else np.abs(found[:, 4]).max() < 1e-6
    same = Whiten(whiten=whiten).fit_transform([Bag(np.full((5, 3), 2))])[0].descriptors
    np.testing.assert_array_equal(same, 0)


def test_an_offset_does_not_reduce_precision(points):
    plain, moved = (all_of(Whiten(regularization=0).fit_transform(as_bags(points + offset))) for offset in (0, 1000))
    np.testing.assert_allclose(np.abs(moved), np.abs(plain), atol=0.02)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_projections_equal_the_naive_twin(rng, dtype):
    points, mean = rng.integers(0, 256, (23, 5)).astype(dtype), rng.uniform(100, 150, 5).astype(np.float32)
    projection = rng.normal(size=(5, 4)).astype(np.float32)
    found, expected = np.full((23, 4), np.nan, np.float32), np.zeros((23, 4), np.float32)
    project(points, mean, projection, 10, found)
    naive.project(points, mean, projection, 10, expected)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("width, alone", [(108, True), (147, True), (148, False), (300, False)])
def test_results_do_not_depend_on_the_threads_of_blas(rng, width, alone):
    points = rng.normal(size=(500, width)).astype(np.float32)
    step = Whiten(whiten="zca", epsilon=0.1, regularization=0).fit(points)
    assert _rows_at_once(width, width)[1] is not alone
    found = []
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads):
            found.append(step.apply(Bag(points)).descriptors)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_allclose(found[0], (points - step.mean_) @ step.projection_.T, atol=1e-4)


@pytest.mark.parametrize("n", [0, 1, 79, 80, 81, 2049])
def test_large_bags_are_projected_in_parts(rng, n):
    points = rng.normal(size=(n, 6)).astype(np.float32)
    step = Whiten(3).fit(rng.normal(size=(50, 6)).astype(np.float32))
    expected = (points - step.mean_) @ step.projection_.T
    np.testing.assert_allclose(step.apply(Bag(points)).descriptors, expected, atol=1e-5)


def test_fit_accepts_an_array(points):
    np.testing.assert_allclose(Whiten().fit(points).projection_, Whiten().fit(as_bags(points)).projection_, atol=1e-4)


@pytest.mark.parametrize("n_jobs", [2, -1])
def test_the_seed_determines_the_sample_for_any_number_of_threads(points, n_jobs):
    bags = as_bags(points) * 3
    first = Whiten(5, max_descriptors=200, random_state=3).fit(bags)
    second = Whiten(5, max_descriptors=200, random_state=3, n_jobs=n_jobs).fit(bags)
    np.testing.assert_array_equal(first.projection_, second.projection_)
    other = Whiten(5, max_descriptors=200, random_state=4).fit(bags)
    assert not np.array_equal(first.projection_, other.projection_)


@pytest.mark.parametrize(
    ("step", "given", "match"),
    [
        (Whiten(13), [Bag(np.eye(12))], "cannot keep 13 components of 12-dimensional descriptors; use at most 12"),
        (Whiten(5), [Bag(np.eye(12)[:4])], "5 components cannot be learned from 4 descriptors.*Reduce n_components"),
        (Whiten(), [Bag(np.eye(12)[:1])], "cannot be learned from 1 descriptors"),
        (Whiten(), [Bag(np.empty((0, 3)))] * 4, "all bags are empty; none of the 4 images has descriptors"),
        (
            Whiten(),
            [Bag(np.empty((0, 3)), size=(5, 7))] * 2,
            "none of the 2 images .one has 5×7 pixels. has descriptors. They may .* too small for the extractor",
        ),
        (Whiten(), [], "all bags are empty; none of the 0 images"),
    ],
    ids=["wide", "few", "one", "empty", "small", "none"],
)
def test_too_few_descriptors_are_an_error(step, given, match):
    with pytest.raises(InputError, match=match):
        step.fit(given)


def test_descriptors_of_another_width_are_an_error(points):
    with pytest.raises(InputError, match=r"fitted on 12-dimensional descriptors; got 3 dimensions\. Use the same extractor"):
        Whiten().fit(points).apply(Bag(np.eye(3)))


def images(rng, n=8):
    """Return stripes in two directions."""
    stripes = np.tile(np.repeat([40, 200], 4), 8)[:64]
    kinds = [np.tile(stripes, (48, 1)), np.tile(stripes[:48, None], (1, 64))]
    return [np.clip(kinds[i % 2] + rng.normal(0, 10, (48, 64)), 0, 255).astype(np.uint8) for i in range(n)]


def test_a_pipeline_with_all_steps(rng):
    X, y = images(rng), ["across", "down"] * 4
    encoder = SpatialPyramid(BagOfWords(5, random_state=0, n_jobs=2), levels=2)
    steps = DenseSIFT(bin_sizes=4), RootSIFT(), Whiten(20, random_state=0), AppendPosition(scale=True)
    model = make_pipeline(*steps, encoder, LinearSVC(random_state=0)).fit(X, y)
    assert list(model.predict(images(rng, 4))) == ["across", "down"] * 2
    names = model[:-2].get_feature_names_out()
    assert len(names) == 23 == model[:-2].transform(X)[0].descriptors.shape[1]
    assert list(names[19:]) == ["whiten19", "appendposition_x", "appendposition_y", "appendposition_scale"]


def test_unusable_images_become_empty_bags(rng, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    X = [*images(rng, 4), tmp_path / "broken.png", np.zeros((3, 3), np.uint8)]
    steps = DenseSIFT(bin_sizes=4, on_error="empty"), RootSIFT(), Whiten(20), AppendPosition(scale=True)
    bags = make_pipeline(*steps).fit_transform(X)
    assert [bag.descriptors.shape[1] for bag in bags] == [23] * 6
    assert [len(bag.descriptors) == 0 for bag in bags] == [False] * 4 + [True] * 2
    with pytest.warns(FailedImageWarning, match="1 of 6 images could not be used, and 1 have no descriptors"):
        codes = make_pipeline(*steps, BagOfWords(4, random_state=0)).fit_transform(X)
    assert not codes[4:].any()
