"""The same models on several datasets, and on splits that test images several times."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import friedmanchisquare, t
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GroupShuffleSplit, RepeatedStratifiedKFold, StratifiedShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from featrec.datasets import load_dataset
from featrec.evaluation import combine_comparisons, compare, compare_datasets
from featrec.exceptions import InputError
from featrec.recipes import make

DIGITS = tuple(part[:300] for part in load_digits(return_X_y=True))
DATASETS = {"digits": DIGITS, "iris": load_iris(return_X_y=True), "wine": load_wine(return_X_y=True)}
MODELS = {
    "guess": DummyClassifier(),
    "bayes": GaussianNB(),
    "tree": DecisionTreeClassifier(random_state=0),
    "neighbours": KNeighborsClassifier(),
}


@pytest.fixture(scope="module")
def result():
    return compare_datasets(MODELS, DATASETS, cv=3)


def test_accuracies_and_ranks_are_those_of_single_comparisons(result):
    for name, (X, y) in DATASETS.items():
        alone = compare(MODELS, X, y, cv=3)
        shares = [alone[model].accuracy for model in result.names]
        assert result.accuracies[list(DATASETS).index(name)] == pytest.approx(shares)
        assert result[name]["tree"].accuracy == alone["tree"].accuracy
    assert result.mean_ranks == pytest.approx(sorted(result.mean_ranks))
    assert result.statistic == pytest.approx(friedmanchisquare(*result.accuracies.T).statistic)
    assert result.names[-1] == "guess"


def test_the_text_names_the_test_and_warns_of_few_datasets(result):
    text = str(result)
    assert text.splitlines()[0].split() == ["model", "mean", "rank", "digits", "iris", "wine"]
    assert "3 datasets are few: a difference between models may remain undetected." in text
    assert "Friedman p" in text


def _combined(accuracies):
    """Comparisons of predictions whose accuracies are given; rows are datasets."""
    found = {}
    for place, row in enumerate(accuracies):
        y = np.zeros(100, int)
        models = {f"m{column}": np.r_[np.zeros(share, int), np.ones(100 - share, int)] for column, share in enumerate(row)}
        y[-1] = 1
        found[f"d{place}"] = compare(models, y, y, test=(y, y))
    return combine_comparisons(found)


def test_the_verdict_names_the_models_that_are_worse():
    clear = _combined([[90 - row, 60 + row, 55, 50 - row] for row in range(8)])
    assert clear.verdict()[0].startswith("The models differ significantly over these datasets (Friedman p < 0.001).")
    assert clear.verdict()[1] == (
        "m0 has the best mean rank, 1.00; significantly worse: m2, m3 (Nemenyi, critical difference 1.66)."
    )
    shared = _combined([[90, 80, 50, 40], [80, 90, 50, 40]] * 4)
    assert shared.verdict()[1].startswith("m0 and m1 share the best mean rank, 1.50; significantly worse: m3")
    unclear = _combined([[60, 50, 40], [40, 50, 60]])
    assert unclear.verdict() == ["The models do not differ significantly over these datasets (Friedman p = 1.000)."]


def test_a_test_set_is_used_where_a_dataset_has_one():
    (X, y), (train, test) = DIGITS, load_dataset("digits")
    named = {"own": ((X[:200], y[:200]), (X[200:], y[200:])), "digits": (train[:100], test[:50])}
    own = compare_datasets({"bayes": GaussianNB(), "guess": DummyClassifier()}, {"a": named["own"], "b": named["own"]})
    assert own["a"].n_folds is None
    assert own["a"].n == 100
    images = compare_datasets(
        {"tiny": make("tiny_knn"), "color": make("tiny_knn")}, {"a": named["digits"], "b": named["digits"]}
    )
    assert images["b"].n == 50


def test_conversions(result, tmp_path):
    assert result.to_frame().columns.tolist() == ["mean_rank", "digits", "iris", "wine"]
    assert json.loads(result.to_json())["comparisons"]["iris"]["n"] == 150
    assert result.to_markdown().splitlines()[0] == "| model | mean rank | digits | iris | wine |"
    with pytest.raises(KeyError, match="no dataset 'cats'; the datasets are digits, iris, wine"):
        result["cats"]


def test_the_page_has_ranks_and_each_dataset(result, tmp_path):
    page = result.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page + "\n"
    assert "Comparison of 4 models on 3 datasets" in page
    assert "critical difference" in page
    for name in DATASETS:
        assert f">{name}</h2>" in page
    assert page.count("<table") == 4


def test_the_figure_connects_models_that_do_not_differ(result):
    ax = Figure().add_subplot()
    assert result.plot(ax) is ax
    ax.figure.canvas.draw()
    written = " ".join(text.get_text() for text in ax.texts)
    assert all(name in written for name in MODELS)
    assert f"critical difference {result.critical_difference:.2f}" in written


@pytest.mark.parametrize(("models", "datasets", "options", "message"), [
    (MODELS, {"one": DIGITS}, {"cv": 3}, "at least two datasets"),
    ({"bayes": GaussianNB()}, DATASETS, {"cv": 3}, "at least two models"),
    (MODELS, DATASETS, {}, "the dataset 'digits' has no test set; give one, or set cv"),
    (MODELS, {"a": 3, "b": 4}, {"cv": 3}, "the dataset 'a' must be .*got int"),
    ({**MODELS, "own": DIGITS[1]}, DATASETS, {"cv": 3}, "'own' is an array or dict of predictions"),
    (MODELS, {**DATASETS, "bad": (DIGITS[0], DIGITS[1][:5])}, {"cv": 3}, "y has 5 labels for 300 images"),
])  # fmt: skip
def test_wrong_arguments_are_refused_before_any_fit(models, datasets, options, message, monkeypatch):
    monkeypatch.setattr(GaussianNB, "fit", lambda *given: pytest.fail("a model was fitted"))
    with pytest.raises(InputError, match=message):
        compare_datasets(models, datasets, **options)


def test_comparisons_of_other_models_are_refused(result):
    other = compare({"bayes": GaussianNB(), "guess": DummyClassifier()}, *DIGITS, cv=3)
    with pytest.raises(InputError, match=r"the models on 'other' .* are not those on 'digits'"):
        combine_comparisons({"digits": result["digits"], "other": other})
    with pytest.raises(InputError, match="a dict of dataset name to Comparison"):
        combine_comparisons([other])


# Splits that test images several times

X, Y = DIGITS
PAIR = {"bayes": GaussianNB(), "neighbours": KNeighborsClassifier(7)}


def by_hand(model, cv):
    """The accuracy of each split."""
    return np.array([(clone(model).fit(X[fit], Y[fit]).predict(X[rows]) == Y[rows]).mean() for fit, rows in cv.split(X, Y)])


@pytest.mark.parametrize(("cv", "ratio"), [
    (StratifiedShuffleSplit(6, test_size=60, random_state=0), 60 / 240),
    (RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0), 1 / 2),
])  # fmt: skip
def test_the_accuracy_and_its_interval_are_those_of_the_splits(cv, ratio):
    comparison = compare(PAIR, X, Y, cv=cv)
    shares = {name: by_hand(model, cv) for name, model in PAIR.items()}
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
    comparison = compare({**PAIR, "own": own}, X, Y, cv=cv)
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
    comparison = compare(PAIR, X, Y, cv=3)
    assert comparison.rows is None
    assert comparison.pairs[0].test == "mcnemar"
    assert comparison.n_train == 200


def test_groups_stay_together_in_repeated_splits():
    groups = np.arange(300) // 10
    comparison = compare(PAIR, X, Y, cv=GroupShuffleSplit(3, random_state=0), groups=groups)
    for _, rows in GroupShuffleSplit(3, random_state=0).split(X, Y, groups):
        assert set(rows) <= set(comparison.rows)
