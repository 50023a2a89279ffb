"""TriangleCode against plain loops and scikit-learn's distances."""

import numpy as np
import pytest
from numba import config
from sklearn.metrics import pairwise_distances

from featrec import Bag
from featrec.compiled._codes_by_dot import triangle_code_by_dot
from featrec.compiled._dense_codes import triangle_code
from featrec.compiled._dot_products import has_float_dot
from featrec.encoders import TriangleCode
from tests.naive import codes as naive


def bag(rng, n, d=6):
    frames = np.column_stack([rng.uniform(0, 60, n), rng.uniform(0, 40, n), np.full(n, 4), np.full(n, -1)])
    return Bag(rng.normal(size=(n, d)), frames, (40, 60))


def activations(points, words):
    z = pairwise_distances(points.astype(np.float64), words.astype(np.float64))
    return np.maximum(0, z.mean(axis=1, keepdims=True) - z)


def runnable(loop):
    if loop is triangle_code_by_dot and not has_float_dot() and not config.DISABLE_JIT:
        pytest.skip("the processor has no AVX-512, so BLAS is used")


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
@pytest.mark.parametrize("n, k, d, n_cells", [(1, 1, 1, 1), (2, 3, 5, 1), (40, 7, 6, 3), (35, 66, 3, 35), (0, 3, 2, 2)])
@pytest.mark.parametrize("loop", [triangle_code, triangle_code_by_dot])
def test_the_compiled_loop_agrees_with_plain_loops(rng, loop, n, k, d, n_cells, kind):
    runnable(loop)
    points, words = (rng.uniform(0, 255, (rows, d)).astype(kind) for rows in (n, k))
    cells = rng.integers(n_cells, size=n)
    found, expected = np.empty((2, n_cells, k), np.float32)
    loop(points, words.astype(np.float32), cells, found)
    getattr(naive, loop.__name__)(points, words.astype(np.float32), cells, expected)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=5e-2)


@pytest.mark.parametrize("n, k", [(191, 5), (192, 5), (193, 5), (1000, 450), (500, 2100)])
@pytest.mark.parametrize("n_cells", [1, 3])
@pytest.mark.parametrize("loop", [triangle_code, triangle_code_by_dot])
def test_several_tiles_of_points_and_words(rng, loop, n, k, n_cells):
    runnable(loop)
    points, words = rng.normal(size=(n, 9)).astype(np.float32), rng.normal(size=(k, 9)).astype(np.float32)
    cells = rng.integers(n_cells, size=n)
    found = np.empty((n_cells, k), np.float32)
    loop(points, words, cells, found)
    each = activations(points, words)
    expected = np.stack([each[cells == cell].sum(axis=0) for cell in range(n_cells)])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_a_point_equal_to_a_word_and_equal_words(rng):
    """Distances that are zero, or nearly zero far from the origin."""
    words = np.repeat(rng.normal(size=(35, 6)), 2, axis=0).astype(np.float32)
    for loop in (triangle_code, triangle_code_by_dot):
        runnable(loop)
        for offset in (0, 1000):
            found = np.empty((70, 70), np.float32)
            loop(words + np.float32(offset), words + np.float32(offset), np.arange(70), found)
            expected = activations(words, words)
            # Squared lengths of 6e6 have an error of half a unit in float32.
            np.testing.assert_allclose(found, expected, atol=5e-3 if offset == 0 else 1.5)
            assert np.isfinite(found).all()


def test_codes_with_and_without_blas_are_close(rng, monkeypatch):
    bags = [bag(rng, n, 20) for n in (300, 7)]
    encoder = TriangleCode(70, random_state=0).fit(bags)
    here = encoder.transform(bags)
    monkeypatch.setattr("featrec.encoders._votes.has_float_dot", lambda: False)
    np.testing.assert_allclose(encoder.transform(bags), here, rtol=1e-4, atol=1e-5)


def test_one_word_is_never_nearer_than_the_mean(rng):
    assert not TriangleCode(1).fit_transform([bag(rng, 12)]).any()
