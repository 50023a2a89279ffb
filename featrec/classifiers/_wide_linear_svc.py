"""WideLinearSVC: scikit-learn's linear SVM, for codes with many more columns than rows."""

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
from featrec.shared_docs import with_shared_docs

__all__ = ["WideLinearSVC"]

# Number of rows and columns per product. Much larger products have crashed BLAS libraries; smaller products are slower.
ROWS = 512
COLUMNS = 16384
# Numbers to add to the diagonal of the Gram matrix, relative to its mean. Otherwise, duplicate images would make it singular.
# If the factorisation fails because thousands of codes have nearly the same direction, the next number is tried.
RIDGES = (1e-6, 1e-5, 1e-4, 1e-3)


@with_shared_docs
class WideLinearSVC(CodesClassifier):
    """A linear SVM for Fisher vectors, VLAD codes and other codes with more columns than training images.

    The solution is a weighted sum of the n training codes, so only their n × n Gram matrix is needed. It is computed in
    float32. scikit-learn's ``LinearSVC`` is fitted on a factor of the Gram matrix, which has n columns, and its solution is
    converted back to weights of the original columns. The result is the same as that of ``LinearSVC`` on the codes, without the
    two copies that ``LinearSVC`` makes: one in float64, and one that takes 16 bytes per value. If codes do not have more
    columns than rows, they are passed to ``LinearSVC`` directly.

    Parameters
    ----------
    C : float, default=1.0
        Weight of the training errors.
    tol : float, default=1e-4
        Tolerance of the stopping criterion.
    max_iter : int, default=1000
        Maximum number of iterations.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    coef_ : array of shape (1, n_features) or (n_classes, n_features), float32
    intercept_ : array of shape (1,) or (n_classes,)
    n_features_in_ : int
    n_iter_ : int

    Notes
    -----
    As in ``LinearSVC``, the loss is the squared hinge loss, each class is separated from the rest, and the intercept is
    penalised. The primal problem is solved, so no random numbers are needed. A millionth of the mean squared length of the
    codes is added to the diagonal of the Gram matrix; if many codes are nearly equal, up to a thousandth is added. In addition
    to the codes, `fit` needs three n × n arrays in float64 and twice as much memory inside LIBLINEAR: 0.4 GB for 3,000 images,
    4 GB for 10,000.

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
        """Learn a weight for each column and class.

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
    """Return the Cholesky factor of the Gram matrix. Its n rows have only n columns, but the same Gram matrix as the codes."""
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
    raise InputError("WideLinearSVC: the Gram matrix cannot be factored; use codes of unit length (Normalizer())")


def _weighted_sums(shares: np.ndarray, codes: np.ndarray, n_jobs: int | None) -> np.ndarray:
    sums = np.empty((len(shares), codes.shape[1]), np.float32)

    def part(columns: range) -> None:
        sums[:, columns.start : columns.stop] = shares @ codes[:, columns.start : columns.stop]

    map_batches(part, range(codes.shape[1]), n_jobs=n_jobs, batch_size=COLUMNS, shared_memory=True)
    return sums
