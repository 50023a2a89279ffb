"""NystroemRidgeClassifier: linear-time kernel ridge regression in the span of some rows, the landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils import check_array, check_random_state, compute_sample_weight, gen_batches
from sklearn.utils.extmath import randomized_svd
from sklearn.utils.validation import validate_data

from featrec.base import JOBS, RANDOM_STATE, VERBOSE, StrOptions, positive_integer, real_number
from featrec.classifiers._codes_classifier import OF_BLAS, CodesClassifier, announce, checked, signed, stratified_order
from featrec.classifiers._exact_ridge import Kernel, Rows, Task, mean_squared_distance
from featrec.classifiers._landmark_ridge import Equations, Trials
from featrec.classifiers._triangle import TILE, Triangle
from featrec.exceptions import InputError
from featrec.model_files import Stored, check_stored_array
from featrec.parallel import map_batches, worker_count
from featrec.shared_docs import with_shared_docs

__all__ = ["NystroemRidgeClassifier"]

# Numbers of dimensions and landmarks that "auto" selects, unless there are fewer columns or rows.
DIMENSIONS, LANDMARKS = 300, 6000
# Number of rows from which principal components are learned, and number of rows that are projected at once.
SAMPLE, ROWS = 6000, 1024
# Oversampling (additional directions) and number of iterations of the randomised SVD.
BEYOND, ROUNDS = 20, 3
# Variances below this fraction of the largest variance are rounding errors of float64.
NO_VARIANCE = 1e-12


@with_shared_docs
class NystroemRidgeClassifier(CodesClassifier):
    """Kernel ridge regression in the span of some training rows, for tens of thousands of codes; classes may differ in size.

    Codes are projected onto their principal components. The kernel values between codes and random training rows, the
    landmarks, are converted to features whose products approximate the kernel (Nyström). Ridge regression, with targets of ±1
    for each class, is solved by normal equations. The equations are summed block by block, so the features of all rows are
    never in memory at once. Training time is proportional to the number of rows, and a prediction takes two matrix products.
    With as many landmarks as rows and as many dimensions as columns, the result is exact kernel ridge regression.

    Codes may consist of several views of an image side by side, such as the codes of ``HOG(mirror=True)``. If this improves the
    accuracy on held-out images, each view is used as a training row, and scores are means over the views.

    `fit` raises an error if codes contain NaN or infinity, if all labels are equal, or if it needs more memory than the machine
    has.

    Parameters
    ----------
    n_dimensions : int, "auto" or None, default="auto"
        Number of principal components, which are learned from at most 6,000 rows. "auto" means at most 300. None means that
        codes are not projected.
    landmarks : int or "auto", default="auto"
        Number of training rows that span the solution. They are drawn in proportion to the sizes of the classes. "auto" means
        at most 6,000.
    gamma : float, default=2.0
        Factor in the kernel, which is ``exp(-gamma * distance² / mean distance²)``.
    alphas : float or sequence of float, default=(0.01, 0.03, 0.1, 0.3, 1.0)
        Penalties to choose from. The penalty with the best accuracy on held-out rows is used. If there are at most 2,000 rows,
        each is held out once, in five folds; otherwise, a tenth is held out, but at most 2,500. The largest penalty may be at
        most 256 times the smallest.
    n_views : int, default=1
        Number of views of an image in each code. All views have equal length; the first view is the image itself.
    views : {"auto", "first", "all"}, default="auto"
        Which views to use. "auto" first fits a model on the first views and predicts the held-out
        rows from their other views. If the accuracy is more than 10 percentage points lower than for the first views (as for
        mirrored digits), only the first views are used. Otherwise, a model is fitted on all views, and used if it is at least
        as accurate.

    Attributes
    ----------
    alpha_ : float
        The penalty that was used. It is larger than the chosen penalty if the equations could not be solved in float32.
    classes_ : array of shape (n_classes,)
    components_ : array of shape (n_dimensions_, n_columns) or None, float32
        The principal components of one view.
    dual_coef_ : array of shape (n_landmarks, n_classes), or (n_landmarks, 1) for two classes, float32
    held_out_scores_ : array of shape (2 or 1, n_alphas)
        Weighted accuracy on held-out rows for each penalty. The first row is for models of the first views; the second row, if
        present, is for models of all views.
    intercept_ : array of shape (n_classes,) or (1,)
    landmarks_ : array of shape (n_landmarks, n_dimensions_), float32
    mean_ : array of shape (n_columns,), float32
        Mean code of the first views.
    n_features_in_ : int
    n_views_ : int
        Number of views that are used, either 1 or `n_views`.
    other_views_score_ : float or None
        Accuracy of a model of the first views on the other views; None if it was not measured.
    scale_ : float
        `gamma` divided by the mean squared distance of the projected codes.
    squared_lengths_ : array of shape (n_landmarks,), float32

    Notes
    -----
    Row weights are scaled to a mean of 1, because penalties would otherwise depend on their scale. Sums are computed in float64
    for up to 2,400 landmarks, and in float32 for more landmarks.

    References
    ----------
    C. Williams, M. Seeger, "Using the Nyström method to speed up kernel machines", NIPS 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.classifiers import NystroemRidgeClassifier
    >>> codes = np.random.default_rng(0).normal(size=(60, 30)).astype(np.float32)
    >>> codes[:30, :5] += 2
    >>> labels = np.repeat(["coat", "shirt"], 30)
    >>> model = NystroemRidgeClassifier(random_state=0).fit(codes, labels)
    >>> print(model.score(codes, labels))
    1.0
    """

    _parameter_constraints = {
        "n_dimensions": [positive_integer(), StrOptions({"auto"}), None],
        "landmarks": [positive_integer(), StrOptions({"auto"})],
        "gamma": [real_number(0.0, closed="neither")],
        "alphas": [real_number(0.0, closed="neither"), "array-like"],
        "n_views": [positive_integer()],
        "views": [StrOptions({"auto", "first", "all"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        **JOBS,
        **VERBOSE,
        **RANDOM_STATE,
    }

    def __init__(
        self,
        *,
        n_dimensions: int | str | None = "auto",
        landmarks: int | str = "auto",
        gamma: float = 2.0,
        alphas: float | Sequence[float] = (0.01, 0.03, 0.1, 0.3, 1.0),
        n_views: int = 1,
        views: str = "auto",
        class_weight: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        random_state: Any = None,
    ):
        self.n_dimensions = n_dimensions
        self.landmarks = landmarks
        self.gamma = gamma
        self.alphas = alphas
        self.n_views = n_views
        self.views = views
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state

    def memory_needed(self, n_samples: int, n_features: int, n_classes: int = 10) -> int:
        """Return the maximum number of bytes that `fit` needs, including codes and projections.

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
        columns, n_landmarks = n_features // int(self.n_views), self._n_landmarks(n_samples)
        n_dimensions = self._n_dimensions(n_samples, columns) or columns
        codes = 4 * n_samples * (n_features + int(self.n_views) * n_dimensions)
        sample = 4 * min(SAMPLE, n_samples) * (2 * columns + 3 * n_dimensions) if self.n_dimensions is not None else 0
        wide = Triangle.memory_needed(n_landmarks, dtype=np.float64)
        # Arrays with a row and a column per landmark: the basis (in float64 and float32), two sets of equations (all views,
        # first views), and a factor.
        triangles = 5 * wide if n_landmarks <= TILE else wide + 4 * wide // 2
        block = 8 * n_landmarks * min(TILE, n_samples) * 3
        right = 8 * n_landmarks * n_classes * (4 * len(checked(self.alphas)) + 4) + 4 * n_samples * n_classes
        return codes + max(sample, triangles + block) + right + worker_count(self.n_jobs, shared_memory=True) * OF_BLAS

    @staticmethod
    def _check_stored_arrays(stored: Stored) -> None:
        """Check that landmarks, weights and projection have matching shapes, and that a code can be divided into views."""
        if "landmarks_" not in stored:
            return
        used, n_views, width = (stored[name] for name in ("n_views_", "n_views", "n_features_in_"))
        if type(used) is not int or type(n_views) is not int or not 1 <= used <= n_views or width % n_views:
            raise ValueError(f"n_views={n_views!r:.40} and n_views_={used!r:.40} do not match codes of {width!r:.40} values")
        columns, landmarks, components = width // n_views, stored["landmarks_"], stored["components_"]
        check_stored_array("a mean", stored["mean_"], (columns,), np.float32)
        if components is not None:
            check_stored_array("components", components, (None, columns), np.float32)
            columns = len(components)
        check_stored_array("landmarks", landmarks, (None, columns), np.float32)
        check_stored_array("squared lengths", stored["squared_lengths_"], landmarks.shape[:1], np.float32)
        check_stored_array("weights", stored["dual_coef_"], (len(landmarks), None), np.float32)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn a weight for each landmark and class.

        Parameters
        ----------
        X : array of shape (n, n_features)
        y : array-like of shape (n,)
        sample_weight : array-like of shape (n,), optional
            Weights of the rows. They are multiplied by the weights of their classes.

        Returns
        -------
        self
        """
        self._check_parameters()
        alphas = checked(self.alphas)
        codes, y = validate_data(self, X, y, dtype=np.float32, order="C", ensure_min_samples=2)
        if codes.shape[1] % int(self.n_views):
            raise InputError(
                f"codes of {codes.shape[1]} values cannot be divided into n_views={self.n_views} views of equal length"
            )
        row_weights = self._row_weights(codes, y, sample_weight)
        if not row_weights.all():
            used = row_weights > 0
            codes, y, row_weights = codes[used], y[used], row_weights[used]
        labels = self._numbered(y)
        needed = self.memory_needed(len(codes), codes.shape[1], len(self.classes_))
        announce("NystroemRidgeClassifier", needed, codes.nbytes, "use fewer landmarks or fewer dimensions", self.verbose)
        targets = signed(labels, len(self.classes_))
        self.intercept_ = np.average(targets, axis=0, weights=row_weights)
        targets -= self.intercept_.astype(np.float32)
        random = check_random_state(self.random_state)
        task = Task(targets, self.intercept_, labels, alphas, None, random, self.n_jobs, self.verbose)
        self._solve(codes, task, row_weights)
        return self

    def _row_weights(self, codes: np.ndarray, y: np.ndarray, sample_weight: Any) -> np.ndarray:
        """Return row weights, scaled to a mean of 1. Rows with weight 0 are removed later."""
        weights = np.ones(len(codes))
        if sample_weight is not None:
            weights = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
            if weights.shape != (len(codes),) or weights.min() < 0:
                raise InputError(
                    f"sample_weight must be 0 or more for each of the {len(codes)} rows; "
                    f"got shape {weights.shape} and a minimum of {weights.min():g}"
                )
        if self.class_weight is not None:
            weights = weights * compute_sample_weight(self.class_weight, y)
        if not weights.any():
            raise InputError(
                "at least one row must have a weight above 0; all products of sample_weight and class_weight are zero"
            )
        return weights / weights[weights > 0].mean()

    def _n_landmarks(self, n_samples: int) -> int:
        return min(n_samples, LANDMARKS if isinstance(self.landmarks, str) else int(self.landmarks))

    def _n_dimensions(self, n_samples: int, columns: int) -> int | None:
        """Return the number of principal components, or None if the codes are not projected."""
        if self.n_dimensions is None:
            return None
        wanted = DIMENSIONS if isinstance(self.n_dimensions, str) else int(self.n_dimensions)
        return min(wanted, n_samples, columns)

    def _solve(self, codes: np.ndarray, task: Task, row_weights: np.ndarray) -> None:
        order = stratified_order(task.labels, task.random_state)
        self._find_components(codes, order, task)
        views = [Rows.of(self._projected(codes, view), self.n_jobs) for view in range(int(self.n_views))]
        rows, total = views[0]
        self.scale_ = self.gamma / mean_squared_distance(rows, total)
        chosen = np.sort(order[: self._n_landmarks(len(codes))])
        landmarks, _ = Rows.of(np.ascontiguousarray(rows.codes[chosen]))
        self.landmarks_, self.squared_lengths_ = landmarks.codes, landmarks.squares
        equations = Equations.of(Kernel(self.scale_), landmarks, task, row_weights)
        trials = Trials(equations, [view for view, _ in views], order, str(self.views))
        best = trials.choose()
        self.n_views_, self.held_out_scores_, self.other_views_score_ = best.n_views, best.scores, best.other_views_score
        weights, self.alpha_ = trials.final(best).weights(best.alpha)
        self.dual_coef_ = weights.astype(np.float32)

    def _find_components(self, codes: np.ndarray, order: np.ndarray, task: Task) -> None:
        columns = codes.shape[1] // int(self.n_views)
        wanted = self._n_dimensions(len(codes), columns)
        sample = codes[np.sort(order[:SAMPLE]), :columns]
        self.mean_ = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.components_ = None
        if wanted is not None:
            sample -= self.mean_
            self.components_ = _principal(sample, wanted, task.random_state)

    def _projected(self, codes: np.ndarray, view: int) -> np.ndarray:
        columns = len(self.mean_)
        width = columns if self.components_ is None else len(self.components_)
        found: np.ndarray = np.empty((len(codes), width), np.float32)

        def part(rows: range) -> None:
            some = slice(rows.start, rows.stop)
            centred = codes[some, view * columns : (view + 1) * columns] - self.mean_
            found[some] = centred if self.components_ is None else centred @ self.components_.T

        map_batches(part, range(len(codes)), n_jobs=self.n_jobs, batch_size=ROWS, shared_memory=True)
        return found

    def _scores(self, codes: np.ndarray) -> np.ndarray:
        kept = Rows(self.landmarks_, self.squared_lengths_)
        scores = np.zeros((len(codes), self.dual_coef_.shape[1]))
        for view in range(self.n_views_):
            rows, _ = Rows.of(self._projected(codes, view), self.n_jobs)
            scores += Kernel(self.scale_).products(rows, kept, self.dual_coef_, self.n_jobs)
        return scores / self.n_views_ + self.intercept_


def _principal(centred: np.ndarray, number: int, random: np.random.RandomState) -> np.ndarray:
    """Return the directions of the largest variance as rows. They are exact if at least half of all directions are wanted."""
    if 2 * number >= min(centred.shape):
        return _all_principal(centred, number)
    found = randomized_svd(
        centred, number, n_oversamples=BEYOND, n_iter=ROUNDS, power_iteration_normalizer="QR", random_state=random
    )
    return np.ascontiguousarray(found[2], dtype=np.float32)


def _all_principal(centred: np.ndarray, number: int) -> np.ndarray:
    """Compute exact directions from the smaller Gram matrix; this is several times faster than an SVD.

    Directions without variance are omitted.
    """
    tall = len(centred) >= centred.shape[1]
    gram = np.zeros(2 * (min(centred.shape),))
    for some in gen_batches(max(centred.shape), ROWS):
        part = (centred[some] if tall else centred[:, some].T).astype(np.float64)
        gram += part.T @ part
    variances, vectors = np.linalg.eigh(gram)
    kept = max(1, min(number, int(np.count_nonzero(variances > NO_VARIANCE * variances[-1]))))
    leading = vectors[:, : -kept - 1 : -1].T
    if tall:
        return np.ascontiguousarray(leading, dtype=np.float32)
    directions = np.hstack([leading @ centred[:, some] for some in gen_batches(centred.shape[1], ROWS)])
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    return np.divide(directions, lengths, out=directions, where=lengths > 0).astype(np.float32)
