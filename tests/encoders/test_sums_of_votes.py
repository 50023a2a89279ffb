"""TriangleCode, ThresholdCode and SignCode against votes computed with numpy and scikit-learn."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import MiniBatchKMeans
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from featrec import Bag
from featrec.encoders import SignCode, ThresholdCode, TriangleCode
from featrec.vocabularies import KMeansVocabulary, RandomVocabulary


def triangle_votes(points, words):
    z = pairwise_distances(points, words)
    return np.maximum(0, z.mean(axis=1, keepdims=True) - z)


def threshold_votes(points, words):
    products = points @ words.T
    return np.maximum(0, np.hstack([products, -products]) - 1)


def sign_votes(points, words):
    """Return the two nearest of five words as rows of ones and zeros."""
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
def test_the_code_is_that_of_the_paper(rng, case, norm):
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


def test_a_number_of_words_is_a_vocabulary(rng, case):
    bags = [bag(rng, 50) for _ in range(3)]
    by_number = case.encoder(8, random_state=4).fit(bags)
    assert isinstance(by_number.vocabulary_, case.usual)
    by_vocabulary = case.encoder(case.usual(8, random_state=4)).fit(bags)
    np.testing.assert_array_equal(by_number.transform(bags), by_vocabulary.transform(bags))
    assert by_number.transform(bags).shape == (3, 8 * case.columns) == (3, len(by_number.get_feature_names_out()))


def test_votes_for_words_of_bytes(rng, case):
    points = rng.integers(0, 256, (60, 8), np.uint8)
    vocabulary = RandomVocabulary(5, unit_length=False, random_state=0).fit(points)
    assert vocabulary.words_.dtype == np.uint8
    encoder = case.encoder(FrozenEstimator(vocabulary), norm=None).fit([Bag(points)])
    np.testing.assert_allclose(encoder.transform([Bag(points)])[0], case.summed(points, vocabulary.words_), rtol=1e-4)


def test_scikit_learns_k_means_is_a_vocabulary(rng, case):
    bags = [bag(rng, 40)]
    encoder = case.encoder(MiniBatchKMeans(5, n_init=1, random_state=0), norm=None).fit(bags)
    expected = case.summed(bags[0].descriptors, encoder.vocabulary_.cluster_centers_)
    np.testing.assert_allclose(encoder.transform(bags)[0], expected, rtol=1e-4, atol=1e-4)


def test_an_unknown_norm_is_refused(rng, case):
    with pytest.raises(ValueError, match="norm"):
        case.encoder(4, norm="l1").fit([bag(rng, 30)])
