"""Promises of all steps that change values only, and the checks of pairs of numbers."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from featrec.exceptions import InputError
from featrec.preprocessing import CLAHE, AdjustLight, BlurFaces, Denoise, Deskew, NormalizeContrast, Rescale, Resize

STEPS = [
    Rescale(),
    Rescale(percentiles=(5, 95)),
    Rescale(bits=16),
    CLAHE(),
    CLAHE(40.0, grid=(3, 5)),
    NormalizeContrast(),
    NormalizeContrast(window=0.1),
    NormalizeContrast(0.5, window=1.0, floor=1e-6),
    Deskew(),
    Deskew(background="light", center=True),
    Denoise(),
    Denoise(size=7),
    Denoise("bilateral"),
    Denoise("nlm", size=3),
    AdjustLight(),
    AdjustLight(0.5, contrast=3.0, brightness=-0.4),
    BlurFaces("lbp"),
]
SHAPES = [(1, 1), (1, 1, 3), (1, 9), (7, 1, 3), (2, 3), (23, 31), (23, 31, 3)]


def make_image(rng, shape, dtype):
    values = rng.random(shape)
    return values.astype(dtype) if np.dtype(dtype).kind == "f" else (values * 255).astype(dtype)


@pytest.mark.parametrize("step", STEPS, ids=repr)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_type_shape_and_range_are_kept_and_input_is_unchanged(rng, step, dtype):
    for shape in SHAPES:
        image = make_image(rng, shape, dtype)
        before = image.copy()
        image.setflags(write=False)
        changed = step.apply(image)
        assert changed.dtype == dtype
        assert changed.shape == shape
        assert changed.flags.c_contiguous
        if np.dtype(dtype).kind == "f":
            assert np.isfinite(changed).all()
            assert 0 <= changed.min() <= changed.max() <= 1
        np.testing.assert_array_equal(image, before)
        np.testing.assert_array_equal(clone(step).apply(image), changed)


@pytest.mark.parametrize("step", STEPS, ids=repr)
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_flat_image_stays_flat(step, value):
    for shape in [(12, 17), (12, 17, 3)]:
        changed = step.apply(np.full(shape, value))
        assert np.isfinite(changed).all()
        assert np.ptp(changed) < 1e-6


@pytest.mark.parametrize("step", [s for s in STEPS if not (isinstance(s, Denoise) and s.method == "nlm")], ids=repr)
def test_gray_as_three_channels_is_changed_like_gray(rng, step):
    gray = make_image(rng, (23, 31), np.uint8)
    changed = step.apply(np.repeat(gray[..., None], 3, axis=2))
    tolerance = 60 if isinstance(step, Denoise) and step.method == "bilateral" else 1
    for channel in range(3):
        np.testing.assert_allclose(changed[..., channel].astype(int), step.apply(gray).astype(int), atol=tolerance)


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_batches_are_lazy_and_can_be_pickled(ragged, step):
    images = step.fit_transform(ragged)
    assert repr(images) == f"Images(6 of ImageItems → {type(step).__name__})"
    for image, again in zip(images, pickle.loads(pickle.dumps(images)), strict=True):
        np.testing.assert_array_equal(image, again)


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_types_of_the_same_image_agree(rng, step):
    """uint8, uint16 and floats of one image give the same gray values, within the rounding of the coarsest."""
    small = make_image(rng, (24, 31), np.uint8)
    wanted = step.apply(small) / 255
    tolerance = 1.01 / 255
    np.testing.assert_allclose(step.apply(small.astype(np.uint16) * 257) / 65535, wanted, atol=tolerance)
    np.testing.assert_allclose(step.apply(small / 255), wanted, atol=tolerance)


REFUSED = {
    r"CLAHE: grid must be a pair \(rows, columns\) of positive integers": [
        CLAHE(grid=grid) for grid in ((8,), (0, 8), (8, 2.5), (1, 2, 3))
    ],
    "Denoise: size must be odd, because the window needs a centre; got 4": [Denoise(size=4)],
    r"Rescale: percentiles must be \(low, high\) with 0 <= low < high <= 100": [
        Rescale(percentiles=percentiles) for percentiles in ((0,), (50, 50), (-1, 99), (1, 101), (2, 1), ("a", "b"))
    ],
    "max_value=4095 and bits=12 both define white": [Rescale(4095, bits=12)],
    r"Resize: size must be a positive integer or a pair of them, \(height, width\)": [
        Resize(size) for size in ((4,), (4, 5, 3), (4, 0), (4.0, 5), ())
    ],
}


@pytest.mark.parametrize(
    ("message", "step"), [(message, step) for message, steps in REFUSED.items() for step in steps], ids=repr
)
def test_wrong_pairs_are_refused(message, step):
    with pytest.raises(InputError, match=message):
        step.fit([]).transform([])
