"""compare: each kind of model, and the sentences on the results."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from featrec.evaluation import Comparison, ModelResult, Pair, compare, mcnemar
from featrec.persistence import model_bytes

X, Y = load_digits(return_X_y=True)
NAMES = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
TRAIN, TEST = slice(0, 300), slice(300, 700)
Y = NAMES[Y]


@pytest.fixture(scope="module")
def compared():
    models = {
        "bayes": GaussianNB(),
        "neighbours": KNeighborsClassifier(3),
        "frozen": FrozenEstimator(KNeighborsClassifier(1).fit(X[:50], Y[:50])),
        "elsewhere": np.full(400, "three"),
    }
    return models, compare(models, X[TRAIN], Y[TRAIN], test=(X[TEST], Y[TEST]))


def test_results_equal_those_of_a_loop_by_hand(compared):
    models, comparison = compared
    for name in ("bayes", "neighbours"):
        by_hand = clone(models[name]).fit(X[TRAIN], Y[TRAIN]).predict(X[TEST])
        assert np.array_equal(comparison[name].y_pred, by_hand)
        assert comparison[name].accuracy == (by_hand == Y[TEST]).mean()
        assert comparison[name].fit_seconds > 0
        assert comparison[name].images_per_second == pytest.approx(400 / comparison[name].predict_seconds)
        assert comparison[name].width == 64
    assert [row.accuracy for row in comparison.results] == sorted((row.accuracy for row in comparison.results), reverse=True)


def test_estimators_are_cloned_and_frozen_ones_are_not_fitted(compared):
    models, comparison = compared
    assert not hasattr(models["bayes"], "classes_")
    assert np.array_equal(comparison["frozen"].y_pred, models["frozen"].predict(X[TEST]))
    assert comparison["frozen"].fit_seconds is None
    assert comparison["frozen"].predict_seconds > 0
    assert comparison["frozen"].width == 64


def test_predictions_have_no_times(compared):
    row = compared[1]["elsewhere"]
    assert row.kind == "predictions"
    assert (row.fit_seconds, row.predict_seconds, row.images_per_second, row.width, row.n_bytes) == (None,) * 5
    assert row.accuracy == (Y[TEST] == "three").mean()


def test_the_size_is_that_of_the_model_file(compared):
    models, comparison = compared
    assert comparison["bayes"].n_bytes == model_bytes(clone(models["bayes"]).fit(X[TRAIN], Y[TRAIN]))


def test_pairs_are_tested_by_mcnemar_with_the_better_model_first(compared):
    _, comparison = compared
    assert len(comparison.pairs) == 6
    for pair in comparison.pairs:
        first, second = (comparison[name].y_pred == Y[TEST] for name in (pair.first, pair.second))
        assert pair.first_only == (first & ~second).sum() >= pair.second_only == (second & ~first).sum()
        assert pair.p == mcnemar(pair.first_only, pair.second_only) <= pair.p_holm
    assert comparison.pair("elsewhere", "bayes") is comparison.pair("bayes", "elsewhere")
    with pytest.raises(KeyError, match="no pair 'bayes', 'cat'; the models are neighbours"):
        comparison.pair("bayes", "cat")
    with pytest.raises(KeyError, match="no model 'cat'; the models are neighbours"):
        comparison["cat"]


def test_the_text_has_the_table_and_the_verdict(compared):
    text = str(compared[1])
    lines = text.splitlines()
    assert lines[0].split() == "model accuracy 95 % interval balanced fit s predict s images/s features size".split()  # noqa: SIM905
    assert [line.split()[0] for line in lines[1:5]] == [row.name for row in compared[1].results]
    assert lines[6].startswith("400 test images, 10 classes; always predicting the largest class gives ")
    assert lines[7].startswith("neighbours is the most accurate; its lead of ")
    assert lines[7].endswith("is statistically significant (McNemar p < 0.001, corrected for 6 pairs).")
    assert repr(compared[1]) == text


def test_conversions_contain_the_results(compared, tmp_path):
    _, comparison = compared
    frame = comparison.to_frame()
    assert frame.index.tolist() == [row.name for row in comparison.results]
    assert frame.loc["bayes", "accuracy"] == comparison["bayes"].accuracy
    assert frame.loc["bayes", "low"] == comparison["bayes"].interval[0]
    assert comparison.pairs_to_frame()["p_holm"].tolist() == [pair.p_holm for pair in comparison.pairs]
    markdown = comparison.to_markdown(tmp_path / "table.md")
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == markdown + "\n"
    assert markdown.splitlines()[1] == "| :--- " + "| ---: " * 8 + "|"
    held = json.loads(comparison.to_json(tmp_path / "table.json"))
    assert held == json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert held["results"][0]["y_pred"] == comparison.results[0].y_pred.tolist()
    assert held["pairs"][0]["first"] == "neighbours"
    assert "<th>neighbours</th>" in comparison._repr_html_()


@pytest.mark.parametrize("form", [np.asarray, list, pd.DataFrame], ids=["array", "list", "frame"])
def test_out_of_fold_predictions_are_those_of_cross_val_predict(form):
    folds = StratifiedKFold(4, shuffle=True, random_state=1)
    comparison = compare({"bayes": GaussianNB()}, form(X[:200]), Y[:200], cv=folds)
    by_hand = cross_val_predict(GaussianNB(), X[:200], Y[:200], cv=folds)
    row = comparison["bayes"]
    assert np.array_equal(row.y_pred, by_hand)
    assert comparison.n_folds == len(row.fold_accuracies) == 4
    expected = [(by_hand == Y[:200])[rows].mean() for _, rows in folds.split(X[:200], Y[:200])]
    assert row.fold_accuracies == pytest.approx(expected)
    assert f"{100 * np.mean(expected):.1f} ± {100 * np.std(expected, ddof=1):.1f}" in str(comparison)
    assert "200 images in 4 folds" in str(comparison)


def test_an_int_makes_stratified_folds():
    comparison = compare({"bayes": GaussianNB()}, X[:200], Y[:200], cv=5)
    assert np.array_equal(comparison["bayes"].y_pred, cross_val_predict(GaussianNB(), X[:200], Y[:200], cv=5))


class Remembers(ClassifierMixin, BaseEstimator):
    """Fail to predict a row whose group was in the training rows."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.seen_ = np.unique(X[:, 0])
        return self

    def predict(self, X):
        assert not np.isin(X[:, 0], self.seen_).any()
        return np.full(len(X), self.classes_[0])


@pytest.mark.parametrize("cv", [3, GroupKFold(3)], ids=["int", "splitter"])
def test_groups_stay_in_one_fold(cv):
    groups = np.repeat(np.arange(12), 5)
    y = np.array(["a", "b"])[groups % 2]
    comparison = compare({"remembers": Remembers()}, groups[:, None], y, cv=cv, groups=groups)
    assert comparison.n_folds == 3
    assert comparison["remembers"].n_bytes is not None


class NoColumns(TransformerMixin, BaseEstimator):
    """Return three columns; has no attribute n_features_out_."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return np.array([[image.mean(), image.min(), image.max()] for image in X])


class RefusesOne(NoColumns):
    """Fail to transform a single image."""

    def transform(self, X):
        if len(X) == 1:
            raise ValueError("too few")
        return super().transform(X)


class Nearest(ClassifierMixin, BaseEstimator):
    """A classifier without n_features_in_."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


class OwnNetwork(NoColumns):
    network_kind = "features"


class Misnamed(NoColumns):
    network_kind = ("features",)


def test_an_unknown_width_is_measured_on_one_image():
    images = [np.zeros((8, 8)), np.ones((5, 5))] * 10
    models = {"measured": make_pipeline(NoColumns(), Nearest()), "unknown": Nearest()}
    models["refuses"] = make_pipeline(RefusesOne(), Nearest())
    comparison = compare(models, images, [0, 1] * 10, test=(images, [0, 1] * 10))
    assert comparison["measured"].width == 3
    assert comparison["refuses"].width is None
    assert comparison["unknown"].width is None


def test_a_model_that_cannot_be_saved_has_no_size():
    model = make_pipeline(FunctionTransformer(lambda rows: rows), GaussianNB())
    comparison = compare({"lambda": model}, X[:50], Y[:50], test=(X[50:80], Y[50:80]))
    assert comparison["lambda"].n_bytes is None
    assert "–" in str(comparison)


def test_networks_are_recognised_by_an_attribute_or_by_name():
    images, y = [np.zeros((8, 8)), np.ones((5, 5))] * 10, [0, 1] * 10
    models = {"cnn": make_pipeline(OwnNetwork(), GaussianNB()), "plain": make_pipeline(Misnamed(), DummyClassifier())}
    comparison = compare(models, images, y, test=(images, y))
    assert {row.name: row.kind for row in comparison.results} == {"cnn": "network", "plain": "engineered"}
    assert comparison.verdict()[1].startswith("The network cnn wins by 50.0 points over the best engineered features (plain); ")
    comparison = compare({**models, "torch": y}, images, y, test=(images, y), networks={"torch"})
    assert {row.name: row.kind for row in comparison.results}["torch"] == "network"
    assert comparison["cnn"].kind == "engineered"


def _row(name, accuracy, kind="engineered"):
    return ModelResult(name, kind, accuracy, (0.0, 1.0), accuracy, (), None, None, None, None, None, np.array([]))


def _verdict(results, p=1.0):
    pairs = tuple(Pair(results[0].name, second.name, 1, 0, p, p) for second in results[1:])
    return Comparison(tuple(results), pairs, 10, None, np.arange(2), 0.95, np.arange(10) % 2).verdict()


@pytest.mark.parametrize(
    ("results", "p", "expected"),
    [
        (
            [_row("cnn", 0.9, "network"), _row("hog", 0.787)],
            0.0001,
            ["cnn is the most accurate; its lead of 11.3 points over hog is statistically significant (McNemar p < 0.001).",
             "The network cnn wins by 11.3 points over the best engineered features (hog); the lead is statistically "
             "significant (p < 0.001)."],
        ),
        (
            [_row("cnn", 0.9, "network"), _row("hog", 0.89)],
            0.4,
            ["cnn is the most accurate; its lead of 1.0 point over hog is not statistically significant (McNemar p = 0.400).",
             "The network cnn leads by 1.0 point over the best engineered features (hog); the lead is not statistically "
             "significant (p = 0.400)."],
        ),
        (
            [_row("hog", 0.9), _row("cnn", 0.8, "network")],
            0.01,
            ["hog is the most accurate; its lead of 10.0 points over cnn is statistically significant (McNemar p = 0.010).",
             "The network cnn does not win: the best engineered features (hog) are 10.0 points ahead; the lead is "
             "statistically significant (p = 0.010)."],
        ),
        (
            [_row("hog", 0.9), _row("cnn", 0.8, "network")],
            0.2,
            ["hog is the most accurate; its lead of 10.0 points over cnn is not statistically significant (McNemar p = 0.200).",
             "The network cnn does not win: the best engineered features (hog) are 10.0 points ahead; the lead is not "
             "statistically significant (p = 0.200)."],
        ),
        (
            [_row("hog", 0.9), _row("cnn", 0.9, "network")],
            1.0,
            ["hog and cnn share the highest accuracy.",
             "The network cnn does not win: the best engineered features (hog) are equally accurate."],
        ),
        ([_row("hog", 0.9)], 1.0, ["hog is the only model; add a second model for a comparison."]),
    ],
    ids=["wins", "ahead", "loses", "behind", "equal", "alone"],
)  # fmt: skip
def test_sentences_claim_no_more_than_the_test(results, p, expected):
    assert _verdict(results, p) == expected


class Breaks(ClassifierMixin, BaseEstimator):
    """Fail in one method, fit or predict."""

    def __init__(self, where="fit"):
        self.where = where

    def fit(self, X, y):
        if self.where == "fit":
            raise ZeroDivisionError("nothing to learn")
        return self

    def predict(self, X):
        raise ZeroDivisionError("nothing to say")


@pytest.mark.parametrize(("where", "doing"), [("fit", "fitting"), ("predict", "predicting with")])
def test_an_error_names_the_model(where, doing):
    with pytest.raises(ZeroDivisionError, match="nothing") as caught:
        compare({"fine": GaussianNB(), "broken": Breaks(where)}, X[:50], Y[:50], test=(X[50:60], Y[50:60]))
    assert caught.value.__notes__ == [f"while {doing} the model 'broken'"]


def test_progress_is_shown_only_on_request(capsys):
    arguments = ({"bayes": GaussianNB()}, X[:50], Y[:50])
    compare(*arguments, test=(X[50:60], Y[50:60]))
    assert capsys.readouterr() == ("", "")
    compare(*arguments, test=(X[50:60], Y[50:60]), verbose=1)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("bayes (1 of 1) ...\nbayes: ")


def test_plot_shows_models_best_first_with_intervals(compared):
    comparison = compared[1]
    ax = Figure().add_subplot()
    assert comparison.plot(ax) is ax
    ax.figure.canvas.draw()
    assert [label.get_text() for label in ax.get_yticklabels()] == [result.name for result in comparison.results]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    bars = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_ydata()[0] == line.get_ydata()[1]]
    for bar, result in zip(bars, comparison.results, strict=True):
        np.testing.assert_allclose(np.asarray(bar.get_xdata()) / 100, result.interval)
    written = [text.get_text() for text in ax.texts]
    assert f"{100 * comparison.results[0].accuracy:.1f} %" in written
    assert sum(text.endswith("images/s") for text in written) == 3
