"""Watch: predictions of frames, smoothing against its formula, times and the summary."""

import json

import numpy as np
import pytest
from sklearn.base import ClassifierMixin
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from featrec.base import Estimator
from featrec.descriptors import TinyImage
from featrec.evaluation import Drift
from featrec.exceptions import InputError
from featrec.serving import Predictor, Watch

LEVELS = {"dark": 40, "gray": 120, "light": 200}


def frame(name):
    return np.full((24, 32, 3), LEVELS[name], np.uint8)


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    names = [*LEVELS] * 8
    images = [np.clip(frame(name) + rng.normal(0, 30, (24, 32, 3)), 0, 255).astype(np.uint8) for name in names]
    return make_pipeline(TinyImage(size=(2, 2), normalize=False), KNeighborsClassifier(8)).fit(images, names)


class Listed(ClassifierMixin, Estimator):
    """Predicts the class that an image's first pixel names, with given scores."""

    def __init__(self, scores=None):
        self.scores = scores
        self.classes_ = np.array(["a", "b"])

    def predict(self, X):
        return self.classes_[[int(image[0, 0]) for image in X]]


class Scored(Listed):
    def decision_function(self, X):
        return np.array([self.scores[int(image[0, 1])] for image in X])


def pixels(label, place=0):
    return np.array([[label, place]], np.uint8)


def test_predictions_are_those_of_the_model(model, rng):
    images = [rng.integers(0, 256, (24, 32, 3), np.uint8) for _ in range(5)]
    found = [Watch(model, smoothing="none").predict(image) for image in images]
    assert [each.label for each in found] == model.predict(images).tolist()
    assert [each.smoothed for each in found] == [each.label for each in found]
    shares = model.predict_proba(images)
    for each, row in zip(found, shares, strict=True):
        assert each.scores == pytest.approx(dict(zip(model.classes_, row, strict=True)))
        assert list(each.scores.values()) == sorted(each.scores.values(), reverse=True)
        assert each.confidence == pytest.approx(row.max())
        assert each.drift is None


def test_exponential_smoothing_by_its_formula(rng):
    scores = rng.normal(size=40)
    watch = Watch(Scored(scores), span=9)
    found = [watch.predict(pixels(int(score > 0), place)) for place, score in enumerate(scores)]
    mean, expected = scores[0], []
    for score in scores:
        mean += 0.2 * (score - mean)
        expected.append("b" if mean > 0 else "a")
    assert [each.smoothed for each in found] == expected
    assert [each.label for each in found] != expected


def test_votes_if_there_are_no_scores():
    watch = Watch(Listed(), span=3)
    assert [watch.predict(pixels(label)).smoothed for label in (0, 0, 0, 1, 1, 1)] == ["a", "a", "a", "a", "b", "b"]
    assert watch.predict(pixels(1)).confidence is None
    assert watch.predict(pixels(1)).scores == {}


class Rejecting(Scored):
    """Rejects images whose first pixel is 2."""

    def predict(self, X):
        return np.array(["a", "b", "unknown"])[[int(image[0, 0]) for image in X]]

    def review(self, X):
        raise NotImplementedError


def test_rejections_are_smoothed_too():
    watch = Watch(Rejecting([[0.9, 0.1]]), span=3)
    assert [watch.predict(pixels(label)).smoothed for label in (0, 2, 2, 2, 0)] == ["a", "a", "unknown", "unknown", "a"]


def test_majority():
    watch = Watch(Listed(), smoothing="majority", span=3)
    assert [watch.predict(pixels(label)).smoothed for label in (0, 1, 1, 0, 0, 1)] == ["a", "b", "b", "b", "a", "a"]


def test_changes_and_shares():
    watch = Watch(Listed(), smoothing="none")
    found = [watch.predict(pixels(label)) for label in (0, 0, 1, 1, 0)]
    assert [each.changed for each in found] == [True, False, True, False, True]
    summary = watch.summary()
    assert summary.n_changes == 2
    assert summary.shares == {"a": 0.6, "b": 0.4}


def test_times(model, monkeypatch):
    """With a clock that advances by one millisecond whenever it is read."""
    from featrec.serving import _watch

    ticks = iter(np.arange(10_000) / 1000)
    monkeypatch.setattr(_watch.time, "perf_counter", lambda: next(ticks))
    watch = Watch(model)
    for _ in range(10):
        watch.predict(frame("dark"))
    summary = watch.summary()
    assert summary.n_frames == 10
    assert summary.p50_ms == pytest.approx(1)
    assert summary.p99_ms == pytest.approx(1)
    assert summary.frames_per_second == pytest.approx(10 / summary.seconds)


def noisy(name, rng):
    return np.clip(frame(name) + rng.normal(0, 30, (24, 32, 3)), 0, 255).astype(np.uint8)


def test_drift_is_found(model, rng):
    watch = Watch(model, drift=Drift(60, window=40))
    found = [watch.predict(noisy("gray", rng)) for _ in range(150)]
    assert not any(each.drift for each in found)
    found = [watch.predict(noisy("light", rng)) for _ in range(60)]
    assert found[-1].drift
    summary = watch.summary()
    assert summary.drift.drift
    assert "The latest images differ from the first 60 images" in str(summary)
    facts = json.loads(summary.to_json())
    assert facts["drift"]["drift"] is True
    assert facts["drift"]["looks"] == len(summary.drift.looks)
    assert facts["shares"].keys() == summary.shares.keys()


def test_summary_of_nothing(model):
    summary = Watch(model).summary()
    assert str(summary) == "no frames"
    assert json.loads(summary.to_json())["p50_ms"] is None


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"smoothing": "mean"}, "smoothing must be one of exponential, majority, none; got 'mean'"),
        ({"span": 0}, "span must be an integer of at least 1; got 0"),
        ({"model": "a.featrec"}, "expected a fitted classifier of images; got a str without predict"),
    ],
)
def test_parameters_are_checked(model, options, match):
    with pytest.raises(InputError, match=match):
        Watch(**{"model": model, **options})


def test_a_predictor_watches_with_the_same_codes_and_confidences(model, rng):
    images = [noisy("gray", rng) for _ in range(130)] + [noisy("light", rng) for _ in range(60)]
    watch, drift = Watch(model, drift=Drift(60, window=40)), Drift(60, window=40)
    for image in images:
        watch.predict(image)
    Predictor(model, drift=drift, batch_size=7).predict(images)
    assert drift.drifted
    assert drift.gauges() == pytest.approx(watch.drift.gauges())
