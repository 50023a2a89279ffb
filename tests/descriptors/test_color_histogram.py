import colorsys
import pickle

import numpy as np
import pytest
from skimage import color, data
from sklearn.base import clone

from featrec.descriptors import ColorHistogram

RANGES = {"rgb": [(0, 1)] * 3, "hsv": [(0, 1)] * 3, "lab": [(0, 100), (-128, 127), (-128, 127)]}
CONVERSIONS = {"rgb": np.asarray, "hsv": color.rgb2hsv, "lab": color.rgb2lab}


@pytest.mark.parametrize("space", list(RANGES))
@pytest.mark.parametrize("bins", [(8, 8, 8), (12, 3, 5)])
def test_is_numpys_histogram_of_scikit_images_colours(rng, space, bins):
    image = rng.random((40, 50, 3))
    expected, _ = np.histogramdd(CONVERSIONS[space](image).reshape(-1, 3), bins=bins, range=RANGES[space])
    # A colour within the rounding below a border may change its bin.
    found = ColorHistogram(bins=bins, space=space).extract(image)
    assert np.abs(found - expected.ravel() / 2000).sum() <= 2 * 3 / 2000


@pytest.mark.parametrize("rgb", [(1, 0, 0), (1, 1, 0), (0.2, 0.9, 0.3), (0, 0.5, 0.6), (0.3, 0.2, 0.9), (0.9, 0.1, 0.3)])
def test_hue_saturation_and_value_are_pythons(rgb):
    code = ColorHistogram(bins=60, space="hsv").extract(np.full((2, 2, 3), rgb, float)).reshape(60, 60, 60)
    expected = np.minimum(np.array(colorsys.rgb_to_hsv(*rgb)) * 60 + 1e-6, 59).astype(int)
    assert code[tuple(expected)] == 1


@pytest.mark.parametrize("space", list(RANGES))
def test_integers_and_floats_of_one_image_agree(space):
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
def test_gray_is_three_equal_channels(rng, space):
    gray = rng.random((20, 21))
    histogram = ColorHistogram(bins=5, space=space)
    np.testing.assert_array_equal(histogram.extract(gray), histogram.extract(np.stack([gray] * 3, axis=2)))


@pytest.mark.parametrize("space", list(RANGES))
def test_every_kind_of_image_whatever_the_number_of_threads(ragged, space):
    codes = ColorHistogram(bins=(4, 3, 2), space=space).fit_transform(ragged * 3)
    assert codes.shape == (18, 24)
    assert codes.dtype == np.float32
    np.testing.assert_allclose(codes.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(ColorHistogram(bins=(4, 3, 2), space=space, n_jobs=2).fit_transform(ragged * 3), codes)


def test_names_clone_and_pickle(ragged):
    histogram = ColorHistogram(bins=2).set_output(transform="pandas").fit(ragged)
    frame = pickle.loads(pickle.dumps(histogram)).transform(ragged)
    assert list(frame.columns) == [f"colorhistogram{i}" for i in range(8)]
    assert clone(histogram).get_params() == histogram.get_params()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bins": (8, 8)}, r"bins must be 3 positive integers, or a single one for all; got \(8, 8\)"),
        ({"bins": 0}, "'bins' parameter of ColorHistogram must be an int"),
        ({"space": "bgr"}, "'space' parameter of ColorHistogram must be a str among"),
    ],
)
def test_wrong_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        ColorHistogram(**parameters).extract(np.zeros((2, 2)))
