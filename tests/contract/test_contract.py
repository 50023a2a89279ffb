"""Tests of all public estimators; new estimators are found automatically."""

import inspect
import pickle
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from featrec.classifiers import (
    Calibrated,
    KernelRidgeClassifier,
    NystroemRidgeClassifier,
    RejectUnknown,
    WideLinearSVC,
    WidePCA,
    WideRidge,
    WideScaler,
)
from featrec.exceptions import InputError
from featrec.lazy import Bags, Images
from featrec.pairwise import HistogramKernel
from featrec.persistence import load, save
from featrec.testing import check_encoder, check_extractor, random_bags, textured_images
from featrec.vocabularies import GaussianVocabulary, KMeansVocabulary, RandomVocabulary
from tests.contract.estimators import kind, make, marks, public_estimators
from tests.tiny_network import write_tiny_network

ALL = public_estimators()
CLASSES = [pytest.param(cls, id=name, marks=marks(name)) for name, cls in sorted(ALL.items())]
CLASSIFIERS = ("classifier", "classifier of codes", "network")
KINDS = {"extractor", "preprocessor", "bag step", "encoder", "vocabulary", "codes", *CLASSIFIERS}


def of_kind(*kinds):
    return [param for param in CLASSES if kind(param.values[0]) in kinds]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "tiny.onnx"
    write_tiny_network(path)
    return path


def binary_bags():
    random = np.random.default_rng(0)
    from featrec import Bag

    return [Bag(random.integers(0, 256, (n, 32), dtype=np.uint8), metric="hamming") for n in (9, 14, 3, 20)]


def histograms():
    """Return Bags with frames and without negative numbers."""
    return [replace(bag, descriptors=abs(bag.descriptors)) for bag in random_bags()]


def material(cls):
    """Return data to which an estimator of this class is fitted and applied."""
    if cls.__name__ == "Unflatten":
        return np.random.default_rng(0).integers(0, 256, (6, 64), dtype=np.uint8)
    if cls.__name__ == "BinaryVocabulary":
        return binary_bags()
    return {
        "extractor": textured_images,
        "preprocessor": textured_images,
        "encoder": random_bags,
        "vocabulary": random_bags,
        "bag step": histograms,
        "codes": lambda: np.random.default_rng(0).random((12, 7)).astype(np.float32),
        "classifier of codes": lambda: np.random.default_rng(0).random((12, 17)).astype(np.float32),
        "classifier": textured_images,
        "network": lambda: np.random.default_rng(0).integers(0, 256, (12, 16, 16), dtype=np.uint8),
    }[kind(cls)]()


def fitted(estimator, X):
    """Fit the estimator; classifiers get two labels that alternate."""
    labelled = kind(type(estimator)) in CLASSIFIERS
    return estimator.fit(X, np.resize(["cat", "dog"], len(X))) if labelled else estimator.fit(X)


def numbers(result):
    """Convert a result to a list of arrays."""
    if isinstance(result, Bags):
        return [bag.descriptors for bag in result]
    if isinstance(result, Images):
        return list(result)
    return [np.asarray(result)]


def outcome(estimator, X):
    """Return the results of a fitted estimator for X, for any type of estimator."""
    if hasattr(estimator, "transform"):
        return numbers(estimator.transform(X))
    if kind(type(estimator)) in {"classifier", "network"}:
        return [estimator.predict(X), estimator.predict_proba(X)]
    if kind(type(estimator)) == "classifier of codes":
        return [estimator.predict(X), estimator.decision_function(X)]
    learned = ("words_", "weights_", "means_", "covariances_")
    return [estimator.nearest(X[0].descriptors), *(vars(estimator)[name] for name in learned if name in vars(estimator))]


def equal(first, second):
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_walk_finds_the_public_names():
    expected = {"SIFT", "ORB", "DenseSIFT", "HOG", "ColorHistogram", "TinyImage", "CNNFeatures", "BagOfWords", "SpatialPyramid"}
    expected |= {"Rescale", "CLAHE", "NormalizeContrast", "Denoise", "AdjustLight", "Augmented", "BlurFaces"}
    assert expected | {"KMeansVocabulary", "BinaryVocabulary", "HistogramKernel", "Resize", "Grayscale", "Unflatten"} <= set(
        ALL
    )


@pytest.mark.parametrize("cls", CLASSES)
def test_every_estimator_has_a_known_kind(cls):
    assert kind(cls) in KINDS, "a new kind of estimator needs a place in this suite"


@pytest.mark.parametrize("cls", of_kind("extractor"))
def test_extractors_pass_the_public_checks(cls, network):
    check_extractor(make(cls, network))


@pytest.mark.parametrize("cls", of_kind("encoder"))
def test_encoders_pass_the_public_checks(cls, network):
    check_encoder(make(cls, network))


@pytest.mark.parametrize("cls", CLASSES)
def test_only_the_first_argument_is_positional_and_init_only_stores(cls, network):
    parameters = list(inspect.signature(cls).parameters.values())
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in parameters[1:])
    estimator = make(cls, network)
    assert set(vars(estimator)) == set(estimator.get_params(deep=False))


@pytest.mark.parametrize("cls", CLASSES)
def test_parameters_are_declared_and_documented(cls):
    names = set(inspect.signature(cls).parameters)
    assert names <= set(cls._parameter_constraints), "each parameter needs a constraint"
    documentation = inspect.getdoc(cls)
    assert all(f"{name} :" in documentation or f", {name}" in documentation for name in names)
    assert "Examples\n" in documentation


@pytest.mark.parametrize("cls", CLASSES)
def test_clone_and_repr(cls, network):
    estimator = make(cls, network)
    assert repr(clone(estimator)) == repr(estimator)
    assert cls.__name__ in repr(estimator)


@pytest.mark.parametrize("cls", CLASSES)
def test_fit_returns_self_and_keeps_parameters(cls, network):
    estimator = make(cls, network)
    before = estimator.get_params(deep=False)
    assert fitted(estimator, material(cls)) is estimator
    after = estimator.get_params(deep=False)
    assert all(after[name] is value for name, value in before.items())


@pytest.mark.parametrize("cls", CLASSES)
def test_pickle_and_model_file_give_the_same_numbers(cls, network, tmp_path):
    X = material(cls)
    estimator = fitted(make(cls, network), X)
    expected = outcome(estimator, X)
    assert equal(outcome(pickle.loads(pickle.dumps(estimator)), X), expected)
    save(estimator, tmp_path / "model.featrec")
    assert equal(outcome(load(tmp_path / "model.featrec"), X), expected)


@pytest.mark.parametrize("cls", CLASSES)
def test_two_fits_agree_whatever_n_jobs(cls, network):
    X = material(cls)
    first = make(cls, network)
    second = clone(first)
    # With another number of threads, torch adds in a different order, as the docstrings of networks state.
    jobs = [name for name in second.get_params() if name.rpartition("__")[2] == "n_jobs" and kind(cls) != "network"]
    second.set_params(**dict.fromkeys(jobs, 2))
    assert equal(outcome(fitted(first, X), X), outcome(fitted(second, X), X))


LEARNING_STEPS = [param for param in of_kind("bag step") if param.values[0]().__sklearn_tags__().requires_fit]


@pytest.mark.parametrize("cls", of_kind("encoder", "vocabulary", "codes", *CLASSIFIERS) + LEARNING_STEPS)
def test_an_unfitted_estimator_raises_not_fitted(cls, network):
    X = material(cls)
    estimator = make(cls, network)
    with pytest.raises(NotFittedError, match="not fitted"):
        outcome(estimator, X)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_wrong_parameter_is_refused_before_work(cls, network):
    names = ("step", "n_words", "bins", "orientations", "n_jobs", "levels", "n_features", "verbose", "copies", "gamma")
    for name in names:
        if name in make(cls, network).get_params(deep=False):
            estimator = make(cls, network).set_params(**{name: "wrong"})
            with pytest.raises(ValueError, match=name):
                fitted(estimator, material(cls))


WRONG = {
    "AKAZE": {"descriptor_type": ["kaze"], "threshold": [-0.1, np.inf], "n_octaves": [0], "n_octave_layers": [0],
              "diffusivity": ["none"], "max_points": [-2]},
    "AdjustLight": {"gamma": [0], "contrast": [-1], "brightness": [20]},
    "AppendPosition": {"weight": [0, np.inf], "scale": ["log"]},
    "Augmented": {"flip": [True], "rotate": [200], "scale": [-1], "translate": [2], "crop": [1], "light": [2], "color": [-0.1],
                  "noise": [25], "copies": [-1], "views": [0.5], "random_state": ["a"]},
    "BRISK": {"thresh": [-1, 256], "octaves": [-1], "pattern_scale": [0, np.inf, np.nan]},
    "BlurFaces": {"detector": [3, None], "min_size": [0], "cells": [0, 2.5], "margin": [-0.1, 3], "shape": ["circle"]},
    "CLAHE": {"clip_limit": [0]},
    "ColorHistogram": {"bins": [0], "space": ["bgr"], "on_error": ["skip"]},
    "Denoise": {"method": ["mean"], "size": [0], "strength": [0, 25]},
    "DenseSIFT": {"step": [0], "magnif": [0], "contrast_threshold": [-1], "window_size": [0], "bin_sizes": ["4"],
                  "color": ["lab"], "window": ["hann"], "dtype": ["float64"]},
    "Deskew": {"background": ["gray"]},
    "FisherVector": {"power": [0]},
    "GaussianVocabulary": {"min_variance": [0]},
    "HOG": {"block_norm": ["l2"], "orientations": [0]},
    "HistogramKernel": {"kind": ["cosine"]},
    "KernelRidgeClassifier": {"held_out": [0.0, 0.51, 1.0]},
    "NormalizeContrast": {"spread": [0, 3], "window": [0, 3], "floor": [0]},
    "ORB": {"n_features": [0], "scale_factor": [1.0], "n_levels": [0], "edge_threshold": [-1], "first_level": [-1],
            "score_type": ["best"], "patch_size": [1], "fast_threshold": [256]},
    "Patches": {"size": [0, 121], "stride": [0], "contrast": [-1], "color": ["hsv"]},
    "Rescale": {"max_value": [0, 4095.5], "bits": [0, 17]},
    "Resize": {"mode": ["zoom"], "fill": [255, "black"], "size": [0, 4.5]},
    "PredictAugmented": {"flip": [True, "up"], "rotate": [200], "scale": [-1, 10], "translate": [2]},
    "RejectUnknown": {"method": ["maximum"], "coverage": [0, 1, "auto"], "per_class": ["yes"], "calibration_fraction": [0, 1],
                      "min_features": [-1, 0.5], "unknown_label": [["unknown"]], "random_state": ["a"]},
    "SIFT": {"n_features": [-1], "n_octave_layers": [0], "contrast_threshold": [-0.1], "edge_threshold": [0], "sigma": [0]},
    "SignCode": {"share": [0, 1.1], "norm": ["l1"]},
    "ThresholdCode": {"threshold": [-1.0], "norm": ["l1"]},
    "TinyImage": {"on_error": ["skip"]},
    "TriangleCode": {"norm": ["l1"]},
    "Unflatten": {"max_value": [0, -1, "white"]},
    "Whiten": {"n_components": [0], "whiten": ["pca"], "regularization": [-1], "epsilon": [np.inf], "max_descriptors": [1]},
    "WideScaler": {"power": [2.0]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        pytest.param(name, parameter, value, marks=marks(name))
        for name, wrong in WRONG.items()
        for parameter, values in wrong.items()
        for value in values
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name, parameter, value, network):
    estimator, X = make(ALL[name], network).set_params(**{parameter: value}), material(ALL[name])
    needs_fit = kind(ALL[name]) != "extractor" or name == "Patches"  # with color="auto"
    for ask in (fitted,) if needs_fit else (fitted, type(estimator).transform):
        with pytest.raises(ValueError, match=f"The '{parameter}' parameter of {name} must be"):
            ask(estimator, X)


@pytest.mark.parametrize(
    "cls", [c for c in of_kind("extractor", "preprocessor", "classifier", "network") if c.id != "Unflatten"]
)
def test_one_image_is_refused_with_the_way_out(cls, network):
    with pytest.raises(ValueError, match=r"\[image\]"):
        fitted(make(cls, network), np.zeros((20, 20), np.uint8))


@pytest.mark.parametrize("cls", of_kind("extractor", "preprocessor", "network"))
def test_a_wrong_number_of_labels_is_refused_before_images_are_described(cls, network):
    X = material(cls)
    with pytest.raises(InputError, match=rf"{len(X)} images and {len(X) - 1} labels; each image needs one label"):
        make(cls, network).fit(X, np.resize(["cat", "dog"], len(X) - 1))


@pytest.mark.parametrize("cls", of_kind("encoder"))
def test_fitting_on_empty_bags_is_an_error(cls, network):
    from featrec import Bag

    with pytest.raises(ValueError, match="empty"):
        make(cls, network).fit([Bag(np.empty((0, 8), np.float32))] * 3)


@pytest.mark.parametrize("cls", of_kind("extractor", "encoder"))
def test_pandas_frames_keep_names(cls, network):
    X = material(cls)
    estimator = make(cls, network).set_output(transform="pandas")
    result = estimator.fit_transform(X)
    if isinstance(result, Bags):
        assert len(estimator.get_feature_names_out()) == result[0].descriptors.shape[1]
        return
    assert list(result.columns) == list(estimator.get_feature_names_out())
    assert result.columns[0].startswith(cls.__name__.lower())


def two_dimensional():
    return [
        Calibrated(RidgeClassifier(), method="temperature", cv=3),
        GaussianVocabulary(3, max_iter=5, random_state=0),
        HistogramKernel(),
        HistogramKernel("chi2", gamma="mean"),
        HistogramKernel("intersection", output="distance"),
        KernelRidgeClassifier(),
        KMeansVocabulary(3, max_iter=5, random_state=0),
        NystroemRidgeClassifier(landmarks=20),
        RejectUnknown(RidgeClassifier(), method="distance", random_state=0),
        RandomVocabulary(1, random_state=0),
        RandomVocabulary(3, unit_length=False, random_state=0),
        WideLinearSVC(),
        WidePCA(),
        WideRidge(),
        WideScaler(),
    ]


def stated_departures(estimator):
    reasons = {
        "WideLinearSVC": "codes and products are float32: a repeated row equals a doubled weight to 1e-4, the check wants 1e-7",
        "Calibrated": "folds are dealt out by rows, so copies of a row lie in several and a weighted row in one",
        "WideRidge": "of a repeated row one copy is left out at a time to choose the penalty, of a weighted row the whole",
        "KernelRidgeClassifier": "held-out rows are drawn, and the kernel's scale is measured, without weights",
        "NystroemRidgeClassifier": "rows are held out to choose the penalty, and repeated ones are other folds",
    }
    if type(estimator) is RejectUnknown:
        reason = "predict also rejects rows, so it differs from the class with the highest score"
        return dict.fromkeys(("check_classifiers_classes", "check_classifiers_train"), reason)
    reason = reasons.get(type(estimator).__name__)
    check = "check_sample_weight_equivalence_on_{}_data"
    return {} if reason is None else {check.format(kind): reason for kind in ("dense", "sparse")}


@parametrize_with_checks(two_dimensional(), expected_failed_checks=stated_departures)
def test_scikit_learn_checks(estimator, check):
    try:
        check(estimator)
    except AssertionError:
        # The last digit for a row may differ between one row and a batch, depending on BLAS.
        kernels = type(estimator).__name__ in {"KernelRidgeClassifier", "NystroemRidgeClassifier"}
        if kernels and check.func.__name__ == "check_methods_subset_invariance":
            pytest.xfail("kernel values are float32: scores agree to 1e-4, the check wants 1e-7")
        invariance = {"check_methods_subset_invariance", "check_methods_sample_order_invariance"}
        if type(estimator).__name__ == "WidePCA" and check.func.__name__ in invariance:
            pytest.xfail("products are float32: columns agree to 1e-6, the check wants 1e-7")
        raise


def test_scikit_learn_checks_cover_every_estimator_of_matrices():
    takes_matrix = {name for name, cls in ALL.items() if kind(cls) in {"vocabulary", "codes", "classifier of codes"}}
    assert takes_matrix - {"BinaryVocabulary"} == {type(e).__name__ for e in two_dimensional()}
