"""Edited vocabularies, mixtures, projections and pyramids are refused; valid ones of usual sizes are loaded."""

import functools

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

from featrec import Bag, encoders
from featrec.classifiers import WideScaler
from featrec.descriptors import BRISK, LBP, PatchCodes, Whiten
from featrec.pairwise import HistogramKernel
from featrec.persistence import load
from featrec.vocabularies import GaussianVocabulary
from tests.persistence import edits
from tests.persistence.archives import edited, refused, saved


@pytest.fixture(params=[GaussianVocabulary, GaussianMixture, BayesianGaussianMixture])
def mixture(request):
    options = {} if request.param is GaussianVocabulary else {"covariance_type": "diag", "max_iter": 500}
    return request.param(n_components=3, random_state=0, **options).fit(np.random.default_rng(0).normal(size=(60, 4)))


@pytest.mark.parametrize(
    ("attribute", "change", "match"),
    [
        (
            "covariances_",
            lambda variances: -variances,
            r"the smallest variance is -[\d.]+; all variances must be greater than 0",
        ),
        ("covariances_", lambda variances: variances * 0, r"the smallest variance is 0\.0; all variances must"),
        ("covariances_", lambda variances: variances[:2], r"variances of shape \(2, 4\) .* expected .* of shape \(3, 4\)"),
        ("covariances_", lambda variances: variances[:, :3], r"variances of shape \(3, 3\)"),
        ("covariances_", lambda variances: variances * np.nan, "variances .* expected finite float32 or float64"),
        ("covariances_", lambda variances: variances.astype(np.int64), "variances .* type int64"),
        ("means_", lambda means: means[:, :3], r"means of shape \(3, 3\) .* expected .* of shape \(n, 4\)"),
        ("means_", lambda means: means[:0], r"means of shape \(0, 4\)"),
        ("means_", lambda means: means[0], r"means of shape \(4,\)"),
        ("means_", lambda means: means + np.inf, "means .* expected finite"),
        ("weights_", lambda weights: np.resize(weights, 10**6), r"weights of shape \(1000000,\) .* expected .* of shape \(3\)"),
        ("weights_", lambda weights: weights[:1], r"weights of shape \(1,\)"),
        ("weights_", lambda weights: -weights, "some weights are negative"),
        ("weights_", lambda weights: weights * 0, "some weights are negative, or all are zero"),
    ],
)
def test_edited_mixtures(mixture, attribute, change, match):
    refused(edited(mixture, edits.array(attribute, change)), f"{type(mixture).__name__}: {match}")


def test_a_mixture_with_other_covariances_is_loaded():
    model = GaussianMixture(2, random_state=0).fit(np.random.default_rng(0).normal(size=(40, 3)))
    saved(model)
    assert np.array_equal(load("model.featrec").covariances_, model.covariances_)


POINTS = np.random.default_rng(0).normal(size=(40, 6))
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 9, 9), dtype=np.uint8)
COUNTS = r"the number of counts=\d+ is above the limit of 4,194,304"
MODELS = {
    "Whiten": (Whiten(), POINTS),
    "Whiten zca": (Whiten(whiten="zca"), POINTS),
    "WideScaler": (WideScaler(), POINTS),
    "PatchCodes": (PatchCodes(5, size=3, random_state=0), IMAGES),
    "HistogramKernel": (HistogramKernel(), abs(POINTS)),
    "KMeans": (KMeans(2, n_init=1, random_state=0), np.eye(6)),
    "LBP": (LBP(), IMAGES),
    "BRISK": (BRISK(), None),
}
USUAL = edits.both(edits.setting("method", "default"), edits.setting("n_points", 16))
EDITED = [
    *[
        (kind, edits.array(attribute, change), match)
        for kind in ("Whiten", "Whiten zca")
        for attribute, change, match in [
            ("projection_", lambda array: array[:, :3], r"a projection of shape \(6, 3\) .* expected .* of shape \(n, 6\)"),
            ("projection_", lambda array: array[:0], r"a projection of shape \(0, 6\)"),
            ("projection_", lambda array: array * np.nan, "a projection .* expected finite float32"),
            ("projection_", lambda array: array.astype(np.complex64), "a projection .* type complex64"),
            ("mean_", lambda array: array[:1], r"a mean of shape \(1,\)"),
            ("mean_", lambda array: np.stack([array] * 1000), r"a mean of shape \(1000, 6\)"),
            ("mean_", lambda array: array + np.inf, "a mean .* expected finite float32"),
            ("components_", lambda array: array[:, :2], r"components of shape \(6, 2\)"),
            ("explained_variance_", lambda array: array[:2], r"variances of shape \(2,\)"),
        ]
    ],
    *[
        ("WideScaler", edits.array(attribute, change), f"{what} .*{match}")
        for attribute, what in [("mean_", "means"), ("var_", "variances"), ("scale_", "deviations")]
        for change, match in [
            (lambda array: array[:2], r"of shape \(2,\)"),
            (lambda array: np.resize(array, 10**5), r"of shape \(100000,\)"),
            (lambda array: array + np.nan, "expected finite float64"),
            (lambda array: array.astype(np.float32), "type float32"),
        ]
    ],
    ("PatchCodes", edits.array("words_", lambda array: array[:, :4]), r".*words of shape \(5, 4\)"),
    ("PatchCodes", edits.array("words_", lambda array: array.astype(np.float32)), ".*type float32"),
    ("PatchCodes", edits.array("word_scales_", lambda array: array[:2]), r".*scales of shape \(2,\)"),
    ("PatchCodes", edits.array("basis_", lambda array: array[:, :7]), ".*(offsets of shape|words of shape)"),
    ("PatchCodes", edits.array("offsets_", lambda array: array + np.nan), ".*expected finite float32"),
    *[
        ("PatchCodes", edits.setting("n_even_", count), f"{count} of 12 columns are symmetric; .* multiples of four")
        for count in (3, -4, 1000)
    ],
    ("HistogramKernel", edits.array("codes_", lambda codes: codes[:, :2]), r".*shape \(40, 2\)"),
    ("HistogramKernel", edits.array("codes_", lambda codes: -codes - 1), ".*negative"),
    ("HistogramKernel", edits.array("codes_", np.asfortranarray), ".*not in C order"),
    ("KMeans", edits.array("cluster_centers_", lambda centres: centres[:, :2]), "2 centres of 2 values; centres of 6 values"),
    ("KMeans", edits.setting("_n_threads", 10**6), "_n_threads=1000000, outside 1 to 256"),
    ("LBP", edits.setting("n_features_out_", 10**9), "n_features_out_=1000000000 is above the limit of 4,194,304"),
    ("BRISK", edits.setting("pattern_scale", 1e9), r"pattern_scale=.* is above the limit of [\d,]+"),
    ("BRISK", edits.setting("pattern_scale", float("nan")), r"pattern_scale=.* is above the limit of [\d,]+"),
    *[
        ("LBP", edits.both(USUAL, edits.setting(parameter, value)), COUNTS)
        for parameter, value in [
            ("grids", [[10**5, 10**5]]),
            ("grids", [[16, 16]] * 30),
            ("grids", [[-(10**9), 10**9]]),
            ("radius", [1] * 10**5),
            ("n_points", [8] * 10**5),
        ]
    ],
]


@functools.cache
def file_of(kind):
    model, given = MODELS[kind]
    return saved(model if given is None else model.fit(given))


@pytest.mark.parametrize(("kind", "edit", "match"), EDITED)
def test_an_edited_estimator_is_refused(kind, edit, match):
    refused(edited(file_of(kind), edit), f"{kind.split()[0]}: {match}")


def test_usual_numbers_of_patterns_are_loaded():
    for model in (
        LBP(n_points=[8, 12, 16], radius=[1, 2, 3], grids=[(1, 1), (2, 2), (4, 4)]),
        LBP(n_points=16, radius=2, method="ror", grids=np.array([(4, 4)])),
    ):
        saved(model)
        assert str(load("model.featrec")) == str(model)


@pytest.mark.parametrize("value", [0, -1, 2.5, "all", [5]], ids=str)
@pytest.mark.parametrize("kind", [encoders.LLC, encoders.SoftBagOfWords])
def test_wrong_numbers_of_neighbours(kind, value):
    """An encoder in a pyramid does not check its own parameters again."""
    bags = [Bag(np.random.default_rng(0).normal(size=(9, 3)), np.ones((9, 4)), (5, 5))] * 2
    pyramid = encoders.SpatialPyramid(kind(3, random_state=0), levels=1).fit(bags)

    def fitted(schema, members):
        edits.fields(schema)["encoder_"]["content"]["content"]["n_neighbors"] = edits.plain(value)

    edit = edits.both(edits.setting("n_neighbors", value, f"featrec.encoders.{kind.__name__}"), fitted)
    refused(edited(pyramid, edit), f"{kind.__name__}: n_neighbors=.*; expected an integer greater than 0")


def _pyramid(encoder, k, d, levels):
    """A pyramid with an encoder of k random words or components of length d."""
    random = np.random.default_rng(0)
    small = encoder.set_params(vocabulary=1, random_state=0).fit([Bag(random.random((2, d)))])
    vocabulary = small.vocabulary_
    vocabulary.n_features_in_ = d
    for name in ("words_", "means_", "covariances_"):
        if hasattr(vocabulary, name):
            held = getattr(vocabulary, name)
            setattr(vocabulary, name, random.random((k, d)).astype(held.dtype))
    if hasattr(vocabulary, "weights_"):
        vocabulary.weights_ = np.full(k, 1 / k)
    pyramid = encoders.SpatialPyramid(FrozenEstimator(small), levels=levels)
    pyramid.encoder_ = small
    return pyramid


@pytest.mark.parametrize(
    ("encoder", "k", "d", "levels"),
    [
        (encoders.FisherVector(weight_gradients=True), 256, 160, 3),
        (encoders.FisherVector(), 256, 80, [(1, 1), (2, 2), (3, 1), (4, 4)]),
        (encoders.VLAD(), 256, 128, 3),
        (encoders.VLAD(average=True), 64, 128, 4),
        (encoders.BagOfWords(), 4096, 128, 4),
        (encoders.LLC(), 4096, 128, 3),
        (encoders.TriangleCode(), 4000, 108, [(2, 2)]),
    ],
    ids=str,
)
def test_pyramids_of_usual_sizes_are_loaded(encoder, k, d, levels):
    pyramid = _pyramid(encoder, k, d, levels)
    saved(pyramid)
    assert load("model.featrec")._code_width() == pyramid._code_width() > 10_000


@pytest.mark.parametrize(
    ("encoder", "k", "d", "levels", "match"),
    [
        (
            encoders.FisherVector(),
            256,
            160,
            5,
            "341 regions of 256 words, with 82176 values each, exceed the limit of 4,194,304",
        ),
        (encoders.FisherVector(), 300, 256, 4, "85 regions of 300 words, with 153900 values each"),
        (encoders.VLAD(), 512, 128, 5, "341 regions of 512 words, with 66048 values each"),
        (
            encoders.BagOfWords(),
            20_000,
            8,
            [(1, 100), (100, 1)],
            "10404 cells of 20000 words, with 20000 values each, exceed",
        ),
        (encoders.SoftBagOfWords(), 60_000, 8, 5, "341 regions of 60000 words, with 60000 values each"),
        (encoders.ThresholdCode(), 10_000, 8, 5, "341 regions of 10000 words, with 20000 values each"),
        (encoders.SignCode(), 10_000, 8, 5, "341 regions of 10000 words, with 20000 values each"),
    ],
    ids=str,
)
def test_pyramids_that_would_need_too_much_memory(encoder, k, d, levels, match):
    """Pyramids that are too large are not saved, and not loaded after an edit of their levels."""
    pyramid = _pyramid(encoder, k, d, levels)
    with pytest.raises(ValueError, match=match):
        saved(pyramid)
    pyramid.levels = 1
    refused(edited(pyramid, edits.setting("levels", levels)), f"SpatialPyramid: {match}")


def test_a_pyramid_with_words_of_scikit_learn_has_the_same_limits():
    bags = [Bag(np.random.default_rng(0).normal(size=(9, 3)))] * 2
    pyramid = encoders.SpatialPyramid(encoders.BagOfWords(KMeans(2, n_init=1, random_state=0)), levels=1)
    pyramid.encoder_ = clone(pyramid.encoder).fit(bags)
    pyramid.levels = 7

    def edit(schema, members):
        centres = edits.fields(edits.fields(edits.fields(schema)["encoder_"])["vocabulary_"])["cluster_centers_"]
        edits.change_array(members, centres, lambda array: np.resize(array, (1000, 3)))

    refused(edited(pyramid, edit), "SpatialPyramid: 5461 regions of 1000 words, with 1000 values each")
