"""The factor and solutions of a matrix in tiles equal those of numpy."""

import numpy as np
import pytest

from featrec.classifiers._triangle import Triangle
from featrec.exceptions import InputError

SIZES = [(1, 4), (7, 16), (64, 16), (75, 16), (301, 100), (700, 300)]


def matrix(n, seed=0):
    """Return a symmetric matrix with eigenvalues between 0.5 and about 5."""
    parts = np.random.default_rng(seed).normal(size=(n, n)) / np.sqrt(n)
    return parts @ parts.T + 0.5 * np.eye(n)


def factored(whole, tile, *, n_jobs=None, **arguments):
    """Return the factor, which is computed without the upper half of the matrix."""
    triangle = Triangle(len(whole), tile, **arguments)
    lower = np.where(np.tri(len(whole), dtype=bool), whole, np.nan)
    triangle.fill(lambda rows, columns, out: np.copyto(out, lower[rows, columns]))
    triangle.cholesky(n_jobs)
    return triangle


@pytest.mark.parametrize(("n", "tile"), SIZES)
@pytest.mark.parametrize(("dtype", "error"), [(np.float32, 2e-5), (np.float64, 1e-12)])
def test_solutions_are_those_of_the_whole_matrix(n, tile, dtype, error):
    whole, b = matrix(n), np.random.default_rng(1).normal(size=(n, 3)).astype(dtype)
    b.setflags(write=False)
    found = factored(whole, tile, dtype=dtype).solve(b)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, np.linalg.solve(whole, b), atol=error)


@pytest.mark.parametrize("n_tiles", [1, 3, 4])
def test_leading_tiles_solve_the_leading_block_and_give_the_rows_below(n_tiles):
    whole, lead = matrix(75), 16 * n_tiles
    b = np.random.default_rng(1).normal(size=(lead, 2)).astype(np.float32)
    triangle = factored(whole, 16)
    np.testing.assert_allclose(triangle.leading(n_tiles).solve(b), np.linalg.solve(whole[:lead, :lead], b), atol=2e-5)
    np.testing.assert_allclose(triangle.product_below(n_tiles, b, n_jobs=2), whole[lead:, :lead] @ b, atol=1e-5)


@pytest.mark.parametrize("row", [0, 3, 16, 37])
@pytest.mark.parametrize("value", [-1, np.nan])
def test_the_error_names_the_row_that_is_not_positive_definite(row, value):
    whole = matrix(40)
    whole[row, row] = value
    with pytest.raises(InputError, match=f"not positive definite at row {row} of 40 in float32; increase its diagonal"):
        factored(whole, 16)
