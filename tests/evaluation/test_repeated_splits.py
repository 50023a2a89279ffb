"""compare with splits that test images several times."""

import json

import numpy as np
import pytest
from scipy.stats import t
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GroupShuffleSplit, RepeatedStratifiedKFold, StratifiedShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from featrec.evaluation import compare

X, Y = load_digits(return_X_y=True)
X, Y = X[:300], Y[:300]
MODELS = {"bayes": GaussianNB(), "neighbours": KNeighborsClassifier(7)}


def by_hand(model, cv):
    """The accuracy of each split."""
    return np.array([(clone(model).fit(X[fit], Y[fit]).predict(X[rows]) == Y[rows]).mean() for fit, rows in cv.split(X, Y)])


@pytest.mark.parametrize(("cv", "ratio"), [
    (StratifiedShuffleSplit(6, test_size=60, random_state=0), 60 / 240),
    (RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0), 1 / 2),
])  # fmt: skip
def test_the_accuracy_and_its_interval_are_those_of_the_splits(cv, ratio):
    comparison = compare(MODELS, X, Y, cv=cv)
    shares = {name: by_hand(model, cv) for name, model in MODELS.items()}
    for name, values in shares.items():
        row = comparison[name]
        assert row.fold_accuracies == pytest.approx(values)
        assert row.accuracy == pytest.approx(values.mean())
        half = t.ppf(0.975, 5) * np.sqrt(values.var(ddof=1) * (1 / 6 + ratio))
        assert row.interval == pytest.approx((max(0, values.mean() - half), min(1, values.mean() + half)))
    (pair,) = comparison.pairs
    differences = shares[pair.first] - shares[pair.second]
    error = np.sqrt(differences.var(ddof=1) * (1 / 6 + ratio))
    assert pair.test == "corrected t"
    assert pair.p == pytest.approx(2 * t.sf(abs(differences.mean()) / error, 5))
    assert pair.difference == pytest.approx(differences.mean())
    assert pair.interval[0] < pair.difference < pair.interval[1]


def test_each_prediction_has_its_image():
    cv = StratifiedShuffleSplit(4, test_size=50, random_state=0)
    own = np.where(np.arange(300) % 3, Y, 0)
    comparison = compare({**MODELS, "own": own}, X, Y, cv=cv)
    rows = np.concatenate([rows for _, rows in cv.split(X, Y)])
    assert np.array_equal(comparison.rows, rows)
    assert np.array_equal(comparison.y_true, Y[rows])
    assert np.array_equal(comparison["own"].y_pred, own[rows])
    assert (comparison.n, comparison.n_folds, comparison.n_train) == (200, 4, 250)
    assert json.loads(comparison.to_json())["rows"] == rows.tolist()


def test_paths_are_those_of_the_predictions(tmp_path):
    paths = [str(tmp_path / f"{row}.png") for row in range(40)]
    labels = np.arange(40) % 2
    comparison = compare({"own": labels}, paths, labels, cv=StratifiedShuffleSplit(3, test_size=10, random_state=0))
    assert comparison.paths == tuple(paths[row] for row in comparison.rows)


def test_the_text_says_splits_and_names_the_test():
    cv = StratifiedShuffleSplit(5, test_size=60, random_state=0)
    text = str(compare({"bayes": GaussianNB(), "guess": DummyClassifier()}, X, Y, cv=cv))
    assert " splits " in text.splitlines()[0]
    assert "5 splits of about 240 training and 60 test images, 10 classes; " in text
    assert "statistically significant (corrected t test p < 0.001)." in text


def test_folds_are_still_tested_by_mcnemar():
    comparison = compare(MODELS, X, Y, cv=3)
    assert comparison.rows is None
    assert comparison.pairs[0].test == "mcnemar"
    assert comparison.n_train == 200


def test_groups_stay_together_in_repeated_splits():
    groups = np.arange(300) // 10
    comparison = compare(MODELS, X, Y, cv=GroupShuffleSplit(3, random_state=0), groups=groups)
    for _, rows in GroupShuffleSplit(3, random_state=0).split(X, Y, groups):
        assert set(rows) <= set(comparison.rows)
