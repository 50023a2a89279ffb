"""WideLinearSVC: scikit-learn's linear SVM, for codes with many more columns than there are pictures."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Self

import numpy as np
from scipy.linalg import solve_triangular
from sklearn.svm import LinearSVC
from sklearn.utils.validation import validate_data

from featrec.base import JOBS, StrOptions, positive_integer, real_number
from featrec.classifiers._codes_classifier import CodesClassifier
from featrec.exceptions import InputError
from featrec.parallel import map_batches

__all__ = ["WideLinearSVC"]

# Products are made in tiles: much larger ones have crashed BLAS libraries, smaller ones are slower.
ROWS = 512
COLUMNS = 16384
# What is added to the Gram matrix's diagonal, relative to its mean, so that copies of a picture do no harm. Where thousands of
# codes point one way and their rounding is more than that, the next is tried.
RIDGES = (1e-6, 1e-5, 1e-4, 1e-3)


class WideLinearSVC(CodesClassifier):
    """A linear SVM for Fisher vectors, VLAD and other codes of which one is longer than there are pictures to learn from.

    The solution is a weighted sum of the training codes, so all that the optimiser needs is how far they agree with each
    other: the Gram matrix, n × n, is one product in float32. scikit-learn's ``LinearSVC`` gets as many columns as there are
    pictures, and its answer is carried back to the codes. What comes out is what ``LinearSVC`` finds in the codes themselves,
    which it would copy to float64 and then to 16 bytes a number. Where the codes are narrow it is ``LinearSVC`` itself.

    Parameters
    ----------
    C : float, default=1.0
        The weight of the training errors.
    class_weight : dict, "balanced" or None, default=None
    tol : float, default=1e-4
    max_iter : int, default=1000
    n_jobs : int or None, default=None
        Threads for the products; None means one, or what a joblib context says.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    coef_ : array of shape (1, n_features) or (n_classes, n_features), float32
    intercept_ : array of shape (1,) or (n_classes,)
    n_features_in_ : int
    n_iter_ : int

    Notes
    -----
    Squared hinge, one class against the rest, intercept penalised, as in ``LinearSVC``; the primal problem is solved, so
    no random numbers are needed. A millionth of the codes' mean squared length is added to the Gram matrix's diagonal, up to
    a thousandth where many codes nearly agree.
    Besides the codes, `fit` holds three n × n arrays in float64 and twice as much inside LIBLINEAR: 0.4 GB for 3,000
    pictures, 4 GB for 10,000.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.classifiers import WideLinearSVC
    >>> codes = np.random.default_rng(0).normal(size=(20, 500)).astype(np.float32)
    >>> codes[:10, :50] += 1
    >>> labels = np.repeat(["coast", "forest"], 10)
    >>> print(WideLinearSVC().fit(codes, labels).score(codes, labels))
    1.0
    """

    _parameter_constraints = {
        "C": [real_number(0.0, closed="neither")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "tol": [real_number(0.0, closed="neither")],
        "max_iter": [positive_integer()],
        **JOBS,
    }

    def __init__(
        self,
        *,
        C: float = 1.0,
        class_weight: Any = None,
        tol: float = 1e-4,
        max_iter: int = 1000,
        n_jobs: int | None = None,
    ):
        self.C = C
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn one weight for each column and class.

        Parameters
        ----------
        X : array of shape (n, n_features)
        y : array-like of shape (n,)
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        self
        """
        self._check_parameters()
        codes, y = validate_data(self, X, y, dtype=np.float32, order="C")
        svm = LinearSVC(C=self.C, class_weight=self.class_weight, tol=self.tol, max_iter=self.max_iter, dual=False)
        if codes.shape[1] <= len(codes):
            svm.fit(codes, y, sample_weight=sample_weight)
            self.coef_ = svm.coef_.astype(np.float32)
        else:
            places = _coordinates(codes, self.n_jobs)
            svm.fit(places, y, sample_weight=sample_weight)
            shares = solve_triangular(places, svm.coef_.T, lower=True, trans="T")
            self.coef_ = _weighted_sums(shares.T.astype(np.float32), codes, self.n_jobs)
        self.classes_, self.intercept_, self.n_iter_ = svm.classes_, np.atleast_1d(svm.intercept_), int(svm.n_iter_)
        return self

    def _scores(self, codes: np.ndarray) -> np.ndarray:
        return codes @ self.coef_.T + self.intercept_


def _coordinates(codes: np.ndarray, n_jobs: int | None) -> np.ndarray:
    """Rows as far apart as the codes, and as many columns as there are codes: the Cholesky factor of their products."""
    products = np.zeros((len(codes), len(codes)))

    def part(rows: range) -> None:
        block = products[rows.start : rows.stop, : rows.stop]
        for start in range(0, codes.shape[1], COLUMNS):
            tile = codes[:, start : start + COLUMNS]
            block += tile[rows.start : rows.stop] @ tile[: rows.stop].T

    map_batches(part, range(len(codes)), n_jobs=n_jobs, batch_size=ROWS, shared_memory=True)
    diagonal = products.diagonal().copy()
    for ridge in RIDGES:
        products[np.diag_indices(len(codes))] = diagonal + ridge * max(diagonal.mean(), np.finfo(np.float32).tiny)
        with suppress(np.linalg.LinAlgError):
            return np.linalg.cholesky(products)
    raise InputError("WideLinearSVC: the codes' products cannot be factored; codes of unit length help (Normalizer())")


def _weighted_sums(shares: np.ndarray, codes: np.ndarray, n_jobs: int | None) -> np.ndarray:
    sums = np.empty((len(shares), codes.shape[1]), np.float32)

    def part(columns: range) -> None:
        sums[:, columns.start : columns.stop] = shares @ codes[:, columns.start : columns.stop]

    map_batches(part, range(codes.shape[1]), n_jobs=n_jobs, batch_size=COLUMNS, shared_memory=True)
    return sums
