"""TinyImage and ColorHistogram agree with NumPy, scikit-image and colorsys."""

import colorsys

import numpy as np
import pytest
from skimage import color, data
from skimage.transform import downscale_local_mean

from featrec.descriptors import ColorHistogram, TinyImage
from featrec.exceptions import InputError
from tests.descriptors.contributions import assert_complete, parts_with_content, spot, touched


def test_a_pixel_is_the_mean_of_its_area(rng):
    image = rng.random((48, 80))
    expected = downscale_local_mean(image, (3, 5)).ravel()
    np.testing.assert_allclose(TinyImage(normalize=False).extract(image), expected, atol=1e-6)


def test_a_pixel_on_a_border_is_divided():
    assert TinyImage(size=(1, 2), normalize=False).extract(np.array([[0.0, 0.6, 0.9]])) == pytest.approx([0.2, 0.8])


def test_an_image_that_shrinks_in_one_direction_and_grows_in_the_other(rng):
    image = rng.random((1, 64))
    tiny = TinyImage(size=(4, 16), normalize=False).extract(image).reshape(4, 16)
    np.testing.assert_allclose(tiny, np.tile(image.reshape(16, 4).mean(axis=1), (4, 1)), atol=1e-6)


def test_normalised_rows_have_mean_zero_and_length_one(rng):
    row = TinyImage().extract(rng.random((50, 40, 3)))
    assert row.shape == (256,)
    assert row.mean() == pytest.approx(0, abs=1e-7)
    assert np.linalg.norm(row) == pytest.approx(1)


def test_brightness_and_contrast_are_removed(rng):
    image = rng.random((30, 30))
    np.testing.assert_allclose(TinyImage().extract(0.3 + image / 2), TinyImage().extract(image), atol=1e-6)


@pytest.mark.parametrize("value", [0, 1, 77, 255])
@pytest.mark.parametrize("color", [False, True])
def test_a_flat_image_is_zero(value, color):
    for image in (np.full((37, 23), value, np.uint8), np.full((37, 23, 3), value / 255), np.full((1, 1), value, np.uint8)):
        assert (TinyImage(color=color).extract(image) == 0).all()


def test_colour_keeps_three_channels(rng):
    image = rng.random((32, 32, 3))
    tiny = TinyImage(size=(4, 4), color=True, normalize=False).extract(image)
    np.testing.assert_allclose(tiny.reshape(4, 4, 3), downscale_local_mean(image, (8, 8, 1)), atol=1e-6)
    gray = TinyImage(size=(4, 4), color=True).extract(image[..., 0]).reshape(16, 3)
    np.testing.assert_array_equal(gray[:, 0], gray[:, 2])


def test_tiny_images_of_all_data_types_agree():
    image = data.astronaut()[:100, :120]
    code = TinyImage().extract(image)
    for same in (image.astype(np.uint16) * 257, image / 255, (image / 255).astype(np.float32)):
        np.testing.assert_allclose(TinyImage().extract(same), code, atol=1e-5)


RANGES = {"rgb": [(0, 1)] * 3, "hsv": [(0, 1)] * 3, "lab": [(0, 100), (-128, 127), (-128, 127)]}
CONVERSIONS = {"rgb": np.asarray, "hsv": color.rgb2hsv, "lab": color.rgb2lab}


@pytest.mark.parametrize("space", list(RANGES))
@pytest.mark.parametrize("bins", [(8, 8, 8), (12, 3, 5)])
def test_color_histogram_equals_numpy_and_scikit_image(rng, space, bins):
    image = rng.random((40, 50, 3))
    expected, _ = np.histogramdd(CONVERSIONS[space](image).reshape(-1, 3), bins=bins, range=RANGES[space])
    # A colour that is below a border by less than the tolerance may be assigned to another bin.
    found = ColorHistogram(bins=bins, space=space).extract(image)
    assert np.abs(found - expected.ravel() / 2000).sum() <= 2 * 3 / 2000


@pytest.mark.parametrize("rgb", [(1, 0, 0), (1, 1, 0), (0.2, 0.9, 0.3), (0, 0.5, 0.6), (0.3, 0.2, 0.9), (0.9, 0.1, 0.3)])
def test_hue_saturation_and_value_equal_colorsys(rgb):
    code = ColorHistogram(bins=60, space="hsv").extract(np.full((2, 2, 3), rgb, float)).reshape(60, 60, 60)
    expected = np.minimum(np.array(colorsys.rgb_to_hsv(*rgb)) * 60 + 1e-6, 59).astype(int)
    assert code[tuple(expected)] == 1


@pytest.mark.parametrize("space", list(RANGES))
def test_color_histograms_of_all_data_types_agree(space):
    image = data.astronaut()[:100, :120]
    histogram = ColorHistogram(space=space)
    code = histogram.extract(image)
    np.testing.assert_allclose(code.sum(), 1, rtol=1e-6)
    for same in (image.astype(np.uint16) * 257, image / 255, (image / 255).astype(np.float32)):
        assert np.abs(histogram.extract(same) - code).sum() <= 2e-4


def test_the_largest_values_fall_in_the_last_bin():
    code = ColorHistogram(bins=(2, 3, 4)).extract(np.full((5, 5, 3), 255, np.uint8))
    assert code[-1] == 1
    assert code.shape == (24,)


@pytest.mark.parametrize("space", list(RANGES))
def test_a_gray_image_counts_as_three_equal_channels(rng, space):
    gray = rng.random((20, 21))
    histogram = ColorHistogram(bins=5, space=space)
    np.testing.assert_array_equal(histogram.extract(gray), histogram.extract(np.stack([gray] * 3, axis=2)))


@pytest.mark.parametrize(
    "extractor", [TinyImage(size=(4, 6)), *(ColorHistogram(bins=(4, 3, 2), space=name) for name in RANGES)]
)
def test_images_of_different_sizes(ragged, extractor):
    codes = extractor.fit_transform(ragged * 3)
    assert codes.shape == (18, 24)
    assert codes.dtype == np.float32
    assert np.isfinite(codes).all()


def test_wrong_sizes_are_named():
    with pytest.raises(InputError, match=r"size must be 2 positive integers, or one integer for all; got \(16, 0\)"):
        TinyImage(size=(16, 0)).extract(np.zeros((2, 2)))
    with pytest.raises(InputError, match=r"bins must be 3 positive integers, or one integer for all; got \(8, 8\)"):
        ColorHistogram(bins=(8, 8)).extract(np.zeros((2, 2)))


@pytest.mark.parametrize("parameters", [{}, {"size": (5, 3), "color": True}, {"size": (40, 7), "normalize": False}])
def test_contributions_of_a_tiny_image_add_up(ragged, parameters):
    for image in ragged:
        assert_complete(TinyImage(**parameters), image)


@pytest.mark.parametrize("shape", [(30, 44), (44, 30, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, float])
@pytest.mark.parametrize("color", [False, True])
def test_pixels_of_a_tiny_image_lie_where_the_image_has_content(rng, shape, dtype, color):
    tiny = TinyImage(size=(4, 8), color=color, normalize=False)
    for where in ((0, 7, 0, 5), (9, 16, 12, 21), (shape[0] - 2, shape[0], shape[1] - 9, shape[1])):
        image = spot(rng, shape, dtype, *where)
        outlines = tiny.contributions(image, np.ones(len(tiny.extract(image)))).outlines
        np.testing.assert_array_equal(parts_with_content(tiny, image), touched(outlines, *where))


@pytest.mark.parametrize("space", ["rgb", "hsv", "lab"])
def test_bins_of_a_color_histogram_have_names_and_no_place(ragged, space):
    histogram = ColorHistogram(bins=(4, 2, 3), space=space)
    for image in ragged:
        found = assert_complete(histogram, image)
        assert np.isnan(found.outlines).all()
        np.testing.assert_array_equal(found.values != 0, histogram.extract(image) != 0)


@pytest.mark.parametrize(
    "space, rgb, expected",
    [
        ("rgb", (255, 0, 100), "red 0.75 to 1, green 0 to 0.25, blue 0.25 to 0.5"),
        ("hsv", (255, 120, 0), "hue 0° to 90°, saturation 0.75 to 1, value 0.75 to 1"),
        ("hsv", (0, 0, 100), "hue 180° to 270°, saturation 0.75 to 1, value 0.25 to 0.5"),
        ("lab", (0, 100, 0), "L 25 to 50, a -64.25 to -0.5, b -0.5 to 63.25"),
    ],
)
def test_the_name_of_a_bin_describes_its_colours(space, rgb, expected):
    found = ColorHistogram(bins=4, space=space).contributions(np.full((3, 3, 3), rgb, np.uint8), np.ones(64))
    assert [name for name, value in zip(found.names, found.values, strict=True) if value] == [expected]
