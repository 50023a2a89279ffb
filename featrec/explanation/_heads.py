"""Classifiers whose decision is a sum over the columns of a code, exactly or along a path, for one image."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, NuSVC
from sklearn.tree import DecisionTreeClassifier

from featrec.base import gamma_of, stored_neighbors, training_rows
from featrec.classifiers import KernelRidgeClassifier, NystroemRidgeClassifier
from featrec.exceptions import InputError
from featrec.explanation._kernels import Function, Machine, chi2, intersection, linear, machine_pull, rbf
from featrec.explanation._target import Pull, Target
from featrec.pairwise import HistogramKernel

__all__ = ["Decision", "decision_of"]

# Largest difference between a decision and the sum that explains it, as a fraction of the decision's scale.
TOLERANCE = 1e-3
# Largest code in steps, if a kernel ridge classifier stores codes as integers.
REACH = 127


@dataclass(frozen=True, eq=False)
class Decision:
    """The decision of a classifier for one image, as a sum over the columns of its code.

    `method` is "sum" if the decision is such a sum (`exact`), else "path", "rules" or "neighbors".
    `neighbors` lists (index, class, distance) of training images, only for nearest neighbours.
    """

    value: float
    pull: Pull
    method: str
    neighbors: tuple[tuple[int, Any, float], ...] = ()

    @property
    def exact(self) -> bool:
        return self.method == "sum"


def decision_of(head: Any, kernel: HistogramKernel | None, code: np.ndarray, empty: np.ndarray, target: Target) -> Decision:
    """Explain the decision of a classifier for one code.

    Parameters
    ----------
    head : classifier
        Fitted, without calibration or search around it.
    kernel : HistogramKernel or None
        A step before the classifier that compares the code with training codes.
    code : array of shape (width,), float32
        The code before `kernel`.
    empty : array of shape (width,)
        The code of an image without features, where paths begin.
    target : Target
    """
    if isinstance(head, OneVsRestClassifier):
        return _one_vs_rest(head, kernel, code, empty, target)
    if isinstance(head, (SVC, NuSVC)):
        return _support_vectors(head, kernel, code, empty, target)
    if isinstance(head, KNeighborsClassifier):
        return _neighbors(head, kernel, code, target)
    if kernel is not None:
        raise _unknown(head, "after HistogramKernel")
    if isinstance(head, KernelRidgeClassifier):
        return _kernel_ridge(head, code, empty, target)
    if isinstance(head, NystroemRidgeClassifier):
        return _nystroem(head, code, empty, target)
    if isinstance(head, (RandomForestClassifier, ExtraTreesClassifier, DecisionTreeClassifier)):
        return _trees(head, code, target)
    if hasattr(head, "coef_") and hasattr(head, "decision_function"):
        return _linear(head, code, target)
    raise _unknown(head)


def _unknown(head: Any, where: str = "") -> InputError:
    return InputError(
        f"{type(head).__name__} {where + ' ' if where else ''}cannot be explained column by column. Linear classifiers "
        "(LinearSVC, LogisticRegression, WideLinearSVC, WideRidge, LinearDiscriminantAnalysis), SVC, KernelRidgeClassifier, "
        'forests and KNeighborsClassifier can. explain(..., method="occlusion") explains any model.'
    )


def _chosen(scores: np.ndarray, target: Target) -> float:
    """Return the decision for a target from the decision values of one image."""
    scores = np.asarray(scores, np.float64).ravel()
    return target.sign * float(scores[0]) if len(scores) == 1 else float(scores @ target.signs)


def _linear(head: Any, code: np.ndarray, target: Target) -> Decision:
    rows = head.coef_.reshape(-1, len(code))
    offsets = np.broadcast_to(np.asarray(head.intercept_, np.float64).ravel(), len(rows))
    signs = np.array([target.sign]) if len(rows) == 1 else target.signs
    if len(signs) != len(rows):
        raise _unknown(head)
    used = np.flatnonzero(signs)
    pull = Pull(signs[used] @ rows[used].astype(np.float64), float(signs @ offsets))
    value = _chosen(head.decision_function(code[None]), target)
    _check_sum(head, value, pull, code)
    return Decision(value, pull, "sum")


def _check_sum(head: Any, value: float, pull: Pull, code: np.ndarray) -> None:
    """Refuse a classifier that has coefficients but whose decision is not their sum."""
    added = pull.values(code)
    scale = abs(value) + np.abs(added).sum() + abs(pull.base)
    if abs(added.sum() + pull.base - value) > TOLERANCE * scale:
        raise InputError(
            f"the decision of {type(head).__name__} is {value:.6g}, but its coef_ and intercept_ give "
            f'{added.sum() + pull.base:.6g}, so coef_ does not explain it. Use explain(..., method="occlusion").'
        )


def _one_vs_rest(
    head: OneVsRestClassifier, kernel: HistogramKernel | None, code: np.ndarray, empty: np.ndarray, target: Target
) -> Decision:
    found = []
    two = len(head.estimators_) == 1
    for position, sign in ((0, target.sign),) if two else enumerate(target.signs):
        if sign:
            inner = head.estimators_[position]
            positive = Target(tuple(inner.classes_), 1) if len(inner.classes_) == 2 else target
            part = decision_of(inner, kernel, code, empty, positive)
            found.append((float(sign), part))
    weights = np.sum([sign * part.pull.weights for sign, part in found], axis=0)
    known = [sign * part.pull.constants for sign, part in found if part.pull.constants is not None]
    pull = Pull(weights, sum(sign * part.pull.base for sign, part in found), np.sum(known, axis=0) if known else None)
    return Decision(sum(sign * part.value for sign, part in found), pull, found[0][1].method)


def _support_vectors(
    head: SVC | NuSVC, kernel: HistogramKernel | None, code: np.ndarray, empty: np.ndarray, target: Target
) -> Decision:
    """Explain a support vector machine.

    Among more than two classes, it decides by votes of pairs, which are not a sum. Its decision here is that of a pair, or the
    sum of the decisions of the pairs that a class belongs to.
    """
    rows, function = _kernel_of(head, kernel)
    signed, offset = _weights_of_rows(head, target)
    used = np.flatnonzero(signed)
    plain = copy.copy(head)
    plain.decision_function_shape = "ovo"
    given = code[None] if kernel is None else kernel.transform(code[None])
    scores = np.asarray(plain.decision_function(given), np.float64).ravel()
    value = target.sign * float(scores[0]) if len(scores) == 1 else float(_signs_of_pairs(target) @ scores)
    pull, method = machine_pull(Machine(rows, head.support_[used], signed[used], offset, function), code, empty)
    return Decision(value, pull, method)


def _kernel_of(head: SVC | NuSVC, kernel: HistogramKernel | None) -> tuple[np.ndarray, Function]:
    """Return the training codes and the kernel of a support vector machine."""
    if kernel is not None:
        if head.kernel != "precomputed" or kernel.output != "kernel":
            raise InputError(
                f"{type(head).__name__}(kernel={head.kernel!r}) after HistogramKernel(output={kernel.output!r}) cannot be "
                'explained; use SVC(kernel="precomputed") after HistogramKernel(output="kernel")'
            )
        return kernel.codes_, _of_histograms(kernel, kernel.gamma_)
    if isinstance(head.kernel, HistogramKernel):
        return training_rows(head), _of_histograms(head.kernel, head.kernel.gamma)
    if head.kernel == "linear":
        return training_rows(head), linear()
    if head.kernel == "rbf":
        return training_rows(head), rbf(gamma_of(head))
    raise InputError(
        f'{type(head).__name__} with kernel={head.kernel!r} cannot be explained column by column; the kernels "linear", '
        '"rbf" and HistogramKernel can. Use explain(..., method="occlusion").'
    )


def _of_histograms(kernel: HistogramKernel, gamma: Any) -> Function:
    return intersection() if kernel.kind == "intersection" else chi2(float(gamma))


def _pairs(n: int) -> list[tuple[int, int]]:
    return [(first, second) for first in range(n) for second in range(first + 1, n)]


def _signs_of_pairs(target: Target) -> np.ndarray:
    """Return a weight for the decision of each pair of classes; a positive decision is for the first class."""
    signs = []
    for pair in _pairs(len(target.classes)):
        if target.against is None:
            signs.append(float(target.favoured == pair[0]) - float(target.favoured == pair[1]))
        else:
            wanted = (target.favoured, target.against)
            signs.append(1.0 if pair == wanted else -1.0 if pair == wanted[::-1] else 0.0)
    return np.array(signs)


def _weights_of_rows(head: SVC | NuSVC, target: Target) -> tuple[np.ndarray, float]:
    """Return a weight for each support vector, and the offset."""
    coefficients, offsets = np.asarray(head.dual_coef_, np.float64), np.asarray(head.intercept_, np.float64)
    if len(target.classes) == 2:
        return target.sign * coefficients[0], target.sign * float(offsets[0])
    ends = np.cumsum(head.n_support_)
    own = [slice(end - n, end) for end, n in zip(ends, head.n_support_, strict=True)]
    signs, weights = _signs_of_pairs(target), np.zeros(coefficients.shape[1])
    for sign, (first, second) in zip(signs, _pairs(len(target.classes)), strict=True):
        weights[own[first]] += sign * coefficients[second - 1, own[first]]
        weights[own[second]] += sign * coefficients[first, own[second]]
    return weights, float(signs @ offsets)


def _kernel_ridge(head: KernelRidgeClassifier, code: np.ndarray, empty: np.ndarray, target: Target) -> Decision:
    coefficients, offsets = np.asarray(head.dual_coef_, np.float64), np.asarray(head.intercept_, np.float64)
    signs = np.array([float(target.sign)]) if coefficients.shape[1] == 1 else target.signs
    step = getattr(head, "step_", None) or 1.0
    function = linear(step) if head.kernel == "linear" else rbf(float(head.scale_ or 0) / step**2, step)
    machine = Machine(head.X_fit_, None, coefficients @ signs, float(signs @ offsets), function)
    rounded, empty = (one if step == 1.0 else np.clip(np.rint(one / step), -REACH, REACH) * step for one in (code, empty))
    pull, method = machine_pull(machine, rounded, empty)
    pull = replace(pull, base=pull.base + float(pull.weights @ (rounded - code)))
    return Decision(_chosen(head.decision_function(code[None]), target), pull, method)


def _nystroem(head: NystroemRidgeClassifier, code: np.ndarray, empty: np.ndarray, target: Target) -> Decision:
    """Explain a kernel machine of projected codes; the columns consist of several views, whose decisions are averaged."""
    signs = np.array([float(target.sign)]) if head.dual_coef_.shape[1] == 1 else target.signs
    machine = Machine(head.landmarks_, None, head.dual_coef_.astype(np.float64) @ signs, 0.0, rbf(float(head.scale_)))
    weights, base, n = np.zeros(len(code)), float(signs @ head.intercept_), len(head.mean_)
    for view in range(head.n_views_):
        columns = slice(view * n, (view + 1) * n)
        projected = [head._projected(np.asarray(one, np.float32)[None], view)[0] for one in (code, empty)]
        pull, _ = machine_pull(machine, *projected)
        on_code = pull.weights if head.components_ is None else pull.weights @ head.components_
        weights[columns] = on_code / head.n_views_
        base += (pull.base - float(on_code @ head.mean_)) / head.n_views_
    return Decision(_chosen(head.decision_function(code[None]), target), Pull(weights, base), "path")


def _trees(head: Any, code: np.ndarray, target: Target) -> Decision:
    """Explain trees: each rule on the way from the root to a leaf adds the change of the mean that it causes."""
    trees = [head] if isinstance(head, DecisionTreeClassifier) else head.estimators_
    constants, base = np.zeros(len(code)), 0.0
    for tree in trees:
        inner = tree.tree_
        shares = inner.value[:, 0, :] / inner.value[:, 0, :].sum(axis=1, keepdims=True)
        values = shares @ target.signs
        path = inner.decision_path(np.asarray(code, np.float32)[None]).indices
        np.add.at(constants, inner.feature[path[:-1]], np.diff(values[path]))
        base += float(values[path[0]])
    n = len(trees)
    value = float(np.asarray(head.predict_proba(code[None]), np.float64)[0] @ target.signs)
    return Decision(value, Pull(np.zeros(len(code)), base / n, constants / n), "rules")


def _neighbors(head: KNeighborsClassifier, kernel: HistogramKernel | None, code: np.ndarray, target: Target) -> Decision:
    """Explain nearest neighbours by a margin: how much farther the nearest images of other classes are than those of a class.

    The votes of the neighbours are not a sum over columns. The margin is the mean distance to the `n_neighbors` nearest
    training images of other classes (or of the class to compare with), minus the mean distance to those of the class.
    """
    rows, distance = _distance_of(head, kernel)
    labels, code = stored_neighbors(head)[1], np.asarray(code, np.float64)
    apart = _all(rows, code, distance)
    own = labels == target.favoured
    others = ~own if target.against is None else labels == target.against
    near, far = (_nearest(apart, which, head.n_neighbors) for which in (own, others))
    constants = distance(rows[far], code).mean(axis=0) - distance(rows[near], code).mean(axis=0)
    neighbors = tuple((int(row), target.classes[labels[row]], float(apart[row])) for row in (*near, *far))
    value = float(apart[far].mean() - apart[near].mean())
    return Decision(value, Pull(np.zeros(len(code)), 0.0, constants), "neighbors", neighbors)


def _all(rows: np.ndarray, code: np.ndarray, distance: Callable) -> np.ndarray:
    size = max(1, 2**22 // max(1, len(code)))
    return np.concatenate([distance(rows[start : start + size], code).sum(axis=1) for start in range(0, len(rows), size)])


def _nearest(apart: np.ndarray, which: np.ndarray, n: int) -> np.ndarray:
    inside = np.flatnonzero(which)
    return inside[np.argsort(apart[inside], kind="stable")[:n]]


def _distance_of(head: KNeighborsClassifier, kernel: HistogramKernel | None) -> tuple[np.ndarray, Callable]:
    """Return the training codes and the distance as a function that returns one value for each row and column."""
    if kernel is not None and head.metric == "precomputed" and kernel.output == "distance":
        return kernel.codes_, _manhattan if kernel.kind == "intersection" else _chi2
    metric = head.effective_metric_
    if kernel is None and metric in {"euclidean", "sqeuclidean"}:
        return stored_neighbors(head)[0], _squared
    if kernel is None and metric in {"manhattan", "cityblock"}:
        return stored_neighbors(head)[0], _manhattan
    raise InputError(
        f"KNeighborsClassifier with metric={head.metric!r} cannot be explained column by column; the metrics euclidean, "
        'manhattan, and HistogramKernel(output="distance") can. Use explain(..., method="occlusion").'
    )


def _squared(rows: np.ndarray, code: np.ndarray) -> np.ndarray:
    return (np.asarray(rows, np.float64) - code) ** 2


def _manhattan(rows: np.ndarray, code: np.ndarray) -> np.ndarray:
    return np.abs(np.asarray(rows, np.float64) - code)


def _chi2(rows: np.ndarray, code: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, np.float64)
    both = rows + code
    return np.divide((rows - code) ** 2, both, out=np.zeros(both.shape), where=both > 0)
