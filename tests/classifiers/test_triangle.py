"""Triangle against scipy's factor and solves of the whole matrix."""

import numpy as np
import pytest
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from threadpoolctl import threadpool_limits

from featrec.classifiers._triangle import Triangle
from featrec.exceptions import InputError

SIZES = [(1, 4), (7, 16), (64, 16), (75, 16), (301, 100), (700, 300)]


def matrix(n, seed=0):
    """Symmetric, with eigenvalues between 0.5 and about 5."""
    parts = np.random.default_rng(seed).normal(size=(n, n)) / np.sqrt(n)
    return parts @ parts.T + 0.5 * np.eye(n)


def filled(whole, tile, **arguments):
    triangle = Triangle(len(whole), tile, **arguments)

    def part(rows, columns, out):
        out[:] = whole[rows, columns]

    triangle.fill(part)
    return triangle


def lower(triangle):
    """The triangle as one array."""
    whole = np.zeros((triangle.n, triangle.n), triangle.dtype)
    for i, row in enumerate(triangle.spans):
        for j, column in enumerate(triangle.spans[: i + 1]):
            whole[row, column] = triangle.tiles[i][j]
    return np.tril(whole)


@pytest.mark.parametrize(("n", "tile"), SIZES)
@pytest.mark.parametrize(("dtype", "error"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_factor_is_that_of_the_whole_matrix(n, tile, dtype, error):
    whole = matrix(n)
    triangle = filled(whole, tile, dtype=dtype)
    triangle.cholesky()
    np.testing.assert_allclose(lower(triangle), np.linalg.cholesky(whole), atol=error)
    np.testing.assert_allclose(lower(triangle) @ lower(triangle).T, whole, atol=error)


@pytest.mark.parametrize(("n", "tile"), SIZES)
def test_solves_against_scipy(n, tile):
    whole, b = matrix(n), np.random.default_rng(1).normal(size=(n, 3)).astype(np.float32)
    triangle = filled(whole, tile)
    triangle.cholesky()
    factor = cho_factor(whole, lower=True)
    np.testing.assert_allclose(triangle.solve(b), cho_solve(factor, b), atol=2e-5)
    np.testing.assert_allclose(triangle.solve_lower(b), solve_triangular(np.tril(factor[0]), b, lower=True), atol=1e-5)
    np.testing.assert_allclose(triangle.solve_upper(b), solve_triangular(np.tril(factor[0]).T, b), atol=1e-5)


def test_right_side_is_left_as_it_is():
    triangle = filled(matrix(20), 8)
    triangle.cholesky()
    b = np.ones((20, 2), np.float32)
    b.setflags(write=False)
    triangle.solve(b)
    assert (b == 1).all()


def test_threads_give_the_same_numbers():
    whole, b = matrix(500), np.ones((500, 2), np.float32)
    found = []
    for n_jobs in (1, 2, 3):
        triangle = filled(whole, 90)
        with threadpool_limits(1):
            triangle.cholesky(n_jobs)
            found.append((lower(triangle), triangle.solve(b, n_jobs=n_jobs)))
    for factor, solution in found[1:]:
        np.testing.assert_array_equal(factor, found[0][0])
        np.testing.assert_array_equal(solution, found[0][1])


def test_upper_half_is_never_read():
    whole = matrix(50)
    triangle = filled(np.where(np.tri(50, dtype=bool), whole, np.nan), 20)
    triangle.cholesky()
    np.testing.assert_allclose(lower(triangle), np.linalg.cholesky(whole), atol=1e-5)
    assert np.isfinite(triangle.solve(np.ones((50, 1), np.float32))).all()


def test_leading_rows_of_the_factor_are_the_factor_of_the_leading_block():
    whole, b = matrix(75), np.random.default_rng(1).normal(size=(48, 2)).astype(np.float32)
    triangle = filled(whole, 16)
    triangle.cholesky()
    part = triangle.leading(3)
    assert part.n == 48
    assert part.tiles[2][1] is triangle.tiles[2][1]
    np.testing.assert_allclose(part.solve(b), np.linalg.solve(whole[:48, :48], b), atol=1e-5)
    assert triangle.leading(5).n == triangle.leading(9).n == 75


def test_diagonal():
    triangle = filled(matrix(30), 8)
    triangle.add_to_diagonal(2)
    np.testing.assert_allclose(lower(triangle), np.tril(matrix(30)) + 2 * np.eye(30), atol=1e-6)


@pytest.mark.parametrize(("n", "tile"), [*SIZES, (60_000, 2400), (0, 10)])
def test_memory_is_known_before(n, tile):
    needed = Triangle.memory_needed(n, tile)
    if n < 1000:
        assert needed == sum(part.nbytes for row in Triangle(n, tile).tiles for part in row)
    else:
        assert needed == pytest.approx(7.5e9, rel=0.01)


@pytest.mark.parametrize("row", [0, 3, 16, 37])
def test_error_names_the_row_that_is_not_positive_definite(row):
    whole = matrix(40)
    whole[row, row] = -1
    with pytest.raises(InputError, match=f"not positive definite at row {row} of 40 in float32; add more to its diagonal"):
        filled(whole, 16).cholesky()


@pytest.mark.parametrize("row", [2, 20])
def test_numbers_that_are_none_are_named(row):
    whole = matrix(40)
    whole[row, row] = np.nan
    with pytest.raises(InputError, match=f"not positive definite at row {row} of 40"):
        filled(whole, 16).cholesky()


@pytest.mark.parametrize("shape", [(20,), (19, 1)])
def test_right_side_of_another_length(shape):
    with pytest.raises(InputError, match=r"the right side of 20 equations has shape \(.*it must be \(20, n_columns\)"):
        filled(matrix(20), 8).solve(np.ones(shape, np.float32))


def test_progress_is_told(capsys, monkeypatch):
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr("featrec.classifiers._triangle.time.perf_counter", lambda: next(clock))
    filled(matrix(40), 8).cholesky(verbose=1)
    assert "100 % of the Cholesky factor" in capsys.readouterr().err


@pytest.mark.parametrize("n_tiles", [1, 3, 4])
def test_products_with_what_stood_below(n_tiles):
    whole, lead = matrix(75), 16 * n_tiles
    x = np.random.default_rng(1).normal(size=(lead, 2)).astype(np.float32)
    triangle = filled(whole, 16)
    triangle.cholesky()
    np.testing.assert_allclose(triangle.product_below(n_tiles, x, n_jobs=2), whole[lead:, :lead] @ x, atol=1e-5)


def test_copy_is_another_one():
    triangle = filled(matrix(30), 8)
    other = triangle.copy()
    other.cholesky()
    np.testing.assert_allclose(lower(triangle), np.tril(matrix(30)), atol=1e-6)
    np.testing.assert_allclose(lower(other), np.linalg.cholesky(matrix(30)), atol=1e-5)


@pytest.mark.parametrize("n_tiles", [1, 3, 4])
def test_products_before_it_is_factored(n_tiles):
    whole, lead = matrix(75), 16 * n_tiles
    x = np.random.default_rng(1).normal(size=(75, 2)).astype(np.float32)
    triangle = filled(whole, 16)
    np.testing.assert_allclose(triangle.times(x, n_jobs=2), whole @ x, atol=1e-5)
    np.testing.assert_allclose(triangle.rows_below(n_tiles, x[:lead]), whole[lead:, :lead] @ x[:lead], atol=1e-5)
