"""WideRidge: a ridge classifier for wide codes."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import validate_data

from featrec.base import JOBS, VERBOSE, positive_integer, real_number
from featrec.classifiers._codes_classifier import (
    CLASS_WEIGHT,
    OF_BLAS,
    CodesClassifier,
    announce,
    best,
    checked,
    counted_rows,
    middle,
    row_weights,
    signed,
)
from featrec.classifiers._iterative_solvers import ShiftedFactor, conjugate_gradients
from featrec.classifiers._triangle import TILE, Triangle
from featrec.classifiers._wide_scaler import GRAM_ROWS, SWEPT_ROWS, CentredCodes
from featrec.parallel import map_batches, worker_count
from featrec.shared_docs import with_shared_docs

__all__ = ["WideRidge"]

# Up to this number of equations (one tile), everything is computed in float64.
SMALL = TILE
# Number of rows whose leverages are computed at once, and number of rows per product in predictions.
SAMPLES, ROWS = 512, 512
# Maximum relative error of 1 - leverage; leave-one-out residuals have the same relative error.
PRECISION = 1e-3
# Memory that Python and the loaded libraries use.
BASE_BYTES = 350_000_000


@with_shared_docs
class WideRidge(CodesClassifier):
    """A linear classifier for large arrays, such as 50,000 × 16,000: ridge regression with targets of ±1 for each class.

    The result is the same as that of scikit-learn's ``RidgeClassifier``, but `fit` needs less memory. Codes are neither copied
    nor converted. Only the lower triangle of the Gram matrix is computed. It is overwritten with its Cholesky factor, tile by
    tile, because matrices of this size have crashed BLAS libraries. The penalty is chosen by leave-one-out errors
    on training rows, without fitting other models: all penalties share one factor.

    If codes have more columns than rows, the Gram matrix of the rows is used. `fit` raises an error if codes contain NaN or
    infinity, if all labels are equal, or if it needs more memory than the machine has.

    Parameters
    ----------
    alphas : float or sequence of floats, default=(0.03, 0.1, 0.3, 1.0, 3.0)
        Penalties to choose from. They are relative to the mean squared distance of the codes from their mean, so they do not
        depend on the scale of the codes. For standardised codes of unit length, they equal scikit-learn's penalties. The
        largest penalty may be at most 256 times the smallest.
    loo_samples : int or None, default=2000
        Number of training rows whose leave-one-out errors are used to choose the penalty. The rows are evenly spaced within
        each class. None means all rows.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    coef_ : array of shape (1, n_features) or (n_classes, n_features), float32
    intercept_ : array of shape (1,) or (n_classes,)
    alpha_ : float
        The penalty that was chosen from `alphas`.
    penalty_ : float
        The number that was added to the diagonal of the Gram matrix. It corresponds to scikit-learn's ``alpha``.
    loo_scores_ : array of shape (n_alphas,)
        Leave-one-out accuracy for each of `alphas`; NaN if there is only one penalty.
    n_features_in_ : int

    Notes
    -----
    The leave-one-out residual of a row is its residual divided by 1 - h, where h is the leverage of the row. The matrix is
    factored with one penalty, the geometric mean of the smallest and largest of `alphas`, and leverages for this penalty are
    exact. Leverages for other penalties are computed by a few Lanczos steps with the same factor, until the relative error of
    1 - h is at most 0.001. The penalty with the best accuracy is chosen; if several penalties are equally good, the one with
    the smallest squared error is chosen. Finally, conjugate gradients on the codes correct the rounding errors of the float32
    factor. Systems of up to 2,400 equations are solved in float64.

    References
    ----------
    R. M. Rifkin and R. A. Lippert, "Notes on Regularized Least Squares", MIT-CSAIL-TR-2007-025, 2007.
    G. H. Golub and G. Meurant, "Matrices, Moments and Quadrature", in Numerical Analysis 1993.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.classifiers import WideRidge
    >>> codes = np.random.default_rng(0).normal(size=(60, 40)).astype(np.float32)
    >>> labels = np.where(codes[:, 0] > 0, "coast", "forest")
    >>> model = WideRidge().fit(codes, labels)
    >>> print(model.score(codes, labels))
    1.0
    """

    _parameter_constraints = {
        "alphas": [real_number(0.0, closed="neither"), "array-like"],
        "loo_samples": [positive_integer(), None],
        **CLASS_WEIGHT,
        **JOBS,
        **VERBOSE,
    }

    def __init__(
        self,
        *,
        alphas: float | Sequence[float] = (0.03, 0.1, 0.3, 1.0, 3.0),
        loo_samples: int | None = 2000,
        class_weight: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.alphas = alphas
        self.loo_samples = loo_samples
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.verbose = verbose

    def memory_needed(self, n_samples: int, n_features: int, n_classes: int = 10) -> int:
        """Return the maximum number of bytes that `fit` needs, including the codes in float32 and Python itself.

        Parameters
        ----------
        n_samples : int
        n_features : int
        n_classes : int, default=10

        Returns
        -------
        n_bytes : int
        """
        n, n_alphas = min(n_samples, n_features), len(checked(self.alphas))
        dtype = np.dtype(_dtype(n))
        tile, workers = min(n, TILE), worker_count(self.n_jobs, shared_memory=True)
        # Each worker needs two pieces of the codes and their product, and later some rows. There are no more workers than
        # tiles.
        piece = min(GRAM_ROWS, max(n_samples, n_features)) * tile
        filling = min(workers, Triangle.n_tiles(n)) * dtype.itemsize * (2 * piece + tile * tile)
        sweeping = min(workers, math.ceil(n_samples / SWEPT_ROWS)) * dtype.itemsize * SWEPT_ROWS * n_features
        # Leave-one-out errors need memory for the rows, the centred rows, three Lanczos vectors for each row, and two solves.
        leaving_out = 8 * dtype.itemsize * n * min(SAMPLES, n_samples) if n_alphas > 1 else 0
        weights = n_classes * (3 * dtype.itemsize * n_alphas * n + 5 * 8 * n_features)
        codes_and_targets = 4 * n_samples * (n_features + 4 * n_classes)
        needed = codes_and_targets + Triangle.memory_needed(n, dtype=dtype) + max(filling, sweeping, leaving_out) + weights
        return int(needed + workers * OF_BLAS + BASE_BYTES)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn a weight for each column and class, and choose the penalty.

        Parameters
        ----------
        X : array of shape (n, n_features)
        y : array-like of shape (n,)
        sample_weight : array-like of shape (n,), optional
            Weights of the rows, 0 or more. Rows with weight 0 are ignored.

        Returns
        -------
        self
        """
        self._check_parameters()
        alphas = checked(self.alphas)
        codes, y = validate_data(self, X, y, dtype=np.float32, order="C")
        codes, y, weights_of_rows = counted_rows(codes, y, row_weights(y, self.class_weight, sample_weight))
        labels = self._numbered(y)
        needed = self.memory_needed(codes.shape[0], codes.shape[1], len(self.classes_))
        announce("WideRidge", needed, codes.nbytes, "use fewer words, a coarser grid or fewer rows", self.verbose)
        with self._timed("column means"):
            system = _System.of(codes, signed(labels, len(self.classes_)), self.n_jobs, weights_of_rows)
        with self._timed(f"Gram matrix, {system.size:,} × {system.size:,}"):
            triangle = system.gram(self.verbose)
        with self._timed("Cholesky factor"):
            factored = middle(alphas) * system.scale
            triangle.add_to_diagonal(factored)
            triangle.cholesky(n_jobs=self.n_jobs, verbose=self.verbose)
        factor = ShiftedFactor(triangle, factored, [alpha * system.scale for alpha in alphas], self.n_jobs)
        with self._timed(f"weights for {len(alphas)} penalties"):
            weights = factor.solutions(system.right)
        with self._timed("leave-one-out errors"):
            chosen, self.loo_scores_ = self._choose(system, factor, weights, labels)
        self.alpha_, self.penalty_ = alphas[chosen], factor.penalties[chosen]
        with self._timed("corrected weights"):
            self.coef_, self.intercept_ = system.model(triangle, self.penalty_, weights[chosen])
        return self

    def _scores(self, codes: np.ndarray) -> np.ndarray:
        scores = np.empty((len(codes), len(self.coef_)), np.float32)

        def part(rows: range) -> None:
            scores[rows.start : rows.stop] = codes[rows.start : rows.stop] @ self.coef_.T + self.intercept_

        map_batches(part, range(len(codes)), n_jobs=self.n_jobs, batch_size=ROWS, shared_memory=True)
        return scores

    def _choose(
        self, system: _System, factor: ShiftedFactor, weights: np.ndarray, labels: np.ndarray
    ) -> tuple[int, np.ndarray]:
        if len(weights) == 1:
            return 0, np.full(1, np.nan)
        left_out = _spread(labels, self.loo_samples)
        answers = [np.empty((len(left_out), weights.shape[2])) for _ in weights]
        for start in range(0, len(left_out), SAMPLES):
            some = slice(start, start + SAMPLES)
            rows = left_out[some]
            residuals = system.residuals(factor.penalties, weights, rows) / system.one_less_leverage(factor, rows)[..., None]
            residuals /= system.roots(rows)
            for answer, residual in zip(answers, residuals, strict=True):
                answer[some] = system.targets[rows] - residual
        counted = None if system.weights is None else system.weights[left_out]
        return best(answers, system.targets[left_out], labels[left_out], counted)

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if self.verbose:
            sys.stderr.write(f"{time.perf_counter() - start:>7.1f} s  {step}\n")


@dataclass(frozen=True)
class _System:
    """The equations of one fit: one for each column, or one for each row if there are fewer rows than columns."""

    centred: CentredCodes
    targets: np.ndarray
    means: np.ndarray
    right: np.ndarray
    by_columns: bool
    n_jobs: int | None
    weights: np.ndarray | None = None

    @classmethod
    def of(cls, codes: np.ndarray, targets: np.ndarray, n_jobs: int | None, weights: np.ndarray | None = None) -> _System:
        n, d = codes.shape
        centred = CentredCodes(codes, _dtype(min(n, d)), n_jobs, weights)
        means = np.average(targets.astype(np.float64), axis=0, weights=weights)
        right = targets - means
        if weights is not None:
            right *= np.sqrt(weights)[:, None]
        if d <= n:
            right = centred.transposed_times(right)
        return cls(centred, targets, means, right, d <= n, n_jobs, weights)

    @property
    def size(self) -> int:
        return len(self.right)

    @property
    def scale(self) -> float:
        """Unit of the penalties: the mean squared distance of the codes from their mean, or 1 if all codes are equal."""
        return self.centred.mean_squared_length or 1.0

    def roots(self, rows: np.ndarray) -> Any:
        return 1.0 if self.weights is None else np.sqrt(self.weights[rows])[:, None]

    def gram(self, verbose: int) -> Triangle:
        triangle = Triangle(self.size, dtype=self.centred.dtype)
        part = self.centred.gram_of_columns if self.by_columns else self.centred.gram_of_rows
        triangle.fill(part, n_jobs=self.n_jobs, verbose=verbose)
        return triangle

    def one_less_leverage(self, factor: ShiftedFactor, rows: np.ndarray) -> np.ndarray:
        """Return 1 − leverage for each penalty and row. The leverage of the intercept is included."""
        n, penalties = len(self.targets), np.asarray(factor.penalties)[:, None]
        shares = 1 / n if self.weights is None else self.weights[rows] / self.weights.sum()
        if self.by_columns:
            constant, times, right = 1 - shares, np.full_like(penalties, -1), self.centred.rows(rows).T
        else:
            constant, times, right = -shares, penalties, np.zeros((n, len(rows)), self.centred.dtype)
            right[rows, np.arange(len(rows))] = 1

        def left(forms: np.ndarray) -> np.ndarray:
            return np.maximum(constant + times * forms, np.finfo(np.float32).eps)

        def enough(forms: np.ndarray, bounds: np.ndarray) -> bool:
            return bool(np.all(np.abs(times) * bounds <= PRECISION * left(forms)))

        return left(factor.forms(right, enough))

    def residuals(self, penalties: list[float], weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the residuals of some training rows for each penalty, multiplied by the square roots of the row weights."""
        if self.by_columns:
            return self.roots(rows) * (self.targets[rows] - self.means) - np.matmul(self.centred.rows(rows), weights)
        return np.asarray(penalties)[:, None, None] * weights[:, rows]

    def model(self, factor: Triangle, penalty: float, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return corrected weights of the columns for each class, and the intercepts."""
        centred = self.centred

        def product(weights: np.ndarray) -> np.ndarray:
            found = centred.squared_times(weights) if self.by_columns else centred.times(centred.transposed_times(weights))
            return found + penalty * weights

        weights = conjugate_gradients(product, lambda b: factor.solve(b, n_jobs=self.n_jobs), self.right, start)
        if not self.by_columns:
            weights = centred.transposed_times(weights)
        intercepts = self.means - centred.means.astype(np.float64) @ weights
        return np.ascontiguousarray(weights.T, dtype=np.float32), intercepts


def _dtype(n: int) -> type:
    return np.float64 if n <= SMALL else np.float32


def _spread(labels: np.ndarray, number: int | None) -> np.ndarray:
    """Return `number` rows that are evenly spaced within each class, or all rows if `number` is None."""
    if number is None or number >= len(labels):
        return np.arange(len(labels))
    by_class = np.argsort(labels, kind="stable")
    return np.sort(by_class[np.linspace(0, len(labels) - 1, number).round().astype(int)])
