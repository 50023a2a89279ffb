"""Intervals and measures agree with scikit-learn and SciPy."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, precision_recall_fscore_support

from featrec.evaluation._measures import (
    balanced_accuracy,
    class_measures,
    confusion_counts,
    wilson_interval,
)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize(("n_right", "n"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 30), (880, 1000)])
def test_wilson_interval_equals_that_of_scipy(n_right, n, confidence):
    expected = binomtest(n_right, n).proportion_ci(confidence, method="wilson")
    assert wilson_interval(n_right, n, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


def _labels(kind, seed):
    random = np.random.default_rng(seed)
    names = np.array(["ash", "birch", "cedar", "dogwood", "elm"]) if kind == "strings" else np.array([3, 5, 8, 13, 21])
    y_true = names[random.integers(0, 4, 200)]
    guesses = names[random.integers(1, 5, 200)]
    return names, y_true, np.where(random.random(200) < 0.6, y_true, guesses)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["strings", "ints"])
def test_class_measures_equal_those_of_scikit_learn(kind, seed):
    classes, y_true, y_pred = _labels(kind, seed)
    confusion = confusion_counts(y_true, y_pred, classes)
    assert np.array_equal(confusion, confusion_matrix(y_true, y_pred, labels=classes))
    measures = class_measures(confusion)
    expected = precision_recall_fscore_support(y_true, y_pred, labels=classes, zero_division=0)
    for found, wanted in zip(measures, expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-12)
    known = np.isin(y_pred, y_true)
    y_pred = np.where(known, y_pred, y_true)
    measures = class_measures(confusion_counts(y_true, y_pred, classes))
    assert balanced_accuracy(measures) == pytest.approx(balanced_accuracy_score(y_true, y_pred), abs=1e-12)


def test_a_class_without_predictions_or_images_has_zeros():
    measures = class_measures(np.array([[3, 0, 0], [2, 0, 0], [0, 0, 0]]))
    assert measures.precision.tolist() == [0.6, 0.0, 0.0]
    assert measures.recall.tolist() == [1.0, 0.0, 0.0]
    assert balanced_accuracy(measures) == 0.5
