import runpy
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from featrec.classifiers import WideRidge
from featrec.datasets import load_dataset
from featrec.descriptors import HOG, TinyImage
from featrec.exceptions import FailedImageWarning, InputError
from featrec.preprocessing import Augmented, Resize, Unflatten

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how_to" / "augment.py"
LIMITS = {"rotate": 10, "translate": 0.1, "light": 0.2, "noise": 0.02}


def pixels(classifier):
    return make_pipeline(TinyImage(size=(8, 8)), classifier)


@pytest.fixture(scope="module")
def digits():
    train, _ = load_dataset("digits")
    return train[:120]


class Recorder(ClassifierMixin, BaseEstimator):
    """Records the images that it is fitted on and predicts, each identified by its gray value."""

    runs = []

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.learned_ = [round(float(np.median(image))) for image in X]
        self.labels_ = list(y)
        return self

    def predict(self, X):
        Recorder.runs.append((self.learned_, [round(float(np.median(image))) for image in X]))
        return np.full(len(X), self.classes_[0])


def flat_images(n):
    """Images of one gray value each, which no rotation, shift or flip changes, so that copies can be identified."""
    return [np.full((6, 6), value, np.uint8) for value in range(n)]


def crossings(runs, copies):
    """The number of copies on both sides of a fold, over all folds; each model is fitted on all its copies."""
    for fitted, predicted in runs:
        assert len(fitted) + (1 + copies) * len(predicted) == (1 + copies) * 100
    return sum(len(set(fitted) & set(predicted)) for fitted, predicted in runs)


def test_no_copy_is_on_both_sides_of_a_fold():
    images, labels = flat_images(100), np.tile(["a", "b"], 50)
    Recorder.runs = []
    model = Augmented(Recorder(), flip="both", rotate=20, scale=0.2, translate=0.1, crop=0.2, copies=4, random_state=0)
    cross_val_score(model, images, labels, cv=StratifiedKFold(5, shuffle=True, random_state=0))
    assert len(Recorder.runs) == 5
    assert crossings(Recorder.runs, 4) == 0


def test_groups_are_kept_together():
    images, labels, groups = flat_images(100), np.tile(["a", "b"], 50), np.arange(100) // 10
    Recorder.runs = []
    cross_val_score(Augmented(Recorder(), flip="both"), images, labels, groups=groups, cv=GroupKFold(5))
    assert crossings(Recorder.runs, 4) == 0
    for fitted, predicted in Recorder.runs:
        assert not set(groups[fitted]) & set(groups[predicted])


def test_copies_have_the_label_of_their_image():
    model = Augmented(Recorder(), flip="both", copies=3).fit(flat_images(5), ["a", "b", "c", "a", "b"])
    assert model.model_.learned_ == np.repeat(range(5), 4).tolist()
    assert model.model_.labels_ == np.repeat(["a", "b", "c", "a", "b"], 4).tolist()
    assert model.classes_.tolist() == ["a", "b", "c"]


def test_without_copies_it_equals_the_model_which_stays_unfitted(digits):
    model, inner = pixels(SVC()).fit(digits, digits.labels), pixels(SVC())
    same = Augmented(inner, copies=0).fit(digits, digits.labels)
    assert not hasattr(inner[-1], "classes_")
    np.testing.assert_array_equal(same.decision_function(digits), model.decision_function(digits))
    np.testing.assert_array_equal(same.predict(digits), model.predict(digits))


def test_the_model_depends_on_the_seed_and_not_on_n_jobs(digits):
    models = [
        Augmented(make_pipeline(Resize(16), HOG(pixels_per_cell=(4, 4), n_jobs=jobs), LinearSVC(random_state=0)), **LIMITS,
                  copies=2, random_state=seed).fit(digits, digits.labels)
        for jobs, seed in ((None, 3), (2, 3), (1, 4))
    ]  # fmt: skip
    first, second, third = (model.decision_function(digits) for model in models)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


def test_copies_help_if_test_images_are_shifted(digits):
    moved = [np.roll(image, 1, axis=1) for image in digits]
    plain = pixels(KNeighborsClassifier(1)).fit(digits, digits.labels)
    augmented = Augmented(pixels(KNeighborsClassifier(1)), translate=0.15, copies=10, random_state=0)
    assert augmented.fit(digits, digits.labels).score(moved, digits.labels) > plain.score(moved, digits.labels) + 0.1


CLASSIFIERS = {
    "probabilities": (GaussianNB(), "predict_proba"),
    "scores": (LinearSVC(random_state=0), "decision_function"),
    "both": (LogisticRegression(max_iter=500), "predict_proba"),
}


@pytest.mark.parametrize("classifier, method", CLASSIFIERS.values(), ids=CLASSIFIERS)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_views_are_averaged(digits, classifier, method, n_classes):
    few = digits[np.isin(digits.labels, sorted(digits.classes)[:n_classes])]
    model = Augmented(pixels(classifier), **LIMITS, copies=1, views=3, random_state=0).fit(few, few.labels)
    seen = list(model._viewed(few))
    values = getattr(model.model_, method)(seen)
    by_hand = np.mean([values[view::4] for view in range(4)], axis=0)
    np.testing.assert_allclose(getattr(model, method)(few), by_hand)
    index = (by_hand > 0).astype(int) if by_hand.ndim == 1 else by_hand.argmax(axis=1)
    np.testing.assert_array_equal(model.predict(few), model.classes_[index])
    np.testing.assert_array_equal(seen[0], few[0])
    assert not np.array_equal(seen[1], seen[2])


class ByBrightness(ClassifierMixin, BaseEstimator):
    """Has only predict, so views vote."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.array(["dark" if np.mean(image) < 0.5 else "light" for image in X])


def test_votes_are_counted_and_the_image_breaks_ties():
    model = Augmented(ByBrightness(), light=0.5, views=3, random_state=1)
    images = [np.full((4, 4), value) for value in np.linspace(0.3, 0.7, 41)]
    model.fit(images, ["dark"] * 20 + ["light"] * 21)
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "decision_function")
    votes = model.model_.predict(model._viewed(images)).reshape(-1, 4)
    light = (votes == "light").sum(axis=1)
    assert (light == 2).any()
    expected = np.where(light == 2, votes[:, 0], np.where(light > 2, "light", "dark"))
    np.testing.assert_array_equal(model.predict(images), expected)


def test_a_prediction_does_not_depend_on_its_batch(digits):
    model = Augmented(pixels(GaussianNB()), **LIMITS, views=3, random_state=0).fit(digits, digits.labels)
    together = model.predict_proba(digits[:10])
    np.testing.assert_allclose(model.predict_proba(digits[:10][::-1]), together[::-1])
    np.testing.assert_allclose(model.predict_proba(digits[7:8]), together[7:8])
    np.testing.assert_array_equal(model.predict_proba(digits[:10]), together)


def test_it_is_a_classifier_with_the_methods_of_the_model():
    assert is_classifier(Augmented(pixels(GaussianNB())))
    assert hasattr(Augmented(pixels(LogisticRegression())), "predict_proba")
    assert not hasattr(Augmented(pixels(LinearSVC())), "predict_proba")
    assert hasattr(Augmented(pixels(LinearSVC())), "decision_function")
    assert not hasattr(Augmented(pixels(GaussianNB())), "decision_function")


def test_grid_search(digits):
    search = GridSearchCV(
        Augmented(pixels(KNeighborsClassifier()), translate=0.1, random_state=0),
        {"copies": [0, 3], "model__kneighborsclassifier__n_neighbors": [1, 3]},
        cv=3,
    ).fit(digits, digits.labels)
    assert len(search.cv_results_["params"]) == 4
    assert search.best_estimator_.classes_.tolist() == sorted(set(digits.labels))


FORMS = {
    "list": list,
    "array": np.asarray,
    "column": lambda images: pd.Series(list(images), index=np.arange(len(images))[::-1]),
    "set": lambda images: images,
}


@pytest.mark.parametrize("as_form", FORMS.values(), ids=FORMS)
def test_all_forms_of_images_give_the_same_predictions(digits, as_form):
    model = Augmented(pixels(GaussianNB()), **LIMITS, copies=1, random_state=0)
    X = as_form(digits)
    labels = pd.Series(digits.labels, index=X.index) if isinstance(X, pd.Series) else digits.labels
    expected = cross_val_predict(model, list(digits), digits.labels, cv=3)
    np.testing.assert_array_equal(cross_val_predict(model, X, labels, cv=3), expected)


def test_unflatten_before_it(digits):
    rows = np.asarray([image.ravel() for image in digits])
    model = make_pipeline(Unflatten(digits[0].shape), Augmented(pixels(GaussianNB()), copies=1, rotate=5, random_state=0))
    direct = Augmented(pixels(GaussianNB()), copies=1, rotate=5, random_state=0).fit(digits, digits.labels)
    np.testing.assert_array_equal(model.fit(rows, digits.labels).predict(rows), direct.predict(digits))


def test_weights_are_repeated_for_the_copies(digits):
    weights = np.where(digits.labels == digits.labels[0], 1.0, 0.0)
    weights[:2] = 1.0
    model = Augmented(pixels(GaussianNB()), rotate=5, copies=2, random_state=0)
    model.fit(digits, digits.labels, gaussiannb__sample_weight=list(weights))
    class_counts = model.model_[-1].class_count_
    assert class_counts.sum() == 3 * weights.sum()


def test_without_a_seed_fits_differ_and_predictions_repeat(digits):
    model = Augmented(pixels(GaussianNB()), **LIMITS, copies=1, views=1)
    first, second = (clone(model).fit(digits, digits.labels) for _ in range(2))
    assert first.seed_ != second.seed_
    np.testing.assert_array_equal(first.predict_proba(digits), first.predict_proba(digits))


@pytest.mark.parametrize(
    "inside",
    [GridSearchCV(pixels(SVC()), {"svc__C": [1, 10]}), pixels(CalibratedClassifierCV(LinearSVC(), cv=3))],
    ids=["search", "calibration"],
)
def test_searches_and_calibration_inside_are_refused(digits, inside):
    with pytest.raises(InputError, match=r"(GridSearchCV|CalibratedClassifierCV) splits .*its test set\. Use"):
        Augmented(inside).fit(digits, digits.labels)


def test_a_frozen_model_is_not_refitted(digits):
    fitted = pixels(GaussianNB()).fit(digits, digits.labels)
    model = Augmented(FrozenEstimator(fitted), **LIMITS, views=2, random_state=0).fit(digits, digits.labels)
    expected = fitted.predict_proba(model._viewed(digits)).reshape(120, 3, -1).mean(axis=1)
    np.testing.assert_array_equal(model.predict_proba(digits), expected)


def test_unequal_numbers_of_images_and_labels_are_refused(digits):
    with pytest.raises(InputError, match="Augmented: got 120 images and 119 labels; each image needs one label"):
        Augmented(pixels(GaussianNB())).fit(digits, digits.labels[:-1])
    with pytest.raises(InputError, match=r"labels must have shape \(n,\), one per image; got shape \(120, 2\)"):
        Augmented(pixels(GaussianNB())).fit(digits, np.zeros((120, 2)))


class Drawn:
    """Images generated on access, so that they take no memory."""

    holds_images = True

    def __len__(self):
        return 30

    def __getitem__(self, position):
        return np.random.default_rng(position).integers(0, 256, (100, 100, 3), dtype=np.uint8)


def test_copies_are_not_kept_in_memory():
    labels = np.resize(["a", "b"], 30)
    Augmented(pixels(GaussianNB()), rotate=10, copies=1).fit(Drawn(), labels)
    tracemalloc.start()
    Augmented(pixels(GaussianNB()), rotate=10, copies=15).fit(Drawn(), labels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30 * 16 * 100 * 100 * 3 / 3


def test_an_unusable_image_is_listed_once(digits):
    images = [*digits[:9], b"no image"]
    model = make_pipeline(TinyImage(size=(8, 8), on_error="empty"), GaussianNB())
    augmented = Augmented(model, rotate=10, copies=3, random_state=0)
    with pytest.warns(FailedImageWarning, match="TinyImage: 1 of 40"):
        augmented.fit(images, [*digits.labels[:9], "x"])
    assert [failure.index for failure in augmented.model_[0].failures_] == [9]


def test_sample_weight_reaches_the_last_step_of_a_pipeline(digits):
    weights = np.where(digits.labels == "1", 5.0, 1.0)
    inner = make_pipeline(TinyImage(size=(8, 8)), make_pipeline(StandardScaler(), GaussianNB()))
    model = Augmented(inner, flip="horizontal", copies=1)
    last = model.fit(digits, digits.labels, sample_weight=weights).model_[-1][-1]
    counts = np.array([weights[digits.labels == name].sum() for name in last.classes_])
    np.testing.assert_allclose(last.class_prior_, counts / counts.sum())


def test_invalid_sample_weights_are_refused(digits):
    model = Augmented(pixels(KNeighborsClassifier()))
    with pytest.raises(InputError, match="KNeighborsClassifier does not accept sample_weight"):
        model.fit(digits, digits.labels, sample_weight=np.ones(len(digits)))
    with pytest.raises(InputError, match=r"one number for each of the 120 images; got shape \(7,\)"):
        Augmented(pixels(GaussianNB())).fit(digits, digits.labels, sample_weight=np.ones(7))


def test_weights_follow_metadata_routing(rng):
    """A model that requests sample weights gets them, each repeated for the copies; another model refuses them."""
    images, labels = list(rng.random((12, 8, 8))), np.arange(12) % 2
    weights = np.linspace(0.1, 2, 12)
    fitted = Augmented(make_pipeline(TinyImage(), WideRidge()), copies=1, random_state=0).fit(images, labels, weights)
    with config_context(enable_metadata_routing=True):
        ridge = WideRidge().set_fit_request(sample_weight=True)
        routed = Augmented(make_pipeline(TinyImage(), ridge), copies=1, random_state=0)
        routed.fit(images, labels, sample_weight=weights)
        np.testing.assert_array_equal(routed.decision_function(images), fitted.decision_function(images))
        with pytest.raises(ValueError, match="sample_weight"):
            clone(routed).set_params(model__wideridge=WideRidge()).fit(images, labels, sample_weight=weights)


def test_the_how_to():
    page = runpy.run_path(str(PAGE))
    train, _ = load_dataset("shapes", n_train=24, n_test=1, size=48)
    settings = {name: page["SETTINGS"][name] for name in ("as they are", "rotated")}
    found = page["scores"](train, train.labels, settings, copies=1, folds=3)
    assert list(found) == ["as they are", "rotated"]
    assert np.isfinite(list(found.values())).all()
