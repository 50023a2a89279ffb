"""What a comparison is going to do: everything that is known, and has been checked, before the first fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from sklearn.frozen import FrozenEstimator

from featrec.compilation import timed
from featrec.evaluation._folds import Part, parts_of
from featrec.evaluation._labels import all_classes, as_labels, count_items, paths_of
from featrec.evaluation._predictions import foreign_labels, predictions_of
from featrec.evaluation._preflight import check_model, naming
from featrec.exceptions import InputError

__all__ = ["Plan", "planned"]


class Plan(NamedTuple):
    """Who learns from what and is judged on what.

    `given` are the predictions of other programs, `known` all labels, `compile_seconds` what the checks compiled for a model.
    """

    parts: list[Part]
    y_true: np.ndarray
    n_folds: int | None
    given: dict[str, np.ndarray]
    known: np.ndarray
    paths: tuple[str | None, ...] | None
    remarks: tuple[str, ...]
    compile_seconds: dict[str, float]


def planned(models: Mapping[str, Any], X: Any, y: Any, test: Any, cv: Any, groups: Any) -> Plan:
    """Check everything that needs no fit."""
    n = count_items(X)
    if n == 0:
        raise InputError("compare needs images to learn from; got none")
    y = as_labels(y, n, what="y")
    parts, y_true, n_folds = parts_of(X, y, test, cv, groups)
    paths = paths_of(X if test is None else test[0])
    others = () if test is None else paths_of(X) or ()
    known = all_classes([y, y_true])
    given = {}
    for name, model in models.items():
        if not hasattr(model, "predict"):
            given[name] = predictions_of(name, model, paths, others, len(y_true))
            with naming(f"in the predictions {name!r}"):
                all_classes([known, given[name]])
    fitted = {name: model for name, model in models.items() if name not in given}
    if not all(isinstance(model, FrozenEstimator) for model in fitted.values()):
        _check_classes(parts)
    compile_seconds = {}
    for name, model in fitted.items():
        with timed() as spent:
            check_model(name, model, parts[0], y_true)
        compile_seconds[name] = spent.compile_seconds
    return Plan(parts, y_true, n_folds, given, known, paths, tuple(_remarks(y, y_true, given)), compile_seconds)


def _check_classes(parts: list[Part]) -> None:
    """A classifier learns to tell two classes or more apart."""
    for number, part in enumerate(parts, start=1):
        if len(np.unique(part.y_fit)) < 2:
            where = "y holds" if len(parts) == 1 else f"fold {number} of cv learns from"
            raise InputError(f"{where} one class, {part.y_fit[0].item()!r}; a classifier needs two or more")


def _remarks(y: np.ndarray, y_true: np.ndarray, given: Mapping[str, np.ndarray]) -> Iterator[str]:
    """What to know of labels that cannot be right."""
    known = np.union1d(y, y_true)
    images = foreign_labels("The test set has labels that no image to learn from has", y_true, np.unique(y))
    rows = [foreign_labels(f"{name} predicts labels that no image has", labels, known) for name, labels in given.items()]
    return filter(None, [images, *rows])
