"""The weight of each training row: its class's weight times the one that the caller gave it."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight

from featrec.base import StrOptions
from featrec.exceptions import InputError

__all__ = ["CLASS_WEIGHT", "counted_rows", "row_weights"]

CLASS_WEIGHT = {"class_weight": [dict, StrOptions({"balanced"}), None]}


def row_weights(labels: np.ndarray, class_weight: Any, sample_weight: Any) -> np.ndarray | None:
    """Float64 weights of the rows; None where all rows count the same.

    Parameters
    ----------
    labels : array of shape (n,)
        Labels as the user gave them, because a dict of class weights has them as keys.
    class_weight : dict, "balanced" or None
        "balanced" gives each class the same total: a row of a class has n / (n_classes · rows of the class).
    sample_weight : array-like of shape (n,), number or None

    Returns
    -------
    weights : array of shape (n,) or None
    """
    given = None if sample_weight is None else _checked(sample_weight, len(labels))
    if class_weight is None:
        return None if given is None or (given == 1).all() else given
    # Rows without weight are left out of the counts: they are left out of the fit.
    counted = slice(None) if given is None else given > 0
    weights = np.zeros(len(labels))
    weights[counted] = compute_sample_weight(class_weight, labels[counted])
    return weights if given is None else weights * given


def counted_rows(
    codes: np.ndarray, labels: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The same without the rows of weight 0; nothing is copied where there are none."""
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
            f"sample_weight must be 0 or more, and finite; item {wrong[0]} is {weights[wrong[0]]}. 0 leaves a row out."
        )
    if not weights.any():
        raise InputError("every sample_weight is zero; nothing is left to learn from")
    return weights
