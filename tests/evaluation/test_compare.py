"""compare runs each kind of model, and its sentences claim what the tests allow."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GroupKFold, ShuffleSplit, StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from featrec.evaluation import Comparison, ModelResult, compare
from featrec.evaluation._measures import mcnemar
from featrec.evaluation._verdict import verdict
from featrec.exceptions import InputError
from featrec.persistence import model_bytes
from featrec.preprocessing import Resize

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


def test_every_row_is_what_a_loop_by_hand_gives(compared):
    models, comparison = compared
    for name in ("bayes", "neighbours"):
        by_hand = clone(models[name]).fit(X[TRAIN], Y[TRAIN]).predict(X[TEST])
        assert np.array_equal(comparison[name].y_pred, by_hand)
        assert comparison[name].accuracy == (by_hand == Y[TEST]).mean()
        assert comparison[name].fit_seconds > 0
        assert comparison[name].images_per_second == pytest.approx(400 / comparison[name].predict_seconds)
        assert comparison[name].width == 64
    assert [row.accuracy for row in comparison.results] == sorted((row.accuracy for row in comparison.results), reverse=True)


def test_estimators_are_cloned_and_frozen_ones_used_as_they_are(compared):
    models, comparison = compared
    assert not hasattr(models["bayes"], "classes_")
    assert np.array_equal(comparison["frozen"].y_pred, models["frozen"].predict(X[TEST]))
    assert comparison["frozen"].fit_seconds is None
    assert comparison["frozen"].predict_seconds > 0
    assert comparison["frozen"].width == 64


def test_an_array_is_a_row_without_times(compared):
    row = compared[1]["elsewhere"]
    assert row.kind == "predictions"
    assert (row.fit_seconds, row.predict_seconds, row.images_per_second, row.width, row.n_bytes) == (None,) * 5
    assert row.accuracy == (Y[TEST] == "three").mean()


def test_sizes_are_those_of_the_files(compared):
    models, comparison = compared
    assert comparison["bayes"].n_bytes == model_bytes(clone(models["bayes"]).fit(X[TRAIN], Y[TRAIN]))


def test_pairs_are_mcnemars_with_the_better_model_first(compared):
    _, comparison = compared
    assert len(comparison.pairs) == 6
    for pair in comparison.pairs:
        first, second = (comparison[name].y_pred == Y[TEST] for name in (pair.first, pair.second))
        assert pair.first_only == (first & ~second).sum() >= pair.second_only == (second & ~first).sum()
        assert pair.p == mcnemar(pair.first_only, pair.second_only) <= pair.p_holm
    assert comparison.pair("elsewhere", "bayes") is comparison.pair("bayes", "elsewhere")
    with pytest.raises(KeyError, match="no pair 'bayes', 'cat'; there are neighbours"):
        comparison.pair("bayes", "cat")
    with pytest.raises(KeyError, match="no model 'cat'; there are neighbours"):
        comparison["cat"]


def test_the_text_has_the_table_and_the_verdict(compared):
    text = str(compared[1])
    lines = text.splitlines()
    assert lines[0].split() == "model accuracy 95 % interval balanced fit s predict s images/s features size".split()  # noqa: SIM905
    assert [line.split()[0] for line in lines[1:5]] == [row.name for row in compared[1].results]
    assert lines[6].startswith("400 test images, 10 classes; always guessing the largest would be right for ")
    assert lines[7].startswith("neighbours is best; its lead of ")
    assert lines[7].endswith("is beyond chance (McNemar p < 0.001, corrected for 6 pairs).")
    assert repr(compared[1]) == text


def test_other_faces(compared, tmp_path):
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
    """Right where it has seen the row's group before, which must never happen."""

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
    """Images to three numbers, telling nobody how many."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return np.array([[image.mean(), image.min(), image.max()] for image in X])


class RefusesOne(NoColumns):
    """Cannot take a single image."""

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


def test_the_width_is_asked_of_one_image_where_nobody_tells():
    images = [np.zeros((8, 8)), np.ones((5, 5))] * 10
    models = {"asked": make_pipeline(NoColumns(), Nearest()), "unknown": Nearest()}
    models["refuses"] = make_pipeline(RefusesOne(), Nearest())
    comparison = compare(models, images, [0, 1] * 10, test=(images, [0, 1] * 10))
    assert comparison["asked"].width == 3
    assert comparison["refuses"].width is None
    assert comparison["unknown"].width is None


def test_what_cannot_be_saved_has_no_size():
    model = make_pipeline(FunctionTransformer(lambda rows: rows), GaussianNB())
    comparison = compare({"lambda": model}, X[:50], Y[:50], test=(X[50:80], Y[50:80]))
    assert comparison["lambda"].n_bytes is None
    assert "–" in str(comparison)


def test_networks_are_recognised_by_an_attribute_or_by_name():
    images, y = [np.zeros((8, 8)), np.ones((5, 5))] * 10, [0, 1] * 10
    models = {"cnn": make_pipeline(OwnNetwork(), GaussianNB()), "plain": make_pipeline(Misnamed(), DummyClassifier())}
    comparison = compare(models, images, y, test=(images, y))
    assert {row.name: row.kind for row in comparison.results} == {"cnn": "network", "plain": "engineered"}
    assert comparison.verdict()[1].startswith(
        "The network cnn wins by 50.0 points over the best engineered features (plain), p"
    )
    comparison = compare({**models, "torch": y}, images, y, test=(images, y), networks={"torch"})
    assert {row.name: row.kind for row in comparison.results}["torch"] == "network"
    assert comparison["cnn"].kind == "engineered"


def _row(name, accuracy, kind="engineered"):
    return ModelResult(name, kind, accuracy, (0.0, 1.0), accuracy, (), None, None, None, None, None, np.array([]))


def _pair(first, second, p):
    from featrec.evaluation import Pair

    return Pair(first, second, 1, 0, p, p)


@pytest.mark.parametrize(
    ("results", "p", "expected"),
    [
        (
            [_row("cnn", 0.9, "network"), _row("hog", 0.787)],
            0.0001,
            ["cnn is best; its lead of 11.3 points over hog is beyond chance (McNemar p < 0.001).",
             "The network cnn wins by 11.3 points over the best engineered features (hog), p < 0.001."],
        ),
        (
            [_row("cnn", 0.9, "network"), _row("hog", 0.89)],
            0.4,
            ["cnn is best; its lead of 1.0 point over hog may be chance (McNemar p = 0.400).",
             "The network cnn is 1.0 point ahead of the best engineered features (hog), which may be chance, p = 0.400."],
        ),
        (
            [_row("hog", 0.9), _row("cnn", 0.8, "network")],
            0.01,
            ["hog is best; its lead of 10.0 points over cnn is beyond chance (McNemar p = 0.010).",
             "The network cnn does not win: the best engineered features (hog) are 10.0 points ahead, p = 0.010."],
        ),
        (
            [_row("hog", 0.9), _row("cnn", 0.8, "network")],
            0.2,
            ["hog is best; its lead of 10.0 points over cnn may be chance (McNemar p = 0.200).",
             "The network cnn does not win: the best engineered features (hog) are 10.0 points ahead, which may be chance, "
             "p = 0.200."],
        ),
        (
            [_row("hog", 0.9), _row("cnn", 0.9, "network")],
            1.0,
            ["hog and cnn are equally accurate; none of them is best.",
             "The network cnn does not win: the best engineered features (hog) are as accurate."],
        ),
    ],
    ids=["wins", "ahead", "loses", "behind", "equal"],
)  # fmt: skip
def test_sentences_claim_what_the_test_allows(results, p, expected):
    pairs = [_pair(results[0].name, results[1].name, p)]
    assert verdict(results, pairs, alpha=0.05) == expected


def test_one_model_is_told_to_be_alone():
    assert verdict([_row("hog", 0.9)], [], alpha=0.05) == [
        "hog is the only model; a second one would show what its figures are worth."
    ]


class Breaks(ClassifierMixin, BaseEstimator):
    """Fails where it is told to."""

    def __init__(self, where="fit"):
        self.where = where

    def fit(self, X, y):
        if self.where == "fit":
            raise ZeroDivisionError("nothing to learn")
        return self

    def predict(self, X):
        raise ZeroDivisionError("nothing to say")


@pytest.mark.parametrize(("where", "doing"), [("fit", "fitting"), ("predict", "asking")])
def test_an_error_names_the_model(where, doing):
    with pytest.raises(ZeroDivisionError, match="nothing") as caught:
        compare({"fine": GaussianNB(), "broken": Breaks(where)}, X[:50], Y[:50], test=(X[50:60], Y[50:60]))
    assert caught.value.__notes__ == [f"while {doing} the model 'broken'"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "give exactly one of test=.* and cv=5"),
        ({"test": (X[:5], Y[:5]), "cv": 3}, "give exactly one of test"),
        ({"test": X[:5]}, "test is a pair of images and labels"),
        ({"test": (X[:5], Y[:4])}, "the test set's y has 4 labels for 5 images"),
        ({"test": (X[:0], Y[:0])}, "the test set holds no images"),
        ({"test": (X[:5], Y[:5]), "groups": np.zeros(50)}, "groups keep images in one fold and need cv"),
        ({"cv": ShuffleSplit(3)}, "cv must judge every image once, in two folds or more; ShuffleSplit does not"),
        ({"cv": 3, "groups": [1, 2]}, "groups has 2 labels for 50 images"),
        ({"cv": 3, "confidence": 1.0}, "confidence lies between 0 and 1"),
        ({"cv": 3, "networks": "bayes"}, r"networks is a collection of names; write \['bayes'\]"),
        ({"cv": 3, "networks": ["cnn"]}, "networks names 'cnn', which is no model; there are bayes"),
    ],
)
def test_what_cannot_be_compared_is_refused(options, match):
    with pytest.raises(InputError, match=match):
        compare({"bayes": GaussianNB()}, X[:50], Y[:50] if "cv" not in options else np.resize(["a", "b"], 50), **options)


@pytest.mark.parametrize(
    ("models", "match"),
    [
        ([GaussianNB()], "models is a dict of name to model.*got list"),
        ({}, "models is a dict of name to model"),
        ({1: GaussianNB()}, "the names of models are strings; got 1"),
        ({"other": Y[:3]}, "the array of predictions 'other' has 3 labels for 10 images"),
        ({"other": np.arange(10)}, "some labels are strings and some are numbers"),
    ],
)
def test_models_that_are_none_are_refused(models, match):
    with pytest.raises(InputError, match=match):
        compare(models, X[:50], Y[:50], test=(X[50:60], Y[50:60]))


def test_progress_is_told_on_request_only(capsys):
    arguments = ({"bayes": GaussianNB()}, X[:50], Y[:50])
    compare(*arguments, test=(X[50:60], Y[50:60]))
    assert capsys.readouterr() == ("", "")
    compare(*arguments, test=(X[50:60], Y[50:60]), verbose=1)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("bayes (1 of 1) ...\nbayes: ")


def test_lazy_pictures_are_taken_by_rows():
    from featrec.descriptors import TinyImage

    images = Resize((8, 8)).transform([np.full((9, 9), 40 * (i % 2), np.uint8) for i in range(12)])
    model = make_pipeline(TinyImage(size=(4, 4)), KNeighborsClassifier(1))
    comparison = compare({"tiny": model}, images, ["dark", "light"] * 6, cv=3)
    assert isinstance(comparison, Comparison)
    assert len(comparison["tiny"].y_pred) == 12


def test_plot_draws_on_the_given_axes(compared):
    plotting = pytest.importorskip("featrec.plotting")
    if not hasattr(plotting, "plot_comparison"):
        pytest.skip("featrec.plotting has no plot_comparison yet")
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    assert compared[1].plot(ax) is ax
