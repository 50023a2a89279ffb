"""KernelRidgeClassifier: kernel ridge regression on labels."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import validate_data

from featrec.base import JOBS, RANDOM_STATE, VERBOSE, StrOptions, positive_integer, real_number
from featrec.classifiers._codes_classifier import (
    CLASS_WEIGHT,
    OF_BLAS,
    CodesClassifier,
    announce,
    checked,
    counted_rows,
    row_weights,
    signed,
    stratified_order,
)
from featrec.classifiers._exact_ridge import (
    COLUMNS,
    Kernel,
    Rows,
    Task,
    far_origin,
    fit_exact,
    leading_tiles,
    mean_squared_distance,
    tile_of,
)
from featrec.classifiers._iterative_solvers import fit_iteratively, memory_beside
from featrec.classifiers._landmark_ridge import fit_landmarks
from featrec.classifiers._triangle import TILE, Triangle
from featrec.parallel import worker_count
from featrec.shared_docs import with_shared_docs

__all__ = ["KernelRidgeClassifier"]

# A smaller dtype is recommended if codes need more than this fraction of the memory.
WORTH_HALVING = 0.1
# Codes are rounded to integers from -127 to 127. With 25.4 steps per standard deviation, this covers five standard deviations
# on either side.
REACH, STEPS = 127, 25.4
# Number of rows that are rounded to bytes at once.
ROWS = 1024


@with_shared_docs
class KernelRidgeClassifier(CodesClassifier):
    """Kernel ridge regression on labels: exact for tens of thousands of images, or approximated with landmarks.

    The targets are 1 for the class of an image and −1 for the others. Only the lower half of the kernel matrix is computed and
    factored, in tiles of float32. This needs 7.5 GB for 60,000 images; scikit-learn's ``KernelRidge`` computes in float64 and
    needs several arrays of 28.8 GB. Several penalties share one factorisation. The model contains all training codes, because
    predictions depend on all of them. With `landmarks`, the model contains only some training codes and is less accurate.

    `fit` checks the memory before it computes the kernel. It fails if the machine (or the container or job) has less memory
    than `memory_needed`, and warns if less memory is free. ``verbose=1`` shows how much is needed. In a pipeline, the check
    happens after the codes have been computed.

    Parameters
    ----------
    kernel : {"rbf", "linear"}, default="rbf"
        "rbf" is ``exp(-gamma * distance² / mean distance²)``; "linear" is the dot product of two codes.
    gamma : float, default=0.5
        Factor in the "rbf" kernel. It is relative to the mean squared distance between training codes, so one value is suitable
        for all types of codes.
    alphas : float or sequence of float, default=(0.01, 0.03, 0.1, 0.3)
        Penalty that is added to the diagonal of the kernel matrix, or several penalties to choose from. The penalty with the
        best accuracy on held-out rows is used to fit all rows. The largest penalty may be at most 256 times the smallest.
    held_out : float or None, default=None
        Fraction of the rows to hold out for comparing penalties, at most 0.5. None means a tenth, but at most 5,000 rows.
    landmarks : int or None, default=None
        Number of random training codes that span the solution. None means all training codes; the solution is then exact.
    dtype : {"float32", "float16", "int8"}, default="float32"
        Type of the stored codes. "float32" stores the input array of `fit` without a copy if it is C-contiguous float32; do not
        change this array afterwards. "float16" needs half the memory and rounds codes to three digits. `fit` makes a float16
        copy of float32 codes, but does not copy the codes of ``WideScaler(dtype="float16")``. "int8" needs a quarter of the
        memory: training codes and new codes are rounded to multiples of `step_`. It requires columns of similar variance, such
        as those of :class:`WidePCA`.
    solver : {"cholesky", "cg"}, default="cholesky"
        "cholesky" factors the kernel matrix, which takes time proportional to the cube of the number of codes. "cg" (conjugate
        gradients) takes time proportional to the square of this number and has a relative error of 0.001. With 30,000 or more
        codes, "cg" is several times faster. Ignored with `landmarks`.

    Attributes
    ----------
    alpha_ : float
        The penalty that was used.
    classes_ : array of shape (n_classes,)
    dual_coef_ : array of shape (n_kept, n_classes), or (n_kept, 1) for two classes, float32
    held_out_scores_ : array of shape (n_alphas,) or None
        Accuracy on held-out rows for each penalty; None if there is only one penalty.
    intercept_ : array of shape (n_classes,) or (1,)
        Means of the targets. They are subtracted before fitting.
    mean_squared_distance_ : float
        Mean squared distance over all pairs of training codes.
    n_features_in_ : int
    origin_ : array of shape (n_features,) or None
        Mean of the codes, which is subtracted if the codes are farther from 0 than from one another; None otherwise.
    scale_ : float or None
        `gamma` divided by `mean_squared_distance_`; None for the linear kernel.
    squared_lengths_ : array of shape (n_kept,)
        Squared lengths of the stored codes. With "int8", these and `mean_squared_distance_` are in units of ``step_ ** 2``.
    step_ : float or None
        With "int8", codes are divided by this number and rounded to integers from -127 to 127. It is the root mean square of
        the training codes divided by 25.4. None for other types.
    X_fit_ : array of shape (n_kept, n_features)
        The stored codes.

    Notes
    -----
    Held-out rows are the last rows of the matrix, so the leading part of its Cholesky factor is the factor of the other rows.
    The matrix is factored with one penalty, the geometric mean of the smallest and largest of `alphas`. The inverse for any
    other penalty is approximated by a Chebyshev series in the inverse for this penalty, with an error of 1e-5. The series takes
    13 solves for a penalty that is four times smaller or larger than the factored one, 20 solves for eight times, and 30 solves
    for 16 times. An error of 1e-3 is sufficient to compare penalties and takes a third fewer solves.

    With row weights W, the matrix √W K √W plus the penalty is factored. Weights do not change the scale of the kernel, the
    held-out rows or the landmarks.

    Products are computed in float32. A kernel matrix of n rows has eigenvalues up to n, so a penalty below n / 10,000,000 is
    lost in rounding. `fit` may then fail because the matrix is not positive definite.

    With landmarks, the features are kernel values multiplied by the inverse of the Cholesky factor of the landmarks' kernel
    (the Nyström approximation), and the normal equations are computed in float64.

    References
    ----------
    C. Saunders, A. Gammerman, V. Vovk, "Ridge regression learning algorithm in dual variables", ICML 1998.
    C. Williams, M. Seeger, "Using the Nyström method to speed up kernel machines", NIPS 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.classifiers import KernelRidgeClassifier
    >>> codes = np.random.default_rng(0).normal(size=(60, 30)).astype(np.float32)
    >>> codes[:30, :5] += 2
    >>> labels = np.repeat(["coat", "shirt"], 30)
    >>> model = KernelRidgeClassifier(random_state=0).fit(codes, labels)
    >>> print(model.score(codes, labels))
    1.0
    >>> f"{KernelRidgeClassifier().memory_needed(60_000, 14_400) / 1e9:.1f} GB"
    '11.1 GB'
    """

    _parameter_constraints = {
        "kernel": [StrOptions({"linear", "rbf"})],
        "gamma": [real_number(0.0, closed="neither")],
        "alphas": [real_number(0.0, closed="neither"), "array-like"],
        "held_out": [real_number(0.0, 0.5, closed="right"), None],
        "landmarks": [positive_integer(), None],
        "dtype": [StrOptions({"float16", "float32", "int8"})],
        "solver": [StrOptions({"cg", "cholesky"})],
        **CLASS_WEIGHT,
        **JOBS,
        **VERBOSE,
        **RANDOM_STATE,
    }

    code_types: ClassVar[Any] = [np.float32, np.float16]
    # Defaults for models that were saved before these attributes existed.
    step_: float | None = None
    solver: str = "cholesky"

    def __init__(
        self,
        *,
        kernel: str = "rbf",
        gamma: float = 0.5,
        alphas: Any = (0.01, 0.03, 0.1, 0.3),
        held_out: float | None = None,
        landmarks: int | None = None,
        dtype: str = "float32",
        solver: str = "cholesky",
        class_weight: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        random_state: Any = None,
    ):
        self.kernel = kernel
        self.gamma = gamma
        self.alphas = alphas
        self.held_out = held_out
        self.landmarks = landmarks
        self.dtype = dtype
        self.solver = solver
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state

    def memory_needed(self, n_samples: int, n_features: int, n_classes: int = 10) -> int:
        """Return the maximum number of bytes that `fit` needs, including the codes in `dtype`.

        Parameters
        ----------
        n_samples : int
        n_features : int
        n_classes : int, default=10

        Returns
        -------
        n_bytes : int
        """
        self._check_parameters()
        kept = np.dtype(self.dtype).itemsize
        n_alphas, workers = len(checked(self.alphas)), worker_count(self.n_jobs, shared_memory=True)
        exact = self._is_exact(n_samples)
        tile, width = min(tile_of(n_samples) if exact else TILE, n_samples), min(COLUMNS, n_features)
        # Each worker needs a product, two pieces of codes, and their conversions to float32.
        busy = min(workers, Triangle.n_tiles(n_samples, tile) if exact else Triangle.n_tiles(int(self.landmarks or 0)))
        hands = busy * tile * (4 * tile + 2 * width * (4 + (kept if kept < 4 else 0))) + workers * OF_BLAS
        if exact:
            if n_alphas > 1 and n_samples > 1:
                tile = leading_tiles(n_samples, self.held_out)[1]
            columns = 4 * n_samples * n_classes * (2 * n_alphas + 5)
            beside = memory_beside(n_samples) if self.solver == "cg" else 0
            return n_samples * n_features * kept + Triangle.memory_needed(n_samples, tile) + columns + hands + beside
        marks = int(self.landmarks or 0)
        triangles = 3 * Triangle.memory_needed(marks, dtype=np.float64)
        # A block needs kernel values in float32, features and right-hand sides in float64, and products in float64.
        work = tile * marks * (4 + 8 + 8) + workers * 8 * min(TILE, marks) ** 2
        columns = 8 * (marks * (2 * n_alphas + 5) + 2 * n_samples) * n_classes
        return (n_samples + marks) * kept * n_features + triangles + work + columns + hands

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn a weight for each stored code and class.

        Parameters
        ----------
        X : array of shape (n, n_features)
            A C-contiguous float32 array is not copied.
        y : array-like of shape (n,)
        sample_weight : array-like of shape (n,), optional
            Weights of the rows, 0 or more. Rows with weight 0 are ignored.

        Returns
        -------
        self
        """
        self._check_parameters()
        alphas = checked(self.alphas)
        codes, y = validate_data(self, X, y, dtype=self.code_types, order="C", ensure_min_samples=2)
        codes, y, weights = counted_rows(codes, y, row_weights(y, self.class_weight, sample_weight))
        labels = self._numbered(y)
        self._announce(codes)
        targets = signed(labels, len(self.classes_))
        self.intercept_ = np.average(targets.astype(np.float64), axis=0, weights=weights)
        intercept = self.intercept_.astype(np.float32)
        targets -= intercept
        task = Task(targets, intercept, labels, alphas, self.held_out, self.random_state, self.n_jobs, self.verbose, weights)
        self._solve(codes, task)
        return self

    def _scores(self, codes: np.ndarray) -> np.ndarray:
        step = getattr(self, "step_", None)  # models of earlier versions do not have step_
        rows, _ = Rows.of(codes if step is None else _in_steps(codes, step), self.n_jobs, self.origin_)
        kept = Rows(self.X_fit_, self.squared_lengths_, origin=self.origin_)
        return Kernel(self.scale_).products(rows, kept, self.dual_coef_, self.n_jobs) + self.intercept_

    def _is_exact(self, n_samples: int) -> bool:
        return self.landmarks is None or self.landmarks >= n_samples

    def _announce(self, codes: np.ndarray) -> None:
        needed = self.memory_needed(len(codes), codes.shape[1], len(self.classes_))
        if codes.dtype != self.dtype:  # an exact fit copies all codes, other fits copy only the landmarks
            needed += codes.nbytes if self._is_exact(len(codes)) else codes.nbytes - codes.size * np.dtype(self.dtype).itemsize
        worth_it = self.dtype == "float32" and codes.nbytes > WORTH_HALVING * needed
        halved = "dtype='float16' here and in WideScaler, " if worth_it else ""
        way_out = f"use landmarks=8000 or another number, {halved}or fewer images"
        announce(f"KernelRidgeClassifier for {len(codes):,} codes", needed, codes.nbytes, way_out, self.verbose)

    def _solve(self, codes: np.ndarray, task: Task) -> None:
        exact = self._is_exact(len(codes))
        self.step_ = _step(codes) if self.dtype == "int8" else None
        if self.step_ is not None:
            codes = _in_steps(codes, self.step_)
        given = _rounded(codes, self.dtype) if exact else codes
        rows, total = Rows.of(given, self.n_jobs)
        self.origin_ = far_origin(rows, total) if self.kernel == "rbf" else None
        if self.origin_ is not None:
            rows, total = Rows.of(given, self.n_jobs, self.origin_)
        kept = rows
        if not exact:
            chosen = np.sort(stratified_order(task.labels, self.random_state)[: self.landmarks])
            kept, _ = Rows.of(_rounded(codes[chosen], self.dtype), self.n_jobs, self.origin_)
        self.mean_squared_distance_ = mean_squared_distance(rows, total)
        self.scale_ = self.gamma / self.mean_squared_distance_ if self.kernel == "rbf" else None
        kernel = Kernel(self.scale_)
        fit_all = fit_iteratively if self.solver == "cg" else fit_exact
        found = fit_all(kernel, rows, task) if kept is rows else fit_landmarks(kernel, rows, kept, task)
        self.X_fit_, self.squared_lengths_ = kept.codes, kept.squares
        self.dual_coef_, self.alpha_, self.held_out_scores_ = found.weights, found.alpha, found.scores


def _step(codes: np.ndarray) -> float:
    mean_square = np.mean([np.mean(np.square(row, dtype=np.float64)) for row in codes])
    return float(np.sqrt(mean_square)) / STEPS or 1.0


def _in_steps(codes: np.ndarray, step: float) -> np.ndarray:
    """Return codes as integers from -127 to 127."""
    whole = np.empty(codes.shape, np.int8)
    for start in range(0, len(codes), ROWS):
        block = np.rint(codes[start : start + ROWS] / np.float32(step))
        whole[start : start + ROWS] = np.clip(block, -REACH, REACH, out=block)
    return whole


def _rounded(codes: np.ndarray, dtype: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        return codes.astype(dtype, copy=False)
