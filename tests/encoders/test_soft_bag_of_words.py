"""SoftBagOfWords against the papers' formula, by its naive twins and by scikit-learn's distances."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import pairwise_distances

from featrec import Bag
from featrec.compiled._dense_codes import soft_words
from featrec.compiled._near_words import soft_neighbors
from featrec.encoders import BagOfWords, SoftBagOfWords, SpatialPyramid
from featrec.exceptions import MetricError
from featrec.persistence import load, save
from featrec.testing import check_encoder
from featrec.vocabularies import BinaryVocabulary, KMeansVocabulary
from tests.naive import codes as naive


def bag(rng, n, d=6):
    frames = np.column_stack([rng.uniform(0, 60, n), rng.uniform(0, 40, n), np.full(n, 4), np.full(n, -1)])
    return Bag(rng.normal(size=(n, d)), frames, (40, 60))


def votes(points, words, sigma, n_neighbors):
    """Each descriptor's shares of its vote."""
    z = pairwise_distances(points.astype(np.float64), words.astype(np.float64))
    far = np.sort(z, axis=1)[:, n_neighbors - 1 : n_neighbors]
    weights = np.exp((z.min(axis=1, keepdims=True) ** 2 - z**2) / (2 * sigma**2)) * (z <= far)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
@pytest.mark.parametrize("n_neighbors", [1, 2, 4, None])
@pytest.mark.parametrize("n, k, d, n_cells", [(1, 4, 1, 1), (2, 5, 5, 1), (40, 7, 6, 3), (35, 4, 3, 35)])
def test_the_loops_are_their_naive_twins(rng, n, k, d, n_cells, n_neighbors, kind):
    points, words = (rng.uniform(0, 25, (rows, d)).astype(kind) for rows in (n, k))
    cells, words = rng.integers(n_cells, size=n), words.astype(np.float32)
    found, expected = np.empty((2, n_cells, k), np.float32)
    if n_neighbors is None:
        soft_words(points, words, cells, np.float32(0.03), found)
        naive.soft_words(points, words, cells, 0.03, expected)
    else:
        soft_neighbors(points, words, cells, n_neighbors, np.float32(0.03), found)
        naive.soft_neighbors(points, words, cells, n_neighbors, 0.03, expected)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("n, k", [(191, 9), (193, 9), (700, 450)])
@pytest.mark.parametrize("n_neighbors", [3, None])
@pytest.mark.parametrize("smoothing", [0.05, 0.5, 20.0])
def test_the_code_is_the_papers(rng, n, k, n_neighbors, smoothing):
    one = bag(rng, n)
    words = rng.normal(size=(k, 6)).astype(np.float32)
    vocabulary = KMeansVocabulary(k)
    vocabulary.words_ = words
    encoder = SoftBagOfWords(FrozenEstimator(vocabulary), smoothing=smoothing, n_neighbors=n_neighbors, norm=None).fit([one])
    between = pairwise_distances(words) + np.diag(np.full(k, np.inf))
    assert encoder.sigma_ == pytest.approx(smoothing * between.min(axis=1).mean(), rel=1e-5)
    expected = votes(one.descriptors, words, encoder.sigma_, n_neighbors or k).sum(axis=0)
    np.testing.assert_allclose(encoder.transform([one])[0], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("norm", ["l1", "l2", "hellinger", None])
def test_norms_are_those_of_the_bag_of_words(rng, norm):
    bags = [bag(rng, 60), bag(rng, 30)]
    soft = SoftBagOfWords(7, smoothing=1e-3, norm=norm, random_state=0).fit_transform(bags)
    np.testing.assert_allclose(soft, BagOfWords(7, norm=norm, random_state=0).fit_transform(bags), atol=1e-5)


@pytest.mark.parametrize("n_neighbors", [2, None])
def test_a_descriptor_between_two_words_votes_for_both(n_neighbors):
    vocabulary = KMeansVocabulary(3)
    vocabulary.words_ = np.array([[0.0], [2.0], [100.0]], np.float32)
    code = SoftBagOfWords(FrozenEstimator(vocabulary), n_neighbors=n_neighbors).fit_transform([Bag([[1.0]])])
    np.testing.assert_allclose(code, [[0.5, 0.5, 0.0]], atol=1e-6)


@pytest.mark.parametrize(
    "encoder", [SoftBagOfWords(7), SoftBagOfWords(7, n_neighbors=None), SpatialPyramid(SoftBagOfWords(7), levels=2)]
)
def test_what_every_encoder_is_held_to(encoder):
    check_encoder(encoder)


@pytest.mark.parametrize("n_neighbors", [2, None])
def test_a_region_of_a_pyramid_is_an_image_of_its_own(rng, n_neighbors):
    bags = [bag(rng, n) for n in (70, 300, 1, 2)]
    encoder = SoftBagOfWords(5, n_neighbors=n_neighbors, random_state=0)
    pyramid = SpatialPyramid(encoder, levels=[(1, 1), (2, 1)]).fit(bags)
    for code, one in zip(pyramid.transform(bags), bags, strict=True):
        top = (one.frames[:, 1] + 0.5) / 40 < 0.5
        regions = [one.descriptors, one.descriptors[top], one.descriptors[~top]]
        alone = [pyramid.encoder_.transform([Bag(x)])[0] if len(x) else np.zeros(5) for x in regions]
        np.testing.assert_allclose(code, np.concatenate(alone) / np.sqrt(2), atol=1e-5)


def test_one_word_has_every_vote(rng):
    np.testing.assert_allclose(SoftBagOfWords(1, norm=None).fit_transform([bag(rng, 3)]), [[3.0]], rtol=1e-6)


@pytest.mark.parametrize("n_neighbors", [2, None])
def test_words_that_are_all_one_share_the_votes(n_neighbors):
    vocabulary = KMeansVocabulary(4)
    vocabulary.words_ = np.ones((4, 3), np.float32)
    code = SoftBagOfWords(FrozenEstimator(vocabulary), n_neighbors=n_neighbors).fit_transform([Bag(np.zeros((2, 3)))])[0]
    used = n_neighbors or 4
    np.testing.assert_allclose(np.sort(code), [0] * (4 - used) + [1 / used] * used, atol=1e-6)


@pytest.mark.parametrize("n_neighbors", [2, None])
def test_bytes_are_taken_as_numbers(rng, n_neighbors):
    points = rng.integers(0, 256, (60, 8), np.uint8)
    encoder = SoftBagOfWords(5, n_neighbors=n_neighbors, random_state=0).fit([Bag(points)])
    expected = votes(points, encoder.vocabulary_.words_, encoder.sigma_, n_neighbors or 5).mean(axis=0)
    np.testing.assert_allclose(encoder.transform([Bag(points)])[0], expected, atol=1e-5)
    np.testing.assert_array_equal(encoder.transform([Bag(points)]), encoder.transform([Bag(points.astype(np.float32))]))


def test_scikit_learns_k_means_is_a_vocabulary(rng):
    bags = [bag(rng, 40)]
    encoder = SoftBagOfWords(KMeans(4, n_init=1, random_state=0), n_neighbors=2).fit(bags)
    expected = votes(bags[0].descriptors, encoder.vocabulary_.cluster_centers_, encoder.sigma_, 2).mean(axis=0)
    np.testing.assert_allclose(encoder.transform(bags)[0], expected, atol=1e-5)


@pytest.mark.parametrize("n_neighbors", [3, None])
def test_read_only_descriptors_and_two_threads_at_once(rng, n_neighbors):
    one = bag(rng, 700)
    one.descriptors.setflags(write=False)
    encoder = SoftBagOfWords(16, n_neighbors=n_neighbors, random_state=0).fit([one])
    expected = encoder.transform([one])
    with ThreadPoolExecutor(2) as pool:
        for code in pool.map(lambda _: encoder.transform([one]), range(8)):
            np.testing.assert_array_equal(code, expected)


def test_a_saved_encoder_gives_the_same_codes(rng, tmp_path):
    bags = [bag(rng, 30), bag(rng, 20)]
    encoder = SoftBagOfWords(5, random_state=0).fit(bags)
    save(encoder, tmp_path / "soft.featrec")
    np.testing.assert_array_equal(load(tmp_path / "soft.featrec").transform(bags), encoder.transform(bags))


def test_packed_bits_are_refused(rng):
    bits = [Bag(rng.integers(0, 256, (30, 4), dtype=np.uint8), metric="hamming")]
    with pytest.raises(MetricError, match="hamming"):
        SoftBagOfWords(4).fit(bits)
    with pytest.raises(MetricError, match="SoftBagOfWords measures differences of numbers"):
        SoftBagOfWords(BinaryVocabulary(4)).fit(bits)
