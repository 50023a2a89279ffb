"""KernelRidgeClassifier: least squares in the space of a kernel, on as many training codes as memory holds pairs of."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import validate_data

from featrec.base import JOBS, RANDOM_STATE, VERBOSE, StrOptions, positive_integer, real_number
from featrec.classifiers._codes_classifier import CodesClassifier, signed
from featrec.classifiers._exact_ridge import Task, fit_exact, leading_tiles, tile_of
from featrec.classifiers._iterative_ridge import fit_iteratively, memory_beside
from featrec.classifiers._kernel_tiles import COLUMNS, Kernel, Rows, far_origin, mean_squared_distance
from featrec.classifiers._landmark_ridge import fit_landmarks
from featrec.classifiers._memory import OF_BLAS, announce
from featrec.classifiers._penalties import checked, stratified_order
from featrec.classifiers._row_weights import CLASS_WEIGHT, counted_rows, row_weights
from featrec.classifiers._triangle import TILE, Triangle
from featrec.parallel import worker_count

__all__ = ["KernelRidgeClassifier"]

# The part of the memory that codes must take for smaller ones to be worth a word.
WORTH_HALVING = 0.1
# Bytes reach five deviations: 25 steps to one, and 127 to either side.
REACH, STEPS = 127, 25.4
# Codes that are rounded to bytes at once.
ROWS = 1024


class KernelRidgeClassifier(CodesClassifier):
    """Kernel ridge regression on labels, exact on tens of thousands of pictures, or in the span of some landmarks.

    One class has the target 1 and the others −1, and the squared error is least with a penalty on the solution's length.
    The kernel matrix is filled, factored and solved as the lower half in tiles of float32: 7.5 GB for 60,000 pictures
    where scikit-learn's ``KernelRidge`` in float64 would hold several times 28.8. Several penalties cost one factorisation.
    The training codes are kept, since all of them predict: a model is as large as its codes. `landmarks` keeps some of them
    instead and loses some accuracy.

    Before it computes the kernel, `fit` fails where the machine, or the container or job that it runs in, has less memory in
    all than that takes (`memory_needed`), and warns where less is free; with ``verbose=1`` it tells the figure. In a pipeline
    the codes have been made by then.

    Parameters
    ----------
    kernel : {"rbf", "linear"}, default="rbf"
        ``exp(-gamma * distance² / mean distance²)``, or the product of two codes.
    gamma : float, default=0.5
        In units of the mean squared distance between training codes, so that it means the same for all codes.
    alphas : float or sequence of float, default=(0.01, 0.03, 0.1, 0.3)
        Penalties, added to the diagonal of the kernel matrix. Of several, the one with the most right answers on held-out
        rows is used with all rows. The largest may be 256 times the smallest.
    held_out : float or None, default=None
        Share of the rows on which penalties are compared, half at most; None means a tenth and no more than 5,000.
    landmarks : int or None, default=None
        So many random training codes span the solution; None, or as many as there are codes, means all, exactly.
    dtype : {"float32", "float16", "int8"}, default="float32"
        The type of the codes that are kept. "float32" keeps the array given to `fit` where it is one of float32 in rows:
        it must not change afterwards. "float16" takes half of that and rounds codes to three digits; codes that are given in
        float32 are held beside it in `fit`, those of ``WideScaler(dtype="float16")`` are used as they are. "int8" takes a
        quarter: codes are whole multiples of `step_`, those to predict for as well. It suits columns that vary alike, such as
        those of :class:`WidePCA`.
    solver : {"cholesky", "cg"}, default="cholesky"
        How all codes' weights are found: by a factor, whose cost grows with the cube of their number, or by conjugate
        gradients, with the square: as right to a thousandth, and several times as fast from 30,000 codes on. Without effect
        on `landmarks`.
    class_weight : dict, "balanced" or None, default=None
        How much the rows of each class count, in the fit and in the choice of the penalty. "balanced" gives each class the
        same total.
    n_jobs : int or None, default=None
        Threads; None means one, or what a joblib context says.
    verbose : int, default=0
        1 writes the memory and the progress to the standard error.
    random_state : int, RandomState or None, default=None
        Draws held-out rows and landmarks.

    Attributes
    ----------
    alpha_ : float
        The penalty used.
    classes_ : array of shape (n_classes,)
    dual_coef_ : array of shape (n_kept, n_classes), or (n_kept, 1) for two classes, float32
    held_out_scores_ : array of shape (n_alphas,) or None
        The share of right answers on held-out rows for each penalty; None for one penalty.
    intercept_ : array of shape (n_classes,) or (1,)
        The targets' means, which were taken off before.
    mean_squared_distance_ : float
        Over all pairs of training codes, exactly.
    n_features_in_ : int
    origin_ : array of shape (n_features,) or None
        The codes' mean, from where distances are taken if the codes lie farther from 0 than from one another.
    scale_ : float or None
        `gamma` over `mean_squared_distance_`; None for the linear kernel.
    squared_lengths_ : array of shape (n_kept,)
        In units of `step_` squared, as `mean_squared_distance_` is.
    step_ : float or None
        With "int8" what codes are divided by before they are rounded to whole numbers from -127 to 127, a 25th of their
        deviation from 0; None otherwise.
    X_fit_ : array of shape (n_kept, n_features)
        The codes that predict.

    Notes
    -----
    Held-out rows stand last in the matrix, so the leading part of its one Cholesky factor is the factor of the other rows.
    The geometric middle of `alphas` is factored. Another penalty is a function of that inverse, given by a Chebyshev series
    in it, to a hundred-thousandth of its smallest value: 13 solves reach penalties a quarter and four times as large, 20
    an eighth and eight times, 30 reach 16 times. To compare penalties a thousandth is enough, and a third fewer solves.

    With weights W of the rows, the factored matrix is √W K √W plus the penalty. Weights do not change the scale of the kernel,
    the held-out rows or the landmarks.

    Products are float32. A kernel matrix of n rows has eigenvalues up to n, so a penalty under a ten-millionth of that
    cannot be told from none, and the error of a matrix that is not positive definite says so.

    With landmarks, the features are kernel values times the inverse of the Cholesky factor of the landmarks' kernel (the
    Nyström approximation), and the normal equations are float64.

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
    # Of models that were saved before there were these.
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
        """The most that `fit` holds, in bytes: the codes, once as `dtype`, and its own work.

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
        # What a worker has in its hands: a product, two pieces of codes, and these before they are float32.
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
        # A block's kernel values in float32, its features and their right side in float64, and products in float64.
        work = tile * marks * (4 + 8 + 8) + workers * 8 * min(TILE, marks) ** 2
        columns = 8 * (marks * (2 * n_alphas + 5) + 2 * n_samples) * n_classes
        return (n_samples + marks) * kept * n_features + triangles + work + columns + hands

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn one weight for each kept code and class.

        Parameters
        ----------
        X : array of shape (n, n_features)
            float32 in rows (C-contiguous) is used as it is.
        y : array-like of shape (n,)
        sample_weight : array-like of shape (n,), optional
            How much each row counts, 0 or more; rows of 0 are left out.

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
        step = getattr(self, "step_", None)  # models saved by earlier versions have none
        rows, _ = Rows.of(codes if step is None else _in_steps(codes, step), self.n_jobs, self.origin_)
        kept = Rows(self.X_fit_, self.squared_lengths_, origin=self.origin_)
        return Kernel(self.scale_).products(rows, kept, self.dual_coef_, self.n_jobs) + self.intercept_

    def _is_exact(self, n_samples: int) -> bool:
        return self.landmarks is None or self.landmarks >= n_samples

    def _announce(self, codes: np.ndarray) -> None:
        needed = self.memory_needed(len(codes), codes.shape[1], len(self.classes_))
        if codes.dtype != self.dtype:  # a copy is made of all, or landmarks alone are
            needed += codes.nbytes if self._is_exact(len(codes)) else codes.nbytes - codes.size * np.dtype(self.dtype).itemsize
        worth_it = self.dtype == "float32" and codes.nbytes > WORTH_HALVING * needed
        halved = "dtype='float16' here and in WideScaler, " if worth_it else ""
        way_out = f"use landmarks=8000 or another number, {halved}or fewer pictures"
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
    """Whole numbers from -127 to 127, a part of the rows at a time."""
    whole = np.empty(codes.shape, np.int8)
    for start in range(0, len(codes), ROWS):
        block = np.rint(codes[start : start + ROWS] / np.float32(step))
        whole[start : start + ROWS] = np.clip(block, -REACH, REACH, out=block)
    return whole


def _rounded(codes: np.ndarray, dtype: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        return codes.astype(dtype, copy=False)
