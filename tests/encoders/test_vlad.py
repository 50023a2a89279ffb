"""VLAD against VLFeat and plain loops."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import KMeans

from featrec import Bag
from featrec.compiled._near_words import vlad
from featrec.encoders import VLAD
from tests.encoders.some_bags import bag, vocabulary_of
from tests.naive import codes as naive

VLFEAT = np.load(Path(__file__).parents[1] / "data" / "vlfeat_reference.npz")
CASES = {
    "unnormalized": {"intra_norm": False, "norm": None},
    "l2": {"intra_norm": False},
    "square_root_l2": {"power": 0.5, "intra_norm": False},
    "components_l2": {},
    "square_root_components_l2": {"power": 0.5},
    "mass_l2": {"average": True, "intra_norm": False},
}


@pytest.mark.parametrize("case", CASES)
def test_the_six_codes_of_vlfeat(case):
    bags = [Bag(VLFEAT["enc_descriptors"])]
    code = VLAD(vocabulary_of(VLFEAT["enc_means"]), **CASES[case]).fit(bags).transform(bags)[0]
    expected = VLFEAT[f"vlad_{case}"]
    # VLFeat adds up to 66 residuals in float32. Codes that are not normalised are compared relative to their size.
    np.testing.assert_allclose(code, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
@pytest.mark.parametrize("n, k, d, n_cells", [(1, 1, 1, 1), (2, 3, 5, 1), (40, 7, 6, 3), (90, 4, 3, 90)])
def test_the_compiled_loop_agrees_with_plain_loops(rng, n, k, d, n_cells, kind):
    points, words = (rng.uniform(0, 255, (rows, d)).astype(kind) for rows in (n, k))
    cells = rng.integers(n_cells, size=n)
    results = []
    for loop in (vlad, naive.vlad):
        out = np.empty((n_cells, k, d), np.float32), np.empty((n_cells, k), np.float32)
        loop(points, words.astype(np.float32), cells, *out)
        results.append(out)
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


def test_several_tiles_of_points_and_words(rng):
    points, words = rng.normal(size=(600, 5)).astype(np.float32), rng.normal(size=(300, 5)).astype(np.float32)
    residuals, counts = np.empty((2, 300, 5), np.float32), np.empty((2, 300), np.float32)
    cells = np.arange(600) % 2
    vlad(points, words, cells, residuals, counts)
    nearest = KMeans(300, init=words, n_init=1, max_iter=1).fit(words).predict(points)
    assert counts.sum() == 600
    np.testing.assert_array_equal(counts[0], np.bincount(nearest[::2], minlength=300))
    expected = np.zeros((300, 5))
    np.add.at(expected, nearest[1::2], points[1::2] - words[nearest[1::2]])
    np.testing.assert_allclose(residuals[1], expected, atol=1e-4)


def test_equally_near_words_give_the_residuals_to_the_first(rng):
    points, words = rng.normal(size=(20, 3)).astype(np.float32), np.ones((300, 3), np.float32)
    residuals, counts = np.empty((1, 300, 3), np.float32), np.empty((1, 300), np.float32)
    vlad(points, words, np.zeros(20, np.int64), residuals, counts)
    assert counts[0, 0] == 20
    assert not residuals[0, 1:].any()


def test_averages_divide_by_the_number_of_descriptors_of_the_word(rng):
    words = np.array([[0.0, 0.0], [10.0, 0.0]], np.float32)
    descriptors = [[1, 0], [1, 2], [9, 9]]
    plain = {"intra_norm": False, "norm": None}
    summed, averaged = (
        VLAD(vocabulary_of(words), average=average, **plain).fit_transform([Bag(descriptors)])[0] for average in (False, True)
    )
    np.testing.assert_allclose(summed, [2, 2, -1, 9])
    np.testing.assert_allclose(averaged, [1, 1, -1, 9])


def test_residuals_that_cancel_give_zeros(rng):
    points = rng.normal(size=(50, 4)).astype(np.float32) + 100
    mean = points.mean(axis=0, dtype=np.float64, keepdims=True).astype(np.float32)
    code = VLAD(vocabulary_of(mean)).fit_transform([Bag(points)])
    assert not code.any()


def test_one_word_and_one_or_two_descriptors(rng):
    for n in (1, 2):
        one = bag(rng, n)
        expected = (one.descriptors - 1).sum(axis=0)
        code = VLAD(vocabulary_of(np.ones((1, 6)))).fit_transform([one])[0]
        np.testing.assert_allclose(code, expected / np.linalg.norm(expected), atol=1e-6)
