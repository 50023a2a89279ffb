"""Code shared by all classifiers of codes: labels, row weights, penalties, and checks of the available memory."""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.polynomial import chebyshev
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from featrec.base import Estimator, StrOptions
from featrec.exceptions import FeatrecWarning, InputError

__all__ = [
    "CLASS_WEIGHT",
    "OF_BLAS",
    "ROUGH",
    "CodesClassifier",
    "announce",
    "best",
    "checked",
    "counted_rows",
    "middle",
    "row_weights",
    "signed",
    "solutions",
    "stratified_order",
]

CLASS_WEIGHT = {"class_weight": [dict, StrOptions({"balanced"}), None]}
# Error of the Chebyshev series, relative to the smallest value of the function.
PRECISION = 1e-5
# Error of the series if it is only used to compare penalties.
ROUGH = 1e-3
# Maximum ratio between a penalty and the penalty of the factorisation. Each time this ratio doubles, a few more solves are
# needed.
FARTHEST = 16.0
# Approximate number of bytes that a BLAS library needs per thread.
OF_BLAS = 1 << 25
# Root of the file system; the files in which Linux describes control groups are in subfolders of this folder.
ROOT = Path("/")


class CodesClassifier(ClassifierMixin, Estimator):
    """Base class of the classifiers of codes. A subclass implements ``fit`` and ``_scores(codes)``."""

    code_types: ClassVar[Any] = np.float32
    classes_: np.ndarray

    def decision_function(self, X: Any) -> np.ndarray:
        """Compute the score of each class.

        Parameters
        ----------
        X : array of shape (n, n_features)

        Returns
        -------
        scores : array of shape (n, n_classes), or (n,) for two classes
        """
        check_is_fitted(self)
        scores = self._scores(validate_data(self, X, dtype=self.code_types, order="C", reset=False))
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of each code.

        Parameters
        ----------
        X : array of shape (n, n_features)

        Returns
        -------
        labels : array of shape (n,)
        """
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]

    def _scores(self, codes: np.ndarray) -> np.ndarray:
        """Return scores with one column for each class, or a single column for two classes."""
        raise NotImplementedError

    def _numbered(self, y: np.ndarray) -> np.ndarray:
        """Set `classes_` and convert labels to class numbers."""
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            only = self.classes_.tolist()[0]
            raise InputError(f"{type(self).__name__} needs at least two classes; the labels have one class, {only!r}")
        return numbers

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.no_validation = False
        return tags


def signed(numbers: np.ndarray, n_classes: int) -> np.ndarray:
    """Return targets: 1 for the class of a row, −1 for other classes. For two classes, return one column (1: second class)."""
    if n_classes == 2:
        return (2 * numbers[:, None] - 1).astype(np.float32)
    return np.where(numbers[:, None] == np.arange(n_classes), np.float32(1), np.float32(-1))


def row_weights(labels: np.ndarray, class_weight: Any, sample_weight: Any) -> np.ndarray | None:
    """Return row weights as float64, or None if all are equal. The keys of `class_weight` are values of `labels`."""
    given = None if sample_weight is None else _checked(sample_weight, len(labels))
    if class_weight is None:
        return None if given is None or (given == 1).all() else given
    # Rows with weight 0 are not counted, because the fit ignores them.
    counted = slice(None) if given is None else given > 0
    weights = np.zeros(len(labels))
    weights[counted] = compute_sample_weight(class_weight, labels[counted])
    return weights if given is None else weights * given


def counted_rows(
    codes: np.ndarray, labels: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Remove rows with weight 0. If no row has weight 0, return the same arrays without a copy."""
    if weights is None or weights.all():
        return codes, labels, weights
    kept = weights > 0
    return codes[kept], labels[kept], weights[kept]


def _checked(sample_weight: Any, n: int) -> np.ndarray:
    try:
        weights = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"sample_weight must be one number for each row; got {type(sample_weight).__name__}") from error
    if weights.ndim == 0:
        weights = np.full(n, float(weights))
    if weights.shape != (n,):
        raise InputError(f"sample_weight must have one number for each of the {n} rows; got an array of shape {weights.shape}")
    wrong = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if len(wrong):
        raise InputError(
            f"sample_weight must be finite and 0 or more; item {wrong[0]} is {weights[wrong[0]]}. "
            "Rows with weight 0 are ignored."
        )
    if not weights.any():
        raise InputError("every sample_weight is zero; at least one must be above 0")
    return weights


def checked(alphas: Any) -> tuple[float, ...]:
    """Return one or several penalties as a tuple. They must be above 0 and not too far apart."""
    try:
        values = tuple(float(value) for value in np.atleast_1d(alphas))
    except (TypeError, ValueError):
        values = ()
    if not values or not all(0 < value < math.inf for value in values):
        raise InputError(f"alphas must be one or several numbers above 0; got {alphas!r}")
    if max(values) > FARTHEST**2 * min(values) * (1 + 1e-9):
        raise InputError(
            f"alphas from {min(values):g} to {max(values):g} are too far apart for one factorisation; the largest may be "
            f"at most {FARTHEST**2:g} times the smallest. Fit two models, one with the smaller and one with the larger alphas"
        )
    return values


def middle(alphas: Sequence[float]) -> float:
    """Return the penalty of the factorisation: the geometric mean of the smallest and the largest penalty."""
    return alphas[0] if len(alphas) == 1 else math.sqrt(min(alphas) * max(alphas))


def solutions(
    solve: Callable[[np.ndarray], np.ndarray],
    b: np.ndarray,
    factored: float,
    alphas: Sequence[float],
    precision: float = PRECISION,
) -> list[np.ndarray]:
    """Solve (K + alpha I) x = b for each alpha. `solve` solves the system for the penalty of the factorisation.

    Let f be the penalty of the factorisation and A the inverse of K + f I. Then the solution is (I + (alpha - f) A)⁻¹ A b. The
    eigenvalues of f A are between 0 and 1, so the first factor is approximated by a Chebyshev series in A. All penalties share
    the same solves.
    """
    ratios = [alpha / factored for alpha in alphas]
    degree = max(_degree(ratio, precision) for ratio in ratios)
    series = [_series(ratio, degree) for ratio in ratios]
    current, previous = solve(b), None
    found = [current * current.dtype.type(terms[0]) for terms in series]
    for term in range(1, degree + 1):
        following = solve(current)
        following *= following.dtype.type(2 * factored)
        following -= current
        if previous is not None:
            following *= following.dtype.type(2)
            following -= previous
        current, previous = following, current
        for x, terms in zip(found, series, strict=True):
            x += current * current.dtype.type(terms[term])
    return found


def _series(ratio: float, degree: int) -> np.ndarray:
    """Return the Chebyshev series of 1 / (1 + (ratio - 1) u). The interval [0, 1] of u is mapped to [-1, 1]."""

    def factor(place: Any) -> Any:
        return 1 / (1 + (ratio - 1) * (place + 1) / 2)

    return np.asarray(chebyshev.chebinterpolate(factor, degree))


def _degree(ratio: float, precision: float) -> int:
    """Return the degree of the series. It depends on the position of the function's pole, ±(ratio + 1) / (ratio - 1)."""
    root = math.sqrt(max(ratio, 1 / ratio))
    if root - 1 < 1e-12:
        return 0
    return math.ceil(math.log(root**2 / precision) / math.log((root + 1) / (root - 1)))


def stratified_order(labels: np.ndarray, random_state: Any) -> np.ndarray:
    """Return a random row order in which every prefix and every suffix has about the same class proportions as the whole."""
    shuffled = check_random_state(random_state).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        of_class = shuffled[labels[shuffled] == label]
        place[of_class] = (np.arange(len(of_class)) + 0.5) / len(of_class)
    return shuffled[np.argsort(place[shuffled], kind="stable")]


def best(
    scores: Sequence[np.ndarray], wanted: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> tuple[int, np.ndarray]:
    """Return the index of the penalty with the best accuracy on held-out rows, and the accuracy of each penalty.

    Of equally accurate penalties, choose the one with the smallest squared error. `weights` are the weights of the rows.
    """
    answers = [found[:, 0] > 0 if found.shape[1] == 1 else found.argmax(axis=1) for found in scores]
    right = np.array([np.average(answer == labels, weights=weights) for answer in answers])
    errors = np.array([np.average(((found - wanted) ** 2).mean(axis=1), weights=weights) for found in scores])
    return int(np.lexsort((errors, -right))[0]), right


def announce(stage: str, needed: int, held: int, way_out: str, verbose: int = 0) -> None:
    """Raise an InputError if `stage` needs more memory than this machine has, and warn if it needs more than is free.

    `needed` is the total number of bytes, of which `held` bytes are already in memory.
    """
    if verbose:
        sys.stderr.write(f"{stage}: {_shown(needed)} of memory, including {_shown(held)} of codes\n")
    total, free = _physical(), _available()
    if total is not None and needed > total:
        raise InputError(
            f"{stage} needs {_shown(needed)} of memory; this machine, or its container, has {_shown(total)}; {way_out}"
        )
    if free is not None and needed - held > free:
        message = f"{stage} needs {_shown(needed - held)} of memory besides the codes; {_shown(free)} are free; {way_out}"
        warnings.warn(message, FeatrecWarning, stacklevel=4)


def _shown(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.3g} GB"


def _physical() -> int | None:
    """Return the memory of this machine or container in bytes, or None if unknown."""
    try:
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    return min([installed, *(group.limit for group in _groups())])


def _available() -> int | None:
    """Return the number of bytes of memory that are free without swapping, or None if unknown."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
    return min([free, *(group.limit - group.used for group in _groups())])


class _Group(NamedTuple):
    """A Linux control group that limits memory, such as a container or a job on a cluster."""

    limit: int
    used: int


def _groups() -> list[_Group]:
    """Return the control groups of this process, and the groups that contain them."""
    try:
        memberships = (ROOT / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
    found: list[_Group | None] = []
    for membership in memberships:
        _, controllers, path = membership.split(":", 2)
        if controllers == "":
            folder, files = ROOT / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            folder = ROOT / "sys/fs/cgroup/memory"
        else:
            continue
        inner = folder / path.lstrip("/")
        found += [_group(level, *files) for level in (inner, *inner.parents) if level.is_relative_to(folder)]
    return [group for group in found if group is not None]


def _group(folder: Path, limit: str, usage: str, reclaimable: str) -> _Group | None:
    """Return a control group, or None if it has no limit. Cached files do not count, because they can be read again."""
    try:
        most, used = int((folder / limit).read_text()), int((folder / usage).read_text())
        lines = (folder / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):  # "max" means no limit
        return None
    cached = dict(line.split() for line in lines).get(reclaimable, 0)
    return _Group(most, used - int(cached))
