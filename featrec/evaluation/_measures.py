"""Intervals of accuracies, and measures per class."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import norm

__all__ = [
    "ClassMeasures",
    "balanced_accuracy",
    "class_measures",
    "confusion_counts",
    "largest_share",
    "wilson_interval",
]


def wilson_interval(n_right: int, n: int, confidence: float) -> tuple[float, float]:
    """Compute the Wilson score interval of a proportion."""
    z = norm.ppf(0.5 + confidence / 2)
    share, shrink = n_right / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / shrink
    half = z / shrink * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if n_right == 0 else float(middle - half)
    high = 1.0 if n_right == n else float(middle + half)
    return low, high


def largest_share(labels: np.ndarray) -> float:
    """Return the share of the largest class, which is the accuracy of always predicting this class."""
    return float(np.unique(labels, return_counts=True)[1].max() / len(labels))


def confusion_counts(y_true: np.ndarray, y_pred: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Count images by true class (rows) and predicted class (columns). `classes` is sorted and contains all labels."""
    k = len(classes)
    cells = np.searchsorted(classes, y_true) * k + np.searchsorted(classes, y_pred)
    return np.bincount(cells, minlength=k * k).reshape(k, k)


class ClassMeasures(NamedTuple):
    """Measures of each class. A measure is 0 if its denominator is 0."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def class_measures(confusion: np.ndarray) -> ClassMeasures:
    """Compute precision, recall, F1 score and number of images for each class."""
    right = np.diag(confusion).astype(float)
    support, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    precision = right / np.maximum(predicted, 1)
    recall = right / np.maximum(support, 1)
    return ClassMeasures(precision, recall, 2 * right / np.maximum(support + predicted, 1), support)


def balanced_accuracy(measures: ClassMeasures) -> float:
    """Return the mean recall of the classes that have images."""
    return float(measures.recall[measures.support > 0].mean())
