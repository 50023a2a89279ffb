import cv2
import numpy as np
import pytest
from scipy.ndimage import median_filter
from skimage.data import camera
from skimage.metrics import peak_signal_noise_ratio

from featrec.preprocessing import Denoise

SCENE = camera()[100:228:2, 150:310:2]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 3, 5, 7, 9])
@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_median_agrees_with_scipy(rng, dtype, size, shape):
    image = rng.random(shape)
    image = image.astype(dtype) if np.dtype(dtype).kind == "f" else (image * np.iinfo(dtype).max).astype(dtype)
    expected = median_filter(image, size=(size, size, 1)[: len(shape)], mode="nearest")
    np.testing.assert_array_equal(Denoise(size=size).apply(image), expected)


def by_hand(image, size, strength):
    """The bilateral filter as its paper has it, over a disc, with the border mirrored."""
    radius = size // 2
    padded = np.pad(image, radius, mode="reflect")
    total, weights = np.zeros_like(image), np.zeros_like(image)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            if dy * dy + dx * dx > radius * radius:
                continue
            other = padded[radius + dy : radius + dy + image.shape[0], radius + dx : radius + dx + image.shape[1]]
            near = np.exp(-(dy * dy + dx * dx) / (2 * (size / 2) ** 2))
            weight = near * np.exp(-((other - image) ** 2) / (2 * strength**2))
            total += weight * other
            weights += weight
    return total / weights


@pytest.mark.parametrize("size", [3, 5, 9])
def test_bilateral_agrees_with_the_formula(rng, size):
    image = rng.random((20, 25))
    changed = Denoise("bilateral", size=size, strength=0.2).apply(image)
    np.testing.assert_allclose(changed, by_hand(image, size, 0.2), atol=2e-4)  # cv2 takes the exponential from a table


@pytest.mark.parametrize("method, strength", [("bilateral", 0.3), ("nlm", 0.07)])
@pytest.mark.parametrize("channels", [1, 3])
def test_noise_is_removed_and_edges_stay(rng, method, strength, channels):
    clean = np.repeat(SCENE[..., None], channels, axis=2).squeeze() / 255
    noisy = np.clip(clean + 0.08 * rng.standard_normal(clean.shape), 0, 1)
    denoised = Denoise(method, strength=strength).apply(noisy)
    blurred = cv2.GaussianBlur(noisy, (0, 0), 1.5)
    ratio = [peak_signal_noise_ratio(clean, image, data_range=1) for image in (noisy, denoised, blurred)]
    assert ratio[1] > ratio[0] + 2
    assert ratio[1] > ratio[2]


def test_default_sizes_of_the_methods(rng):
    image = rng.random((30, 30)).astype(np.float32)
    for method, size in (("median", 3), ("bilateral", 5), ("nlm", 7)):
        np.testing.assert_array_equal(Denoise(method).apply(image), Denoise(method, size=size).apply(image))
