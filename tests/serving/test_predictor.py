"""Predictor: one model, many threads; what is wrong with an image is in its answer."""

import pickle
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from featrec.classifiers import Calibrated
from featrec.descriptors import HOG, SIFT, TinyImage
from featrec.encoders import BagOfWords
from featrec.exceptions import InputError, NotAnImageError, TooManyPixelsError
from featrec.persistence import save
from featrec.preprocessing import CLAHE, Augmented
from featrec.serving import Predictor
from featrec.serving._judge import private_copy
from tests.serving.models import encoded, of_fixed_size, pixels, training_set, with_probabilities, with_scores


@pytest.fixture(scope="module")
def model():
    return with_probabilities()


def test_bytes_paths_and_arrays_give_the_same_answer(model, tmp_path):
    image = pixels(200, 99)
    path = tmp_path / "light.png"
    path.write_bytes(encoded(image))
    answers = Predictor(model, top=2).predict([image, path, str(path), path.read_bytes()])
    for answer in answers:
        assert (answer.label, answer.confidence, answer.size) == ("light", 1.0, (24, 32))
        assert answer.top == (("light", 1.0), ("dark", 0.0))
        assert answer.rejected is None
        assert answer.error is None
        assert set(answer.seconds) == {"decode", "predict"}
        assert min(answer.seconds.values()) > 0


def test_a_model_file_is_loaded_once(model, tmp_path, monkeypatch):
    save(model, tmp_path / "knn.model")
    predictor = Predictor(tmp_path / "knn.model")
    monkeypatch.setattr("featrec.serving._predictor.load", None)
    assert [answer.label for answer in predictor.predict([pixels(40), pixels(200)])] == ["dark", "light"]
    assert predictor.classes == ["dark", "light"]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_what_is_wrong_with_an_image_is_in_its_answer(model, n_jobs):
    items = [encoded(pixels(40)), b"no image", None, encoded(pixels(200, size=(70, 60))), "missing.png"]
    found = Predictor(model, n_jobs=n_jobs, batch_size=2, max_pixels=4000).predict(items)
    assert [answer.label for answer in found] == ["dark", None, None, None, None]
    assert [type(answer.error).__name__ for answer in found[1:]] == [
        "NotAnImageError", "UnsupportedImageError", "TooManyPixelsError", "MissingImageError",
    ]  # fmt: skip
    assert "Supported formats" in str(found[1].error)
    assert found[1].size is None
    assert found[1].error.__traceback__ is None
    assert "image 1" not in str(found[1].error)


def test_an_image_that_the_model_refuses_does_not_stop_the_others():
    images = [pixels(40), pixels(40, size=(40, 40)), pixels(200)]
    first, wrong, last = Predictor(of_fixed_size()).predict(images)
    assert (first.error, last.error) == (None, None)
    assert "all rows must have the same length" in str(wrong.error) or "features" in str(wrong.error)
    assert wrong.size == (40, 40)


def test_a_model_without_probabilities_has_scores_but_no_confidence():
    model = with_scores()
    (answer,) = Predictor(model, top=1).predict([pixels(200)])
    assert answer.confidence is None
    assert answer.top == ((answer.label, abs(float(model.decision_function([pixels(200)])[0]))),)
    assert not Predictor(model).has_confidence


def test_top_is_set_per_call_too(model):
    predictor = Predictor(model, top=1)
    assert [len(predictor.predict([pixels(40)], top=top)[0].top) for top in (None, 0, 2, 9)] == [1, 0, 2, 2]


@pytest.mark.parametrize(("option", "value"), [("top", -1), ("batch_size", 0), ("max_pixels", 1.5), ("top", True)])
def test_options_are_checked(model, option, value):
    with pytest.raises(InputError, match=f"{option} must be an integer of at least"):
        Predictor(model, **{option: value})


def test_one_item_is_no_batch(model):
    with pytest.raises(InputError, match=r"got one item \(bytes\)"):
        Predictor(model).predict(b"...")


WRAPPED = {
    "search": lambda model: GridSearchCV(model, {"kneighborsclassifier__n_neighbors": [1, 3]}, cv=2),
    "frozen": lambda model: FrozenEstimator(model),
    "calibrated": lambda model: CalibratedClassifierCV(model, cv=2),
    "temperature": lambda model: Calibrated(model, method="temperature", cv=2),
    "augmented": lambda model: Augmented(model, copies=1, flip="horizontal", random_state=0),
    "views": lambda model: Augmented(model, copies=1, views=1, flip="horizontal", random_state=0),
    "svc": lambda model: make_pipeline(TinyImage(size=(4, 4), normalize=False), SVC(decision_function_shape="ovo")),
    "nothing": lambda model: make_pipeline(TinyImage(size=(4, 4), normalize=False), Majority()),
}


class Majority(BaseEstimator):
    """A classifier that has neither probabilities nor scores."""

    def fit(self, X, y):
        self.label_ = max(set(y), key=list(y).count)
        return self

    def predict(self, X):
        return np.array([self.label_] * len(X))


@pytest.mark.parametrize("name", WRAPPED)
def test_labels_and_confidences_are_those_of_the_model(name, model):
    wrapped = WRAPPED[name](model).fit(*training_set())
    images = [pixels(level, seed) for seed in range(3) for level in (40, 125, 200)]
    answers = Predictor(wrapped, batch_size=4).predict(images)
    assert [answer.error for answer in answers] == [None] * 9
    assert [answer.label for answer in answers] == wrapped.predict(images).tolist()
    if hasattr(wrapped, "predict_proba"):
        np.testing.assert_allclose([answer.confidence for answer in answers], wrapped.predict_proba(images).max(axis=1))
    else:
        assert {answer.confidence for answer in answers} == {None}


class Reviewer(BaseEstimator):
    """A model that rejects dark images, with the interface of RejectUnknown."""

    def fit(self, X, y):
        self.model_, self.classes_ = with_probabilities(), np.array(["dark", "light"])
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(X)

    def review(self, X):
        labels = self.model_.predict(X)
        accepted = labels == "light"
        reasons = [None if taken else "none of the known classes" for taken in accepted]
        confidences = self.predict_proba(X).max(axis=1)
        return SimpleNamespace(labels=labels, confidences=confidences, accepted=accepted, reasons=reasons)


def test_a_model_that_rejects_is_asked_for_its_review():
    predictor = Predictor(Reviewer().fit(None, None))
    dark, light = predictor.predict([pixels(40), pixels(200)])
    assert (dark.rejected, light.rejected) == ("none of the known classes", None)
    assert (light.label, light.confidence, light.top[0]) == ("light", 1.0, ("light", 1.0))
    assert predictor.can_reject
    assert not Predictor(with_probabilities()).can_reject


def test_explanations_are_those_of_explain():
    model = with_scores()
    answer, failed = Predictor(model).predict([encoded(pixels(200)), b""], explain=True)
    found = answer.explanation
    assert found.exact
    assert found.target == answer.label
    assert abs(found.values.sum() + found.base_value - found.decision) < 1e-6
    assert answer.seconds["explain"] > 0
    assert failed.explanation is None


def test_a_model_without_parts_is_explained_by_hiding_blocks():
    (answer,) = Predictor(Reviewer().fit(None, None)).predict([pixels(40)], explain=True)
    assert answer.error is None
    assert answer.explanation.method == "occlusion"
    assert answer.explanation.target == "dark"


def test_nothing_is_written_on_the_estimator(model):
    hog = with_scores().set_params(hog__on_error="empty")
    before = set(vars(hog.named_steps["hog"]))
    (failed,) = Predictor(hog).predict([np.zeros((0, 5), np.uint8)])
    assert failed.error is not None
    assert set(vars(hog.named_steps["hog"])) == before


def test_an_unusable_image_is_an_error_even_if_the_model_forgives_it():
    forgiving = make_pipeline(HOG(on_error="empty"), SVC()).fit(*training_set())
    (answer,) = Predictor(forgiving).predict([pixels(40, size=(4, 4))])
    assert answer.label is None
    assert isinstance(answer.error, InputError)


def test_no_description_is_written_to_disk(tmp_path):
    model = make_pipeline(HOG(cache=str(tmp_path / "cache")), SVC()).fit(*training_set())
    files = sorted((tmp_path / "cache").rglob("*"))
    assert files
    assert Predictor(model).predict([pixels(99, 99)])[0].error is None
    assert sorted((tmp_path / "cache").rglob("*")) == files


def test_a_private_copy_shares_arrays_but_no_estimator():
    model = CalibratedClassifierCV(with_scores(), cv=2).fit(*training_set())
    twin = private_copy(model)
    inner, outer = (one.calibrated_classifiers_[0].estimator for one in (twin, model))
    assert inner is not outer
    assert inner.steps[1][1] is not outer.steps[1][1]
    assert inner.steps[-1][1].coef_ is outer.steps[-1][1].coef_


def test_parameters_of_a_fitted_model_are_not_checked_for_each_batch(monkeypatch):
    model = with_scores()

    def check(self):
        raise AssertionError("checked")

    monkeypatch.setattr(HOG, "_validate_params", check)
    with pytest.raises(AssertionError, match="checked"):
        model.predict([pixels(200)])
    assert Predictor(model).predict([pixels(200)])[0].error is None


def test_threads_get_the_answers_of_one_thread():
    bags = make_pipeline(SIFT(), BagOfWords(5, random_state=0), SVC()).fit(*textures(8))
    images = textures(12)[0]
    images[3] = b"broken"
    predictor = Predictor(bags)
    alone = [(answer.label, answer.top) for answer in predictor.predict(images)]
    found, threads = {}, []
    for number in range(6):
        target = lambda number=number: found.update({number: predictor.predict(images)})  # noqa: E731
        threads.append(threading.Thread(target=target))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    for answers in found.values():
        assert [(answer.label, answer.top) for answer in answers] == alone
        assert isinstance(answers[3].error, NotAnImageError)


def textures(n):
    random = np.random.default_rng(0)
    coarse = [np.kron(random.integers(0, 256, (8, 8)), np.ones((8, 8))).astype(np.uint8) for _ in range(n)]
    fine = [np.kron(random.integers(0, 256, (16, 16)), np.ones((4, 4))).astype(np.uint8) for _ in range(n)]
    return coarse + fine, ["coarse"] * n + ["fine"] * n


def test_faces_are_blurred_before_the_model_sees_them(model):
    seen = []

    def black(image):
        seen.append(image.shape)
        return image * 0

    (answer,) = Predictor(model, anonymize=black).predict([encoded(pixels(200))])
    assert (answer.label, seen) == ("dark", [(24, 32, 3)])
    assert Predictor(model, anonymize=CLAHE()).predict([pixels(200)])[0].error is None


class Watch:
    def __init__(self):
        self.seen = []

    def update(self, codes, confidences, brightness):
        self.seen.append((codes.shape, confidences, brightness))

    def gauges(self):
        return {"n": len(self.seen)}


def test_drift_gets_codes_confidences_and_brightness(model):
    watch = Watch()
    Predictor(model, drift=watch).predict([pixels(40), b"", pixels(200)])
    Predictor(with_scores(), drift=watch).predict([pixels(40)])
    (shape, confidences, brightness), (_, distances, _) = watch.seen
    assert shape == (2, 16)
    assert confidences.tolist() == [1.0, 1.0]
    assert brightness == pytest.approx([pixels(level).mean() / 255 for level in (40, 200)])
    decision = with_scores().decision_function([pixels(40)])
    assert distances == pytest.approx(2 * abs(decision))  # of the scores of both classes


def test_answers_do_not_depend_on_the_watcher(model, caplog):
    watch = Watch()
    watch.update = None
    assert Predictor(model, drift=watch).predict([pixels(40)])[0].label == "dark"
    assert "drift of a batch could not be measured" in caplog.text


def test_warming_predicts_but_is_no_drift(model):
    watch = Watch()
    predictor = Predictor(of_fixed_size(), drift=watch)
    start = time.perf_counter()
    assert 0 < predictor.warm(explain=True) <= time.perf_counter() - start
    assert watch.seen == []
    assert predictor.drift is watch


def test_a_predictor_can_be_sent_to_another_process(model):
    sent = pickle.loads(pickle.dumps(Predictor(model, top=1, max_pixels=10_000)))
    assert sent.predict([pixels(40)])[0].label == "dark"
    assert isinstance(sent.predict([encoded(np.zeros((101, 100), np.uint8))])[0].error, TooManyPixelsError)
