"""attack: its budget and bound, its use of scores, and a linear model whose worst case is known."""

import json

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from featrec.datasets import load_dataset
from featrec.descriptors import TinyImage
from featrec.evaluation import _attack, _plan, attack, evaluate
from featrec.exceptions import InputError


class Watched(ClassifierMixin, BaseEstimator):
    """Light or dark, by the mean; it keeps every image it is asked about."""

    def __init__(self, threshold=100, scores=True):
        self.threshold, self.scores = threshold, scores
        self.classes_ = np.array(["dark", "light"])
        self.seen = []

    def fit(self, X, y):
        return self

    def predict(self, X):
        return self.classes_[(self._values(X) > 0).astype(int)]

    def _values(self, X):
        self.seen += list(X)
        return np.array([np.mean(image) for image in X]) - self.threshold

    def __getattr__(self, name):
        if name == "decision_function" and self.__dict__.get("scores"):
            return self._values
        raise AttributeError(name)


@pytest.fixture
def gray():
    """Three images: far above the threshold of 100, slightly above it, and below."""
    return [np.full((30, 40), value, np.uint8) for value in (200, 104, 60)], ["light", "light", "light"]


@pytest.fixture(scope="module")
def digits():
    train, test = load_dataset("digits")
    X, y = list(test[:60]), test.labels[:60]
    models = {
        "logistic": make_pipeline(TinyImage(size=(8, 8)), LogisticRegression()).fit(train, train.labels),
        "pairs": make_pipeline(TinyImage(size=(8, 8)), SVC(decision_function_shape="ovo")).fit(train[:300], train.labels[:300]),
    }
    return models, X, y


@pytest.fixture(scope="module")
def result(digits):
    models, X, y = digits
    return attack(models, X, y, epsilon=64, n_queries=40, random_state=0)


@pytest.mark.parametrize("scores", [True, False])
def test_changes_stay_within_the_bound_and_the_budget(gray, scores):
    images, labels = gray
    model = Watched(scores=scores)
    found = attack({"mean": model}, images, labels, epsilon=5, n_queries=30, random_state=0)["mean"]
    assert found.queries[2] == 0, "it is wrong without changes"
    assert found.queries[0] == -1, "5 of 255 are too few"
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.access == ("decision_function" if scores else "predict")
    for image in model.seen:
        assert image.shape == (30, 40)
        assert min(np.abs(image.astype(int) - original).max() for original in images) <= 5
    asked = [np.abs(image.astype(int) - images[0]).max() for image in model.seen]
    assert sum(1 <= most <= 5 for most in asked) == 30, "the whole budget for the image that resists"


def test_scores_find_what_is_possible(gray):
    """The mean of the second image can fall from 104 to 98 or, with 3 of 255, only to 101."""
    images, labels = gray
    found = attack({"mean": Watched()}, images, labels, epsilon=6, n_queries=300, random_state=0)["mean"]
    assert found.queries[1] > 0
    assert found.attacked_accuracy == pytest.approx(1 / 3)
    assert found.median_queries == found.queries[1]
    found = attack({"mean": Watched()}, images, labels, epsilon=3, n_queries=300, random_state=0)["mean"]
    assert found.queries[1] == -1
    assert found.median_queries is None


def test_scores_help(digits):
    models, X, y = digits
    model = models["logistic"]
    blind = type("Blind", (), {"predict": lambda self, X: model.predict(X)})()
    found = attack({"scores": model, "labels": blind}, X, y, epsilon=64, n_queries=40, random_state=0)
    assert found["scores"].accuracy == found["labels"].accuracy == evaluate(model, X, y).accuracy
    assert found["scores"].attacked_accuracy < found["labels"].attacked_accuracy
    assert "Attacked using labels only, which is a weaker attack: labels." in str(found)


def test_the_changed_images_are_wrong(digits, monkeypatch):
    """Whatever the scores say, an attack succeeded only if `predict` is wrong."""
    models, X, y = digits
    model, seen = models["logistic"], []

    class Checked(_attack._Search):
        def keep(self, image, margin):
            if margin <= 0:
                seen.append((image, self.original))
            super().keep(image, margin)

    monkeypatch.setattr(_attack, "_Search", Checked)
    found = attack({"one": model}, X, y, epsilon=64, n_queries=40, random_state=0)["one"]
    assert len(seen) == (found.queries > 0).sum() > 5
    for image, original in seen:
        label = y[next(place for place, each in enumerate(X) if each is original)]
        assert model.predict([image])[0] != label
        assert np.abs(image.astype(int) - original).max() <= 64


def test_scores_for_pairs_of_classes_are_not_used(result):
    assert result["pairs"].access == "predict"
    assert result["logistic"].access == "decision_function"


def test_batches_do_not_matter(digits, result, monkeypatch):
    models, X, y = digits
    monkeypatch.setattr(_plan, "BATCH", 7)
    again = attack(models, X, y, epsilon=64, n_queries=40, random_state=0)
    np.testing.assert_array_equal(again["logistic"].queries, result["logistic"].queries)


def test_colour_and_float_images():
    images = [np.full((30, 30, 3), 0.4), np.full((31, 29, 3), 104, np.uint8)]
    found = attack({"mean": Watched()}, images, ["light", "light"], epsilon=12, n_queries=200, random_state=0)["mean"]
    assert (found.queries > 0).all()


def test_outputs(result, tmp_path):
    text = str(result)
    assert "60 images; square attack with at most 40 queries per image and changes of at most 64 of 255." in text
    assert "upper bound" in text
    one = result["logistic"]
    assert f"{100 * one.attacked_accuracy:.1f}" in text
    assert one.relative_drop == pytest.approx(1 - one.attacked_accuracy / one.accuracy)
    assert one.accuracy_after(0) == one.accuracy
    assert one.accuracy_after(40) == one.attacked_accuracy
    read = json.loads(result.to_json(tmp_path / "attack.json"))
    assert len(read["results"][0]["queries"]) == 60
    assert result.to_frame().loc["logistic", "attacked_low"] == one.attacked_interval[0]
    assert result.to_markdown().startswith("| model | accuracy | under attack |")
    line = next(line for line in result.plot().get_lines() if line.get_label() == "logistic")
    assert line.get_ydata()[0] == pytest.approx(100 * one.accuracy)
    assert line.get_ydata()[-1] == pytest.approx(100 * one.attacked_accuracy)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"epsilon": 0.03}, "epsilon must be an integer, 1 to 255; got 0.03"),
        ({"epsilon": 256}, "epsilon must be an integer, 1 to 255; got 256"),
        ({"n_queries": 0}, "n_queries must be an integer, at least 1; got 0"),
        ({"confidence": 0}, "confidence must be between 0 and 1"),
        ({"models": {"new": make_pipeline(TinyImage(), SVC())}}, "the model 'new' is not fitted; attack does not fit models"),
        ({"y": [0, 1, 1]}, "some labels are strings and some are numbers"),
    ],
)
def test_wrong_arguments_are_refused(change, message, gray):
    X, y = gray
    with pytest.raises(InputError, match=message):
        attack(**({"models": {"mean": Watched()}, "X": X, "y": y} | change))


def test_progress(gray, capsys):
    attack({"mean": Watched()}, *gray, n_queries=3, random_state=0, verbose=1)
    assert capsys.readouterr().err.splitlines()[0] == "mean: 66.7 %, 66.7 % under attack"
