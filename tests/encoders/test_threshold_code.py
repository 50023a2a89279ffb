"""ThresholdCode against the formula, computed by plain loops and by matrix products."""

import numpy as np
import pytest
from numba import config

from featrec import Bag
from featrec.compiled._codes_by_dot import threshold_code_by_dot
from featrec.compiled._dot_products import has_float_dot
from featrec.compiled._two_sided_codes import threshold_code
from featrec.encoders import ThresholdCode
from tests.naive import codes as naive


def bag(rng, n, d=6):
    frames = np.column_stack([rng.uniform(0, 60, n), rng.uniform(0, 40, n), np.full(n, 4), np.full(n, -1)])
    return Bag(2 * rng.normal(size=(n, d)), frames, (40, 60))


def activations(points, words, threshold):
    products = points.astype(np.float64) @ words.astype(np.float64).T
    return np.maximum(0, np.hstack([products, -products]) - threshold)


def runnable(loop):
    if loop is threshold_code_by_dot and not has_float_dot() and not config.DISABLE_JIT:
        pytest.skip("the processor has no AVX-512, so BLAS is used")


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
@pytest.mark.parametrize("threshold", [0.0, 0.7])
@pytest.mark.parametrize("n, k, d, n_cells", [(1, 1, 1, 1), (2, 3, 5, 1), (40, 7, 6, 3), (35, 66, 3, 35), (0, 3, 2, 2)])
@pytest.mark.parametrize("loop", [threshold_code, threshold_code_by_dot])
def test_the_compiled_loop_agrees_with_plain_loops(rng, loop, n, k, d, n_cells, threshold, kind):
    runnable(loop)
    points, words = rng.uniform(0, 9, (n, d)).astype(kind), rng.normal(size=(k, d)).astype(np.float32)
    cells = rng.integers(n_cells, size=n)
    found, expected = np.empty((2, n_cells, 2 * k), np.float32)
    loop(points, words, cells, np.float32(threshold), found)
    getattr(naive, loop.__name__)(points, words, cells, np.float32(threshold), expected)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("n, k", [(191, 5), (193, 63), (1100, 64), (500, 1700), (30_000, 7)])
@pytest.mark.parametrize("n_cells", [1, 3])
@pytest.mark.parametrize("loop", [threshold_code, threshold_code_by_dot])
def test_several_tiles_of_points_and_words(rng, loop, n, k, n_cells):
    runnable(loop)
    points, words = rng.normal(size=(n, 9)).astype(np.float32), rng.normal(size=(k, 9)).astype(np.float32)
    cells = rng.integers(n_cells, size=n)
    found = np.empty((n_cells, 2 * k), np.float32)
    loop(points, words, cells, np.float32(1), found)
    each = activations(points, words, 1)
    expected = np.stack([each[cells == cell].sum(axis=0) for cell in range(n_cells)])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


def test_codes_with_and_without_blas_are_close(rng, monkeypatch):
    bags = [bag(rng, n, 20) for n in (300, 7)]
    encoder = ThresholdCode(70, random_state=0).fit(bags)
    here = encoder.transform(bags)
    monkeypatch.setattr("featrec.encoders._votes.has_float_dot", lambda: False)
    np.testing.assert_allclose(encoder.transform(bags), here, rtol=1e-5, atol=1e-6)


def test_a_high_threshold_gives_zeros_and_none_the_whole_product(rng):
    one = bag(rng, 30)
    assert not ThresholdCode(4, threshold=1e6, random_state=0).fit_transform([one]).any()
    encoder = ThresholdCode(4, threshold=0, norm=None, random_state=0).fit([one])
    above, below = encoder.transform([one])[0].reshape(2, 4)
    summed = (one.descriptors @ encoder.vocabulary_.words_.T).sum(axis=0)
    np.testing.assert_allclose(above - below, summed, rtol=1e-4, atol=1e-4)


def test_one_word(rng):
    one = bag(rng, 12)
    encoder = ThresholdCode(1, norm=None, random_state=0).fit([one])
    expected = activations(one.descriptors, encoder.vocabulary_.words_, 1).sum(axis=0)
    np.testing.assert_allclose(encoder.transform([one])[0], expected, rtol=1e-4, atol=1e-5)


def test_a_negative_threshold_is_refused(rng):
    with pytest.raises(ValueError, match="threshold"):
        ThresholdCode(4, threshold=-1.0).fit([bag(rng, 30)])
