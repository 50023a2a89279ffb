"""Calibrated against scikit-learn's calibration and against the formula."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, LinearSVC

from featrec.classifiers import Calibrated
from featrec.exceptions import InputError
from featrec.persistence import load, save


def material(sizes=(60, 60, 60), seed=0):
    random = np.random.default_rng(seed)
    labels = np.repeat([f"class {number}" for number in range(len(sizes))], sizes)
    centres = np.random.default_rng(7).normal(size=(len(sizes), 6))
    order = random.permutation(len(labels))
    codes = random.normal(size=(len(labels), 6)) + np.repeat(centres, sizes, axis=0)
    return codes[order], labels[order]


def test_sigmoid_is_that_of_scikit_learn():
    X, y = material()
    ours = Calibrated(LinearSVC(random_state=0)).fit(X, y)
    theirs = CalibratedClassifierCV(LinearSVC(random_state=0), cv=5, ensemble=False).fit(X, y)
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize(
    "classifier",
    [
        LinearSVC(random_state=0),
        SVC(),
        KNeighborsClassifier(3),
        RandomForestClassifier(20, random_state=0),
        LogisticRegression(),
    ],
)
@pytest.mark.parametrize("sizes", [(60, 60), (60, 50, 40)])
def test_temperature_keeps_the_classifiers_labels(classifier, sizes):
    X, y = material(sizes)
    unseen, _ = material(sizes, seed=1)
    model = Calibrated(classifier, method="temperature").fit(X, y)
    np.testing.assert_array_equal(model.predict(unseen), classifier.fit(X, y).predict(unseen))
    probabilities = model.predict_proba(unseen)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (probabilities >= 0).all()


def test_temperature_is_the_best_one_on_scores_of_unseen_rows():
    X, y = material()
    model = Calibrated(LogisticRegression(C=100.0), method="temperature").fit(X, y)
    scores, truth = [], []
    place = np.empty(len(y), int)
    for name in np.unique(y):
        place[y == name] = np.arange((y == name).sum()) % 5
    for fold in range(5):
        without = LogisticRegression(C=100.0).fit(X[place != fold], y[place != fold])
        scores.append(without.decision_function(X[place == fold]))
        truth.append(y[place == fold])
    scores, truth = np.concatenate(scores), np.concatenate(truth)
    losses = [log_loss(truth, softmax(scores / (factor * model.temperature_), axis=1)) for factor in (0.9, 1.0, 1.1)]
    assert losses[1] < min(losses[0], losses[2])


def test_two_classes_are_the_sigmoid_of_the_score():
    X, y = material((60, 60))
    model = Calibrated(LinearSVC(random_state=0), method="temperature").fit(X, y)
    expected = expit(model.decision_function(X) / model.temperature_)
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], expected, atol=1e-12)


def test_probabilities_are_calibrated_on_unseen_rows():
    X, y = material((400, 400, 400))
    unseen, truth = material((400, 400, 400), seed=1)
    model = Calibrated(LinearSVC(random_state=0), method="temperature").fit(X, y)
    probabilities = model.predict_proba(unseen)
    confidence, right = probabilities.max(axis=1), model.predict(unseen) == truth
    assert abs(confidence.mean() - right.mean()) < 0.05
    sure = confidence > 0.8
    assert abs(confidence[sure].mean() - right[sure].mean()) < 0.07


def test_small_classes_are_calibrated_with_the_others_or_refused_by_name():
    X, y = material((60, 60, 3, 1))
    with pytest.raises(InputError, match=r"the class 'class 2' has 3 items; .* needs 5.*method=\"temperature\""):
        Calibrated(LinearSVC(random_state=0)).fit(X, y)
    model = Calibrated(LinearSVC(random_state=0), method="temperature").fit(X, y)
    assert model.predict_proba(X).shape == (124, 4)
    np.testing.assert_array_equal(model.predict(X), LinearSVC(random_state=0).fit(X, y).predict(X))


def test_one_row_a_class_is_refused():
    with pytest.raises(InputError, match="every class has one sample"):
        Calibrated(LinearSVC(), method="temperature").fit(np.eye(3), ["a", "b", "c"])


def test_weights_reach_the_classifier_and_the_temperature():
    X, y = material()
    weights = np.where(y == "class 0", 20.0, 1.0)
    classifier = LogisticRegression()
    plain = Calibrated(classifier, method="temperature").fit(X, y)
    model = Calibrated(classifier, method="temperature").fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(model.estimator_.coef_, LogisticRegression().fit(X, y, weights).coef_)
    repeated = np.concatenate([np.arange(len(y)), np.repeat(np.flatnonzero(y == "class 0"), 19)])
    assert model.temperature_ != plain.temperature_
    by_hand = LogisticRegression().fit(X[repeated], y[repeated])
    np.testing.assert_allclose(model.decision_function(X), by_hand.decision_function(X), atol=1e-2)


@pytest.mark.parametrize("method", ["sigmoid", "temperature"])
def test_it_is_saved_and_loaded(method, tmp_path):
    X, y = material()
    model = Calibrated(LinearSVC(random_state=0), method=method).fit(X, y)
    save(model, tmp_path / "model.featrec")
    again = load(tmp_path / "model.featrec")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_lists_of_images_are_split():
    from sklearn.pipeline import make_pipeline

    from featrec.descriptors import TinyImage

    random = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = [np.clip(random.uniform(0, 0.5, (12, 12 + place % 3)) + 0.4 * np.eye(12, 12 + place % 3) * label, 0, 1)
              for place, label in enumerate(labels)]  # fmt: skip
    pixels = make_pipeline(TinyImage(size=(6, 6)), LinearSVC(random_state=0))
    model = Calibrated(pixels, method="temperature").fit(images, labels)
    np.testing.assert_array_equal(model.predict(images), pixels.fit(images, labels).predict(images))
