import numpy as np
import pytest
from skimage.exposure import rescale_intensity

from featrec.exceptions import InputError, UnsupportedImageError
from featrec.preprocessing import Rescale


@pytest.mark.parametrize("step", [Rescale(4095), Rescale(bits=12)], ids=repr)
def test_declared_white_becomes_white(rng, step):
    scan = rng.integers(0, 4096, (30, 40, 3), dtype=np.uint16)
    scan[0, 0] = 4095
    changed = step.apply(scan)
    np.testing.assert_array_equal(changed, np.rint(scan / 4095 * 65535))
    assert changed.max() == 65535


def test_declared_white_of_8_bit_images():
    image = np.array([[0, 21, 63]], np.uint8)
    assert Rescale(bits=6).apply(image).tolist() == [[0, 85, 255]]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_what_cannot_hold_the_declared_white_stays_itself(rng, dtype):
    image = rng.random((9, 9)).astype(dtype)
    assert Rescale(bits=12).apply(image) is image


def test_values_over_the_declared_white_are_refused_by_name():
    images = Rescale(bits=12).transform([np.zeros((2, 2), np.uint16), np.full((2, 2), 5000, np.uint16)])
    with pytest.raises(
        UnsupportedImageError, match=r"image 1: Rescale: white is set to 4095, but an image of uint16 contains 5000.*bits=13"
    ):
        images[1]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
@pytest.mark.parametrize("percentiles", [(0, 100), (2, 98), (0, 99)])
def test_percentiles_agree_with_scikit_image(rng, dtype, percentiles):
    image = rng.normal(0.4, 0.1, (40, 50, 3)).clip(0, 1)
    image = image if dtype == np.float64 else (image * np.iinfo(dtype).max).astype(dtype)
    found = tuple(np.percentile(image, percentiles))
    top = 1 if dtype == np.float64 else np.iinfo(dtype).max
    expected = rescale_intensity(image.astype(float), found, (0, top))
    np.testing.assert_allclose(Rescale(percentiles=percentiles).apply(image), expected, atol=1e-9 if top == 1 else 0.5001)


def test_all_channels_share_one_stretch():
    image = np.array([[[0, 50, 100], [20, 40, 60]]], np.uint8)
    assert Rescale().apply(image).tolist() == [[[0, 128, 255], [51, 102, 153]]]


def test_few_bright_pixels_on_black_are_kept():
    stars = np.zeros((100, 100), np.uint16)
    stars[3, 4] = 900
    changed = Rescale(percentiles=(1, 99)).apply(stars)
    assert changed[3, 4] == 65535
    assert changed.sum() == 65535


def test_a_flat_image_is_returned_itself():
    image = np.full((4, 4), 7, np.uint8)
    assert Rescale().apply(image) is image


@pytest.mark.parametrize("percentiles", [(0,), (50, 50), (-1, 99), (1, 101), (2, 1), ("a", "b")])
def test_percentiles_are_refused(percentiles):
    with pytest.raises(InputError, match=r"Rescale: percentiles must be \(low, high\) with 0 <= low < high <= 100"):
        Rescale(percentiles=percentiles).transform([])


def test_two_declarations_are_refused():
    with pytest.raises(InputError, match=r"max_value=4095 and bits=12 both define white"):
        Rescale(4095, bits=12).fit([])


@pytest.mark.parametrize("parameters", [{"max_value": 0}, {"max_value": 4095.5}, {"bits": 0}, {"bits": 17}])
def test_parameters_are_refused(parameters):
    with pytest.raises(ValueError, match=f"The '{next(iter(parameters))}' parameter of Rescale"):
        Rescale(**parameters).fit([])
