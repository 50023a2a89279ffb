"""Intervals of accuracies, tests between models, measures per class, and calibration of predicted probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binomtest, norm, t

from featrec.exceptions import InputError

__all__ = [
    "Calibration",
    "Resampling",
    "balanced_accuracy",
    "calibration_of",
    "class_measures",
    "confusion_counts",
    "holm",
    "largest_share",
    "mcnemar",
    "mean_interval",
    "most_confused",
    "paired_interval",
    "probabilities_of",
    "share_interval",
    "wilson_interval",
]

N_BINS = 15
# Probabilities of 0 are raised to this value, so that one wrong image does not make the log loss infinite.
LEAST = 1e-15


def wilson_interval(n_right: int, n: int, confidence: float) -> tuple[float, float]:
    """Compute the Wilson score interval of a proportion."""
    z = norm.ppf(0.5 + confidence / 2)
    share, shrink = n_right / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / shrink
    half = z / shrink * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if n_right == 0 else float(middle - half)
    high = 1.0 if n_right == n else float(middle + half)
    return low, high


def mean_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Compute the normal interval of a mean of independent values, one per image."""
    if len(values) < 2:
        return -1.0, 1.0
    half = norm.ppf(0.5 + confidence / 2) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def share_interval(shares: np.ndarray, confidence: float) -> tuple[float, float]:
    """Compute the interval of a mean of shares, one per image, limited to 0 and 1."""
    low, high = mean_interval(shares, confidence)
    return max(0.0, low), min(1.0, high)


def mcnemar(first_only: int, second_only: int) -> float:
    """Compute the exact two-sided p value. Each count is the number of images that only this model predicts correctly."""
    n = first_only + second_only
    return float(binomtest(first_only, n, 0.5).pvalue) if n else 1.0


def paired_interval(first_only: int, second_only: int, n: int, confidence: float) -> tuple[float, float]:
    """Compute the interval of the difference of two accuracies on the same `n` images (Bonett and Price, 2012)."""
    first, second = (first_only + 1) / (n + 2), (second_only + 1) / (n + 2)
    middle = first - second
    half = norm.ppf(0.5 + confidence / 2) * math.sqrt((first + second - middle**2) / (n + 2))
    return max(-1.0, float(middle - half)), min(1.0, float(middle + half))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Correct p values for multiple testing by Holm's step-down method."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return corrected


@dataclass(frozen=True)
class Resampling:
    """Statistics of one value per split, for splits that share training images (Nadeau and Bengio, 2003).

    The variance of the mean is `var * (1 / n + n_test / n_train)` instead of `var / n`. `ratio` is the mean of
    `n_test / n_train` over the splits.
    """

    ratio: float

    def standard_error(self, values: np.ndarray) -> float:
        """Return the corrected standard error of the mean."""
        return math.sqrt(np.var(values, ddof=1) * (1 / len(values) + self.ratio))

    def interval(self, values: np.ndarray, confidence: float) -> tuple[float, float]:
        """Return the corrected t interval of the mean."""
        half = t.ppf(0.5 + confidence / 2, len(values) - 1) * self.standard_error(values)
        return float(np.mean(values) - half), float(np.mean(values) + half)

    def p(self, differences: np.ndarray) -> float:
        """Return the two-sided p value of the corrected t test.

        If all differences are equal, their variance is unknown, and the p value of the sign test is returned.
        """
        mean, error = float(np.mean(differences)), self.standard_error(differences)
        if error <= 1e-12:
            return 1.0 if abs(mean) <= 1e-12 else float(0.5 ** (len(differences) - 1))
        return float(2 * t.sf(abs(mean) / error, len(differences) - 1))


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


def most_confused(confusion: np.ndarray, n: int) -> list[tuple[int, int, int]]:
    """Return the most frequent errors: index of the true class, index of the predicted class, number of images."""
    errors = confusion.copy()
    np.fill_diagonal(errors, 0)
    order = np.argsort(-errors, axis=None, kind="stable")[:n]
    pairs = zip(*np.unravel_index(order, errors.shape), strict=True)
    return [(int(i), int(j), int(errors[i, j])) for i, j in pairs if errors[i, j]]


def balanced_accuracy(measures: ClassMeasures) -> float:
    """Return the mean recall of the classes that have images."""
    return float(measures.recall[measures.support > 0].mean())


@dataclass(frozen=True, eq=False)
class Calibration:
    """Quality of predicted probabilities. Smaller is better for all three measures.

    Attributes
    ----------
    ece : float
        Expected calibration error: mean difference between the probability of the predicted class and the share of correct
        predictions, over 15 bins of equal width.
    brier : float
        Mean squared error of the probabilities, summed over the classes: 0 to 2.
    log_loss : float
        Mean of the negative logarithm of the probability of the true class.
    confidence, accuracy : arrays of shape (15,)
        Mean probability of the predicted class and share of correct predictions in each bin, 0 in an empty bin.
    count : array of shape (15,)
        Number of images in each bin.
    """

    ece: float
    brier: float
    log_loss: float
    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


def probabilities_of(model: Any, X: Any, y_true: np.ndarray) -> np.ndarray | None:
    """Return four columns: top probability, whether it is correct, probability of the true class, sum of squared errors.

    One row per image. Return None if the model has no ``predict_proba``.
    """
    if not hasattr(model, "predict_proba"):
        return None
    shares, classes = np.asarray(model.predict_proba(X), float), np.asarray(model.classes_)
    if shares.shape != (len(y_true), len(classes)):
        raise InputError(f"predict_proba must return shape {(len(y_true), len(classes))}; got {shares.shape}")
    hit = classes == y_true[:, None]  # no column matches if the model was not fitted on the true class
    of_true = (shares * hit).sum(axis=1)
    squares = ((shares - hit) ** 2).sum(axis=1) + ~hit.any(axis=1)
    top = shares.argmax(axis=1)
    rows = np.arange(len(shares))
    return np.stack([shares[rows, top], hit[rows, top], of_true, squares], axis=1)


def calibration_of(parts: Iterable[np.ndarray | None]) -> Calibration | None:
    """Compute the measures from the rows of all splits; None if the model has no probabilities."""
    given = [part for part in parts if part is not None]
    if not given:
        return None
    top, right, of_true, squares = np.concatenate(given).T
    bins = np.clip(np.ceil(top * N_BINS).astype(int) - 1, 0, N_BINS - 1)
    count = np.bincount(bins, minlength=N_BINS)
    confidence, accuracy = (np.bincount(bins, values, N_BINS) / np.maximum(count, 1) for values in (top, right))
    return Calibration(
        ece=float(np.sum(count * np.abs(confidence - accuracy)) / len(top)),
        brier=float(squares.mean()),
        log_loss=float(-np.log(np.maximum(of_true, LEAST)).mean()),
        confidence=confidence,
        accuracy=accuracy,
        count=count,
    )
