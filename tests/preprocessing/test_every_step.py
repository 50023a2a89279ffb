"""Promises of all steps that change values only, and the checks of parameters."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from featrec.preprocessing import CLAHE, AdjustLight, Denoise, Deskew, NormalizeContrast, Rescale, Resize, Unflatten

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


INVALID = [
    *[(AdjustLight, values) for values in ({"gamma": 0}, {"contrast": -1}, {"brightness": 20})],
    (CLAHE, {"clip_limit": 0}),
    *[(Denoise, values) for values in ({"method": "mean"}, {"size": 0}, {"strength": 0}, {"strength": 25})],
    (Deskew, {"background": "gray"}),
    *[(NormalizeContrast, {name: value}) for name in ("spread", "window") for value in (0, 3)],
    (NormalizeContrast, {"floor": 0}),
    *[(Rescale, values) for values in ({"max_value": 0}, {"max_value": 4095.5}, {"bits": 0}, {"bits": 17})],
    *[(Resize, {"size": 8} | values) for values in ({"mode": "zoom"}, {"fill": 255}, {"fill": "black"})],
    *[(Resize, {"size": size}) for size in (0, 4.5)],
    *[(Unflatten, {"max_value": value, "shape": (2, 2)}) for value in (0, -1, "white")],
]


@pytest.mark.parametrize("step, parameters", INVALID, ids=str)
def test_invalid_parameters_are_refused(step, parameters):
    names = "|".join(parameters)
    with pytest.raises(ValueError, match=f"The '({names})' parameter of {step.__name__}"):
        step(**parameters).fit(np.zeros((1, 4)) if step is Unflatten else [])
