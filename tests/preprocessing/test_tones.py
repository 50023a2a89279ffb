"""Grayscale, AdjustLight, NormalizeContrast, CLAHE and Rescale."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.data import astronaut, camera
from skimage.exposure import rescale_intensity

from featrec.exceptions import UnsupportedImageError
from featrec.images import as_gray
from featrec.preprocessing import CLAHE, AdjustLight, Grayscale, NormalizeContrast, Rescale

SCENE = camera()[::4, ::3]
COLOURS = astronaut()[::4, ::3]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_grayscale_is_the_luma(rng, dtype):
    image = rng.random((9, 7, 3))
    top = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    image = (image * top).astype(dtype)
    gray = Grayscale().apply(image)
    assert gray.shape == (9, 7)
    assert gray.dtype == dtype
    expected = 0.299 * image[..., 0] + 0.587 * image[..., 1] + 0.114 * image[..., 2]
    np.testing.assert_allclose(gray, expected, atol=1e-6 if top == 1 else 0.51 + top / 2**15)  # cv2 has 14 or 15 bits


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_luma_of_white_is_at_most_one(dtype):
    assert 1 - 1e-6 < Grayscale().apply(np.ones((3, 3, 3), dtype)).max() <= 1


def test_grayscale_returns_gray_images_unchanged(ragged):
    assert Grayscale().apply(ragged[0]) is ragged[0]
    assert repr(Grayscale().fit_transform(ragged)) == "Images(6 of ImageItems → Grayscale)"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("gamma, contrast, brightness", [(0.5, 1, 0), (2.2, 1, 0), (1, 1.5, 0), (1, 1, -0.2), (0.7, 0.5, 0.3)])
def test_adjust_light_agrees_with_the_formula(rng, dtype, gamma, contrast, brightness):
    image = rng.random((20, 30, 3))
    top = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    image = (image * top).astype(dtype)
    values = image.astype(np.float64) / top
    expected = np.clip((values**gamma - 0.5) * contrast + 0.5 + brightness, 0, 1) * top
    changed = AdjustLight(gamma, contrast=contrast, brightness=brightness).apply(image)
    np.testing.assert_allclose(changed, expected, atol=1e-6 if top == 1 else 0.5001)


def test_adjust_light_without_change_returns_the_image_itself(rng):
    image = rng.random((4, 5))
    assert AdjustLight().apply(image) is image


def test_normalized_mean_and_standard_deviation(rng):
    image = rng.random((40, 50)) * 0.2 + 0.05
    changed = NormalizeContrast(0.15).apply(image)
    np.testing.assert_allclose([changed.mean(), changed.std()], [0.5, 0.15], atol=1e-9)


def test_exposure_does_not_change_the_normalized_image(rng):
    image = rng.random((30, 30, 3)) * 0.3
    np.testing.assert_allclose(NormalizeContrast().apply(image), NormalizeContrast().apply(image * 2 + 0.1), atol=1e-9)


def test_a_window_removes_shadows(rng):
    texture = rng.random((80, 80)) * 0.4
    shadow = np.linspace(0.3, 1, 80)
    step = NormalizeContrast(window=0.1)
    near = np.abs(step.apply(texture * shadow) - step.apply(texture)).mean()
    far = np.abs(NormalizeContrast().apply(texture * shadow) - NormalizeContrast().apply(texture)).mean()
    assert near < far / 3


@pytest.mark.parametrize("shape", [(40, 30), (40, 30, 3)])
def test_local_normalization_agrees_with_scipy(rng, shape):
    image = rng.random(shape)
    luma = as_gray(image)
    mean = gaussian_filter(luma, 3.0, mode="mirror", radius=12)
    deviation = np.sqrt(gaussian_filter((luma - mean) ** 2, 3.0, mode="mirror", radius=12))
    mean, deviation = (a[..., None] if len(shape) == 3 else a for a in (mean, deviation))
    expected = np.clip(0.5 + 0.2 * (image - mean) / np.maximum(deviation, 0.02), 0, 1)
    np.testing.assert_allclose(NormalizeContrast(window=0.1).apply(image), expected, atol=1e-6)


def test_normalization_keeps_hues(rng):
    image = rng.random((20, 20, 3)) * 0.3 + 0.3
    changed = NormalizeContrast(0.1).apply(image)
    np.testing.assert_allclose((changed - changed[:1, :1]) / 0.1, (image - image[:1, :1]) / as_gray(image).std(), atol=1e-9)


def test_variation_below_the_floor_is_not_scaled_up_further(rng):
    image = 0.3 + 0.001 * rng.standard_normal((50, 50))
    changed = NormalizeContrast(0.2, floor=0.02).apply(image)
    np.testing.assert_allclose(changed.std(), 0.2 * image.std() / 0.02, atol=1e-9)


@pytest.mark.parametrize("window", [None, 0.1])
def test_normalized_flat_images_are_gray(window):
    assert (NormalizeContrast(window=window).apply(np.full((9, 9), 3, np.uint8)) == 128).all()


def test_clahe_of_8_bit_gray_agrees_with_opencv():
    expected = cv2.createCLAHE(clipLimit=3.0, tileGridSize=(5, 2)).apply(SCENE)
    np.testing.assert_array_equal(CLAHE(3.0, grid=(2, 5)).apply(SCENE), expected)


def test_clahe_of_colour_agrees_with_replacing_the_luma():
    """By hand with cv2, which rounds Y, Cr and Cb to 8 bits on the way there and back."""
    parts = cv2.cvtColor(COLOURS, cv2.COLOR_RGB2YCrCb)
    parts[..., 0] = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(np.ascontiguousarray(parts[..., 0]))
    expected = cv2.cvtColor(parts, cv2.COLOR_YCrCb2RGB)
    np.testing.assert_allclose(CLAHE().apply(COLOURS).astype(int), expected.astype(int), atol=3)


def test_clahe_equalises_the_luma():
    soft = (COLOURS // 2 + 64).astype(np.uint8)  # nothing is cut off at black or white
    changed = Grayscale().apply(CLAHE(1.5).apply(soft)).astype(int)
    expected = CLAHE(1.5).apply(Grayscale().apply(soft)).astype(int)
    inside = (CLAHE(1.5).apply(soft) > 0).all(axis=2) & (CLAHE(1.5).apply(soft) < 255).all(axis=2)
    assert inside.mean() > 0.9
    np.testing.assert_allclose(changed[inside], expected[inside], atol=1)


def test_the_clip_limit_has_an_effect_on_16_bits():
    """OpenCV's own 16-bit form gives the same for both limits on images of this size."""
    deep = SCENE.astype(np.uint16) * 257
    low, high = (np.abs(np.diff(CLAHE(limit).apply(deep).astype(float))).mean() for limit in (1.0, 8.0))
    assert high > 1.5 * low


def test_clahe_keeps_16_bit_details(rng):
    deep = (rng.integers(20000, 21000, (64, 64))).astype(np.uint16)
    assert len(np.unique(CLAHE().apply(deep))) > 900


@pytest.mark.parametrize("step", [Rescale(4095), Rescale(bits=12)], ids=repr)
def test_the_declared_value_becomes_white(rng, step):
    scan = rng.integers(0, 4096, (30, 40, 3), dtype=np.uint16)
    scan[0, 0] = 4095
    changed = step.apply(scan)
    np.testing.assert_array_equal(changed, np.rint(scan / 4095 * 65535))
    assert changed.max() == 65535


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_types_that_cannot_hold_the_declared_white_stay_unchanged(rng, dtype):
    image = rng.random((9, 9)).astype(dtype)
    assert Rescale(bits=12).apply(image) is image
    assert Rescale(bits=6).apply(np.array([[0, 21, 63]], np.uint8)).tolist() == [[0, 85, 255]]


def test_values_over_the_declared_white_are_refused():
    images = Rescale(bits=12).transform([np.zeros((2, 2), np.uint16), np.full((2, 2), 5000, np.uint16)])
    with pytest.raises(
        UnsupportedImageError,
        match=r"image 1: Rescale: white is set to 4095, but an image of type uint16 contains the value 5000.*bits=13",
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


def test_all_channels_are_stretched_alike():
    image = np.array([[[0, 50, 100], [20, 40, 60]]], np.uint8)
    assert Rescale().apply(image).tolist() == [[[0, 128, 255], [51, 102, 153]]]


def test_rescale_falls_back_to_minimum_and_maximum():
    stars = np.zeros((100, 100), np.uint16)
    stars[3, 4] = 900
    changed = Rescale(percentiles=(1, 99)).apply(stars)
    assert changed[3, 4] == 65535
    assert changed.sum() == 65535


def test_rescale_returns_a_flat_image_unchanged():
    image = np.full((4, 4), 7, np.uint8)
    assert Rescale().apply(image) is image
