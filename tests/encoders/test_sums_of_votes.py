"""What TriangleCode, ThresholdCode and SignCode have in common, each against votes by an independent library."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import MiniBatchKMeans
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from featrec import Bag
from featrec.encoders import SignCode, SpatialPyramid, ThresholdCode, TriangleCode
from featrec.exceptions import InputError, MetricError
from featrec.persistence import load, save
from featrec.testing import check_encoder
from featrec.vocabularies import BinaryVocabulary, KMeansVocabulary, RandomVocabulary


def triangle_votes(points, words):
    z = pairwise_distances(points, words)
    return np.maximum(0, z.mean(axis=1, keepdims=True) - z)


def threshold_votes(points, words):
    products = points @ words.T
    return np.maximum(0, np.hstack([products, -products]) - 1)


def sign_votes(points, words):
    """Two neighbours of five, as rows of ones and zeros."""
    search = NearestNeighbors(n_neighbors=2).fit(words)
    found = np.zeros((len(points), 2, len(words)))
    for side, sign in enumerate((1, -1)):
        np.put_along_axis(found[:, side], search.kneighbors(sign * points, return_distance=False), 1, axis=1)
    return found.reshape(len(points), -1)


@dataclass(frozen=True)
class Case:
    encoder: Any
    votes: Any
    usual: Any
    columns: int  # for each word

    def summed(self, points, words):
        return self.votes(points.astype(np.float64), words.astype(np.float64)).sum(axis=0)


CASES = [
    pytest.param(Case(TriangleCode, triangle_votes, KMeansVocabulary, 1), id="triangle"),
    pytest.param(Case(ThresholdCode, threshold_votes, RandomVocabulary, 2), id="threshold"),
    pytest.param(Case(SignCode, sign_votes, RandomVocabulary, 2), id="sign"),
]
pytestmark = pytest.mark.parametrize("case", CASES)


def bag(rng, n, d=6):
    frames = np.column_stack([rng.uniform(0, 60, n), rng.uniform(0, 40, n), np.full(n, 4), np.full(n, -1)])
    return Bag(2 * rng.normal(size=(n, d)), frames, (40, 60))


@pytest.mark.parametrize("norm", ["mean", "l2", "hellinger", None])
def test_the_code_is_the_papers(rng, case, norm):
    bags = [bag(rng, 40), bag(rng, 25)]
    encoder = case.encoder(5, norm=norm, random_state=0).fit(bags)
    for code, one in zip(encoder.transform(bags), bags, strict=True):
        summed = case.summed(one.descriptors, encoder.vocabulary_.words_)
        expected = {
            "mean": summed / len(one.descriptors),
            "l2": summed / np.linalg.norm(summed),
            "hellinger": np.sqrt(summed / summed.sum()),
            None: summed,
        }[norm]
        np.testing.assert_allclose(code, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("in_a_pyramid", [False, True])
def test_what_every_encoder_is_held_to(case, in_a_pyramid):
    check_encoder(SpatialPyramid(case.encoder(5, norm="l2"), levels=2) if in_a_pyramid else case.encoder(5))


def test_a_region_of_a_pyramid_is_an_image_of_its_own(rng, case):
    bags = [bag(rng, n) for n in (70, 300, 1, 2)]
    pyramid = SpatialPyramid(case.encoder(5, random_state=0), levels=[(1, 1), (2, 1)]).fit(bags)
    for code, one in zip(pyramid.transform(bags), bags, strict=True):
        top = (one.frames[:, 1] + 0.5) / 40 < 0.5
        regions = [one.descriptors, one.descriptors[top], one.descriptors[~top]]
        nothing = np.zeros(5 * case.columns)
        alone = [pyramid.encoder_.transform([Bag(x)])[0] if len(x) else nothing for x in regions]
        np.testing.assert_allclose(code, np.concatenate(alone) / np.sqrt(2), atol=1e-5)


def test_a_number_of_words_is_a_vocabulary(rng, case):
    bags = [bag(rng, 50) for _ in range(3)]
    by_number = case.encoder(8, random_state=4).fit(bags)
    assert isinstance(by_number.vocabulary_, case.usual)
    by_vocabulary = case.encoder(case.usual(8, random_state=4)).fit(bags)
    np.testing.assert_array_equal(by_number.transform(bags), by_vocabulary.transform(bags))
    assert by_number.transform(bags).shape == (3, 8 * case.columns) == (3, len(by_number.get_feature_names_out()))


def test_bytes_are_taken_as_numbers(rng, case):
    points = rng.integers(0, 256, (60, 8), np.uint8)
    vocabulary = RandomVocabulary(5, unit_length=False, random_state=0).fit(points)
    assert vocabulary.words_.dtype == np.uint8
    encoder = case.encoder(FrozenEstimator(vocabulary), norm=None).fit([Bag(points)])
    np.testing.assert_allclose(encoder.transform([Bag(points)])[0], case.summed(points, vocabulary.words_), rtol=1e-4)
    np.testing.assert_array_equal(encoder.transform([Bag(points)]), encoder.transform([Bag(points.astype(np.float32))]))


def test_scikit_learns_k_means_is_a_vocabulary(rng, case):
    bags = [bag(rng, 40)]
    encoder = case.encoder(MiniBatchKMeans(5, n_init=1, random_state=0), norm=None).fit(bags)
    expected = case.summed(bags[0].descriptors, encoder.vocabulary_.cluster_centers_)
    np.testing.assert_allclose(encoder.transform(bags)[0], expected, rtol=1e-4, atol=1e-4)


def test_read_only_descriptors_and_two_threads_at_once(rng, case):
    one = bag(rng, 700)
    one.descriptors.setflags(write=False)
    encoder = case.encoder(16, random_state=0).fit([one])
    expected = encoder.transform([one])
    with ThreadPoolExecutor(2) as pool:
        for code in pool.map(lambda _: encoder.transform([one]), range(8)):
            np.testing.assert_array_equal(code, expected)


def test_a_saved_encoder_gives_the_same_codes(rng, case, tmp_path):
    bags = [bag(rng, 30), bag(rng, 20)]
    encoder = case.encoder(5, random_state=0).fit(bags)
    save(encoder, tmp_path / "encoder.featrec")
    np.testing.assert_array_equal(load(tmp_path / "encoder.featrec").transform(bags), encoder.transform(bags))


def test_refusals_name_the_way_out(rng, case):
    bits = [Bag(rng.integers(0, 256, (30, 4), dtype=np.uint8), metric="hamming")]
    with pytest.raises(MetricError, match="hamming"):
        case.encoder(4).fit(bits)
    with pytest.raises(MetricError, match=f"{case.encoder.__name__} measures differences of numbers"):
        case.encoder(BinaryVocabulary(4)).fit(bits)
    with pytest.raises(InputError, match=r"40 words cannot be learned from 30 descriptors"):
        case.encoder(40).fit([bag(rng, 30)])
    with pytest.raises(ValueError, match="norm"):
        case.encoder(4, norm="l1").fit([bag(rng, 30)])
