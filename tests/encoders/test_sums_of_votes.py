"""TriangleCode, ThresholdCode and SignCode: loops against plain loops, codes against votes by numpy and scikit-learn."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numba import config
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from featrec import Bag
from featrec.compiled._codes_by_dot import threshold_code_by_dot, triangle_code_by_dot
from featrec.compiled._dense_codes import triangle_code
from featrec.compiled._dot_products import has_float_dot
from featrec.compiled._two_sided_codes import threshold_code
from featrec.encoders import SignCode, ThresholdCode, TriangleCode
from featrec.vocabularies import KMeansVocabulary, RandomVocabulary
from tests.encoders.some_bags import bag
from tests.naive import codes as naive


def triangle_votes(points, words):
    z = pairwise_distances(points.astype(np.float64), words.astype(np.float64))
    return np.maximum(0, z.mean(axis=1, keepdims=True) - z)


def threshold_votes(points, words, threshold=1):
    products = points.astype(np.float64) @ words.astype(np.float64).T
    return np.maximum(0, np.hstack([products, -products]) - threshold)


def sign_votes(points, words, wanted=2):
    """Return the nearest words as rows of ones and zeros."""
    search = NearestNeighbors(n_neighbors=min(wanted, len(words))).fit(words.astype(np.float64))
    found = np.zeros((len(points), 2, len(words)))
    for side, sign in enumerate((1, -1)):
        near = search.kneighbors(sign * points.astype(np.float64), return_distance=False)
        np.put_along_axis(found[:, side], near, 1, axis=1)
    return found.reshape(len(points), -1)


needs_dot = pytest.mark.skipif(
    not has_float_dot() and not config.DISABLE_JIT, reason="the processor has no AVX-512, so BLAS is used"
)
LOOPS = [
    pytest.param(loop, votes, options, id=f"{loop.__name__}{options}", marks=needs_dot if loop.__name__.endswith("dot") else ())
    for loop, votes, *thresholds in (
        (triangle_code, triangle_votes, ()),
        (triangle_code_by_dot, triangle_votes, ()),
        (threshold_code, threshold_votes, (np.float32(0),), (np.float32(0.7),)),
        (threshold_code_by_dot, threshold_votes, (np.float32(0),), (np.float32(0.7),)),
    )
    for options in thresholds
]
every_loop = pytest.mark.parametrize(("loop", "votes", "options"), LOOPS)


@every_loop
@pytest.mark.parametrize("kind", [np.float32, np.uint8])
@pytest.mark.parametrize("n, k, d, n_cells", [(1, 1, 1, 1), (2, 3, 5, 1), (40, 7, 6, 3), (35, 66, 3, 35), (0, 3, 2, 2)])
def test_the_compiled_loops_agree_with_plain_loops(rng, loop, votes, options, n, k, d, n_cells, kind):
    points, words = rng.uniform(0, 9, (n, d)).astype(kind), rng.normal(size=(k, d)).astype(np.float32)
    cells = rng.integers(n_cells, size=n)
    found, expected = np.empty((2, n_cells, k * (1 + len(options))), np.float32)
    loop(points, words, cells, *options, found)
    getattr(naive, loop.__name__)(points, words, cells, *options, expected)
    np.testing.assert_allclose(found, expected, rtol=1e-5 if options else 1e-4, atol=1e-4 if options else 2e-3)


@every_loop
@pytest.mark.parametrize("n, k", [(191, 5), (192, 63), (193, 5), (1100, 64), (1000, 450), (500, 2100), (30_000, 7)])
@pytest.mark.parametrize("n_cells", [1, 3])
def test_several_tiles_of_points_and_words(rng, loop, votes, options, n, k, n_cells):
    points, words = rng.normal(size=(n, 9)).astype(np.float32), rng.normal(size=(k, 9)).astype(np.float32)
    cells, each = rng.integers(n_cells, size=n), votes(points, words, *options)
    found = np.empty((n_cells, each.shape[1]), np.float32)
    loop(points, words, cells, *options, found)
    expected = np.stack([each[cells == cell].sum(axis=0) for cell in range(n_cells)])
    np.testing.assert_allclose(found, expected, rtol=1e-5 if options else 1e-4, atol=1e-3)


@pytest.mark.parametrize("loop", [triangle_code, pytest.param(triangle_code_by_dot, marks=needs_dot)])
@pytest.mark.parametrize("offset", [0, 1000])
def test_a_point_equal_to_a_word_and_equal_words(rng, loop, offset):
    """Distances that are zero, or nearly zero far from the origin."""
    words = np.repeat(rng.normal(size=(35, 6)), 2, axis=0).astype(np.float32)
    found = np.empty((70, 70), np.float32)
    loop(words + np.float32(offset), words + np.float32(offset), np.arange(70), found)
    # Squared lengths of 6e6 have an error of half a unit in float32.
    np.testing.assert_allclose(found, triangle_votes(words, words), atol=5e-3 if offset == 0 else 1.5)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("kind", [TriangleCode, ThresholdCode])
def test_codes_with_and_without_blas_are_close(rng, monkeypatch, kind):
    bags = [bag(rng, n, 20) for n in (300, 7)]
    encoder = kind(70, random_state=0).fit(bags)
    here = encoder.transform(bags)
    monkeypatch.setattr("featrec.encoders._votes.has_float_dot", lambda: False)
    np.testing.assert_allclose(encoder.transform(bags), here, rtol=1e-4, atol=1e-5)


def test_a_high_threshold_gives_zeros_and_none_the_whole_product(rng):
    one = bag(rng, 30, spread=2)
    assert not ThresholdCode(4, threshold=1e6, random_state=0).fit_transform([one]).any()
    encoder = ThresholdCode(4, threshold=0, norm=None, random_state=0).fit([one])
    above, below = encoder.transform([one])[0].reshape(2, 4)
    summed = (one.descriptors @ encoder.vocabulary_.words_.T).sum(axis=0)
    np.testing.assert_allclose(above - below, summed, rtol=1e-4, atol=1e-4)


@dataclass(frozen=True)
class Case:
    encoder: Any
    votes: Any
    usual: Any
    columns: int  # for each word


CASES = [
    pytest.param(Case(TriangleCode, triangle_votes, KMeansVocabulary, 1), id="triangle"),
    pytest.param(Case(ThresholdCode, threshold_votes, RandomVocabulary, 2), id="threshold"),
    pytest.param(Case(SignCode, sign_votes, RandomVocabulary, 2), id="sign"),
]
every = pytest.mark.parametrize("case", CASES)


@every
@pytest.mark.parametrize(("k", "norm"), [(5, "mean"), (5, "l2"), (5, "hellinger"), (5, None), (1, None)])
def test_the_code_is_that_of_the_paper(rng, case, k, norm):
    bags = [bag(rng, 40, spread=2), bag(rng, 25, spread=2)]
    encoder = case.encoder(k, norm=norm, random_state=0).fit(bags)
    for code, one in zip(encoder.transform(bags), bags, strict=True):
        summed = case.votes(one.descriptors, encoder.vocabulary_.words_).sum(axis=0)
        expected = {
            "mean": summed / len(one.descriptors),
            "l2": summed / max(np.linalg.norm(summed), 1e-9),
            "hellinger": np.sqrt(summed / max(summed.sum(), 1e-9)),
            None: summed,
        }[norm]
        np.testing.assert_allclose(code, expected, rtol=1e-4, atol=1e-4)


@every
def test_a_number_of_words_is_a_vocabulary(rng, case):
    bags = [bag(rng, 50) for _ in range(3)]
    by_number = case.encoder(8, random_state=4).fit(bags)
    assert isinstance(by_number.vocabulary_, case.usual)
    by_vocabulary = case.encoder(case.usual(8, random_state=4)).fit(bags)
    np.testing.assert_array_equal(by_number.transform(bags), by_vocabulary.transform(bags))
    assert by_number.transform(bags).shape == (3, 8 * case.columns) == (3, len(by_number.get_feature_names_out()))


@every
def test_votes_for_words_of_bytes(rng, case):
    points = rng.integers(0, 256, (60, 8), np.uint8)
    vocabulary = RandomVocabulary(5, unit_length=False, random_state=0).fit(points)
    assert vocabulary.words_.dtype == np.uint8
    code = case.encoder(FrozenEstimator(vocabulary), norm=None).fit_transform([Bag(points)])[0]
    np.testing.assert_allclose(code, case.votes(points, vocabulary.words_).sum(axis=0), rtol=1e-4)
