"""LLC against plain loops and against scipy's constrained minimum."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.neighbors import NearestNeighbors

from featrec import Bag
from featrec.compiled._near_words import llc
from featrec.encoders import LLC
from tests.encoders.some_bags import bag, vocabulary_of
from tests.naive import codes as naive


def code_of(x, words, **parameters):
    """Return the code of one descriptor, without normalisation."""
    return LLC(vocabulary_of(words), norm=None, **parameters).fit_transform([Bag([x])])[0]


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
@pytest.mark.parametrize("n_neighbors", [1, 2, 4])
@pytest.mark.parametrize("n, k, d, n_cells", [(1, 4, 1, 1), (2, 5, 5, 1), (40, 7, 6, 3), (35, 4, 3, 35)])
def test_the_compiled_loop_agrees_with_plain_loops(rng, n, k, d, n_cells, n_neighbors, kind):
    points, words = (rng.uniform(0, 255, (rows, d)).astype(kind) for rows in (n, k))
    cells, words = rng.integers(n_cells, size=n), words.astype(np.float32)
    found, expected = np.empty((2, n_cells, k), np.float32)
    llc(points, words, cells, n_neighbors, 1e-2, found)
    naive.llc(points, words, cells, n_neighbors, 1e-2, expected)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_several_tiles_of_points_and_words(rng):
    points, words = rng.normal(size=(530, 5)).astype(np.float32), rng.normal(size=(600, 5)).astype(np.float32)
    cells = np.arange(530)
    found = np.empty((530, 600), np.float32)
    llc(points, words, cells, 4, 1e-3, found)
    near = NearestNeighbors(n_neighbors=4).fit(words).kneighbors(points, return_distance=False)
    np.testing.assert_array_equal(np.sort(near, axis=1), [np.flatnonzero(row) for row in found])
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-4)
    expected = np.empty_like(found[:20])
    naive.llc(points[:20], words, cells[:20], 4, 1e-3, expected)
    np.testing.assert_allclose(found[:20], expected, atol=1e-3)


def test_the_weights_are_the_constrained_minimum(rng):
    words, x = rng.normal(size=(3, 6)), rng.normal(size=6)
    differences = words - x
    ridge = 0.05 * (differences**2).sum()

    def loss(c):
        return ((x - c @ words) ** 2).sum() + ridge * (c**2).sum()

    best = minimize(loss, np.ones(3) / 3, constraints={"type": "eq", "fun": lambda c: c.sum() - 1}, tol=1e-12)
    np.testing.assert_allclose(code_of(x, words, regularization=0.05), best.x, atol=1e-4)


def test_weights_sum_to_one_and_move_with_the_words(rng):
    words, x = rng.normal(size=(8, 6)), rng.normal(size=6)
    code = code_of(x, words, regularization=0.05)
    assert code.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(code_of(x + 3, words + 3, regularization=0.05), code, atol=1e-4)
    near = np.flatnonzero(code)
    gram = words[near] @ words[near].T
    ridge_only = np.linalg.solve(gram + 0.05 * np.trace(gram) * np.eye(len(near)), words[near] @ x)
    assert np.abs(ridge_only - code[near]).max() > 0.05, "ridge regression without the constraint is another code"


def test_a_descriptor_that_is_a_word_is_that_word_alone(rng):
    words = rng.normal(size=(6, 4))
    np.testing.assert_allclose(code_of(words[2], words, regularization=1e-8), np.eye(6)[2], atol=1e-4)


def test_copies_of_the_descriptor_share_it_equally():
    np.testing.assert_allclose(code_of([1.0, 2.0], [[1.0, 2.0]] * 3), np.full(3, 1 / 3), atol=1e-6)


def test_the_maximum_is_over_all_descriptors_of_a_region():
    words = [[0.0], [1.0], [9.0]]
    plain = {"n_neighbors": 2, "norm": None, "regularization": 1e-9}
    outside = LLC(vocabulary_of(words), **plain).fit_transform([Bag([[-1.0]])])[0]
    np.testing.assert_allclose(outside, [2, -1, 0], atol=1e-4)
    farther = LLC(vocabulary_of(words), **plain).fit_transform([Bag([[-1.0], [-2.0]])])[0]
    np.testing.assert_allclose(farther, [3, -1, 0], atol=1e-4)
    elsewhere = LLC(vocabulary_of(words), **plain).fit_transform([Bag([[-1.0], [9.0]])])[0]
    np.testing.assert_allclose(elsewhere, [2, 0, 1], atol=1e-3)


def test_a_single_word_has_the_whole_weight(rng):
    np.testing.assert_allclose(LLC(1).fit_transform([bag(rng, 3)]), [[1.0]])
