"""LBP agrees with its naive implementation and with scikit-image's local_binary_pattern."""

import numpy as np
import pytest
import skimage.data
from skimage.feature import local_binary_pattern

from featrec.compiled._pixels import count_patterns, lbp_patterns
from featrec.descriptors import LBP
from featrec.descriptors._lbp import ONE_FOR_8_BITS, _circle, pattern_bins, patterns_of
from featrec.exceptions import InputError
from tests.descriptors.contributions import assert_complete, spot, touched
from tests.naive import lbp as naive

CIRCLES = [(8, 1.0), (8, 2.0), (16, 2.0), (12, 1.5), (5, 3.0), (1, 1.0), (8, 0.5)]


def make_image(shape=(17, 23), seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def interior(array, margin):
    return array[margin : array.shape[0] - margin, margin : array.shape[1] - margin]


@pytest.mark.parametrize("n_points, radius", CIRCLES)
def test_patterns_equal_the_naive_twin(n_points, radius):
    gray, margin = make_image(), int(np.ceil(radius))
    offsets, weights = _circle(n_points, radius, ONE_FOR_8_BITS)
    found = np.full((17 - 2 * margin, 23 - 2 * margin), 9999, np.uint16)
    expected = found.copy()
    lbp_patterns(gray, margin, offsets, weights, np.int32(ONE_FOR_8_BITS), found)
    naive.lbp_patterns(gray, margin, offsets, weights, ONE_FOR_8_BITS, expected)
    np.testing.assert_array_equal(found, expected)


def test_counts_equal_the_naive_twin():
    random = np.random.default_rng(0)
    patterns = random.integers(0, 256, (9, 14)).astype(np.uint16)
    bins, n_bins = pattern_bins(8, "uniform")
    rows, columns = np.sort(random.integers(0, 3, 9)), np.sort(random.integers(0, 2, 14))
    found, expected = np.ones((3, 2, n_bins), np.int32), np.zeros((3, 2, n_bins), np.int32)
    count_patterns(patterns, bins, rows, columns, found)
    naive.count_patterns(patterns, bins, rows, columns, expected)
    np.testing.assert_array_equal(found, expected)
    assert found.sum() == 9 * 14


@pytest.mark.parametrize("n_points, radius", CIRCLES)
@pytest.mark.parametrize("name", ["camera", "brick", "coins"])
def test_patterns_equal_scikit_image(n_points, radius, name):
    image = getattr(skimage.data, name)()[:120, :150]
    margin = int(np.ceil(radius))
    expected = interior(local_binary_pattern(image, n_points, radius, "default"), margin).astype(np.int32)
    found = patterns_of(image, ONE_FOR_8_BITS, n_points, radius)
    # If a point between pixels equals its centre, scikit-image's result depends on rounding errors.
    ties = interior(_ties(image.astype(float), n_points, radius), margin)
    assert (found == expected)[~ties].all()
    assert (~ties).any()
    assert (found != expected).mean() < 0.02


@pytest.mark.parametrize("radius", [1.0, 1.5, 2.0, 3.0])
def test_patterns_of_noise_equal_scikit_image(radius):
    """Weights of 20 bits would change one pattern in a million; these images have a million patterns."""
    margin = int(np.ceil(radius))
    for image in np.random.default_rng(0).integers(0, 256, (10, 360, 480), dtype=np.uint8)[:4]:
        expected = interior(local_binary_pattern(image, 8, radius), margin)
        np.testing.assert_array_equal(patterns_of(image, ONE_FOR_8_BITS, 8, radius), expected)


def test_codes_of_several_grids_and_circles_are_concatenated():
    image = make_image((40, 60))
    whole = LBP(n_points=(8, 16), radius=(1, 2), method="uniform", grids=((1, 1), (2, 2))).extract(image)
    parts = [
        LBP(n_points=n, radius=radius, method="uniform", grids=(grid,)).extract(image)
        for n, radius in ((8, 1), (16, 2))
        for grid in ((1, 1), (2, 2))
    ]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_the_brightest_16_bit_image_does_not_overflow():
    image = np.full((19, 19), 65535, np.uint16)
    image[9, 9] = 65534
    code = LBP(radius=1.5, method="default", norm=None).extract(image)
    dark = LBP(radius=1.5, method="default", norm=None).extract(image - np.uint16(65000))
    np.testing.assert_array_equal(code, dark)
    assert code[255] > code.sum() / 2


def _ties(image, n_points, radius):
    """Return the pixels that equal an interpolated point of their circle, up to rounding errors."""
    offsets, weights = _circle(n_points, radius, ONE_FOR_8_BITS)
    height, width = image.shape
    margin = int(np.ceil(radius)) + 1
    padded = np.pad(image, margin, mode="edge")
    tie = np.zeros(image.shape, bool)
    for (dy, dx), shares in zip(offsets, weights / ONE_FOR_8_BITS, strict=True):
        if shares.max() == 1:
            continue
        value = np.zeros(image.shape)
        for share, (down, right) in zip(shares, [(0, 0), (0, 1), (1, 0), (1, 1)], strict=True):
            top, left = margin + dy + down, margin + dx + right
            value += share * padded[top : top + height, left : left + width]
        tie |= np.abs(value - image) < 1e-3
    return tie


@pytest.mark.parametrize("method, n_bins", [("default", 256), ("ror", 36), ("uniform", 10), ("nri_uniform", 59)])
def test_bins_group_patterns_like_scikit_image(method, n_bins):
    image = make_image((60, 70))
    theirs = interior(local_binary_pattern(image, 8, 1, method), 1)
    patterns = patterns_of(image, ONE_FOR_8_BITS, 8, 1.0)
    bins, n = pattern_bins(8, method)
    assert n == n_bins
    pairs = set(zip(bins[patterns].ravel().tolist(), theirs.ravel().tolist(), strict=True))
    assert len(pairs) == len({mine for mine, _ in pairs}) == len({their for _, their in pairs})


def test_codes_are_histograms_of_cells():
    image = make_image((40, 60))
    code = LBP(method="default", grids=((1, 1), (2, 3)), norm=None).extract(image)
    patterns = patterns_of(image, ONE_FOR_8_BITS, 8, 1.0)
    whole, cells = code[:256], code[256:].reshape(2, 3, 256)
    np.testing.assert_array_equal(whole, np.bincount(patterns.ravel(), minlength=256))
    np.testing.assert_array_equal(cells.sum(axis=(0, 1)), whole)
    np.testing.assert_array_equal(cells[1, 2], np.bincount(patterns[19:, 39:].ravel(), minlength=256))


@pytest.mark.parametrize("norm", ["l1", "l2", "hellinger"])
def test_norms(norm):
    cells = LBP(grids=((2, 2),), norm=norm).extract(make_image((40, 60))).reshape(4, 59)
    sums = {"l1": cells.sum(axis=1), "l2": (cells**2).sum(axis=1), "hellinger": (cells**2).sum(axis=1)}[norm]
    np.testing.assert_allclose(sums, 1, rtol=1e-5)


def test_patterns_do_not_depend_on_contrast():
    image = make_image((40, 60)) // 2
    np.testing.assert_array_equal(LBP().extract(image), LBP().extract(image * 2))


def test_a_flat_image_has_one_pattern():
    code = LBP(method="default", norm="l1", n_points=[8, 8], radius=[1, 2.3]).extract(np.full((20, 20), 77, np.uint8))
    assert code[255] == code[511] == 1


def test_an_image_smaller_than_the_circle_gives_zeros():
    assert not LBP(radius=3).extract(np.zeros((6, 40), np.uint8)).any()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"radius": 0}, "radius of LBP must be"),
        ({"radius": []}, "radius of LBP must be"),
        ({"n_points": 17}, "integers from 1 to 16"),
        ({"n_points": [8, 8]}, "must have the same length; got 2 and 1"),
        ({"grids": [(0, 1)]}, "grids of LBP must contain pairs"),
        ({"grids": [2]}, "grids of LBP must contain pairs"),
    ],
)
def test_a_wrong_parameter_is_named(options, message):
    with pytest.raises(InputError, match=message):
        LBP(**options).fit([make_image()])


def naive_shares(lbp, gray, weights):
    """Return what each pixel contributes, pixel by pixel: its bin's share of the weighted code."""
    code, shares, start = lbp.extract(gray), np.zeros(gray.shape), 0
    for n_points, radius in lbp._circles():
        patterns, (bins, n_bins) = patterns_of(gray, ONE_FOR_8_BITS, n_points, radius), pattern_bins(n_points, lbp.method)
        margin = int(np.ceil(radius))
        for rows, columns in lbp.grids:
            where = {}
            for y, x in np.ndindex(patterns.shape):
                row, column = (y + margin) * rows // gray.shape[0], (x + margin) * columns // gray.shape[1]
                place = start + (row * columns + column) * n_bins + bins[patterns[y, x]]
                where.setdefault(place, []).append((y + margin, x + margin))
            for place, pixels in where.items():
                for pixel in pixels:
                    shares[pixel] += float(weights[place]) * float(code[place]) / len(pixels)
            start += rows * columns * n_bins
    return shares


@pytest.mark.parametrize("norm", ["l1", "l2", "hellinger", None])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"radius": (1, 2.5), "n_points": (8, 6), "grids": ((1, 1), (2, 3)), "method": "uniform"},
        {"radius": 3, "grids": ((4, 1),), "method": "ror"},
    ],
)
def test_contributions_are_sums_over_squares_of_pixels(norm, parameters):
    lbp, gray = LBP(norm=norm, **parameters), make_image((67, 81))
    found = assert_complete(lbp, gray)
    weights = np.random.default_rng(0).normal(size=len(lbp.extract(gray)))
    padded = np.pad(naive_shares(lbp, gray, weights), ((0, 5), (0, 7)))
    np.testing.assert_allclose(found.values, padded.reshape(9, 8, 11, 8).sum(axis=(1, 3)).ravel(), atol=1e-9)
    np.testing.assert_array_equal(found.outlines[0], [(-0.5, -0.5), (7.5, -0.5), (7.5, 7.5), (-0.5, 7.5)])
    np.testing.assert_array_equal(found.outlines[-1], [(79.5, 63.5), (80.5, 63.5), (80.5, 66.5), (79.5, 66.5)])


@pytest.mark.parametrize("shape", [(20, 33), (70, 64, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, float])
def test_only_squares_near_a_spot_contribute_patterns_of_the_spot(rng, shape, dtype):
    """A flat image has one pattern. The contributions of all others lie at the pixels whose circles reach the spot."""
    lbp, where = LBP(radius=2, method="default"), (9, 14, 17, 23)
    weights = np.ones(256)
    weights[255] = 0
    found = lbp.contributions(spot(rng, shape, dtype, *where), weights)
    assert found.values.any()
    np.testing.assert_array_equal(found.values[~touched(found.outlines, *where, down=2, across=2)], 0)
    assert found.values[touched(found.outlines, *where)].all()


def test_contributions_of_images_without_patterns(ragged):
    for image in (*ragged, np.full((30, 40, 3), 7, np.uint8), np.zeros((2, 9), np.uint8)):
        assert_complete(LBP(radius=(1, 4), grids=((1, 1), (2, 2))), image)
    assert LBP().contributions(np.zeros((2, 9), np.uint8), np.ones(59)).values.tolist() == [0] * 18
