"""The figures: intervals, per-class measures and paired tests, from labels alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest, norm

__all__ = ["ClassMeasures", "balanced_accuracy", "class_measures", "confusion_counts", "holm", "mcnemar", "wilson_interval"]


def wilson_interval(n_right: int, n: int, confidence: float) -> tuple[float, float]:
    """The Wilson score interval of a proportion."""
    z = norm.ppf(0.5 + confidence / 2)
    share, shrink = n_right / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / shrink
    half = z / shrink * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if n_right == 0 else float(middle - half)
    high = 1.0 if n_right == n else float(middle + half)
    return low, high


def confusion_counts(y_true: np.ndarray, y_pred: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Rows are true classes, columns predicted ones; every label is one of the sorted classes."""
    k = len(classes)
    cells = np.searchsorted(classes, y_true) * k + np.searchsorted(classes, y_pred)
    return np.bincount(cells, minlength=k * k).reshape(k, k)


class ClassMeasures(NamedTuple):
    """For each class; what has no denominator is 0."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def class_measures(confusion: np.ndarray) -> ClassMeasures:
    """Precision, recall, F1 and the number of true examples of each class."""
    right = np.diag(confusion).astype(float)
    support, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    precision = right / np.maximum(predicted, 1)
    recall = right / np.maximum(support, 1)
    return ClassMeasures(precision, recall, 2 * right / np.maximum(support + predicted, 1), support)


def balanced_accuracy(measures: ClassMeasures) -> float:
    """The mean recall of the classes that have examples."""
    return float(measures.recall[measures.support > 0].mean())


def mcnemar(first_only: int, second_only: int) -> float:
    """The exact two-sided p of two models that differ on these pictures, one right where the other is wrong."""
    n = first_only + second_only
    return float(binomtest(first_only, n, 0.5).pvalue) if n else 1.0


def holm(p_values: np.ndarray) -> np.ndarray:
    """p values corrected for how many there are, by Holm's step-down method."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return corrected
