"""TriangleCode against the paper's formula, by its naive twin and by scikit-learn's distances."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numba import config
from sklearn.cluster import MiniBatchKMeans
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import pairwise_distances

from featrec import Bag
from featrec.compiled._codes_by_dot import triangle_code_by_dot
from featrec.compiled._dense_codes import triangle_code
from featrec.compiled._dot_products import has_float_dot
from featrec.encoders import SpatialPyramid, TriangleCode
from featrec.exceptions import MetricError
from featrec.persistence import load, save
from featrec.testing import check_encoder
from featrec.vocabularies import BinaryVocabulary, KMeansVocabulary
from tests.naive import codes as naive


def bag(rng, n, d=6):
    frames = np.column_stack([rng.uniform(0, 60, n), rng.uniform(0, 40, n), np.full(n, 4), np.full(n, -1)])
    return Bag(rng.normal(size=(n, d)), frames, (40, 60))


def activations(points, words):
    z = pairwise_distances(points.astype(np.float64), words.astype(np.float64))
    return np.maximum(0, z.mean(axis=1, keepdims=True) - z)


def runnable(loop):
    if loop is triangle_code_by_dot and not has_float_dot() and not config.DISABLE_JIT:
        pytest.skip("the processor has no AVX-512: BLAS answers")


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
@pytest.mark.parametrize("n, k, d, n_cells", [(1, 1, 1, 1), (2, 3, 5, 1), (40, 7, 6, 3), (35, 66, 3, 35), (0, 3, 2, 2)])
@pytest.mark.parametrize("loop", [triangle_code, triangle_code_by_dot])
def test_the_loop_is_its_naive_twin(rng, loop, n, k, d, n_cells, kind):
    runnable(loop)
    points, words = (rng.uniform(0, 255, (rows, d)).astype(kind) for rows in (n, k))
    cells = rng.integers(n_cells, size=n)
    found, expected = np.empty((2, n_cells, k), np.float32)
    loop(points, words.astype(np.float32), cells, found)
    getattr(naive, loop.__name__)(points, words.astype(np.float32), cells, expected)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=5e-2)


@pytest.mark.parametrize("n, k", [(191, 5), (192, 5), (193, 5), (1000, 450), (500, 2100)])
@pytest.mark.parametrize("n_cells", [1, 3])
@pytest.mark.parametrize("loop", [triangle_code, triangle_code_by_dot])
def test_several_tiles_of_points_and_words(rng, loop, n, k, n_cells):
    runnable(loop)
    points, words = rng.normal(size=(n, 9)).astype(np.float32), rng.normal(size=(k, 9)).astype(np.float32)
    cells = rng.integers(n_cells, size=n)
    found = np.empty((n_cells, k), np.float32)
    loop(points, words, cells, found)
    each = activations(points, words)
    expected = np.stack([each[cells == cell].sum(axis=0) for cell in range(n_cells)])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_a_point_on_a_word_and_words_alike(rng):
    """Distances of zero, and of nearly zero far from the origin."""
    words = np.repeat(rng.normal(size=(35, 6)), 2, axis=0).astype(np.float32)
    for loop in (triangle_code, triangle_code_by_dot):
        runnable(loop)
        for offset in (0, 1000):
            found = np.empty((70, 70), np.float32)
            loop(words + np.float32(offset), words + np.float32(offset), np.arange(70), found)
            expected = activations(words, words)
            # The root of what is lost in squared lengths: 6e6 at 1000 are known to half a unit.
            np.testing.assert_allclose(found, expected, atol=5e-3 if offset == 0 else 1.5)
            assert np.isfinite(found).all()


def test_codes_without_blas_and_with_it_are_alike(rng, monkeypatch):
    bags = [bag(rng, n, 20) for n in (300, 7)]
    encoder = TriangleCode(70, random_state=0).fit(bags)
    here = encoder.transform(bags)
    monkeypatch.setattr("featrec.encoders._triangle_code.has_float_dot", lambda: False)
    np.testing.assert_allclose(encoder.transform(bags), here, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", ["mean", "l2", "hellinger", None])
def test_the_code_is_the_papers(rng, norm):
    bags = [bag(rng, 40), bag(rng, 25)]
    encoder = TriangleCode(7, norm=norm, random_state=0).fit(bags)
    for code, one in zip(encoder.transform(bags), bags, strict=True):
        summed = activations(one.descriptors, encoder.vocabulary_.words_).sum(axis=0)
        expected = {
            "mean": summed / len(one.descriptors),
            "l2": summed / np.linalg.norm(summed),
            "hellinger": np.sqrt(summed / summed.sum()),
            None: summed,
        }[norm]
        np.testing.assert_allclose(code, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("encoder", [TriangleCode(5), SpatialPyramid(TriangleCode(5, norm="l2"), levels=2)])
def test_what_every_encoder_is_held_to(encoder):
    check_encoder(encoder)


def test_a_region_of_a_pyramid_is_an_image_of_its_own(rng):
    bags = [bag(rng, n) for n in (70, 300, 1, 2)]
    pyramid = SpatialPyramid(TriangleCode(5, random_state=0), levels=[(1, 1), (2, 1)]).fit(bags)
    for code, one in zip(pyramid.transform(bags), bags, strict=True):
        top = (one.frames[:, 1] + 0.5) / 40 < 0.5
        regions = [one.descriptors, one.descriptors[top], one.descriptors[~top]]
        alone = [pyramid.encoder_.transform([Bag(x)])[0] if len(x) else np.zeros(5) for x in regions]
        np.testing.assert_allclose(code, np.concatenate(alone) / np.sqrt(2), atol=1e-5)


def test_one_word_is_never_nearer_than_the_mean(rng):
    assert not TriangleCode(1).fit_transform([bag(rng, 12)]).any()


def test_bytes_are_taken_as_numbers(rng):
    points = rng.integers(0, 256, (60, 8), np.uint8)
    vocabulary = KMeansVocabulary(5, random_state=0).fit(points.astype(np.float32))
    vocabulary.words_ = np.rint(vocabulary.words_).astype(np.uint8)
    encoder = TriangleCode(FrozenEstimator(vocabulary)).fit([Bag(points)])
    expected = activations(points, vocabulary.words_).mean(axis=0)
    np.testing.assert_allclose(encoder.transform([Bag(points)])[0], expected, rtol=1e-4)
    np.testing.assert_array_equal(encoder.transform([Bag(points)]), encoder.transform([Bag(points.astype(np.float32))]))


def test_scikit_learns_k_means_is_a_vocabulary(rng):
    bags = [bag(rng, 40)]
    encoder = TriangleCode(MiniBatchKMeans(4, n_init=1, random_state=0)).fit(bags)
    expected = activations(bags[0].descriptors, encoder.vocabulary_.cluster_centers_).mean(axis=0)
    np.testing.assert_allclose(encoder.transform(bags)[0], expected, atol=1e-5)


def test_read_only_descriptors_and_two_threads_at_once(rng):
    one = bag(rng, 700)
    one.descriptors.setflags(write=False)
    encoder = TriangleCode(16, random_state=0).fit([one])
    expected = encoder.transform([one])
    with ThreadPoolExecutor(2) as pool:
        for code in pool.map(lambda _: encoder.transform([one]), range(8)):
            np.testing.assert_array_equal(code, expected)


def test_a_saved_encoder_gives_the_same_codes(rng, tmp_path):
    bags = [bag(rng, 30), bag(rng, 20)]
    encoder = TriangleCode(5, random_state=0).fit(bags)
    save(encoder, tmp_path / "triangle.featrec")
    np.testing.assert_array_equal(load(tmp_path / "triangle.featrec").transform(bags), encoder.transform(bags))


def test_packed_bits_are_refused(rng):
    bits = [Bag(rng.integers(0, 256, (30, 4), dtype=np.uint8), metric="hamming")]
    with pytest.raises(MetricError, match="hamming"):
        TriangleCode(4).fit(bits)
    with pytest.raises(MetricError, match="TriangleCode measures differences of numbers"):
        TriangleCode(BinaryVocabulary(4)).fit(bits)
