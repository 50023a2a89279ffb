import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from featrec.images import as_gray
from featrec.preprocessing import NormalizeContrast


def test_mean_and_spread(rng):
    image = rng.random((40, 50)) * 0.2 + 0.05
    changed = NormalizeContrast(0.15).apply(image)
    np.testing.assert_allclose([changed.mean(), changed.std()], [0.5, 0.15], atol=1e-9)


def test_exposure_makes_no_difference(rng):
    image = rng.random((30, 30, 3)) * 0.3
    np.testing.assert_allclose(NormalizeContrast().apply(image), NormalizeContrast().apply(image * 2 + 0.1), atol=1e-9)


def test_a_shadow_is_taken_away_by_a_window(rng):
    texture = rng.random((80, 80)) * 0.4
    shadow = np.linspace(0.3, 1, 80)
    step = NormalizeContrast(window=0.1)
    near = np.abs(step.apply(texture * shadow) - step.apply(texture)).mean()
    far = np.abs(NormalizeContrast().apply(texture * shadow) - NormalizeContrast().apply(texture)).mean()
    assert near < far / 3


@pytest.mark.parametrize("shape", [(40, 30), (40, 30, 3)])
def test_window_agrees_with_scipy(rng, shape):
    image = rng.random(shape)
    luma = as_gray(image)
    mean = gaussian_filter(luma, 3.0, mode="mirror", radius=12)
    deviation = np.sqrt(gaussian_filter((luma - mean) ** 2, 3.0, mode="mirror", radius=12))
    mean, deviation = (a[..., None] if len(shape) == 3 else a for a in (mean, deviation))
    expected = np.clip(0.5 + 0.2 * (image - mean) / np.maximum(deviation, 0.02), 0, 1)
    np.testing.assert_allclose(NormalizeContrast(window=0.1).apply(image), expected, atol=1e-6)


def test_colours_keep_their_hue(rng):
    image = rng.random((20, 20, 3)) * 0.3 + 0.3
    changed = NormalizeContrast(0.1).apply(image)
    np.testing.assert_allclose((changed - changed[:1, :1]) / 0.1, (image - image[:1, :1]) / as_gray(image).std(), atol=1e-9)


def test_noise_below_the_floor_is_not_stretched_further(rng):
    image = 0.3 + 0.001 * rng.standard_normal((50, 50))
    changed = NormalizeContrast(0.2, floor=0.02).apply(image)
    np.testing.assert_allclose(changed.std(), 0.2 * image.std() / 0.02, atol=1e-9)


@pytest.mark.parametrize("window", [None, 0.1])
def test_flat_becomes_gray(window):
    assert (NormalizeContrast(window=window).apply(np.full((9, 9), 3, np.uint8)) == 128).all()


@pytest.mark.parametrize("parameters", [{"spread": 0}, {"spread": 2}, {"window": 0}, {"window": 3}, {"floor": 0}])
def test_parameters_are_refused(parameters):
    with pytest.raises(ValueError, match=f"The '{next(iter(parameters))}' parameter of NormalizeContrast"):
        NormalizeContrast(**parameters).fit([])
