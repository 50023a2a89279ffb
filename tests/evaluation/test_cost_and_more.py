"""What compare measures on request: cost, calibration, accuracy by group and class; and duplicates and stamps."""

import json
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import brier_score_loss, log_loss, recall_score
from sklearn.model_selection import GroupKFold, GroupShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from featrec.evaluation import _cost, compare
from featrec.evaluation._measures import calibration_of, probabilities_of
from featrec.exceptions import InputError, MissingExtraError
from featrec.recipes import make

X, Y = load_digits(return_X_y=True)
X, Y = X[:300], Y[:300]

SPLIT = {"test": (X[200:], Y[200:])}
TRAIN = X[:200], Y[:200]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Measure costs for a moment only."""
    monkeypatch.setattr(_cost, "SECONDS", 0.05)


# Calibration


def test_calibration_equals_scikit_learn_and_a_loop():
    model = GaussianNB(var_smoothing=1e-2).fit(*TRAIN)
    found = compare({"bayes": model}, *TRAIN, **SPLIT, calibration=True)["bayes"].calibration
    shares = model.predict_proba(X[200:])
    assert found.log_loss == pytest.approx(log_loss(Y[200:], np.maximum(shares, 1e-15), labels=range(10)), rel=1e-3)
    assert found.brier == pytest.approx(brier_score_loss(Y[200:], shares, labels=range(10), scale_by_half=False))
    ece = 0.0
    for low in np.arange(15) / 15:
        inside = (shares.max(axis=1) > low) & (shares.max(axis=1) <= low + 1 / 15)
        if inside.any():
            gap = shares.max(axis=1)[inside].mean() - (shares.argmax(axis=1) == Y[200:])[inside].mean()
            ece += inside.mean() * abs(gap)
    assert found.ece == pytest.approx(ece)
    assert found.count.sum() == 100


def test_a_class_that_the_model_does_not_know_counts_as_wrong():
    model = GaussianNB().fit([[0.0], [0.1], [5.0], [5.1]], ["a", "a", "b", "b"])
    (row,) = probabilities_of(model, [[0.0]], np.array(["c"]))
    assert row == pytest.approx([1, 0, 0, 2])
    assert calibration_of([row[None]]).log_loss == pytest.approx(-math.log(1e-15))


def test_models_without_probabilities_have_no_calibration():
    models = {"svm": LinearSVC(random_state=0, tol=1e-2, max_iter=5000), "bayes": GaussianNB()}
    comparison = compare(models, *TRAIN, **SPLIT, calibration=True)
    assert comparison["svm"].calibration is None
    assert "calibration error, %" in str(comparison)
    assert np.isnan(comparison.to_frame().loc["svm", "brier"])
    assert "brier" not in compare(models, *TRAIN, **SPLIT).to_frame()


# Cost


def test_cost_is_measured_in_a_fresh_process():
    models = {"bayes": GaussianNB(), "elsewhere": Y[200:]}
    comparison = compare(models, *TRAIN, **SPLIT, cost=True)
    cost = comparison["bayes"].cost
    assert 0.1 < cost.start_seconds < 60
    assert 0 < cost.p50_seconds <= cost.p95_seconds
    assert 0 < cost.batch_seconds < cost.p50_seconds
    assert cost.batch_size == 64
    assert 30e6 < cost.peak_bytes < 1e9
    assert comparison["elsewhere"].cost is None
    text = str(comparison)
    assert "In a fresh process with the model file:" in text
    assert json.loads(comparison.to_json())["results"][1]["cost"]["batch_size"] == 64
    assert comparison.to_frame().loc["bayes", "peak_bytes"] == cost.peak_bytes


class Own(BaseEstimator, TransformerMixin):
    """Not importable in another process, and unknown to load."""

    n_parameters_ = 7
    n_multiply_adds_ = 1000
    pretrained_on = "ImageNet-1k"
    __sklearn_is_fitted__ = lambda self: True  # noqa: E731

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X


@pytest.mark.slow
def test_a_model_that_another_process_cannot_load_has_a_remark_instead_of_a_cost():
    comparison = compare({"own": make_pipeline(Own(), GaussianNB())}, *TRAIN, **SPLIT, cost=True)
    assert comparison["own"].cost is None
    assert "The cost of own could not be measured: the process failed: " in str(comparison)


def test_a_process_that_takes_too_long_is_stopped(monkeypatch):
    monkeypatch.setattr(_cost, "TIMEOUT", 0.01)
    comparison = compare({"bayes": GaussianNB()}, *TRAIN, **SPLIT, cost=True)
    assert comparison["bayes"].cost_remark == "the process was stopped after 0.01 s"


@pytest.mark.slow
def test_images_in_a_folder_can_be_measured(tmp_path):
    from featrec.datasets import ImageFolder

    rng = np.random.default_rng(0)
    for place in range(12):
        (tmp_path / "ab"[place % 2]).mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (20, 20), np.uint8)).save(tmp_path / "ab"[place % 2] / f"{place}.png")
    folder = ImageFolder(tmp_path)
    comparison = compare({"tiny": make("tiny_knn")}, folder, folder.labels, cv=2, cost=True)
    assert comparison["tiny"].cost.batch_size == 6


# Energy


class Tracker:
    """A tracker with the interface of codecarbon."""

    def __init__(self, **options):
        self.tasks = 0

    def start_task(self):
        self.tasks += 1

    def stop_task(self):
        return SimpleNamespace(energy_consumed=0.001 * self.tasks)


def test_energy_is_estimated_for_each_model(monkeypatch):
    monkeypatch.setitem(sys.modules, "codecarbon", SimpleNamespace(OfflineEmissionsTracker=Tracker))
    comparison = compare({"bayes": GaussianNB(), "tree": DecisionTreeClassifier()}, *TRAIN, **SPLIT, energy=True)
    assert (comparison["bayes"].kwh, comparison["tree"].kwh) == (0.002, 0.003)
    assert "Wh, estimate" in str(comparison)
    assert '<h2 id="energy">Energy</h2>' in comparison.to_html()
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    with pytest.raises(MissingExtraError, match=r"energy=True needs codecarbon; pip install \"featrec\[energy\]\""):
        compare({"bayes": GaussianNB()}, *TRAIN, **SPLIT, energy=True)


@pytest.mark.slow
def test_energy_by_codecarbon():
    pytest.importorskip("codecarbon")
    assert compare({"bayes": GaussianNB()}, *TRAIN, **SPLIT, energy=True)["bayes"].kwh > 0


# What the model says of itself


def test_parameters_of_all_steps_are_added_once():
    own = Own()
    models = {
        "plain": GaussianNB(),
        "pipeline": make_pipeline(own, GaussianNB()),
        "union": make_pipeline(make_union(Own(), Own()), GaussianNB()),
        "calibrated": CalibratedClassifierCV(make_pipeline(Own(), GaussianNB()), cv=2),
        "frozen": FrozenEstimator(make_pipeline(Own(), GaussianNB()).fit(*TRAIN)),
    }
    comparison = compare(models, *TRAIN, **SPLIT)
    told = {name: (comparison[name].n_parameters, comparison[name].n_multiply_adds) for name in models}
    once = (7, 1000)
    assert told == {"plain": (None, None), "pipeline": once, "union": (14, 2000), "calibrated": once, "frozen": once}
    assert comparison["pipeline"].pretrained_on == ("ImageNet-1k",)
    assert "pipeline was pre-trained on ImageNet-1k; the fit time does not include pre-training." in str(comparison)


def test_seeds_and_the_estimator_are_kept():
    models = {"fixed": DecisionTreeClassifier(random_state=3), "free": DecisionTreeClassifier(), "none": GaussianNB()}
    comparison = compare(models, *TRAIN, **SPLIT)
    assert [comparison[name].seeds for name in models] == [{"": "3"}, {"": "None"}, {}]
    calibrated = make_pipeline(StandardScaler(), CalibratedClassifierCV(LinearSVC(random_state=1), cv=2))
    assert compare({"svm": calibrated}, *TRAIN, **SPLIT)["svm"].seeds == {"calibratedclassifiercv__estimator": "1"}
    assert comparison["fixed"].estimator == "DecisionTreeClassifier(random_state=3)"
    assert comparison.stamp["machine"]["cores"] >= 1
    assert comparison.stamp["versions"]["numpy"] == np.__version__


# Groups and classes


def test_accuracies_of_groups_and_classes_are_those_of_a_loop():
    groups = np.array(["near", "far"])[np.arange(100) % 2]
    comparison = compare({"bayes": GaussianNB(), "tree": DecisionTreeClassifier()}, *TRAIN, **SPLIT, test_groups=groups)
    frame = comparison.groups_to_frame()
    correct = comparison["tree"].y_pred == Y[200:]
    assert frame.loc["far", "tree"] == correct[groups == "far"].mean()
    assert "Accuracy on each group, in percent." in str(comparison)
    assert "| far | 50 |" in comparison.to_markdown()
    recalls = comparison.classes_to_frame()["bayes"]
    assert recalls.to_numpy() == pytest.approx(recall_score(Y[200:], comparison["bayes"].y_pred, average=None))


def test_groups_of_splits_are_those_of_the_predictions():
    groups = np.arange(300) // 60
    folds = compare({"bayes": GaussianNB()}, X, Y, cv=GroupKFold(3), groups=groups)
    assert np.array_equal(folds.groups, groups)
    repeated = compare({"bayes": GaussianNB()}, X, Y, cv=GroupShuffleSplit(2, random_state=0), groups=groups)
    assert np.array_equal(repeated.groups, groups[repeated.rows])


def test_wrong_groups_are_refused():
    with pytest.raises(InputError, match="test_groups has 2 labels for 100 images"):
        compare({"bayes": GaussianNB()}, *TRAIN, **SPLIT, test_groups=["a", "b"])
    with pytest.raises(InputError, match="test_groups need a test set"):
        compare({"bayes": GaussianNB()}, X, Y, cv=3, test_groups=Y)
    with pytest.raises(InputError, match="the comparison has no groups"):
        compare({"bayes": GaussianNB()}, X, Y, cv=3).groups_to_frame()


# Duplicates


def test_duplicates_of_training_images_are_counted():
    test = np.concatenate([X[200:290], X[:4]]), np.concatenate([Y[200:290], Y[:4]])
    comparison = compare({"nearest": KNeighborsClassifier(1)}, *TRAIN, test=test)
    assert comparison.duplicates.tolist() == [90, 91, 92, 93]
    rest = (comparison["nearest"].y_pred == test[1])[:90].mean()
    assert "4 test images are identical, pixel for pixel, to training images; without them, the accuracy of" in str(comparison)
    assert f"nearest is {100 * rest:.1f} %." in str(comparison)
    assert compare({"nearest": KNeighborsClassifier(1)}, *TRAIN, test=test, duplicates=False).duplicates is None


def test_files_of_another_format_with_the_same_pixels_are_duplicates(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (8, 20, 20), np.uint8)
    paths = []
    for place, image in enumerate(pixels):
        paths.append(str(tmp_path / f"{place}.png"))
        Image.fromarray(image).save(paths[-1])
    Image.fromarray(pixels[0]).save(tmp_path / "same.bmp")
    labels = np.arange(8) % 2
    test = [str(tmp_path / "same.bmp"), rng.integers(0, 255, (9, 9), np.uint8)], [0, 1]
    assert compare({"tiny": make("tiny_knn")}, paths, labels, test=test).duplicates.tolist() == [0]
    folds = compare({"tiny": make("tiny_knn")}, [*paths, test[0][0]], [*labels, 0], cv=[([1, 2, 3, 4, 8], [0, 5, 6, 7])] * 2)
    assert folds.duplicates.tolist() == [0, 4]


def test_predictions_alone_read_no_image():
    assert compare({"own": Y[200:]}, *TRAIN, **SPLIT).duplicates is None
