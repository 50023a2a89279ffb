"""ThresholdCode against the formula, by its naive twin and by plain products."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numba import config
from sklearn.cluster import MiniBatchKMeans
from sklearn.frozen import FrozenEstimator

from featrec import Bag
from featrec.compiled._codes_by_dot import threshold_code_by_dot
from featrec.compiled._dot_products import has_float_dot
from featrec.compiled._threshold_codes import threshold_code
from featrec.encoders import SpatialPyramid, ThresholdCode
from featrec.exceptions import InputError, MetricError
from featrec.persistence import load, save
from featrec.testing import check_encoder
from featrec.vocabularies import BinaryVocabulary, RandomVocabulary
from tests.naive import codes as naive


def bag(rng, n, d=6):
    frames = np.column_stack([rng.uniform(0, 60, n), rng.uniform(0, 40, n), np.full(n, 4), np.full(n, -1)])
    return Bag(2 * rng.normal(size=(n, d)), frames, (40, 60))


def activations(points, words, threshold):
    products = points.astype(np.float64) @ words.astype(np.float64).T
    return np.maximum(0, np.hstack([products, -products]) - threshold)


def runnable(loop):
    if loop is threshold_code_by_dot and not has_float_dot() and not config.DISABLE_JIT:
        pytest.skip("the processor has no AVX-512: BLAS answers")


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
@pytest.mark.parametrize("threshold", [0.0, 0.7])
@pytest.mark.parametrize("n, k, d, n_cells", [(1, 1, 1, 1), (2, 3, 5, 1), (40, 7, 6, 3), (35, 66, 3, 35), (0, 3, 2, 2)])
@pytest.mark.parametrize("loop", [threshold_code, threshold_code_by_dot])
def test_the_loop_is_its_naive_twin(rng, loop, n, k, d, n_cells, threshold, kind):
    runnable(loop)
    points, words = rng.uniform(0, 9, (n, d)).astype(kind), rng.normal(size=(k, d)).astype(np.float32)
    cells = rng.integers(n_cells, size=n)
    found, expected = np.empty((2, n_cells, 2 * k), np.float32)
    loop(points, words, cells, np.float32(threshold), found)
    getattr(naive, loop.__name__)(points, words, cells, np.float32(threshold), expected)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("n, k", [(191, 5), (193, 63), (1100, 64), (500, 1700), (30_000, 7)])
@pytest.mark.parametrize("n_cells", [1, 3])
@pytest.mark.parametrize("loop", [threshold_code, threshold_code_by_dot])
def test_several_tiles_of_points_and_words(rng, loop, n, k, n_cells):
    runnable(loop)
    points, words = rng.normal(size=(n, 9)).astype(np.float32), rng.normal(size=(k, 9)).astype(np.float32)
    cells = rng.integers(n_cells, size=n)
    found = np.empty((n_cells, 2 * k), np.float32)
    loop(points, words, cells, np.float32(1), found)
    each = activations(points, words, 1)
    expected = np.stack([each[cells == cell].sum(axis=0) for cell in range(n_cells)])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


def test_codes_without_blas_and_with_it_are_alike(rng, monkeypatch):
    bags = [bag(rng, n, 20) for n in (300, 7)]
    encoder = ThresholdCode(70, random_state=0).fit(bags)
    here = encoder.transform(bags)
    monkeypatch.setattr("featrec.encoders._threshold_code.has_float_dot", lambda: False)
    np.testing.assert_allclose(encoder.transform(bags), here, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", ["mean", "l2", "hellinger", None])
def test_the_code_is_the_papers(rng, norm):
    bags = [bag(rng, 40), bag(rng, 25)]
    encoder = ThresholdCode(7, threshold=0.5, norm=norm, random_state=0).fit(bags)
    for code, one in zip(encoder.transform(bags), bags, strict=True):
        summed = activations(one.descriptors, encoder.vocabulary_.words_, 0.5).sum(axis=0)
        expected = {
            "mean": summed / len(one.descriptors),
            "l2": summed / np.linalg.norm(summed),
            "hellinger": np.sqrt(summed / summed.sum()),
            None: summed,
        }[norm]
        np.testing.assert_allclose(code, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("encoder", [ThresholdCode(5), SpatialPyramid(ThresholdCode(5, norm="l2"), levels=2)])
def test_what_every_encoder_is_held_to(encoder):
    check_encoder(encoder)


def test_a_region_of_a_pyramid_is_an_image_of_its_own(rng):
    bags = [bag(rng, n) for n in (70, 300, 1, 2)]
    pyramid = SpatialPyramid(ThresholdCode(5, random_state=0), levels=[(1, 1), (2, 1)]).fit(bags)
    for code, one in zip(pyramid.transform(bags), bags, strict=True):
        top = (one.frames[:, 1] + 0.5) / 40 < 0.5
        regions = [one.descriptors, one.descriptors[top], one.descriptors[~top]]
        alone = [pyramid.encoder_.transform([Bag(x)])[0] if len(x) else np.zeros(10) for x in regions]
        np.testing.assert_allclose(code, np.concatenate(alone) / np.sqrt(2), atol=1e-5)


def test_a_number_of_words_draws_them_at_random(rng):
    bags = [bag(rng, 50) for _ in range(3)]
    by_number = ThresholdCode(8, random_state=4).fit(bags)
    assert isinstance(by_number.vocabulary_, RandomVocabulary)
    by_vocabulary = ThresholdCode(RandomVocabulary(8, random_state=4)).fit(bags)
    np.testing.assert_array_equal(by_number.transform(bags), by_vocabulary.transform(bags))
    assert by_number.transform(bags).shape == (3, 16) == (3, len(by_number.get_feature_names_out()))


def test_a_high_threshold_leaves_nothing_and_none_leaves_the_whole_product(rng):
    one = bag(rng, 30)
    assert not ThresholdCode(4, threshold=1e6, random_state=0).fit_transform([one]).any()
    encoder = ThresholdCode(4, threshold=0, norm=None, random_state=0).fit([one])
    above, below = encoder.transform([one])[0].reshape(2, 4)
    summed = (one.descriptors @ encoder.vocabulary_.words_.T).sum(axis=0)
    np.testing.assert_allclose(above - below, summed, rtol=1e-4, atol=1e-4)


def test_one_word(rng):
    one = bag(rng, 12)
    encoder = ThresholdCode(1, norm=None, random_state=0).fit([one])
    expected = activations(one.descriptors, encoder.vocabulary_.words_, 1).sum(axis=0)
    np.testing.assert_allclose(encoder.transform([one])[0], expected, rtol=1e-4, atol=1e-5)


def test_bytes_are_taken_as_numbers(rng):
    points = rng.integers(0, 256, (60, 8), np.uint8)
    vocabulary = RandomVocabulary(5, unit_length=False, random_state=0).fit(points)
    assert vocabulary.words_.dtype == np.uint8
    encoder = ThresholdCode(FrozenEstimator(vocabulary)).fit([Bag(points)])
    expected = activations(points, vocabulary.words_, 1).mean(axis=0)
    np.testing.assert_allclose(encoder.transform([Bag(points)])[0], expected, rtol=1e-4)
    np.testing.assert_array_equal(encoder.transform([Bag(points)]), encoder.transform([Bag(points.astype(np.float32))]))


def test_scikit_learns_k_means_is_a_vocabulary(rng):
    bags = [bag(rng, 40)]
    encoder = ThresholdCode(MiniBatchKMeans(4, n_init=1, random_state=0)).fit(bags)
    expected = activations(bags[0].descriptors, encoder.vocabulary_.cluster_centers_, 1).mean(axis=0)
    np.testing.assert_allclose(encoder.transform(bags)[0], expected, atol=1e-5)


def test_read_only_descriptors_and_two_threads_at_once(rng):
    one = bag(rng, 700)
    one.descriptors.setflags(write=False)
    encoder = ThresholdCode(16, random_state=0).fit([one])
    expected = encoder.transform([one])
    with ThreadPoolExecutor(2) as pool:
        for code in pool.map(lambda _: encoder.transform([one]), range(8)):
            np.testing.assert_array_equal(code, expected)


def test_a_saved_encoder_gives_the_same_codes(rng, tmp_path):
    bags = [bag(rng, 30), bag(rng, 20)]
    encoder = ThresholdCode(5, random_state=0).fit(bags)
    save(encoder, tmp_path / "threshold.featrec")
    np.testing.assert_array_equal(load(tmp_path / "threshold.featrec").transform(bags), encoder.transform(bags))


def test_refusals_name_the_way_out(rng):
    bits = [Bag(rng.integers(0, 256, (30, 4), dtype=np.uint8), metric="hamming")]
    with pytest.raises(MetricError, match="hamming"):
        ThresholdCode(4).fit(bits)
    with pytest.raises(MetricError, match="ThresholdCode measures differences of numbers"):
        ThresholdCode(BinaryVocabulary(4)).fit(bits)
    with pytest.raises(InputError, match=r"40 words cannot be learned from 30 descriptors"):
        ThresholdCode(40).fit([bag(rng, 30)])
    with pytest.raises(ValueError, match="threshold"):
        ThresholdCode(4, threshold=-1.0).fit([bag(rng, 30)])
