"""Edited RejectUnknown and PredictAugmented models are refused; valid ones keep all their answers."""

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.classifiers import RejectUnknown
from featrec.datasets import load_dataset
from featrec.descriptors import TinyImage
from featrec.preprocessing import PredictAugmented
from tests.persistence import edits
from tests.persistence.archives import edited, refused, reloaded

POINTS = np.vstack([np.eye(6)[np.resize([0, 1, 2], 90)] + np.random.default_rng(0).normal(scale=0.2, size=(90, 6))])
LABELS = np.resize(["coast", "forest", "street"], 90)
OPTIONS = {"confidence": {}, "score": {}, "distance": {}, "conformal": {"coverage": 0.9}}


def fitted(method):
    return RejectUnknown(LinearSVC(random_state=0), method=method, random_state=0, **OPTIONS[method]).fit(POINTS, LABELS)


@pytest.mark.parametrize("method", OPTIONS)
def test_all_answers_are_kept(method):
    model, other = fitted(method), np.vstack([POINTS, np.eye(6)[3:], np.zeros((1, 6))])
    found, expected = reloaded(model).review(other), model.review(other)
    for name in ("labels", "most_likely", "confidences", "novelties", "accepted"):
        assert np.array_equal(getattr(found, name), getattr(expected, name))
    assert (found.reasons, found.sets) == (expected.reasons, expected.sets)


def test_a_model_of_images_with_views_inside():
    train, test = load_dataset("textures", n_train=4, n_test=2)
    inner = PredictAugmented(make_pipeline(TinyImage(), LinearSVC(random_state=0)), flip="both", rotate=5)
    model = RejectUnknown(inner, method="distance", random_state=0).fit(train, train.labels)
    assert (reloaded(model).predict(test) == model.predict(test)).all()


@pytest.mark.parametrize(
    ("method", "edit", "match"),
    [
        ("confidence", edits.setting("threshold_", "raw:NaN"), r"threshold_=nan; expected a finite number"),
        ("confidence", edits.setting("threshold_", "far"), r"threshold_='far'; expected a finite number"),
        ("confidence", edits.setting("temperature_", "raw:Infinity"), r"temperature_=inf; expected a finite number"),
        ("confidence", edits.setting("temperature_", -1.5), r"temperature_=-1\.5; expected a number greater than 0"),
        ("confidence", edits.setting("temperature_", 0), r"temperature_=0; expected a number greater than 0"),
        (
            "confidence",
            edits.setting("method", "oracle"),
            r'method=\'oracle\'; expected "confidence", "score", "distance" or "conformal"',
        ),
        ("confidence", edits.setting("method", "distance"), r"missing or invalid attributes \(KeyError\('directions_'\)\)"),
        ("confidence", edits.extra("review", edits.plain("yes")), r"its attribute 'review' hides a method of the class"),
        ("distance", edits.array("directions_", lambda array: array[:, :2]), r"directions_ of shape \(6, 2\) .* \(n, 3\)"),
        ("distance", edits.array("directions_", lambda array: array * np.nan), "directions_ .* expected finite float32"),
        ("distance", edits.array("offsets_", lambda array: np.resize(array, 10**6)), r"offsets_ of shape \(1000000,\)"),
        ("distance", edits.array("means_", lambda array: array[0]), r"means_ of shape \(3,\) .* \(3, 3\)"),
        ("distance", edits.array("means_", lambda array: array + np.inf), "means_ .* expected finite"),
        ("conformal", edits.array("thresholds_", lambda array: array[:2]), r"thresholds_ of shape \(2,\) .* \(3\)"),
        ("conformal", edits.array("thresholds_", lambda array: array * np.nan), "thresholds_ .* expected finite"),
        ("conformal", edits.setting("thresholds_", 0.5), "thresholds_ of type float"),
    ],
)
def test_edited_thresholds_and_distances(method, edit, match):
    refused(edited(fitted(method), edit), match)


def test_settings_of_views_are_checked():
    train, _ = load_dataset("textures", n_train=2)
    model = PredictAugmented(make_pipeline(TinyImage(), GaussianNB())).fit(train, train.labels)
    refused(edited(model, edits.setting("flip", "diagonal")), "flip='diagonal'; expected")
    refused(edited(model, edits.setting("scale", "raw:NaN")), "scale=nan; expected a number from 0 to 9")
    refused(edited(model, edits.setting("translate", 1e9)), "translate=1000000000.0; expected a number from 0 to 1")
