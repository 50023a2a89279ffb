"""PredictAugmented: the mean over fixed views, computed by hand, and the way back from each view."""

import pickle

import cv2
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Perceptron
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

import featrec.classifiers
from featrec.datasets import load_dataset
from featrec.descriptors import TinyImage
from featrec.exceptions import InputError
from featrec.preprocessing import PredictAugmented
from featrec.preprocessing._predict_augmented import View
from featrec.testing import textured_images

EVERYTHING = {"flip": "both", "rotate": 8, "scale": 0.2, "translate": 0.1}


def pipeline(head=None):
    return make_pipeline(TinyImage(size=(6, 6)), GaussianNB() if head is None else head)


@pytest.fixture(scope="module")
def textures():
    return load_dataset("textures", n_train=4, n_test=2)


@pytest.mark.parametrize(
    ("options", "n_views"),
    [
        ({"flip": None}, 1),
        ({}, 2),
        ({"flip": "both"}, 4),
        ({"flip": None, "rotate": 5}, 3),
        ({"flip": None, "scale": 0.1}, 3),
        ({"flip": None, "translate": 0.1}, 5),
        (EVERYTHING, 36),
    ],
)
def test_the_number_of_views(options, n_views, textures):
    train, test = textures
    model = PredictAugmented(pipeline(), **options).fit(train, train.labels)
    views = list(model._views_of(test[0]))
    assert len(views) == n_views
    assert np.array_equal(views[0][0], test[0])
    assert len({view.tobytes() for view, _ in views}) == n_views
    assert all(view.shape == test[0].shape for view, _ in views)


def test_the_mean_of_an_image_and_its_mirror_image(textures):
    train, test = textures
    model = PredictAugmented(pipeline()).fit(train, train.labels)
    plain = pipeline().fit(train, train.labels)
    mirrored = [image[:, ::-1] for image in test]
    expected = (plain.predict_proba(test) + plain.predict_proba(mirrored)) / 2
    assert np.allclose(model.predict_proba(test), expected)
    assert (model.predict(test) == plain.classes_[expected.argmax(axis=1)]).all()


def test_scores_are_averaged_if_there_are_no_probabilities(textures):
    train, test = textures
    model = PredictAugmented(pipeline(LinearSVC(random_state=0)), flip="vertical").fit(train, train.labels)
    assert not hasattr(model, "predict_proba")
    flipped = [image[::-1] for image in test]
    expected = (model.model_.decision_function(test) + model.model_.decision_function(flipped)) / 2
    assert np.allclose(model.decision_function(test), expected)
    assert (model.predict(test) == model.classes_[expected.argmax(axis=1)]).all()


class Votes(ClassifierMixin, BaseEstimator):
    """Nearest neighbours without probabilities."""

    def __init__(self, n_neighbors=1):
        self.n_neighbors = n_neighbors

    def fit(self, X, y):
        self.inner_ = KNeighborsClassifier(self.n_neighbors).fit(X, y)
        self.classes_ = self.inner_.classes_
        return self

    def predict(self, X):
        return self.inner_.predict(X)


def test_views_vote_if_there_are_no_scores(textures):
    train, test = textures
    model = PredictAugmented(pipeline(Votes(1)), translate=0.2).fit(train, train.labels)
    each = np.stack([model.model_.predict([view for view, _ in model._views_of(image)]) for image in test])
    votes = (each[..., None] == model.classes_).sum(axis=1) + 0.5 * (each[:, :1] == model.classes_)
    assert (model.predict(test) == model.classes_[votes.argmax(axis=1)]).all()


def test_shifts_and_scales_are_those_of_opencv():
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8), (0, 0), 3)
    shifted = View(shift=(0.1, 0.0))(image)
    assert np.array_equal(shifted[:, :54], image[:, 6:])
    smaller, area = View(zoom=0.5)(image), cv2.resize(image, (30, 20), interpolation=cv2.INTER_AREA)
    assert np.abs(smaller[11:29, 16:44].astype(int) - area[1:19, 1:29]).max() < 3
    turned = View(degrees=90)(image[:, 10:50])
    assert np.abs(turned.astype(int) - np.rot90(image[:, 10:50], -1)).max() <= 1


@pytest.mark.parametrize("shape", [(61, 81), (61, 81, 3)])
def test_ways_back_lead_to_the_same_place(shape):
    image = np.zeros(shape, np.uint8)
    image[25, 33] = 255
    image = cv2.GaussianBlur(image, (0, 0), 2) * 6
    gray = image if image.ndim == 2 else image[..., 0]
    peak = np.unravel_index(gray.argmax(), gray.shape)
    model = PredictAugmented(pipeline(), **EVERYTHING)
    for view, back in model._views_of(image):
        of_view = view if view.ndim == 2 else view[..., 0]
        y, x = np.unravel_index(of_view.argmax(), of_view.shape)
        assert np.abs(back @ [x, y, 1] - peak[::-1]).max() < 1.5


def test_predictions_do_not_depend_on_other_images(textures):
    train, test = textures
    model = PredictAugmented(pipeline(), **EVERYTHING).fit(train, train.labels)
    together = model.predict_proba(test[:5])
    assert np.allclose([model.predict_proba(test[[row]])[0] for row in range(5)], together, rtol=1e-12)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict_proba(test[:5]), together)


def test_a_frozen_model_is_not_fitted_again(textures):
    train, test = textures
    fitted = pipeline().fit(train, train.labels)
    model = PredictAugmented(FrozenEstimator(fitted)).fit(test, test.labels)
    assert model.model_.estimator is fitted
    assert (model.classes_ == fitted.classes_).all()


def test_images_of_several_sizes_and_types(textures):
    model = PredictAugmented(pipeline(), **EVERYTHING)
    images = [*textured_images(), (np.arange(48 * 32 * 3).reshape(48, 32, 3) % 251 / 251).astype(np.float32)]
    model.fit(images, np.resize(["a", "b"], len(images)))
    assert model.predict_proba(images).shape == (len(images), 2)


def test_it_can_be_searched(textures):
    train, _ = textures
    search = GridSearchCV(PredictAugmented(pipeline()), {"flip": [None, "both"], "translate": [0, 0.1]}, cv=2)
    assert set(search.fit(train, train.labels).best_params_) == {"flip", "translate"}


def test_fit_parameters_reach_the_model(textures):
    train, _ = textures
    weights = np.where(train.labels == "brick", 0.0, 1.0)
    model = PredictAugmented(pipeline(Perceptron(random_state=0)))
    plain = clone(model).fit(train, train.labels).model_[-1].coef_
    weighted = model.fit(train, train.labels, perceptron__sample_weight=weights).model_[-1].coef_
    assert not np.allclose(plain, weighted)


def test_it_takes_images_only():
    with pytest.raises(InputError, match=r"expected a batch of images: .* got a 2-D array"):
        PredictAugmented(pipeline()).fit(np.zeros((5, 36)), ["a", "b", "a", "b", "a"])


def test_it_can_be_imported_from_classifiers_too():
    assert featrec.classifiers.PredictAugmented is PredictAugmented
