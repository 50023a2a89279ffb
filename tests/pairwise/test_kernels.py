"""The kernels against plain loops, numpy and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import chi2_kernel as their_chi2_kernel, manhattan_distances

from featrec.compiled import _kernels
from featrec.exceptions import InputError
from featrec.pairwise import HistogramKernel, chi2_kernel, intersection_kernel
from tests.naive import kernels as naive


def histograms(rng, n, d, empty=0.5):
    counts = rng.gamma(0.5, 1.0, (n, d)) * (rng.random((n, d)) > empty) + 1e-9 * (np.arange(d) == 0)
    return (counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("loop", ["intersection", "chi2"])
@pytest.mark.parametrize(
    "n, m, d, skipped", [(0, 3, 4, 0), (3, 0, 4, 0), (1, 1, 1, 0), (4, 5, 9, 2), (2, 3, 259, 0), (2, 259, 11, 1)]
)
def test_compiled_loops_agree_with_plain_loops(rng, loop, n, m, d, skipped):
    X, Y = histograms(rng, n, d), histograms(rng, m, d)
    found, expected = np.full((2, n, m), -1, np.float32)
    getattr(_kernels, loop)(X, Y, skipped, found)
    getattr(naive, loop)(X.astype(float), Y.astype(float), skipped, expected)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_blocks_of_zeros(rng):
    X, Y = histograms(rng, 5, 64), histograms(rng, 6, 64)
    X[:, 8:40] = 0
    Y[:, 16:24] = 0
    np.testing.assert_allclose(intersection_kernel(X, Y), np.minimum(X[:, None], Y).sum(axis=2), rtol=1e-5)
    np.testing.assert_allclose(chi2_kernel(X, Y), their_chi2_kernel(X.astype(float), Y.astype(float)), rtol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 1e-6, 3e4, 1e12])
def test_chi2_is_that_of_scikit_learn_at_any_scale(rng, scale):
    X, Y = scale * histograms(rng, 30, 50).astype(float), scale * histograms(rng, 20, 50).astype(float)
    expected = their_chi2_kernel(X, Y, gamma=0.7 / scale)
    np.testing.assert_allclose(chi2_kernel(X, Y, gamma=0.7 / scale), expected, rtol=2e-5)


@pytest.mark.parametrize("n", [1, 40, 300])
@pytest.mark.parametrize("kernel", [intersection_kernel, chi2_kernel])
def test_one_set_gives_the_kernel_of_two_equal_sets(rng, kernel, n):
    X = histograms(rng, n, 12)
    alone = kernel(X)
    np.testing.assert_array_equal(alone, alone.T)
    np.testing.assert_allclose(alone, kernel(X, X.copy()), rtol=1e-5)
    np.testing.assert_array_equal(alone, kernel(X, X))
    np.testing.assert_array_equal(alone, kernel(X, n_jobs=2))
    np.testing.assert_allclose(np.diag(alone), 1.0, rtol=1e-5)


def test_distances(rng):
    X, Y = histograms(rng, 8, 30), histograms(rng, 9, 30)
    intersection, chi2 = (HistogramKernel(kind, output="distance").fit(Y) for kind in ("intersection", "chi2"))
    np.testing.assert_allclose(intersection.transform(X), manhattan_distances(X, Y), atol=1e-5)
    np.testing.assert_allclose(intersection.transform(X), 2 - 2 * intersection_kernel(X, Y), atol=1e-5)
    np.testing.assert_allclose(np.exp(-chi2.transform(X)), chi2_kernel(X, Y), rtol=1e-6)
    assert not np.diag(intersection.fit_transform(X)).any()


def test_the_input_is_not_changed(rng):
    X = histograms(rng, 9, 8)
    X.flags.writeable = False
    before = X.copy()
    intersection_kernel(X), chi2_kernel(3 * X)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("kernel", [intersection_kernel, chi2_kernel])
def test_errors_give_advice(kernel):
    with pytest.raises(InputError, match=rf"{kernel.__name__}: X\[1, 0\] is -0.5.*linear kernel"):
        kernel([[0.0, 1.0], [-0.5, 1.0]])
    with pytest.raises(ValueError, match="NaN"):
        kernel([[0.0, np.nan]])
    with pytest.raises(InputError, match="X has 2 features and Y has 3"):
        kernel([[0.0, 1.0]], [[0.0, 1.0, 0.0]])
