"""TrainingSummary: what it contains, and that a model file keeps it."""

import numpy as np
import pytest
from sklearn.base import ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC, NuSVC

from featrec.base import Estimator
from featrec.datasets import load_dataset
from featrec.descriptors import TinyImage
from featrec.evaluation import Drift, TrainingSummary, observed
from featrec.evaluation._two_samples import projected
from featrec.exceptions import InputError, ModelFileError
from featrec.persistence import load, save


@pytest.fixture(scope="module")
def sets():
    train, test = load_dataset("digits")
    return train[:300], train.labels[:300], test[:200]


def fitted(head, sets):
    return make_pipeline(TinyImage(size=(8, 8)), head).fit(sets[0], sets[1])


@pytest.fixture(scope="module")
def bayes(sets):
    return fitted(GaussianNB(), sets)


def test_of_images_that_the_model_was_not_fitted_on(bayes, sets):
    summary = TrainingSummary.of(bayes, sets[2])
    codes = bayes[:-1].transform(sets[2])
    np.testing.assert_array_equal(summary.codes, projected(codes))
    np.testing.assert_allclose(summary.confidences, bayes.predict_proba(sets[2]).max(axis=1), rtol=1e-6)
    assert (summary.width, summary.n_images) == (64, 200)


def test_without_probabilities_the_confidence_is_a_distance(sets):
    model = fitted(LinearSVC(random_state=0), sets)
    values = np.sort(model.decision_function(sets[2]), axis=1)
    np.testing.assert_allclose(TrainingSummary.of(model, sets[2]).confidences, values[:, -1] - values[:, -2], rtol=1e-5)


def test_two_classes(sets):
    rows = np.flatnonzero(np.isin(sets[1], ["0", "1"]))
    model = make_pipeline(TinyImage(size=(8, 8)), LinearSVC(random_state=0)).fit(sets[0][rows], sets[1][rows])
    found = TrainingSummary.of(model, sets[2]).confidences
    np.testing.assert_allclose(found, 2 * np.abs(model.decision_function(sets[2])), rtol=1e-5, atol=1e-6)


def test_confidences_on_the_training_set_are_those_of_copies_without_the_image(sets):
    model = fitted(LinearSVC(random_state=0), sets)
    summary = TrainingSummary.of(model, sets[0], sets[1])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    codes = model[:-1].transform(sets[0])
    values = np.sort(cross_val_predict(clone(model[-1]), codes, sets[1], cv=folds, method="decision_function"), axis=1)
    np.testing.assert_allclose(summary.confidences, values[:, -1] - values[:, -2], rtol=1e-5)
    too_sure = TrainingSummary.of(model, sets[0])
    assert np.median(too_sure.confidences) > 1.05 * np.median(summary.confidences)


def test_at_most_500_images_are_kept(bayes):
    train, _ = load_dataset("digits")
    summary = TrainingSummary.of(bayes, train[:800])
    assert summary.codes.shape == (500, 32)
    assert summary.confidences.shape == (500,)
    assert summary.n_images == 800


def test_frozen_and_nested_models_have_codes(bayes, sets):
    expected = observed(bayes, sets[2])
    for model in (FrozenEstimator(bayes), make_pipeline(bayes[0], FrozenEstimator(bayes[-1]))):
        found = observed(model, sets[2])
        np.testing.assert_array_equal(found.codes, expected.codes)
        np.testing.assert_array_equal(found.labels, expected.labels)


HEADS = {
    "svc": SVC(kernel="linear", C=0.01),
    "svc of few votes": SVC(gamma=100.0),
    "nu": NuSVC(nu=0.1),
    "ties broken": SVC(break_ties=True),
    "pairs": SVC(decision_function_shape="ovo"),
    "linear": LinearSVC(random_state=0),
    "neighbours": KNeighborsClassifier(4),
    "forest": RandomForestClassifier(5, random_state=0),
    "regression": LogisticRegression(max_iter=2000),
    "bayes": GaussianNB(),
}


@pytest.mark.parametrize("head", list(HEADS.values()), ids=list(HEADS))
@pytest.mark.parametrize("n_classes", [2, 10])
def test_labels_are_those_of_predict(head, n_classes, rng):
    """Labels of noisy images, so that votes tie."""
    labels = np.arange(200) % n_classes
    codes = rng.normal(size=(400, 6)) + 0.3 * np.eye(n_classes, 6)[np.r_[labels, labels]]
    model = make_pipeline(StandardScaler(), clone(head)).fit(codes[:200], np.array(list("abcdefghij"))[labels])
    np.testing.assert_array_equal(observed(model, codes[200:]).labels, model.predict(codes[200:]))


class OnImages(ClassifierMixin, Estimator):
    """A classifier that takes images and has no scores."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.array([self.classes_[0]] * len(X))


def test_models_that_have_too_little(bayes, sets):
    model = OnImages().fit(sets[0], sets[1])
    summary = TrainingSummary.of(model, sets[2])
    assert (summary.codes, summary.confidences, len(summary.brightness)) == (None, None, 200)
    with pytest.raises(InputError, match="a summary needs codes, confidences or the brightness of images; got none of them"):
        TrainingSummary(None, None, 0, 200)
    with pytest.raises(
        InputError, match=r"a OnImages takes images instead of codes.*pass images that the model was not fitted on"
    ):
        TrainingSummary.of(model, sets[0], sets[1])
    with pytest.raises(InputError, match="a summary needs at least two images; got 1"):
        TrainingSummary.of(bayes, sets[2][:1])
    with pytest.raises(InputError, match="is a string, not a model"):
        TrainingSummary.of("model.featrec", sets[2])


def test_a_model_file_keeps_it(bayes, sets, tmp_path):
    path = tmp_path / "model.featrec"
    summary = TrainingSummary.of(bayes, sets[2])
    save(bayes, path, summary=summary)
    found = TrainingSummary.load(path)
    np.testing.assert_array_equal(found.codes, summary.codes)
    np.testing.assert_array_equal(found.confidences, summary.confidences)
    np.testing.assert_array_equal(found.brightness, summary.brightness)
    assert (found.width, found.n_images) == (summary.width, summary.n_images)
    model = load(path)
    assert type(model) is type(bayes)
    np.testing.assert_array_equal(model.predict(sets[2]), bayes.predict(sets[2]))


def test_a_file_without_brightness(bayes, sets, tmp_path):
    """As older versions wrote it. Brightness of new images is then not compared."""

    class Older:
        def to_arrays(self):
            arrays = TrainingSummary.of(bayes, sets[2]).to_arrays()
            return {name: array for name, array in arrays.items() if name != "brightness"}

    save(bayes, tmp_path / "older.featrec", summary=Older())
    summary = TrainingSummary.load(tmp_path / "older.featrec")
    assert summary.brightness is None
    drift, found = Drift(summary), observed(bayes, sets[2])
    drift.update(found.codes, found.confidences, np.zeros(200))
    last = drift.report().looks[-1]
    assert last.psi_p is not None
    assert last.brightness_p is None
    assert drift.report().level == pytest.approx(0.01 * 25 / 2000 / 2)
    assert not drift.drifted


def test_files_without_it(bayes, tmp_path):
    path = tmp_path / "model.featrec"
    save(bayes, path)
    with pytest.raises(InputError, match=r"model\.featrec' has no summary.*featrec train --keep-summary"):
        TrainingSummary.load(path)
    with pytest.raises(InputError, match=r"summary must be a TrainingSummary.*got int"):
        save(bayes, path, summary=3)


ARRAYS = {
    "counts": np.array([64, 9], np.int64),
    "codes": np.zeros((9, 32), np.float32),
    "confidences": np.zeros(9, np.float32),
    "brightness": np.zeros(9, np.float32),
}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"counts": None}, "expected the arrays counts, codes, confidences and brightness"),
        ({"more": np.zeros(2)}, "expected the arrays counts, codes, confidences and brightness; got .*more"),
        ({"counts": np.array([64, -1])}, "counts must be the width of a code and a number of images"),
        ({"counts": np.array([64.0, 9.0])}, "counts must be finite int64"),
        ({"counts": np.array([20, 9])}, "codes of width 20 have 20 projections; got 32"),
        ({"codes": None}, "a width of 64 without codes"),
        ({"codes": np.zeros((9, 32))}, "codes must be finite float32 with 2 axes and 2 to 500 rows; got float64"),
        ({"codes": np.zeros((501, 32), np.float32)}, "codes must be finite float32"),
        ({"codes": np.full((9, 32), np.nan, np.float32)}, "codes must be finite float32"),
        ({"confidences": np.zeros((9, 1), np.float32)}, "confidences must be finite float32 with 1 axes"),
        ({"confidences": np.full(9, np.inf, np.float32)}, "confidences must be finite float32"),
        ({"brightness": np.zeros(501, np.float32)}, "brightness must be finite float32 with 1 axes and 2 to 500 rows"),
        ({"brightness": np.full(9, 1.5, np.float32)}, "brightness must be from 0 to 1; got 1.5 to 1.5"),
    ],
)
def test_edited_arrays_are_refused(change, match, bayes, tmp_path):
    arrays = {name: array for name, array in (ARRAYS | change).items() if array is not None}
    with pytest.raises(InputError, match=match):
        TrainingSummary.from_arrays(arrays)

    class Crafted:
        def to_arrays(self):
            return arrays

    save(bayes, tmp_path / "crafted.featrec", summary=Crafted())
    with pytest.raises(ModelFileError, match=f"crafted.featrec': its summary was not written by save .*{match}"):
        TrainingSummary.load(tmp_path / "crafted.featrec")


@pytest.mark.parametrize("options", [{}, {"break_ties": True}, {"decision_function_shape": "ovo"}, {"probability": True}])
@pytest.mark.parametrize("n_classes", [2, 3, 12])
@pytest.mark.filterwarnings("ignore:.*probability.*:FutureWarning")
def test_labels_of_an_svm_are_those_of_predict(n_classes, options):
    """Also where several classes have equally many votes, which is frequent with few training images."""
    random = np.random.default_rng(0)
    classes = np.array([f"class {number}" for number in range(n_classes)])
    codes, labels = random.normal(size=(10 * n_classes, 4)), np.tile(classes, 10)
    model = SVC(kernel=rbf_kernel, random_state=0, **options).fit(codes, labels)
    new = random.normal(size=(3000, 4))
    found = observed(model, new)
    np.testing.assert_array_equal(found.labels, model.predict(new))
    if not options and n_classes == 12:
        votes = np.rint(found.scores)
        assert ((votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1).mean() > 0.05
        assert (classes[found.scores.argmax(axis=1)] != found.labels).any()  # a tie is not decided by the sums


def test_an_svm_is_asked_once(monkeypatch):
    random = np.random.default_rng(0)
    calls = []

    def kernel(X, Y):
        calls.append(len(X))
        return X @ Y.T

    model = SVC(kernel=kernel).fit(random.normal(size=(60, 4)), np.tile(["a", "b", "c"], 20))
    calls.clear()
    observed(model, random.normal(size=(5, 4)))
    assert calls == [5]
