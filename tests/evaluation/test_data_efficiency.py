"""data_efficiency against a loop of fits, and its outputs."""

import json

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from featrec.datasets import load_dataset
from featrec.evaluation import data_efficiency
from featrec.exceptions import ImageError, InputError
from featrec.recipes import hog_svm, tiny_knn


class Recorder(ClassifierMixin, BaseEstimator):
    """Remembers what each of its clones was fitted on, and fails with fewer than `least` images."""

    fits: list = []

    def __init__(self, least=0):
        self.least = least

    def fit(self, X, y):
        if len(y) < self.least:
            raise ValueError(f"needs {self.least} images;\n got {len(y)}")
        Recorder.fits.append((np.asarray(X)[:, 0].tolist(), list(y)))
        self.answer_ = y[0]
        return self

    def predict(self, X):
        return np.repeat(self.answer_, len(X))


@pytest.fixture
def table():
    """30 rows of class a, 12 of class b, 25 of class c; the first column is the number of the row."""
    labels = np.repeat(["a", "b", "c"], [30, 12, 25])
    return np.column_stack([np.arange(67.0), np.zeros(67)]), labels


def test_draws_are_stratified_nested_and_alike_for_all_models(table):
    X, y = table
    Recorder.fits = []
    models = {"one": Recorder(), "two": Recorder()}
    data_efficiency(models, X, y, test=(X, y), n_per_class=(10, 3, 12), n_draws=2, random_state=0)
    fits = Recorder.fits
    assert [len(rows) for rows, _ in fits] == [9] * 4 + [30] * 4 + [36] * 4
    for rows, labels in fits:
        np.testing.assert_array_equal(y[np.array(rows, int)], labels)
        assert len(set(np.unique(labels, return_counts=True)[1])) == 1
        assert rows == sorted(rows)
    for place in (0, 1):  # the two draws
        assert set(fits[place][0]) < set(fits[4 + place][0]) < set(fits[8 + place][0])
        assert fits[place] == fits[place + 2], "both models see the same images"
    assert fits[0] != fits[1]


def test_agrees_with_a_loop():
    train, test = load_dataset("digits")
    X, X_test = (np.asarray(images).reshape(len(images), -1) for images in (train, test))
    models = {"bayes": GaussianNB(var_smoothing=1e-2), "neighbours": KNeighborsClassifier(1)}
    found = data_efficiency(models, X, train.labels, test=(X_test, test.labels), n_per_class=(5, 40), n_draws=3, random_state=7)
    seed = found.seed
    for name, model in models.items():
        for size in (5, 40):
            expected = []
            for draw in range(3):
                random = np.random.default_rng((seed, draw))
                rows = np.concatenate(
                    [random.permutation(np.flatnonzero(train.labels == label))[:size] for label in np.unique(train.labels)]
                )
                fitted = clone(model).fit(X[rows], train.labels[rows])
                expected.append(fitted.score(X_test, test.labels))
            np.testing.assert_allclose(found[name, size].accuracies, expected)
            assert found[name, size].accuracy == pytest.approx(np.mean(expected))
            assert found[name, size].deviation == pytest.approx(np.std(expected, ddof=1))
    assert found["neighbours", 40].accuracy > found["neighbours", 5].accuracy
    assert not hasattr(models["bayes"], "classes_"), "the models themselves are not fitted"


@pytest.fixture(scope="module")
def result():
    train, test = load_dataset("shapes", n_train=96, n_test=40)
    models = {"tiny": tiny_knn(), "hog": hog_svm()}
    return data_efficiency(
        models, train, train.labels, test=(test, test.labels), n_per_class=(2, 8, 1000), n_draws=2, random_state=0
    )


def test_sizes_that_a_class_lacks_are_left_out_and_told(result):
    assert result.n_per_class == (2, 8)
    assert result.left_out == (1000,)
    label, n = result.smallest_class
    assert f"Left out: 1,000 images per class, because class {label!r} has {n} images." in str(result)


def test_text(result):
    text = str(result)
    assert repr(result) == text
    assert "Accuracy in %, mean ± standard deviation of 2 draws; 40 test images, 8 classes." in text
    one = result["hog", 8]
    assert f"{100 * one.accuracy:.1f} ± {100 * one.deviation:.1f}" in text
    for size in (2, 8):
        hog, tiny = (np.array(result[name, size].accuracies) for name in ("hog", "tiny"))
        leader = "hog" if (hog > tiny).all() else "tiny" if (tiny > hog).all() else None
        said = [line for line in text.splitlines() if "is the most accurate in every draw with" in line and f" {size}" in line]
        assert [line.split()[0] for line in said] == ([leader] if leader else [])
    assert result.to_markdown().startswith("| images per class | 2 | 8 |")
    assert "<table>" in result._repr_html_()


def test_json_frames_and_plot(result, tmp_path):
    read = json.loads(result.to_json(tmp_path / "curve.json"))
    assert read["results"][0]["accuracies"] == list(result.results[0].accuracies)
    rows = result.to_frame()
    assert len(rows) == 8
    summary = result.summary_to_frame()
    mean = rows[(rows.model == "hog") & (rows.n_per_class == 8)].accuracy.mean()
    assert mean == pytest.approx(summary[(summary.model == "hog") & (summary.n_per_class == 8)].accuracy.item())
    ax = result.plot()
    lines = {line.get_label(): line.get_xydata() for line in ax.get_lines()}
    np.testing.assert_allclose(lines["hog"], [[n, 100 * result["hog", n].accuracy] for n in (2, 8)])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["2", "8"]


def test_a_fit_that_fails_is_told_and_the_others_continue(table, capsys):
    X, y = table
    models = {"choosy": Recorder(least=20), "plain": Recorder()}
    found = data_efficiency(models, X, y, test=(X, y), n_per_class=(3, 10), n_draws=1, random_state=0, verbose=1)
    assert found.failed == (("choosy", 3, "needs 20 images; got 9"),)
    assert "choosy could not be fitted on 3 images per class: needs 20 images; got 9" in str(found)
    assert [(each.name, each.n_per_class) for each in found.results] == [("choosy", 10), ("plain", 3), ("plain", 10)]
    assert found["plain", 3].deviation is None
    assert "one draw" in str(found)
    assert "choosy               –  44.8" in str(found)
    assert "most accurate" not in str(found), "one model has no rival, two are equal"
    found.plot()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "3 images per class, choosy: not fitted, needs 20 images; got 9"
    assert lines[1] == "3 images per class, plain: 44.8 %"


def test_an_unusable_image_is_an_error_with_its_place():
    images = [np.zeros((8, 8), np.uint8)] * 8
    images[5] = np.zeros((8, 8), np.int64)
    labels = ["a", "b"] * 4
    with pytest.raises(ImageError, match="image 5: images of type int64"):
        data_efficiency({"tiny": tiny_knn()}, images, labels, test=(images[:2], labels[:2]), n_per_class=[4], n_draws=1)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"n_per_class": 5}, r"n_per_class must be a collection of positive integers; got 5; use \(5,\)"),
        ({"n_per_class": (0,)}, r"n_per_class must be a collection of positive integers; got \(0,\)"),
        ({"n_per_class": ()}, "n_per_class must be a collection of positive integers"),
        ({"n_per_class": (500,)}, r"class 'b' has 12 images, fewer than all sizes in n_per_class=\(500,\)"),
        ({"n_draws": 0}, "n_draws must be an integer of at least 1; got 0"),
        ({"test": [1]}, r"test must be a pair \(images, labels\); got list"),
        ({"test": ([], [])}, "the test set has no images"),
        ({"test": (np.zeros((2, 2)), [1, 2])}, "some labels are strings and some are numbers"),
        ({"y": ["a"] * 67}, "y has one class, 'a'"),
        ({"X": np.zeros((0, 2))}, "data_efficiency needs training images"),
        ({"models": {"frozen": FrozenEstimator(Recorder())}}, r"models\['frozen'\] is a FrozenEstimator; data_efficiency fits"),
        ({"models": {"other": np.zeros(67)}}, r"models\['other'\] is a ndarray; data_efficiency fits"),
        ({"models": [Recorder()]}, "models must be a dict of name to model"),
        ({"random_state": "zero"}, "random_state must be an int"),
    ],
)
def test_wrong_arguments_are_refused(change, message, table):
    X, y = table
    given = {"models": {"one": Recorder()}, "X": X, "y": y, "test": (X, y), "n_per_class": (3,)} | change
    with pytest.raises(InputError, match=message):
        data_efficiency(**given)


def test_unknown_results_are_told(result):
    with pytest.raises(KeyError, match="the models are tiny, hog, the sizes"):
        result["net", 2]
