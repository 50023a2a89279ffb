import numpy as np
import pytest
from sklearn.base import clone

from featrec.preprocessing import Grayscale


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_luma(rng, dtype):
    image = rng.random((9, 7, 3))
    top = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    image = (image * top).astype(dtype)
    gray = Grayscale().apply(image)
    assert gray.shape == (9, 7)
    assert gray.dtype == dtype
    expected = 0.299 * image[..., 0] + 0.587 * image[..., 1] + 0.114 * image[..., 2]
    np.testing.assert_allclose(gray, expected, atol=1e-6 if top == 1 else 0.51 + top / 2**15)  # cv2 has 14 or 15 bits


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_white_stays_within_one(dtype):
    assert 1 - 1e-6 < Grayscale().apply(np.ones((3, 3, 3), dtype)).max() <= 1


def test_gray_is_returned_itself(ragged):
    assert Grayscale().apply(ragged[0]) is ragged[0]


def test_batch_is_all_gray_and_lazy(ragged):
    images = Grayscale().fit_transform(ragged)
    assert [image.shape for image in images] == [image.shape[:2] for image in ragged]
    assert repr(images) == "Images(6 of ImageItems → Grayscale)"


def test_input_is_left_untouched(ragged):
    before = ragged[1].copy()
    ragged[1].setflags(write=False)
    list(clone(Grayscale()).transform(ragged))
    np.testing.assert_array_equal(ragged[1], before)
