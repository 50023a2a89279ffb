import cv2
import numpy as np
import pytest
from skimage.data import astronaut, camera

from featrec.exceptions import InputError
from featrec.preprocessing import CLAHE, Grayscale

SCENE = camera()[::4, ::3]
COLOURS = astronaut()[::4, ::3]


def test_8_bit_gray_is_what_opencv_gives():
    expected = cv2.createCLAHE(clipLimit=3.0, tileGridSize=(5, 2)).apply(SCENE)
    np.testing.assert_array_equal(CLAHE(3.0, grid=(2, 5)).apply(SCENE), expected)


def test_rows_come_first_in_the_grid():
    assert not np.array_equal(CLAHE(grid=(2, 5)).apply(SCENE), CLAHE(grid=(5, 2)).apply(SCENE))


def test_colour_is_what_replacing_the_luma_gives():
    """By hand with cv2, which rounds Y, Cr and Cb to 8 bits on the way there and back."""
    parts = cv2.cvtColor(COLOURS, cv2.COLOR_RGB2YCrCb)
    parts[..., 0] = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(np.ascontiguousarray(parts[..., 0]))
    expected = cv2.cvtColor(parts, cv2.COLOR_YCrCb2RGB)
    np.testing.assert_allclose(CLAHE().apply(COLOURS).astype(int), expected.astype(int), atol=3)


def test_the_luma_of_the_result_is_the_equalised_luma():
    soft = (COLOURS // 2 + 64).astype(np.uint8)  # nothing is cut off at black or white
    changed = Grayscale().apply(CLAHE(1.5).apply(soft)).astype(int)
    expected = CLAHE(1.5).apply(Grayscale().apply(soft)).astype(int)
    inside = (CLAHE(1.5).apply(soft) > 0).all(axis=2) & (CLAHE(1.5).apply(soft) < 255).all(axis=2)
    assert inside.mean() > 0.9
    np.testing.assert_allclose(changed[inside], expected[inside], atol=1)


def test_equal_channels_stay_equal():
    gray = np.repeat(SCENE[..., None], 3, axis=2)
    np.testing.assert_array_equal(CLAHE().apply(gray), np.repeat(CLAHE().apply(SCENE)[..., None], 3, axis=2))


def test_the_limit_counts_for_16_bits_too():
    """OpenCV's own 16-bit form gives the same for both limits on images of this size."""
    deep = SCENE.astype(np.uint16) * 257
    low, high = (np.abs(np.diff(CLAHE(limit).apply(deep).astype(float))).mean() for limit in (1.0, 8.0))
    assert high > 1.5 * low


def test_16_bits_keep_what_lies_between_8_bit_steps(rng):
    deep = (rng.integers(20000, 21000, (64, 64))).astype(np.uint16)
    assert len(np.unique(CLAHE().apply(deep))) > 900


@pytest.mark.parametrize("grid", [(8,), (0, 8), (8, 2.5), (1, 2, 3)])
def test_grid_is_refused(grid):
    with pytest.raises(InputError, match=r"CLAHE: grid must be a pair \(rows, columns\) of positive integers"):
        CLAHE(grid=grid).transform([])


def test_clip_limit_is_refused():
    with pytest.raises(ValueError, match="The 'clip_limit' parameter of CLAHE"):
        CLAHE(0).fit([])
