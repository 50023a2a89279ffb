"""The public checks pass what is right and name what is broken."""

import importlib.util
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from featrec import recipes
from featrec.classifiers import KernelRidgeClassifier
from featrec.encoders import BagOfWords, SpatialPyramid
from featrec.images import GlobalExtractor, as_float, as_gray
from featrec.preprocessing import Unflatten
from featrec.testing import check_encoder, check_extractor

HOW_TO = Path(__file__).resolve().parent.parent / "docs" / "how_to"


def load_page(name):
    spec = importlib.util.spec_from_file_location(name, HOW_TO / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_the_how_tos_extractor_passes():
    page = load_page("color_moments")
    check_extractor(page.ColorMoments())
    check_extractor(page.ColorMoments(skew=False, n_jobs=2))


def test_the_how_tos_encoder_passes_alone_and_in_a_pyramid():
    page = load_page("word_presence")
    check_encoder(page.WordPresence(5, random_state=0))
    check_encoder(SpatialPyramid(page.WordPresence(5, random_state=0), levels=3))


def test_the_how_to_for_small_images():
    page = load_page("small_pictures")
    digits = load_digits()
    rows, labels = digits.data[:240], digits.target[:240]
    found = page.try_recipes(rows, labels, Unflatten((8, 8), max_value=16), n_images=90)
    assert {trial.state for trial in found.trials} == {"tried"}
    model = recipes.patches_kernel(n_words=50)
    expected = KernelRidgeClassifier().memory_needed(1000, 50 * 2 * 9) / 1e9
    assert page.memory(model, 1000) == pytest.approx(expected)


class Mean(GlobalExtractor):
    def _describe(self, image):
        return [as_float(image).mean()]


def test_a_minimal_extractor_passes():
    check_extractor(Mean())


class KeepsImages(GlobalExtractor):
    def __init__(self, *, level=0.5):
        self.level = level

    def fit(self, X, y=None):
        self.level = 0.1
        return super().fit(X, y)

    def _describe(self, image):
        return [as_float(image).mean() * self.level]


class Unpicklable(Mean):
    def fit(self, X, y=None):
        self.learned_ = lambda: None
        return super().fit(X, y)


class Random(GlobalExtractor):
    def _describe(self, image):
        return np.random.default_rng().random(3)


class Batchwise(GlobalExtractor):
    def _describe_batch(self, images):
        means = np.array([[as_float(image).mean()] for image in images])
        return means / means.max()


class Writes(GlobalExtractor):
    def _describe(self, image):
        image[0, 0] = 0
        return [as_float(image).mean()]


class RawValues(GlobalExtractor):
    def _describe(self, image):
        return [np.float64(image.mean())]


class RedOnly(GlobalExtractor):
    def _describe(self, image):
        values = as_float(image)
        return [values.sum()]


class DividesByZero(GlobalExtractor):
    def _describe(self, image):
        values = as_float(as_gray(image)).astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            return [values.mean() / values.std()]


class SharedScratch(GlobalExtractor):
    def _describe(self, image):
        self.scratch = []
        for row in as_float(as_gray(image)):
            self.scratch.append(row.mean())
            time.sleep(1e-4)
        return [len(self.scratch)]


class TooManyNames(Mean):
    def get_feature_names_out(self, input_features=None):
        return np.array(["a", "b"], dtype=object)


class ForgetsAPart(Mean):
    def _contributed(self, image, weights, code):
        return super()._contributed(image, weights, 0.9 * code)


BROKEN = [
    (KeepsImages, "fit changes parameters"),
    (Unpicklable, "it cannot be pickled"),
    (Random, "a pickled copy gives different numbers|two runs give different numbers"),
    (Batchwise, "depend on other images"),
    (Writes, "read-only"),
    (RawValues, "uint8, uint16 and float copies of one image differ"),
    (RedOnly, "a gray image differs from its RGB copy"),
    (DividesByZero, "gives NaN"),
    (SharedScratch, "two concurrent threads"),
    (TooManyNames, "2 names for 1 numbers"),
    (ForgetsAPart, "contributions do not add up"),
]


@pytest.mark.parametrize("extractor, message", BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_extractor_is_named(extractor, message):
    with pytest.raises(AssertionError, match=message):
        check_extractor(extractor())


class Forgetful(BagOfWords):
    def fit(self, X, y=None):
        return super().fit(X[:5])

    def fit_transform(self, X, y=None):
        return super().fit_transform(X)


class Remembers(BagOfWords):
    def fit(self, X, y=None):
        before = getattr(self, "vocabulary_", None)
        super().fit(X)
        self.vocabulary_ = before or self.vocabulary_
        return self


class AddsOne(BagOfWords):
    def transform(self, X):
        return super().transform(X) + np.float32(1)


class Doubles(BagOfWords):
    def transform(self, X):
        return super().transform(X).astype(np.float64)


BROKEN_ENCODERS = [
    (Forgetful, "fit_transform differs from fit and transform"),
    (Remembers, "a second fit depends on the first"),
    (AddsOne, "an empty Bag does not give a row of zeros|fit_transform differs"),
    (Doubles, "does not return a float32 array"),
]


@pytest.mark.parametrize("encoder, message", BROKEN_ENCODERS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_encoder_is_named(encoder, message):
    with pytest.raises(AssertionError, match=message):
        check_encoder(encoder(4, random_state=0))
