import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from featrec.exceptions import InputError
from featrec.preprocessing import Grayscale, Resize

DTYPES = [np.uint8, np.uint16, np.float32, np.float64]
SIDE = st.integers(1, 60)


def make_image(rng, shape, dtype):
    values = rng.random(shape)
    return values.astype(dtype) if np.dtype(dtype).kind == "f" else (values * np.iinfo(dtype).max).astype(dtype)


def area_weights(found, wanted):
    """Row i: how much of each source pixel lies in target pixel i, as a share of the target pixel."""
    weights = np.zeros((wanted, found))
    step = found / wanted
    for i in range(wanted):
        for j in range(found):
            weights[i, j] = max(0.0, min((i + 1) * step, j + 1) - max(i * step, j)) / step
    return weights


def linear_weights(found, wanted):
    """Row i: the two source pixels next to the centre of target pixel i; the border is repeated."""
    weights = np.zeros((wanted, found))
    for i in range(wanted):
        centre = min(max((i + 0.5) * found / wanted - 0.5, 0.0), found - 1.0)
        left = min(int(centre), found - 1)
        right = min(left + 1, found - 1)
        weights[i, left] += 1 - (centre - left)
        weights[i, right] += centre - left
    return weights


def weights(found, wanted):
    return area_weights(found, wanted) if wanted <= found else linear_weights(found, wanted)


def by_hand(image, size):
    rows, columns = weights(image.shape[0], size[0]), weights(image.shape[1], size[1])
    return np.einsum("ih,hw...,jw->ij...", rows, image.astype(np.float64), columns)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(31, 44), (31, 44, 3)])
@pytest.mark.parametrize("size", [(13, 20), (50, 60), (13, 60), (50, 20), (31, 20), (1, 1)])
def test_values_agree_with_plain_weights(rng, dtype, shape, size):
    image = make_image(rng, shape, dtype)
    resized = Resize(size).apply(image)
    assert resized.dtype == dtype
    assert resized.shape == (*size, *shape[2:])
    if np.dtype(dtype).kind == "f":
        np.testing.assert_allclose(resized, by_hand(image, size), atol=1e-5)
        assert resized.min() >= 0
        assert resized.max() <= 1
    else:
        # Whole numbers are rounded once for each direction, and cv2 weighs the lines of uint8 in steps of 1/2048.
        np.testing.assert_allclose(resized, by_hand(image, size), atol=1.6)


def test_fine_stripes_do_not_alias():
    stripes = np.tile(np.array([0, 255], np.uint8), (90, 45))
    assert np.ptp(Resize((30, 30)).apply(stripes).astype(int)) <= 86  # three pixels hold one or two white ones
    assert np.ptp(Resize((9, 9)).apply(stripes)) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(height=SIDE, width=SIDE, rows=SIDE, columns=SIDE)
@settings(max_examples=30)
def test_white_floats_stay_within_one(dtype, height, width, rows, columns):
    white = Resize((rows, columns)).apply(np.ones((height, width), dtype))
    assert 1 - 1e-6 < white.min() <= white.max() <= 1


@given(height=SIDE, width=SIDE, rows=SIDE, columns=SIDE)
@settings(max_examples=150)
def test_shapes_of_every_mode(height, width, rows, columns):
    image = np.zeros((height, width), np.uint8)
    for mode in ("stretch", "crop", "pad"):
        assert Resize((rows, columns), mode=mode).apply(image).shape == (rows, columns)
    fitted = Resize((rows, columns), mode="fit").apply(image).shape
    assert fitted[0] <= rows
    assert fitted[1] <= columns
    assert fitted[0] == rows or fitted[1] == columns
    # The other side is the exact one, rounded, and one pixel at least.
    scale = min(rows / height, columns / width)
    assert abs(fitted[0] - max(1, height * scale)) <= 0.5 + 1e-9
    assert abs(fitted[1] - max(1, width * scale)) <= 0.5 + 1e-9


def test_fit_equals_stretch_to_the_fitting_size(rng):
    image = make_image(rng, (60, 80), np.uint8)
    np.testing.assert_array_equal(Resize(40, mode="fit").apply(image), Resize((30, 40)).apply(image))


def test_crop_cuts_out_the_centre(rng):
    image = make_image(rng, (20, 50), np.uint8)
    np.testing.assert_array_equal(Resize(20, mode="crop").apply(image), image[:, 15:35])
    np.testing.assert_array_equal(Resize(10, mode="crop").apply(image), Resize((10, 25)).apply(image)[:, 7:17])


@pytest.mark.parametrize("dtype", DTYPES)
def test_pad_centres_and_repeats_the_edge(rng, dtype):
    image = make_image(rng, (20, 10, 3), dtype)
    padded = Resize(20, mode="pad").apply(image)
    assert padded.dtype == dtype
    np.testing.assert_array_equal(padded[:, 5:15], image)
    np.testing.assert_array_equal(padded[:, :5], np.repeat(image[:, :1], 5, axis=1))
    np.testing.assert_array_equal(padded[:, 15:], np.repeat(image[:, -1:], 5, axis=1))


@pytest.mark.parametrize("dtype, white", [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1), (np.float64, 1)])
def test_pad_with_a_gray_value(dtype, white):
    padded = Resize((4, 9), mode="pad", fill=1).apply(np.zeros((4, 4), dtype))
    assert padded.dtype == dtype
    assert (padded == white).sum() == 4 * 5
    assert (padded[:, 2:6] == 0).all()
    gray = Resize((1, 3), mode="pad", fill=0.5).apply(np.zeros((1, 1), dtype))
    np.testing.assert_allclose(gray / white, [[0.5, 0, 0.5]], atol=1 / 500)


@pytest.mark.parametrize("mode", ["stretch", "fit", "crop", "pad"])
def test_an_image_of_the_size_is_not_copied(rng, mode):
    image = make_image(rng, (20, 30, 3), np.uint8)
    assert np.shares_memory(Resize((20, 30), mode=mode).apply(image), image)


@pytest.mark.parametrize("mode", ["stretch", "crop", "pad"])
def test_batch_becomes_an_array(ragged, mode):
    images = Resize(16, mode=mode).fit_transform(Grayscale().transform(ragged))
    assert images.shape == (6,)
    assert np.asarray(images).shape == (6, 16, 16)
    assert np.asarray(pickle.loads(pickle.dumps(images))).shape == (6, 16, 16)


def test_changed_parameters_do_not_affect_earlier_batches(ragged):
    resize = Resize(8)
    before = resize.transform(ragged)
    after = resize.set_params(size=(4, 6)).transform(ragged)
    assert before[0].shape == (8, 8)
    assert after[0].shape == (4, 6)
    kept = {"mode": "stretch", "fill": "edge", "bounds": (28, 64), "multiple": 4}
    assert clone(resize).get_params() == {"size": (4, 6), **kept}


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(28, 28)] * 3, (28, 28)),
        ([(32, 32)] * 3, (32, 32)),
        ([(8, 8)] * 3, (28, 28)),
        ([(96, 96), (96, 90), (700, 99)], (64, 64)),
        ([(40, 52), (44, 48), (15, 15)], (40, 48)),
        ([(128, 64)] * 3, (92, 44)),
        ([(500, 20)] * 3, (320, 16)),
    ],
)
def test_the_automatic_size_is_the_median_size(shapes, expected):
    images = [np.zeros(shape, np.uint8) for shape in shapes]
    resize = Resize("auto").fit(images)
    assert resize.size_ == expected
    assert {image.shape for image in resize.transform(images)} == {expected}
    assert clone(resize).size == "auto"


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((8, 8), (8, 8)), ((31, 33), (31, 33)), ((3, 4), (8, 9)), ((250, 300), (29, 35)), ((500, 5), (320, 8))],
)
def test_bounds_and_multiple_of_the_automatic_size(shape, expected):
    images = [np.zeros(shape, np.uint8)] * 3
    assert Resize("auto", bounds=(8, 32), multiple=1).fit(images).size_ == expected


@pytest.mark.parametrize("bounds", [(28,), (64, 28), (0, 64), (28.0, 64.0), (True, 64)])
def test_invalid_bounds_are_refused(bounds):
    with pytest.raises(InputError, match=r"Resize: bounds must be two integers with 1 <= least <= most; got "):
        Resize("auto", bounds=bounds).fit([np.zeros((9, 9))])


def test_an_array_of_the_size_stays_one_array(rng):
    """Extractors that describe an array at once still get one; any other source and size gets the step."""
    images = make_image(rng, (5, 28, 30, 3), np.uint8)
    for resize in (Resize((28, 30)), Resize("auto", bounds=(8, 32), multiple=1).fit(images)):
        same = resize.transform(images)
        assert same.steps == ()
        np.testing.assert_array_equal(np.asarray(same), images)
        assert len(resize.transform(list(images)).steps) == 1
        assert len(resize.transform(images[:, 1:]).steps) == 1
        assert resize.transform(images[:0]).shape == (0,)


def test_the_automatic_size_needs_fit_and_a_readable_image(tmp_path):
    with pytest.raises(NotFittedError, match=r'Resize\(size="auto"\) learns its size in fit'):
        Resize("auto").transform([np.zeros((9, 9))])
    with pytest.raises(InputError, match="needs at least one readable image; got none of 0"):
        Resize("auto").fit([])
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"no image")
    with pytest.raises(InputError, match="got none of 1; the first error: "):
        Resize("auto").fit([damaged])
    assert Resize("auto").fit([str(damaged), np.zeros((40, 40))]).size_ == (40, 40)
