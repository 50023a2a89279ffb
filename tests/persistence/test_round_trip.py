"""Saved models are loaded unchanged, in this process and in a new one."""

import json
import os
import re
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn import ensemble
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import Birch
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier

from featrec import descriptors, encoders, networks, pairwise, preprocessing
from featrec.exceptions import InputError, ModelFileError
from featrec.persistence import _archive, load, model_bytes, save
from tests.persistence.archives import reloaded, saved
from tests.tiny_network import write_tiny_network

DIGITS = load_digits()
CODES = DIGITS.data[:200]
NAMES = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
LABELS = NAMES[DIGITS.target[:200]]

PAIR = [("a", GaussianNB()), ("b", DecisionTreeClassifier(random_state=0))]
MODELS = [
    LinearSVC(random_state=0),
    SVC(),
    SVC(kernel=pairwise.HistogramKernel()),
    SVC(kernel=pairwise.intersection_kernel),
    NuSVC(nu=0.05),
    ensemble.RandomForestClassifier(5, random_state=0),
    ensemble.ExtraTreesClassifier(5, random_state=0),
    DecisionTreeClassifier(random_state=0),
    ensemble.GradientBoostingClassifier(n_estimators=2, max_depth=2, random_state=0),
    ensemble.HistGradientBoostingClassifier(max_iter=2, max_leaf_nodes=3, random_state=0),
    ensemble.AdaBoostClassifier(n_estimators=3, random_state=0),
    ensemble.IsolationForest(n_estimators=3, max_features=0.5, random_state=0),
    KNeighborsClassifier(algorithm="brute"),
    KNeighborsClassifier(algorithm="kd_tree"),
    KNeighborsClassifier(algorithm="ball_tree", metric="manhattan"),
    KNeighborsClassifier(algorithm="ball_tree", metric="chebyshev", leaf_size=7),
    CalibratedClassifierCV(LinearSVC(random_state=0), cv=2),
    CalibratedClassifierCV(LinearSVC(random_state=0), cv=2, method="isotonic"),
    CalibratedClassifierCV(ensemble.RandomForestClassifier(3, random_state=0), cv=2),
    GaussianNB(),
    SGDClassifier(random_state=0),
    MLPClassifier(4, max_iter=3, random_state=0),
    make_pipeline(StandardScaler(), LogisticRegression(max_iter=30)),
    make_pipeline(make_union(StandardScaler(), FunctionTransformer(np.sqrt)), LinearSVC(random_state=0)),
    ensemble.VotingClassifier(PAIR),
    ensemble.StackingClassifier(PAIR, ensemble.RandomForestClassifier(3), cv=2),
    GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=2),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("model", MODELS, ids=lambda model: re.sub(" at 0x[0-9a-f]+", "", str(model)).split("\n")[0][:60])
def test_loaded_scikit_learn_models_give_the_same_predictions(model):
    fitted = clone(model).fit(CODES, LABELS)
    loaded = reloaded(fitted)
    assert model_bytes(fitted) == os.path.getsize("model.featrec")
    assert type(loaded) is type(fitted)
    assert np.array_equal(loaded.predict(CODES), fitted.predict(CODES))


def test_a_precomputed_kernel_and_a_frozen_model():
    kernel = pairwise.intersection_kernel(CODES, CODES)
    fitted = FrozenEstimator(SVC(kernel="precomputed").fit(kernel, LABELS))
    assert np.array_equal(reloaded(fitted).predict(kernel), fitted.predict(kernel))


@pytest.mark.parametrize("init", [None, "zero"])
@pytest.mark.parametrize("kind", [ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor])
def test_gradient_boosting_of_two_classes_and_of_numbers(kind, init):
    fitted = kind(n_estimators=2, max_depth=2, init=init).fit(CODES, DIGITS.target[:200] > 4)
    assert np.array_equal(reloaded(fitted).predict(CODES), fitted.predict(CODES))


def _images():
    random = np.random.default_rng(3)
    return [np.kron(random.integers(0, 256, (8, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8) for _ in range(6)]


def test_a_model_file_contains_the_network_without_its_folder(tmp_path):
    file = write_tiny_network(tmp_path / "tiny.onnx")
    model = networks.CNNFeatures(file).fit(_images())
    expected = model.transform(_images())
    saved(model)
    file.unlink()
    loaded = load("model.featrec")
    assert loaded.model == "tiny.onnx"
    assert np.array_equal(loaded.transform(_images()), expected)
    for folder in ("/home/me/nets/", "C:\\nets\\", "nets/"):
        loaded.model = f"{folder}tiny.onnx"
        assert reloaded(loaded).model == "tiny.onnx"


def test_an_extractor_that_was_not_fitted_keeps_the_path_it_needs():
    assert reloaded(networks.CNNFeatures("nets/tiny.onnx")).model == "nets/tiny.onnx"


@pytest.mark.parametrize("kind", [str, joblib.Memory], ids=["path", "joblib"])
def test_the_cache_of_a_pipeline_is_not_stored(kind, tmp_path):
    place = kind(str(tmp_path / "secret"))
    model = make_pipeline(StandardScaler(), LinearSVC(random_state=0), memory=place).fit(CODES, LABELS)
    loaded = reloaded(model)
    assert loaded.memory is None
    assert model.memory is place
    assert np.array_equal(loaded.predict(CODES), model.predict(CODES))
    with zipfile.ZipFile("model.featrec") as archive:
        assert not any(b"secret" in archive.read(name) for name in archive.namelist())


def test_threads_and_progress_are_stored():
    loaded = reloaded(encoders.BagOfWords(7, n_jobs=3, verbose=2))
    assert (loaded.n_jobs, loaded.verbose) == (3, 2)


def test_a_parameter_newer_than_the_file_gets_its_default():
    model = descriptors.DenseSIFT(step=9)
    del model.bin_sizes, model.window_size
    loaded = reloaded(model)
    default = descriptors.DenseSIFT()
    assert (loaded.step, loaded.bin_sizes, loaded.window_size) == (9, default.bin_sizes, default.window_size)


def test_a_missing_parameter_without_default_is_refused():
    model = preprocessing.Resize(9)
    del model.size
    with pytest.raises(ModelFileError, match=r"featrec\.preprocessing\.Resize lacks its parameter size"):
        reloaded(model)


@pytest.mark.parametrize("path", [Path("a", "b.onnx"), Path("/a"), Path()], ids=str)
def test_paths_are_written_as_text(path):
    assert reloaded(FunctionTransformer(kw_args={"path": path})).kw_args == {"path": str(path)}


def _bag_of_words():
    words = encoders.BagOfWords(8, random_state=0)
    images = [np.pad(image.astype(np.uint8) * 15, 12) for image in DIGITS.images[:60]]
    model = make_pipeline(descriptors.DenseSIFT(), words, SVC(kernel=pairwise.HistogramKernel()))
    return images, model.fit(images, LABELS[:60])


@pytest.mark.parametrize(
    "encoder",
    [
        encoders.FisherVector(3, random_state=0),
        encoders.FisherVector(GaussianMixture(3, covariance_type="diag", random_state=0), weight_gradients=True),
        encoders.VLAD(4, random_state=0),
        encoders.SpatialPyramid(encoders.FisherVector(3, random_state=0), levels=2),
        encoders.SpatialPyramid(encoders.LLC(6, random_state=0), levels=[(1, 1), (3, 1)]),
    ],
    ids=lambda encoder: str(encoder)[:40],
)
def test_a_pipeline_of_bag_steps_predicts_the_same(encoder):
    labels = [0, 1] * 3
    steps = descriptors.SIFT(), descriptors.RootSIFT(), descriptors.Whiten(9, random_state=0)
    model = make_pipeline(*steps, descriptors.AppendPosition(scale=True), encoder, LinearSVC(random_state=0))
    model.fit(_images(), labels)
    loaded = reloaded(model)
    assert np.array_equal(loaded.decision_function(_images()), model.decision_function(_images()))
    assert list(loaded[:-2].get_feature_names_out()) == list(model[:-2].get_feature_names_out())


def test_words_of_bytes_are_loaded_as_bytes():
    extractor = descriptors.DenseSIFT(step=8, bin_sizes=4, dtype="uint8")
    model = make_pipeline(extractor, encoders.BagOfWords(5, random_state=0), LinearSVC(random_state=0))
    model.fit(_images(), [0, 1] * 3)
    loaded = reloaded(model)
    assert loaded[1].vocabulary_.words_.dtype == np.uint8
    assert np.array_equal(loaded.decision_function(_images()), model.decision_function(_images()))


def test_a_new_process_needs_only_load(tmp_path):
    images, model = _bag_of_words()
    save(model, tmp_path / "model")
    np.save(tmp_path / "images.npy", images)
    code = (
        "import sys, numpy as np; from featrec.persistence import load; print(*load(sys.argv[1]).predict(np.load(sys.argv[2])))"
    )
    command = [sys.executable, "-c", code, tmp_path / "model", tmp_path / "images.npy"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not answer.stderr
    assert answer.stdout.split() == model.predict(images).tolist()


def test_the_file_has_public_names_and_nothing_of_this_machine(tmp_path):
    _, model = _bag_of_words()
    save(model, tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model") as archive:
        header, schema = json.loads(archive.read("featrec.json")), archive.read("schema.json").decode()
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert '"__module__":"featrec.encoders"' in schema
    assert "featrec.encoders._" not in schema
    assert str(tmp_path) not in schema + json.dumps(header)
    assert header["model"] == "sklearn.pipeline.Pipeline"
    assert {"featrec.encoders.BagOfWords", "featrec.pairwise.HistogramKernel", "sklearn.svm.SVC"} < set(header["objects"])
    assert header["classes"] == model.classes_.tolist()
    assert set(header["versions"]) == {"featrec", "numpy", "scikit-learn", "opencv", "skops", "python"}


def test_a_model_always_gives_the_same_bytes():
    first = saved(ensemble.RandomForestClassifier(3, random_state=0).fit(CODES, LABELS))
    assert saved(load("model.featrec")) == first


def test_a_file_is_replaced_completely_or_not_at_all(tmp_path, monkeypatch):
    save(GaussianNB().fit(CODES, LABELS), tmp_path / "model")
    before = (tmp_path / "model").read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save(GaussianNB(var_smoothing=1.0).fit(CODES, LABELS), tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_the_file_has_the_usual_mode(tmp_path):
    save(GaussianNB(), tmp_path / "model")
    (tmp_path / "plain").touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("model", "plain")}
    assert len(modes) == 1


@pytest.mark.parametrize("model", [{"a": GaussianNB()}, GaussianNB, [GaussianNB()], None], ids=str)
def test_other_objects_than_estimators_are_not_saved(model, tmp_path):
    with pytest.raises(InputError, match="save expects a scikit-learn estimator; got"):
        save(model, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_the_error_names_what_cannot_be_saved(tmp_path):
    for function in (lambda x: x, StandardScaler().fit_transform):
        with pytest.raises(InputError, match="cannot be saved: lambdas, bound methods"):
            save(FunctionTransformer(function), tmp_path / "model")
    with pytest.raises(InputError, match="Birch contains something that cannot be saved"):
        save(Birch(), tmp_path / "model")


class Doubler(TransformerMixin, ClassifierMixin, BaseEstimator):
    """A class that a user defines."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return 2 * X


@pytest.fixture
def own_class(monkeypatch):
    """Import Doubler from a package of a user."""
    module = type(sys)("own_package")
    module.Doubler = Doubler
    monkeypatch.setitem(sys.modules, "own_package", module)
    monkeypatch.setattr(Doubler, "__module__", "own_package")


@pytest.mark.usefixtures("own_class")
@pytest.mark.parametrize("trusted", [["own_package.Doubler"], [Doubler]], ids=["name", "class"])
def test_a_users_class_is_loaded_when_it_is_trusted(trusted):
    saved(FeatureUnion([("own", Doubler())]))
    with pytest.raises(ModelFileError, match=r"not trusted: own_package\.Doubler.*load\(path, trusted=\['own_package"):
        load("model.featrec")
    assert np.array_equal(load("model.featrec", trusted=trusted).fit_transform(CODES), 2 * CODES)


def test_a_private_class_of_featrec_is_not_saved(tmp_path):
    class Inside(descriptors.TinyImage):
        __module__ = "featrec.descriptors._inside"

    with pytest.raises(InputError, match=r"_inside\.Inside is not a public class"):
        save(Inside(), tmp_path / "model")


def test_large_zeros_are_stored_without_compression(monkeypatch):
    monkeypatch.setattr(_archive, "ALWAYS_SMALL_ENOUGH", 10_000)
    model = NearestCentroid().fit(np.zeros((20, 5_000)) + np.eye(20, 5_000)[:, :1], ["a", "b"] * 10)
    assert np.array_equal(reloaded(model).centroids_, model.centroids_)
    with zipfile.ZipFile("model.featrec") as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
