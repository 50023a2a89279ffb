"""SignCode against plain loops and scikit-learn's neighbours."""

import numpy as np
import pytest

from featrec.compiled._two_sided_codes import sign_code
from featrec.encoders import SignCode
from featrec.encoders._votes import wanted_words
from tests.encoders.some_bags import bag
from tests.encoders.test_sums_of_votes import sign_votes
from tests.naive import codes as naive


def both(points, words, cells, share, n_cells):
    given = wanted_words(share, len(words))
    found, expected = np.empty((2, n_cells, 2 * len(words)), np.float32)
    sign_code(points, words.astype(np.float32), cells, *given, found)
    naive.sign_code(points, words.astype(np.float32), cells, *given, expected)
    return found, expected


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
@pytest.mark.parametrize("share", [1e-9, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("n, k, d, n_cells", [(1, 1, 1, 1), (2, 3, 5, 1), (40, 17, 6, 3), (35, 4, 3, 35), (0, 3, 2, 2)])
def test_the_compiled_loop_agrees_with_plain_loops(rng, n, k, d, n_cells, share, kind):
    points, words = rng.uniform(0, 255, (n, d)).astype(kind), rng.uniform(0, 255, (k, d)).astype(kind)
    found, expected = both(points, words, rng.integers(n_cells, size=n), share, n_cells)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_words_at_the_distance_of_the_last_one_all_count(rng, share):
    """With integers, half of all distances are ties."""
    points, words = rng.integers(-2, 3, (60, 3)).astype(np.float32), rng.integers(-2, 3, (80, 3)).astype(np.float32)
    found, expected = both(points, words, np.arange(60), share, 60)
    np.testing.assert_array_equal(found, expected)
    assert (found[:, :80].sum(axis=1) > wanted_words(share, 80)[0]).any()


@pytest.mark.parametrize("share", [0.1, 0.4, 0.9])
def test_equal_words(rng, share):
    points, words = rng.normal(size=(9, 5)).astype(np.float32), np.full((30, 5), 0.1, np.float32)
    found, expected = both(points, words, np.zeros(9, np.int64), share, 1)
    np.testing.assert_array_equal(found, expected)
    assert (found == 9).all()


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("make", ["far", "two", "steep"])
def test_distances_that_are_far_from_normal(rng, make, scale):
    """One word is a thousand times as far as others, two clusters are far apart, or distances span nine powers of ten."""
    words = rng.normal(size=(300, 4))
    if make == "far":
        words[7] *= 1000
    if make == "two":
        words[150:] += 1e4
    if make == "steep":
        words *= 10 ** rng.uniform(-5, 4, (300, 1))
    points = (scale * rng.normal(size=(20, 4))).astype(np.float32)
    words = (scale * words).astype(np.float32)
    for share in (0.003, 0.5, 0.51, 0.997):
        wanted, *guess = wanted_words(share, 300)
        found = np.empty((20, 600), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # squares are used only for a first guess
            sign_code(points, words, np.arange(20), wanted, *guess, found)
        # Distances that are equal in float32 may be in any order; all others are sorted.
        for x, code in zip(points.astype(float), found, strict=True):
            for sign, near in zip((1, -1), code.reshape(2, 300) > 0, strict=True):
                z = (words.astype(float) ** 2).sum(axis=1) / 2 - sign * words.astype(float) @ x
                assert near.sum() >= wanted
                slack = 1e-6 * (abs(words.astype(float)) @ abs(x) + (words.astype(float) ** 2).sum(axis=1))
                last = np.sort(z)[wanted - 1]
                assert (z[near] <= last + slack[near] + slack.min()).all()
                assert near[z < last - slack - slack[np.argsort(z)[wanted - 1]]].all()


@pytest.mark.parametrize("n, k", [(191, 5), (193, 63), (400, 1700)])
@pytest.mark.parametrize("n_cells", [1, 3])
def test_several_tiles_of_points(rng, n, k, n_cells):
    points, words = rng.normal(size=(n, 9)).astype(np.float32), rng.normal(size=(k, 9)).astype(np.float32)
    cells = rng.integers(n_cells, size=n)
    wanted, *guess = wanted_words(0.4, k)
    found = np.empty((n_cells, 2 * k), np.float32)
    sign_code(points, words, cells, wanted, *guess, found)
    each = sign_votes(points, words, wanted)
    expected = np.stack([each[cells == cell].sum(axis=0) for cell in range(n_cells)])
    assert found.sum() == expected.sum() == 2 * n * wanted
    assert abs(found - expected).sum() <= 1e-5 * expected.sum()


@pytest.mark.parametrize(("share", "k", "wanted"), [(0.4, 10, 4), (1e-9, 10, 1), (1.0, 7, 7), (0.5, 1, 1), (0.29, 10, 3)])
def test_a_share_is_rounded_to_words(rng, share, k, wanted):
    one = bag(rng, 20)
    code = SignCode(k, share=share, norm=None, random_state=0).fit_transform([one])[0]
    assert code[:k].sum() == code[k:].sum() == 20 * wanted
