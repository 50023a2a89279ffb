"""Every encoder, classifier and recipe is explained, or refused with the way out. A new one must be added to these lists."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec import classifiers, encoders, recipes
from featrec.classifiers import Calibrated
from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT, Whiten
from featrec.encoders import BagOfWords
from featrec.explanation import explain

# The method for each classifier of featrec; None for steps that are not classifiers.
METHODS = {
    "Calibrated": "sum",
    "KernelRidgeClassifier": "path",
    "NystroemRidgeClassifier": "path",
    "RejectUnknown": None,  # a wrapper around a whole model; test_explain.py explains models in it
    "Review": None,
    "WideLinearSVC": "sum",
    "WidePCA": None,
    "WideRidge": "sum",
    "WideScaler": None,
}
SMALL = {"bin_sizes": (4,), "step": 8}
# The options and the method of each recipe; None if it is refused, or needs a network.
RECIPES = {
    "bovw_svm": ({"n_words": 20}, "sum"),
    "cnn_fisher_svm": ({}, None),
    "cnn_svm": ({}, None),
    "cnn_vlad_svm": ({}, None),
    "color_forest": ({}, "rules"),
    "fisher_lbp_svm": ({"n_words": 3, "n_dimensions": 8, **SMALL}, "sum"),
    "fisher_svm": ({"n_words": 3, "n_dimensions": 8, **SMALL}, "sum"),
    "hog_svm": ({}, "path"),
    "lbp_svm": ({}, "sum"),
    "orb_knn": ({"n_words": 10}, "neighbors"),
    "patches_compact": ({"n_words": 32}, "path"),
    "patches_kernel": ({"n_words": 32}, "path"),
    "patches_ridge": ({"n_words": 32}, "sum"),
    "phow_svm": ({"n_words": 20, **SMALL}, "sum"),
    "pixels_lenet5": ({}, None),
    "pixels_resnet": ({}, None),
    "tiny_knn": ({}, "neighbors"),
    "vlad_svm": ({"n_words": 3, "n_dimensions": 8, **SMALL}, "sum"),
}


@pytest.fixture(scope="module")
def images():
    train, test = load_dataset("shapes", n_train=60, n_test=50)
    return train, test


@pytest.mark.parametrize("name", sorted(set(encoders.__all__) - {"Encoder"}))
def test_every_encoder_is_explained(images, name):
    train, test = images
    kind = getattr(encoders, name)
    encoder = kind(BagOfWords(8, random_state=0), levels=2) if name == "SpatialPyramid" else kind(8, random_state=0)
    model = make_pipeline(DenseSIFT(step=12, bin_sizes=6), Whiten(8, random_state=0), encoder, LinearSVC(random_state=0))
    check(model.fit(train, train.labels), test[:5], "sum", 1e-4)


def test_the_lists_are_complete():
    assert set(METHODS) == {name for name in classifiers.__all__ if name not in {"LeNet5", "SmallResNet"}}
    assert set(RECIPES) == set(recipes.names())


@pytest.mark.parametrize(("name", "method"), [(name, method) for name, method in METHODS.items() if method])
def test_every_classifier_is_explained(images, name, method):
    train, test = images
    head = Calibrated(LinearSVC(random_state=0)) if name == "Calibrated" else getattr(classifiers, name)()
    model = make_pipeline(DenseSIFT(step=12, bin_sizes=6), BagOfWords(8, random_state=0), head)
    check(model.fit(train, train.labels), test[:5], method, 1e-4 if method == "sum" else 5e-3)


@pytest.mark.parametrize("name", [name for name, (_, method) in RECIPES.items() if method])
def test_every_recipe_is_explained(images, name):
    train, test = images
    options, method = RECIPES[name]
    model = recipes.make(name, **options, random_state=0).fit(train, train.labels)
    check(model, test if method == "sum" else test[:3], method, 1e-4 if method == "sum" else 3e-2)


def check(model, images, method, tolerance):
    found = list(explain(model, images))
    scale = max(abs(one.decision) for one in found)
    assert {one.method for one in found} == {method}
    assert max(abs(one.values.sum() + one.base_value - one.decision) for one in found) <= tolerance * scale
    assert [one.target for one in found] == np.asarray(model.predict(images)).tolist()
