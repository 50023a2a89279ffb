"""Risk and coverage, against a loop over all thresholds."""

import json

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from featrec.classifiers import RejectUnknown
from featrec.evaluation import risk_coverage
from featrec.exceptions import InputError


class Told(ClassifierMixin, BaseEstimator):
    """Predicts the class and the probabilities that it is told."""

    def __init__(self, shares=None):
        self.shares, self.classes_ = shares, np.array(["a", "b"])

    def fit(self, X, y):
        return self

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X):
        return np.asarray(self.shares)[np.asarray(X)[:, 0]]


ROWS = np.arange(6)[:, None]


def told(confidences, right):
    """Return a model with these confidences, and labels of which it predicts some correctly."""
    shares = [[share, 1 - share] for share in confidences]
    return Told(shares), np.where(right, "a", "b")


def test_a_curve_by_hand():
    model, y = told([0.9, 0.8, 0.8, 0.7, 0.6, 0.55], [1, 1, 0, 1, 0, 0])
    found = risk_coverage({"told": model}, ROWS, y)["told"]
    assert found.coverage.tolist() == pytest.approx([1 / 6, 3 / 6, 4 / 6, 5 / 6, 1])
    assert found.risk.tolist() == pytest.approx([0, 1 / 3, 1 / 4, 2 / 5, 3 / 6])
    assert found.thresholds.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.55])
    assert found.aurc == pytest.approx((0 + 2 / 3 + 1 / 4 + 2 / 5 + 1 / 2) / 6)
    assert found.best_aurc == pytest.approx((0 + 0 + 0 + 1 / 4 + 2 / 5 + 3 / 6) / 6)
    assert [found.coverage_at(risk) for risk in (0, 0.25, 0.3, 0.45, 1)] == pytest.approx([1 / 6, 4 / 6, 4 / 6, 5 / 6, 1])
    assert [found.risk_at(coverage) for coverage in (0.1, 0.5, 0.51, 1)] == pytest.approx([0, 1 / 3, 1 / 4, 1 / 2])


def test_no_coverage_at_an_impossible_risk():
    model, y = told([0.9, 0.8, 0.7, 0.6, 0.59, 0.58], [0, 1, 1, 1, 1, 1])
    assert risk_coverage({"told": model}, ROWS, y)["told"].coverage_at(0.1) == 0


def test_the_area_is_the_mean_over_all_images_without_ties(rng):
    X = rng.normal(size=(300, 3))
    y = np.where(X[:, 0] + 0.7 * rng.normal(size=300) > 0, "a", "b")
    models = {"proba": LogisticRegression().fit(X[:150], y[:150]), "scores": LinearSVC(random_state=0).fit(X[:150], y[:150])}
    result = risk_coverage(models, X[150:], y[150:])
    confidence = models["proba"].predict_proba(X[150:]).max(axis=1), np.abs(models["scores"].decision_function(X[150:]))
    for (name, model), sure in zip(models.items(), confidence, strict=True):
        wrong = (model.predict(X[150:]) != y[150:])[np.argsort(-sure)]
        naive = np.mean([wrong[:k].mean() for k in range(1, 151)])
        assert result[name].aurc == pytest.approx(naive)
        assert result[name].best_aurc <= result[name].aurc <= 1
        assert result[name].risk[-1] == wrong.mean()


@pytest.fixture
def rejecting(rng):
    X = rng.normal(size=(240, 5)) + 4 * np.eye(3, 5)[np.resize([0, 1, 2], 240)]
    y = np.array(["a", "b", "c"])[np.resize([0, 1, 2], 240)]
    return X, y, RejectUnknown(LogisticRegression(), method="distance", random_state=0).fit(X, y)


def test_models_that_reject_are_measured_without_their_threshold(rejecting):
    X, y, model = rejecting
    result = risk_coverage({"model": model}, X, y)["model"]
    assert result.risk[-1] == (model.review(X).most_likely != y).mean()
    assert result.thresholds[-1] == -model.novelty(X).max()


def test_unknown_classes_are_errors_and_empty_images_come_last(rejecting):
    X, y, model = rejecting
    many = np.vstack([X, np.zeros((10, 5)), np.tile([0, 0, 0, 8.0, 0], (10, 1))])
    labels = np.append(y, ["other"] * 20)
    result = risk_coverage({"model": model}, many, labels)["model"]
    assert result.thresholds[-1] == -np.inf
    assert (1 - result.coverage[-2]) * len(many) == pytest.approx(10)
    assert result.risk[-1] >= 20 / 260
    assert result.risk_at(0.9) < 20 / 260


def test_what_is_shown(rejecting, tmp_path):
    X, y, model = rejecting
    text, labels = "errors of all", np.where(np.arange(240) % 7, y, "a")
    result = risk_coverage({"one": model, "other": LogisticRegression().fit(X, y)}, X, labels, risks=[0.02])
    assert [one.aurc for one in result.results] == sorted(one.aurc for one in result.results)
    assert text in str(result)
    assert "coverage at 2 % errors" in str(result)
    assert "240 images; all figures are in percent. AURC is the mean error over all coverages." in str(result)
    assert "<table>" in result._repr_html_()
    assert "| model |" in result.to_markdown()
    assert json.loads(result.to_json())["n"] == 240
    with pytest.raises(AttributeError, match="n"):
        result.n = 3


def test_frame_and_plot(rejecting):
    pytest.importorskip("pandas")
    pytest.importorskip("matplotlib")
    X, y, model = rejecting
    many = np.vstack([X] * 3) + np.random.default_rng(1).normal(scale=0.1, size=(720, 5))
    result = risk_coverage({"model": model}, many, np.tile(y, 3))
    frame = result.to_frame()
    assert frame.columns.tolist() == ["model", "coverage", "risk", "thresholds"]
    assert len(frame) == 500
    assert frame["coverage"].iloc[-1] == 1
    ax = result.plot()
    (line,) = ax.get_lines()
    assert line.get_ydata()[-1] == pytest.approx(100 * result["model"].risk[-1])
    assert ax.get_xlabel() == "coverage: accepted images in %"


def test_refusals(rejecting):
    X, y, model = rejecting

    class Votes(Told):
        predict_proba = property()

        def predict(self, X):
            return np.resize(["a", "b"], len(X))

    with pytest.raises(InputError, match="the model 'votes' has neither predict_proba nor decision_function"):
        risk_coverage({"votes": Votes()}, X, y)
    with pytest.raises(InputError, match=r"risks must be a list of numbers from 0 to 1, such as \(0\.01, 0\.05\); got 0\.5"):
        risk_coverage({"model": model}, X, y, risks=0.5)
    with pytest.raises(InputError, match=r"risks must be .* got \[5\]"):
        risk_coverage({"model": model}, X, y, risks=[5])
    with pytest.raises(InputError, match="the model 'new' is not fitted"):
        risk_coverage({"new": LogisticRegression()}, X, y)
    with pytest.raises(InputError, match="risk_coverage needs at least one image; got none"):
        risk_coverage({"model": model}, X[:0], [])
