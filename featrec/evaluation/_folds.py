"""Which pictures a model learns from and which it is judged on."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, check_cv

from featrec.evaluation._labels import as_labels, count_items, take
from featrec.exceptions import InputError

__all__ = ["Part", "parts_of"]


@dataclass(frozen=True)
class Part:
    """Pictures to learn from, with labels; pictures to judge on; and where these stand among all that are judged."""

    X_fit: Any
    y_fit: np.ndarray
    X_judge: Any
    rows: np.ndarray


def parts_of(X: Any, y: np.ndarray, test: Any, cv: Any, groups: Any) -> tuple[list[Part], np.ndarray, int | None]:
    """One part for a test set, one a fold; the labels to judge by; the number of folds."""
    if (test is None) == (cv is None):
        raise InputError("give exactly one of test=(X, y), pictures to judge on, and cv=5, folds of X")
    if test is None:
        folds = _folds(X, y, cv, groups)
        return folds, y, len(folds)
    if groups is not None:
        raise InputError("groups keep pictures in one fold and need cv; evaluate(model, X, y, groups=...) judges each group")
    if not isinstance(test, (tuple, list)) or len(test) != 2:
        raise InputError(f"test is a pair of pictures and labels, (X, y); got {type(test).__name__}")
    n = count_items(test[0])
    if n == 0:
        raise InputError("the test set holds no pictures")
    return [Part(X, y, test[0], np.arange(n))], as_labels(test[1], n, what="the test set's y"), None


def _folds(X: Any, y: np.ndarray, cv: Any, groups: Any) -> list[Part]:
    if groups is not None:
        groups = as_labels(groups, len(y), what="groups")
        if isinstance(cv, Integral):
            cv = StratifiedGroupKFold(int(cv))
    splitter = check_cv(cv, y, classifier=True)
    splits = list(splitter.split(np.zeros(len(y)), y, groups))
    judged = np.sort(np.concatenate([rows for _, rows in splits]))
    if len(splits) < 2 or not np.array_equal(judged, np.arange(len(y))):
        raise InputError(
            f"cv must judge every picture once, in two folds or more; {type(splitter).__name__} does not. "
            "Use KFold, StratifiedKFold or GroupKFold, or one split as test=(X, y)"
        )
    return [Part(take(X, fit), y[fit], take(X, rows), rows) for fit, rows in splits]
