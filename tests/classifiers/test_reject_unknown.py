"""RejectUnknown: thresholds from held-out images, reasons, sets, and the images that the model never sees."""

import math
import pickle

import numpy as np
import pytest
from scipy.stats import betabinom
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from featrec.classifiers import Calibrated, RejectUnknown
from featrec.classifiers._rejection import calibration_split, conformal_threshold
from featrec.datasets import load_dataset
from featrec.descriptors import ORB, DenseSIFT, TinyImage
from featrec.encoders import BagOfWords
from featrec.exceptions import EmptyBagWarning, InputError
from featrec.lazy import Images
from featrec.pairwise import HistogramKernel
from featrec.preprocessing import Augmented
from tests.images.own_extractors import COUNT, Means

METHODS = ("confidence", "score", "distance", "conformal")
NAMES = np.array(["coast", "forest", "street"])


def clusters(n, seed=0, spread=1.0, width=6):
    """Return codes of three classes; each class has its own axis."""
    random = np.random.default_rng(seed)
    labels = np.resize(np.arange(3), n)
    return 4 * np.eye(3, width)[labels] + spread * random.normal(size=(n, width)), NAMES[labels]


def strangers(n, width=6):
    """Return codes far from all classes."""
    return 4 * np.eye(3, width, k=3)[np.resize(np.arange(3), n)] + np.random.default_rng(9).normal(size=(n, width))


@pytest.fixture(params=METHODS)
def method(request):
    return request.param


def test_unknown_codes_are_more_novel_and_known_ones_are_accepted(method):
    X, y = clusters(600)
    model = RejectUnknown(LogisticRegression(), method=method, coverage=0.9, random_state=0).fit(X, y)
    known, truth = clusters(900, seed=1)
    novelty = np.concatenate([model.novelty(known), model.novelty(strangers(300))])
    assert roc_auc_score(np.repeat([0, 1], [900, 300]), novelty) > 0.87
    review = model.review(known)
    assert (review.novelties == model.novelty(known)).all()
    assert ((review.novelties <= model.threshold_) == review.accepted).all()
    assert (model.predict(known) == review.labels).all()
    assert (review.labels[~review.accepted] == "unknown").all()
    assert (review.labels == truth)[review.accepted].mean() > 0.95
    if method != "conformal":
        # 120 held-out images; a fair threshold is in this interval in 99.9 % of all cases
        low, high = betabinom(900, 109, 12).interval(0.999)
        assert low <= review.accepted.sum() <= high


def test_the_threshold_is_the_rank_of_the_held_out_images(method):
    X, y = clusters(90)
    model = RejectUnknown(LogisticRegression(), method=method, coverage=0.8, random_state=3).fit(X, y)
    _, held = calibration_split(y, 0.2, 3)
    assert model.n_calibration_ == len(held) == 18
    rank = math.ceil(19 * 0.8)
    if method != "conformal":
        assert model.threshold_ == np.sort(model.novelty(X[held]))[rank - 1]
        return
    wrong = 1 - model.predict_proba(X[held])[np.arange(18), np.searchsorted(NAMES, y[held])]
    assert model.thresholds_ == pytest.approx(np.sort(wrong)[rank - 1], abs=1e-12)


def test_the_score_is_the_largest_decision_value():
    X, y = clusters(90)
    model = RejectUnknown(LinearSVC(random_state=0), method="score", coverage=0.8, random_state=3).fit(X, y)
    largest = model.decision_function(X).max(axis=1)
    np.testing.assert_allclose(model.novelty(X), 1 / (1 + np.exp(largest)))
    order = np.argsort(largest)
    assert not model.review(X[order]).accepted[0]
    assert model.review(X[order]).accepted[-1]


def test_the_score_treats_two_classes_alike():
    X, y = clusters(300)
    X, y = X[y != y[0]], y[y != y[0]]
    names = np.unique(y)
    assert len(names) == 2
    model = RejectUnknown(LinearSVC(random_state=0), method="score", coverage=0.6, random_state=3).fit(X, y)
    np.testing.assert_allclose(model.novelty(X), 1 / (1 + np.exp(np.abs(model.decision_function(X)) / 2)))
    accepted = model.review(X).accepted
    assert [accepted[y == name].mean() for name in names] == pytest.approx([0.6, 0.6], abs=0.15)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)


def test_conformal_thresholds_of_few_values():
    values = np.array([3.0, 1.0, 2.0])
    assert conformal_threshold(values, 0.75) == 3
    assert conformal_threshold(values, 0.5) == 2
    assert conformal_threshold(values, 0.76) == math.inf


def test_a_few_held_out_images_accept_up_to_the_largest_novelty():
    X, y = clusters(30)
    model = RejectUnknown(LogisticRegression(), coverage=0.99, random_state=0).fit(X, y)
    _, held = calibration_split(y, 0.2, 0)
    assert model.threshold_ == model.novelty(X[held]).max()


class Recorder(ClassifierMixin, BaseEstimator):
    """Remembers the rows that it was fitted on."""

    def fit(self, X, y):
        self.classes_, self.seen_ = np.unique(y), np.asarray(X).copy()
        return self

    def predict(self, X):
        return np.resize(self.classes_, len(X))

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


def test_the_model_never_sees_the_held_out_images(method):
    X, y = clusters(60)
    model = RejectUnknown(make_pipeline(StandardScaler(), Recorder()), method=method, coverage=0.7, random_state=1).fit(X, y)
    learned, held = calibration_split(y, 0.2, 1)
    assert sorted([*learned, *held]) == list(range(60))
    assert np.allclose(model.model_[0].mean_, X[learned].mean(axis=0))
    assert np.allclose(model.model_[1].seen_, model.model_[0].transform(X[learned]))


def test_each_class_is_held_out_in_proportion_but_never_all_of_it():
    labels = np.repeat(["a", "b", "c"], [1, 2, 40])
    learned, held = calibration_split(labels, 0.3, 0)
    assert dict(zip(*np.unique(labels[held], return_counts=True), strict=True)) == {"b": 1, "c": 12}
    assert set(labels[learned]) == {"a", "b", "c"}
    with pytest.raises(InputError, match="every class has one image; at least one class needs a second image to hold out"):
        calibration_split(np.array(["a", "b"]), 0.5, 0)


def test_sets_contain_the_true_class_as_often_as_promised():
    """The probability is over draws of held-out images, so it is averaged over several of them."""
    found = []
    for seed in range(12):
        X, y = clusters(300, seed=seed, spread=2.5)
        model = RejectUnknown(GaussianNB(), method="conformal", coverage=0.8, random_state=seed).fit(X, y)
        known, truth = clusters(600, seed=100 + seed, spread=2.5)
        members = model.predict_sets(known)
        found.append(members[np.arange(600), np.searchsorted(NAMES, truth)].mean())
    assert abs(np.mean(found) - 0.8) < 0.03


def test_sets_per_class_cover_each_class():
    X, y = clusters(3000, spread=2.5)
    model = RejectUnknown(GaussianNB(), method="conformal", coverage=0.8, per_class=True, random_state=0).fit(X, y)
    assert len(set(model.thresholds_)) == 3
    known, truth = clusters(3000, seed=5, spread=2.5)
    hit = model.predict_sets(known)[np.arange(3000), np.searchsorted(NAMES, truth)]
    assert all(abs(hit[truth == name].mean() - 0.8) < 0.07 for name in NAMES)
    review = model.review(known)
    assert all(label in one for label, one, ok in zip(review.labels, review.sets, review.accepted, strict=True) if ok)
    assert all(bool(one) == ok for one, ok in zip(review.sets, review.accepted, strict=True))


def test_sets_begin_with_the_most_likely_class():
    X, y = clusters(300, spread=2.5)
    model = RejectUnknown(GaussianNB(), method="conformal", coverage=0.95, random_state=0).fit(X, y)
    review, shares = model.review(X), model.predict_proba(X)
    assert max(map(len, review.sets)) > 1
    assert all(one[0] == NAMES[row.argmax()] for one, row in zip(review.sets, shares, strict=True) if one)


def test_mapie_gives_the_same_sets():
    mapie = pytest.importorskip("mapie.classification")
    X, y = clusters(500, spread=2.0)
    known, _ = clusters(400, seed=3, spread=2.0)
    fitted = LogisticRegression().fit(X[:250], y[:250])
    model = RejectUnknown(FrozenEstimator(fitted), method="conformal", coverage=0.85).fit(X[250:], y[250:])
    probabilities = FrozenEstimator(Given(model))
    other = mapie.SplitConformalClassifier(probabilities, confidence_level=0.85, conformity_score="lac", prefit=True)
    _, sets = other.conformalize(X[250:], y[250:]).predict_set(known)
    assert np.array_equal(sets[..., 0], model.predict_sets(known))


class Given(ClassifierMixin, BaseEstimator):
    """A classifier with the calibrated probabilities of a RejectUnknown, and without its rejection."""

    def __init__(self, model=None):
        self.model, self.classes_ = model, model.classes_

    def fit(self, X, y):
        return self

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X):
        return self.model.predict_proba(X)


class NeverFitted(GaussianNB):
    def fit(self, X, y, sample_weight=None):
        raise AssertionError


def test_too_few_held_out_images_for_sets():
    X, y = clusters(60)
    with pytest.raises(InputError, match=r"coverage=0\.95 needs at least 19 held-out images; there are 12\. Use more images"):
        RejectUnknown(NeverFitted(), method="conformal", random_state=0).fit(X, y)
    with pytest.raises(InputError, match=r"at least 4 held-out images of each class; there are 3 of the class 'coast'"):
        RejectUnknown(GaussianNB(), method="conformal", coverage=0.8, per_class=True, random_state=0).fit(X[:45], y[:45])
    with pytest.raises(InputError, match=r"there are 0 of the class 'zoo'"):
        RejectUnknown(NeverFitted(), method="conformal", coverage=0.5, per_class=True).fit(X[:46], [*y[:45], "zoo"])
    assert RejectUnknown(GaussianNB(), method="conformal", coverage=0.75, per_class=True, random_state=0).fit(X[:45], y[:45])


def test_probabilities_are_calibrated_on_held_out_images():
    random = np.random.default_rng(0)
    X, y = clusters(600, spread=2.5)
    noisy = np.where(random.random(600) < 0.2, random.permutation(y), y)
    alone = GaussianNB().fit(X, noisy)
    model = RejectUnknown(GaussianNB(), random_state=0).fit(X, noisy)
    known, truth = clusters(2000, seed=1, spread=2.5)
    truth = np.where(random.random(2000) < 0.2, random.permutation(truth), truth)
    columns = np.searchsorted(NAMES, truth)

    def loss(shares):
        return -np.log(np.maximum(shares[np.arange(2000), columns], 1e-12)).mean()

    assert loss(model.predict_proba(known)) < loss(alone.predict_proba(known))
    assert (model.review(known).most_likely == model.model_.predict(known)).all()
    assert (model.decision_function(known) if hasattr(model, "decision_function") else None) is None


def test_separable_held_out_images_do_not_make_the_model_certain():
    X, y = clusters(60, spread=0.01)
    model = RejectUnknown(LinearSVC(random_state=0), random_state=0).fit(X, y)
    assert 0.9 < model.predict_proba(X).max() < 1 - 1e-4


def test_a_frozen_model_uses_all_images_for_calibration():
    X, y = clusters(90)
    fitted = LinearSVC(random_state=0).fit(X, y)
    fresh, labels = clusters(40, seed=1)
    model = RejectUnknown(FrozenEstimator(fitted), coverage=0.9).fit(fresh, labels)
    assert model.n_calibration_ == 40
    assert model.threshold_ == np.sort(model.novelty(fresh))[math.ceil(41 * 0.9) - 1]
    assert (model.decision_function(X) == fitted.decision_function(X)).all()
    apart = RejectUnknown(FrozenEstimator(fitted), method="distance", random_state=0).fit(fresh, labels)
    assert apart.n_calibration_ == 9
    with pytest.raises(InputError, match="does not know the class 'zoo' of a held-out image"):
        RejectUnknown(FrozenEstimator(fitted)).fit(fresh, np.where(labels == "coast", "zoo", labels))


@pytest.mark.parametrize(("labels", "unknown"), [([3, 5, 7], -1), ([1.0, 2.0, 3.0], -1), (["a", "b", "c"], "unknown")])
def test_the_label_of_unknown_images_has_the_type_of_the_classes(labels, unknown):
    X, y = clusters(60)
    y = np.array(labels)[np.searchsorted(NAMES, y)]
    X = np.vstack([X, np.zeros((1, 6))])
    predicted = RejectUnknown(GaussianNB(), random_state=0).fit(X[:60], y).predict(X)
    assert predicted[-1] == unknown
    assert predicted.dtype.kind == y.dtype.kind


def test_the_label_of_unknown_images_may_be_chosen_but_not_a_class():
    X, y = clusters(60)
    model = RejectUnknown(GaussianNB(), unknown_label="?", random_state=0).fit(X, y)
    assert model.predict(np.zeros((1, 6))).tolist() == ["?"]
    assert RejectUnknown(GaussianNB(), unknown_label=-1, random_state=0).fit(X, y).predict(np.zeros((1, 6))).tolist() == [-1]
    with pytest.raises(InputError, match="'forest' is a class of the training images; set unknown_label to another label"):
        RejectUnknown(GaussianNB(), unknown_label="forest", random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def textured():
    """Return images that have keypoints, and an extractor of keypoints."""
    train, _ = load_dataset("textures", n_train=12)
    extractor = ORB(edge_threshold=10, patch_size=15)
    rows = np.array([row for row, bag in enumerate(extractor.transform(train)) if len(bag.descriptors)])
    return train[rows], train.labels[rows], extractor


@pytest.mark.filterwarnings("ignore::featrec.exceptions.EmptyBagWarning")
def test_images_without_features_are_too_little_to_see(method, textured):
    images, labels, extractor = textured
    model = RejectUnknown(
        make_pipeline(extractor, BagOfWords(8, random_state=0), StandardScaler(), GaussianNB()),
        method=method,
        coverage=0.7,
        random_state=0,
    ).fit(images, labels)
    review = model.review([np.full((64, 64), 128, np.uint8), *images[:6]])
    assert review.reasons[0] == "too little to see"
    assert review.labels[0] == "unknown"
    assert not review.accepted[0]
    assert all(reason in (None, "none of the known classes") for reason in review.reasons[1:])
    assert [reason is None for reason in review.reasons] == review.accepted.tolist()


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_images_with_few_features_are_rejected_too(n_jobs):
    """Dense descriptors of areas without contrast are zero, so the code of a uniform image is not zero."""
    train, _ = load_dataset("textures", n_train=10)
    steps = make_pipeline(DenseSIFT(step=8), BagOfWords(8, random_state=0, n_jobs=n_jobs), GaussianNB())
    model = RejectUnknown(steps, coverage=0.7, random_state=0).fit(train, train.labels)
    flat = np.full((64, 64), 128, np.uint8)
    corner = flat.copy()
    corner[:20, :20] = train[0][:20, :20]
    n_corner = np.count_nonzero(DenseSIFT(step=8).extract(corner).descriptors.any(axis=1))
    images = Images([train[0]] * 50 + [flat, corner])[50:]
    assert model.model_[:-1].transform(images).any(axis=1).all()
    assert model.review(images).reasons[0] == "too little to see"
    for least, few in ((1, False), (n_corner, False), (n_corner + 1, True)):
        reasons = model.set_params(min_features=least).review(images).reasons
        assert (reasons[1] == "too little to see") == few
    assert model.set_params(min_features=0).review(images).reasons[0] != "too little to see"


def test_features_are_computed_once():
    train, test = load_dataset("textures", n_train=4, n_test=2)
    model = RejectUnknown(make_pipeline(Means(), LinearSVC(random_state=0)), method="distance", random_state=0)
    model.fit(train, train.labels)
    COUNT.clear()
    model.review(test)
    assert len(COUNT) == len(test)


MODELS = {
    "forest": make_pipeline(TinyImage(size=(4, 4)), RandomForestClassifier(10, random_state=0)),
    "calibrated head": make_pipeline(TinyImage(size=(4, 4)), Calibrated(LinearSVC(random_state=0), method="temperature", cv=2)),
    "calibrated": Calibrated(make_pipeline(TinyImage(size=(4, 4)), LinearSVC(random_state=0)), method="temperature", cv=2),
    "augmented": Augmented(make_pipeline(TinyImage(size=(4, 4)), GaussianNB()), copies=1, flip="horizontal", random_state=0),
    "search": GridSearchCV(
        make_pipeline(TinyImage(size=(4, 4)), GaussianNB()), {"gaussiannb__var_smoothing": [1e-9, 1e-3]}, cv=2
    ),
    "kernel": make_pipeline(TinyImage(size=(4, 4), normalize=False), HistogramKernel(), SVC(kernel="precomputed")),
    "nested": make_pipeline(TinyImage(size=(4, 4)), make_pipeline(StandardScaler(), SVC())),
}


@pytest.mark.parametrize("name", MODELS)
def test_any_model_of_images(name, tmp_path):
    train, test = load_dataset("textures", n_train=8)
    model = RejectUnknown(MODELS[name], method="distance", coverage=0.8, random_state=0).fit(train, train.labels)
    review = model.review(test)
    assert model.directions_.shape == (16, 8)
    assert (review.most_likely == model.model_.predict(test)).all()
    assert review.confidences == pytest.approx(model.predict_proba(test).max(axis=1)) or name in ("kernel", "nested")
    assert (pickle.loads(pickle.dumps(model)).predict(test) == review.labels).all()


def test_paths_and_folders_are_images(tmp_path):
    import cv2

    train, _ = load_dataset("textures", n_train=4)
    for row, (image, label) in enumerate(zip(train, train.labels, strict=True)):
        (tmp_path / label).mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / label / f"{row}.png"), image)
    from featrec.datasets import ImageFolder

    folder = ImageFolder(tmp_path)
    model = RejectUnknown(make_pipeline(TinyImage(), GaussianNB()), method="distance", random_state=0)
    of_folder = model.fit(folder, folder.labels).novelty(folder)
    paths = [str(path) for path in folder.paths]
    assert np.array_equal(clone(model).fit(paths, folder.labels).novelty(paths), of_folder)
    pandas = pytest.importorskip("pandas")
    assert np.array_equal(clone(model).fit(pandas.Series(paths), folder.labels).novelty(pandas.Series(paths)), of_folder)


def test_it_can_be_searched():
    X, y = clusters(120)
    search = GridSearchCV(
        RejectUnknown(LogisticRegression(), random_state=0), {"coverage": [0.5, 0.99], "model__tol": [1e-4, 1e-3]}, cv=2
    ).fit(X, y)
    assert search.best_params_["coverage"] == 0.99


def test_sets_need_the_method():
    X, y = clusters(60)
    model = RejectUnknown(GaussianNB(), random_state=0).fit(X, y)
    assert not hasattr(model, "predict_sets")
    assert model.review(X).sets is None
    with pytest.raises(AttributeError, match="predict_sets") as error:
        model.predict_sets(X)
    assert "predict_sets needs method=\"conformal\"; this RejectUnknown has method='confidence'" in str(error.value.__cause__)


def test_models_without_codes_or_scores_are_refused():
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
    labels = np.resize(["a", "b"], 20)
    with pytest.raises(InputError, match='method="distance" needs codes, but Recorder has no step that computes codes'):
        RejectUnknown(Recorder(), method="distance", random_state=0).fit(images, labels)

    class Votes(Recorder):
        predict_proba = property()

    with pytest.raises(InputError, match="Votes has neither predict_proba nor decision_function, so it has no confidence"):
        RejectUnknown(Votes(), random_state=0).fit(images, labels)


def test_wrong_labels_are_refused():
    X, y = clusters(60)
    with pytest.raises(InputError, match="got 59 labels for 60 images; each image needs one label"):
        RejectUnknown(GaussianNB()).fit(X, y[:59])
    with pytest.raises(InputError, match="needs at least two classes; the labels have one class, 'a'"):
        RejectUnknown(GaussianNB()).fit(X, np.repeat("a", 60))


def test_a_review_as_a_table():
    pytest.importorskip("pandas")
    X, y = clusters(200)
    model = RejectUnknown(GaussianNB(), method="conformal", coverage=0.8, random_state=0).fit(X, y)
    review = model.review(X[:5])
    frame = review.to_frame()
    assert len(frame) == len(review) == 5
    assert frame.columns.tolist() == ["labels", "most_likely", "confidences", "novelties", "accepted", "reasons", "sets"]
    assert frame["accepted"].tolist() == review.accepted.tolist()
    with pytest.raises(AttributeError, match="labels"):
        review.labels = None


def test_an_empty_bag_still_warns(textured):
    images, labels, extractor = textured
    model = RejectUnknown(make_pipeline(extractor, BagOfWords(8, random_state=0), GaussianNB()), random_state=0)
    model.fit(images, labels)
    with pytest.warns(EmptyBagWarning):
        model.predict([np.full((64, 64), 128, np.uint8)])
