"""Saved models are loaded unchanged, in this process and in a new one."""

import inspect
import io
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
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import Birch
from sklearn.datasets import load_digits
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
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

from featrec import descriptors, encoders, networks, pairwise, preprocessing, vocabularies
from featrec.exceptions import FeatrecWarning, InputError, ModelFileError
from featrec.persistence import _archive, load, model_bytes, save
from tests.contract.estimators import marks
from tests.tiny_network import write_tiny_network

DIGITS = load_digits()
CODES = DIGITS.data[:200]
NAMES = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
LABELS = NAMES[DIGITS.target[:200]]

MODELS = [
    LinearSVC(random_state=0),
    SVC(),
    SVC(kernel=pairwise.HistogramKernel()),
    SVC(kernel=pairwise.intersection_kernel),
    NuSVC(nu=0.05),
    RandomForestClassifier(5, random_state=0),
    ExtraTreesClassifier(5, random_state=0),
    DecisionTreeClassifier(random_state=0),
    GradientBoostingClassifier(n_estimators=2, max_depth=2, random_state=0),
    HistGradientBoostingClassifier(max_iter=2, max_leaf_nodes=3, random_state=0),
    AdaBoostClassifier(n_estimators=3, random_state=0),
    IsolationForest(n_estimators=3, max_features=0.5, random_state=0),
    KNeighborsClassifier(algorithm="brute"),
    KNeighborsClassifier(algorithm="kd_tree"),
    KNeighborsClassifier(algorithm="ball_tree", metric="manhattan"),
    KNeighborsClassifier(algorithm="ball_tree", metric="chebyshev", leaf_size=7),
    CalibratedClassifierCV(LinearSVC(random_state=0), cv=2),
    CalibratedClassifierCV(LinearSVC(random_state=0), cv=2, method="isotonic"),
    CalibratedClassifierCV(RandomForestClassifier(3, random_state=0), cv=2),
    GaussianNB(),
    SGDClassifier(random_state=0),
    MLPClassifier(4, max_iter=3, random_state=0),
    make_pipeline(StandardScaler(), LogisticRegression(max_iter=30)),
    make_pipeline(make_union(StandardScaler(), FunctionTransformer(np.sqrt)), LinearSVC(random_state=0)),
    VotingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier(random_state=0))]),
    StackingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier(random_state=0))], RandomForestClassifier(3), cv=2),
    GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=2),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("model", MODELS, ids=lambda model: re.sub(" at 0x[0-9a-f]+", "", str(model)).split("\n")[0][:60])
def test_loaded_scikit_learn_models_give_the_same_predictions(model, tmp_path):
    fitted = clone(model).fit(CODES, LABELS)
    save(fitted, tmp_path / "model")
    assert model_bytes(fitted) == os.path.getsize(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert type(loaded) is type(fitted)
    assert np.array_equal(loaded.predict(CODES), fitted.predict(CODES))


def test_a_precomputed_kernel_and_a_frozen_model(tmp_path):
    kernel = pairwise.intersection_kernel(CODES, CODES)
    fitted = FrozenEstimator(SVC(kernel="precomputed").fit(kernel, LABELS))
    save(fitted, tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").predict(kernel), fitted.predict(kernel))


@pytest.mark.parametrize("init", [None, "zero"])
@pytest.mark.parametrize("kind", [GradientBoostingClassifier, GradientBoostingRegressor])
def test_gradient_boosting_of_two_classes_and_of_numbers(kind, init, tmp_path):
    fitted = kind(n_estimators=2, max_depth=2, init=init).fit(CODES, DIGITS.target[:200] > 4)
    save(fitted, tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").predict(CODES), fitted.predict(CODES))


def _stage_estimators():
    for stage in (preprocessing, descriptors, vocabularies, encoders, pairwise):
        for name in stage.__all__:
            found = getattr(stage, name)
            abstract = found in (encoders.Encoder, descriptors.BagStep)
            if inspect.isclass(found) and issubclass(found, BaseEstimator) and not abstract:
                yield pytest.param(found, id=name, marks=marks(name))
    yield pytest.param(networks.CNNFeatures, id="CNNFeatures")
    yield pytest.param(networks.CNNMaps, id="CNNMaps")


def _images():
    random = np.random.default_rng(3)
    return [np.kron(random.integers(0, 256, (8, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8) for _ in range(6)]


@pytest.mark.parametrize("kind", list(_stage_estimators()))
def test_every_estimator_is_loaded_as_saved(kind, tmp_path):
    given, model = _example(kind, tmp_path)
    model.fit(given, [0, 1] * (len(given) // 2))
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert str(loaded) == str(model).replace(f"{tmp_path}/", "")
    for before, after in zip(_answers(model, given), _answers(loaded, given), strict=True):
        assert np.array_equal(before, after)


def _example(kind, folder):
    """Input and an unfitted estimator, for each kind of stage."""
    if kind in (networks.CNNFeatures, networks.CNNMaps):
        return _images(), kind(str(write_tiny_network(folder / "tiny.onnx")), layer="map")
    if kind.__module__.startswith("featrec.pairwise"):
        return CODES, kind()
    if kind is preprocessing.Unflatten:
        return CODES / 16, kind((8, 8))
    if kind is preprocessing.Augmented:
        return _images(), kind(make_pipeline(descriptors.TinyImage(), GaussianNB()), copies=2, views=2, random_state=0)
    if kind is preprocessing.Resize:
        return _images(), kind((16, 16))
    packed = kind is vocabularies.BinaryVocabulary
    bags = (descriptors.ORB(edge_threshold=8) if packed else descriptors.SIFT()).transform(_images())
    if kind is encoders.SpatialPyramid:
        return bags, kind(encoders.BagOfWords(4, random_state=0))
    if issubclass(kind, descriptors.BagStep):
        return bags, kind()
    if kind.__module__.startswith(("featrec.encoders", "featrec.vocabularies")):
        return bags, kind(4, random_state=0)
    return _images(), kind()


def _answers(model, given):
    if hasattr(model, "nearest"):
        learned = [getattr(model, name) for name in ("words_", "weights_", "means_", "covariances_") if hasattr(model, name)]
        return [model.nearest(given[0].descriptors), *learned]
    answers = model.transform(given) if hasattr(model, "transform") else model.predict_proba(given)
    return [getattr(answer, "descriptors", answer) for answer in answers]


def test_a_model_file_contains_the_network_without_its_folder(tmp_path):
    file = write_tiny_network(tmp_path / "tiny.onnx")
    model = networks.CNNFeatures(file).fit(_images())
    expected = model.transform(_images())
    save(model, tmp_path / "model")
    file.unlink()
    loaded = load(tmp_path / "model")
    assert loaded.model == "tiny.onnx"
    assert np.array_equal(loaded.transform(_images()), expected)


@pytest.mark.parametrize("folder", ["/home/me/nets", "C:\\\\nets", "nets"])
def test_of_a_networks_path_only_the_name_is_stored(folder, tmp_path):
    model = networks.CNNFeatures(write_tiny_network(tmp_path / "tiny.onnx")).fit(_images())
    model.model = f"{folder}\\\\tiny.onnx" if "\\\\" in folder else f"{folder}/tiny.onnx"
    save(model, tmp_path / "model")
    assert load(tmp_path / "model").model == "tiny.onnx"


def test_an_extractor_that_was_not_fitted_keeps_the_path_it_needs(tmp_path):
    save(networks.CNNFeatures("nets/tiny.onnx"), tmp_path / "model")
    assert load(tmp_path / "model").model == "nets/tiny.onnx"


@pytest.mark.parametrize("kind", [str, joblib.Memory], ids=["path", "joblib"])
def test_the_cache_of_a_pipeline_is_not_stored(kind, tmp_path):
    place = kind(str(tmp_path / "secret"))
    model = make_pipeline(StandardScaler(), LinearSVC(random_state=0), memory=place).fit(CODES, LABELS)
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.memory is None
    assert model.memory is place
    assert np.array_equal(loaded.predict(CODES), model.predict(CODES))
    with zipfile.ZipFile(tmp_path / "model") as archive:
        assert not any(b"secret" in archive.read(name) for name in archive.namelist())


def test_failures_are_not_stored(tmp_path):
    model = descriptors.TinyImage(on_error="empty").fit(_images())
    with pytest.warns(FeatrecWarning, match="1 of 7"):
        model.transform([*_images(), tmp_path / "secret.png"])
    assert len(model.failures_) == 1
    save(model, tmp_path / "model")
    assert not hasattr(load(tmp_path / "model"), "failures_")


def test_threads_and_progress_are_stored(tmp_path):
    save(encoders.BagOfWords(7, n_jobs=3, verbose=2), tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert (loaded.n_jobs, loaded.verbose) == (3, 2)


def test_a_parameter_newer_than_the_file_gets_its_default(tmp_path):
    model = descriptors.DenseSIFT(step=9)
    del model.bin_sizes, model.window_size
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    default = descriptors.DenseSIFT()
    assert (loaded.step, loaded.bin_sizes, loaded.window_size) == (9, default.bin_sizes, default.window_size)


def test_a_missing_parameter_without_default_is_refused(tmp_path):
    model = preprocessing.Resize(9)
    del model.size
    save(model, tmp_path / "model")
    with pytest.raises(ModelFileError, match=r"featrec\.preprocessing\.Resize lacks its parameter size"):
        load(tmp_path / "model")


@pytest.mark.parametrize("path", [Path("a", "b.onnx"), Path("/a"), Path()], ids=str)
def test_paths_are_written_as_text(path, tmp_path):
    save(FunctionTransformer(kw_args={"path": path}), tmp_path / "model")
    assert load(tmp_path / "model").kw_args == {"path": str(path)}


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
def test_a_pipeline_of_bag_steps_predicts_the_same(encoder, tmp_path):
    labels = [0, 1] * 3
    steps = descriptors.SIFT(), descriptors.RootSIFT(), descriptors.Whiten(9, random_state=0)
    model = make_pipeline(*steps, descriptors.AppendPosition(scale=True), encoder, LinearSVC(random_state=0))
    model.fit(_images(), labels)
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert np.array_equal(loaded.decision_function(_images()), model.decision_function(_images()))
    assert list(loaded[:-2].get_feature_names_out()) == list(model[:-2].get_feature_names_out())


def test_words_of_bytes_are_loaded_as_bytes(tmp_path):
    extractor = descriptors.DenseSIFT(step=8, bin_sizes=4, dtype="uint8")
    model = make_pipeline(extractor, encoders.BagOfWords(5, random_state=0), LinearSVC(random_state=0))
    model.fit(_images(), [0, 1] * 3)
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
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


def test_a_model_always_gives_the_same_bytes(tmp_path):
    model = RandomForestClassifier(3, random_state=0).fit(CODES, LABELS)
    save(model, tmp_path / "first")
    save(load(tmp_path / "first"), tmp_path / "second")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


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


@pytest.mark.parametrize("function", [lambda x: x, StandardScaler().fit_transform], ids=["lambda", "bound method"])
def test_functions_without_a_name_in_a_module_are_not_saved(function, tmp_path):
    with pytest.raises(InputError, match="cannot be saved: lambdas, bound methods"):
        save(FunctionTransformer(function), tmp_path / "model")


def test_the_error_names_an_estimator_that_skops_cannot_write(tmp_path):
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
def test_a_users_class_is_loaded_when_it_is_trusted(trusted, tmp_path):
    model = FeatureUnion([("own", Doubler())])
    save(model, tmp_path / "model")
    with pytest.raises(ModelFileError, match=r"not trusted: own_package\.Doubler.*load\(path, trusted=\['own_package"):
        load(tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model", trusted=trusted).fit_transform(CODES), 2 * CODES)


def test_a_private_class_of_featrec_is_not_saved(tmp_path):
    class Inside(descriptors.TinyImage):
        __module__ = "featrec.descriptors._inside"

    with pytest.raises(InputError, match=r"_inside\.Inside is not a public class"):
        save(Inside(), tmp_path / "model")


def test_large_zeros_are_stored_without_compression(monkeypatch, tmp_path):
    monkeypatch.setattr(_archive, "ALWAYS_SMALL_ENOUGH", 10_000)
    model = NearestCentroid().fit(np.zeros((20, 5_000)) + np.eye(20, 5_000)[:, :1], ["a", "b"] * 10)
    save(model, tmp_path / "model")
    with zipfile.ZipFile(io.BytesIO((tmp_path / "model").read_bytes())) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    assert np.array_equal(load(tmp_path / "model").centroids_, model.centroids_)
