import numpy as np
import pytest
from skimage.exposure import adjust_gamma

from featrec.preprocessing import AdjustLight


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("gamma, contrast, brightness", [(0.5, 1, 0), (2.2, 1, 0), (1, 1.5, 0), (1, 1, -0.2), (0.7, 0.5, 0.3)])
def test_agrees_with_the_formula(rng, dtype, gamma, contrast, brightness):
    image = rng.random((20, 30, 3))
    top = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    image = (image * top).astype(dtype)
    values = image.astype(np.float64) / top
    expected = np.clip((values**gamma - 0.5) * contrast + 0.5 + brightness, 0, 1) * top
    changed = AdjustLight(gamma, contrast=contrast, brightness=brightness).apply(image)
    np.testing.assert_allclose(changed, expected, atol=1e-6 if top == 1 else 0.5001)


def test_gamma_agrees_with_scikit_image(rng):
    image = rng.random((20, 30))
    np.testing.assert_allclose(AdjustLight(0.5).apply(image), adjust_gamma(image, 0.5), atol=1e-12)


def test_no_change_returns_the_image_itself(rng):
    image = rng.random((4, 5))
    assert AdjustLight().apply(image) is image


@pytest.mark.parametrize("parameters", [{"gamma": 0}, {"contrast": -1}, {"brightness": 20}])
def test_parameters_are_refused(parameters):
    with pytest.raises(ValueError, match=f"The '{next(iter(parameters))}' parameter of AdjustLight"):
        AdjustLight(**parameters).fit([])
