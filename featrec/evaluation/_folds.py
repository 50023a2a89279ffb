"""Which images a model learns from and which it is judged on."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, check_cv

from featrec.evaluation._labels import as_labels, count_items, take
from featrec.exceptions import InputError

__all__ = ["Part", "Rows", "check_folds", "parts_of"]


@dataclass(frozen=True)
class Rows:
    """Some rows of the images that the caller gave."""

    given: Any
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def taken(self) -> Any:
        """These images, in whatever holds them; what was given where they are all of it."""
        return self.given if np.array_equal(self.rows, np.arange(count_items(self.given))) else take(self.given, self.rows)

    def first(self) -> Any:
        """A batch of the first image alone."""
        return take(self.given, self.rows[:1])


@dataclass(frozen=True)
class Part:
    """Images to learn from, with labels, and images to judge on."""

    fit: Rows
    y_fit: np.ndarray
    judge: Rows


def parts_of(X: Any, y: np.ndarray, test: Any, cv: Any, groups: Any) -> tuple[list[Part], np.ndarray, int | None]:
    """One part for a test set, one a fold; the labels to judge by; the number of folds."""
    if (test is None) == (cv is None):
        raise InputError("give exactly one of test=(X, y), images to judge on, and cv=5, folds of X")
    if test is None:
        folds = _folds(X, y, cv, groups)
        return folds, y, len(folds)
    if groups is not None:
        raise InputError("groups keep images in one fold and need cv; evaluate(model, X, y, groups=...) judges each group")
    if not isinstance(test, (tuple, list)) or len(test) != 2:
        way_out = "; write test=(test, test.labels)" if hasattr(test, "labels") else ""
        raise InputError(f"test is a pair of images and labels, (X, y); got {type(test).__name__}{way_out}")
    n = count_items(test[0])
    if n == 0:
        raise InputError("the test set holds no images")
    y_true = as_labels(test[1], n, what="the test set's y")
    return [Part(Rows(X, np.arange(len(y))), y, Rows(test[0], np.arange(n)))], y_true, None


def check_folds(cv: Any, y: np.ndarray | None = None) -> None:
    """A number of folds is 2 or more, and each class has an image for each of them."""
    if isinstance(cv, (bool, np.bool_, str)) or (isinstance(cv, Integral) and cv < 2):
        raise InputError(f"cv is a number of folds, 2 or more, or a splitter of scikit-learn; got {cv!r}")
    if y is None or not isinstance(cv, Integral):
        return
    classes, counts = np.unique(y, return_counts=True)
    if counts.min() < cv:
        images = "1 image" if counts.min() == 1 else f"{counts.min()} images"
        raise InputError(
            f"cv={cv} puts an image of each class into each of {cv} folds, but class {classes[counts.argmin()].item()!r} has "
            f"{images}. Take a smaller cv, leave such classes out, or hold images out for a test"
        )


def _folds(X: Any, y: np.ndarray, cv: Any, groups: Any) -> list[Part]:
    check_folds(cv, y)
    if groups is not None:
        groups = as_labels(groups, len(y), what="groups")
        cv = _group_folds(cv, groups)
    splitter = check_cv(cv, y, classifier=True)
    name = type(splitter).__name__
    try:
        splits = list(splitter.split(np.zeros(len(y)), y, groups))
    except (ValueError, TypeError) as error:
        raise InputError(f"cv: {name} cannot split these images: {error}") from error
    judged = np.sort(np.concatenate([rows for _, rows in splits]))
    if len(splits) < 2 or not np.array_equal(judged, np.arange(len(y))):
        raise InputError(
            f"cv must judge every image once, in two folds or more; {name} does not. "
            "Use KFold, StratifiedKFold or GroupKFold, or one split as test=(X, y)"
        )
    return [Part(Rows(X, fit), y[fit], Rows(X, rows)) for fit, rows in splits]


def _group_folds(cv: Any, groups: np.ndarray) -> Any:
    if not isinstance(cv, Integral):
        return cv
    n_groups = len(np.unique(groups))
    if n_groups < int(cv):
        raise InputError(f"cv={cv} folds need {cv} groups or more, since a group stays in one fold; groups has {n_groups}")
    return StratifiedGroupKFold(int(cv))
