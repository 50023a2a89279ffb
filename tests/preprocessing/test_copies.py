import pickle

import cv2
import numpy as np
import pytest

from featrec.exceptions import ImageError
from featrec.images import check_images
from featrec.preprocessing import AdjustLight
from featrec.preprocessing._copies import RandomChange, with_copies

EVERYTHING = RandomChange(
    flip="both", rotate=30, scale=0.3, translate=0.1, crop=0.2, light=0.3, color=0.2, noise=0.05
)  # fmt: skip
SINGLE = [{"flip": "both"}, {"rotate": 20}, {"scale": 0.3}, {"translate": 0.2}, {"crop": 0.3}, {"light": 0.4}, {"color": 0.3},
          {"noise": 0.1}]  # fmt: skip


def changes(change, image, n=200, seed=0):
    return [change(image, k, np.random.default_rng((seed, k))) for k in range(1, n + 1)]


def smooth(rng, shape):
    return cv2.GaussianBlur(rng.random(shape), (0, 0), 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9, 3), (30, 41), (30, 41, 3)])
def test_copies_keep_type_size_and_range(rng, dtype, shape):
    image = rng.random(shape)
    image = image.astype(dtype) if np.dtype(dtype).kind == "f" else (image * np.iinfo(dtype).max).astype(dtype)
    image.setflags(write=False)
    for copy in changes(EVERYTHING, image, 20):
        assert copy.dtype == dtype
        assert copy.shape == shape
        assert copy.flags.c_contiguous
        if np.dtype(dtype).kind == "f":
            assert 0 <= copy.min() <= copy.max() <= 1


def test_no_limits_change_nothing(rng):
    image = rng.random((9, 8, 3))
    for copy in changes(RandomChange(), image, 5):
        np.testing.assert_array_equal(copy, image)


@pytest.mark.parametrize("limit", SINGLE, ids=str)
def test_every_limit_changes_something(rng, limit):
    image = smooth(rng, (40, 40, 3))
    copies = changes(RandomChange(**limit), image, 10)
    assert sum(not np.array_equal(copy, image) for copy in copies) >= 5
    assert len({copy.tobytes() for copy in copies}) == (4 if "flip" in limit else 10)


def test_flips_are_exact_and_alternate(rng):
    image = rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    across, down, both = image[:, ::-1], image[::-1], image[::-1, ::-1]
    wanted = {
        "horizontal": [across, image, across, image],
        "vertical": [down, image, down, image],
        "both": [across, down, both, image],
    }
    for flip, copies in wanted.items():
        for found, expected in zip(changes(RandomChange(flip=flip), image, 8), 2 * copies, strict=True):
            np.testing.assert_array_equal(found, expected)


def disc(size, x, y, radius):
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * radius**2))


def moments(image):
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    total = image.sum()
    return np.array([(image * columns).sum() / total, (image * rows).sum() / total]), total


def test_rotation_is_about_the_centre_and_within_its_limit():
    size, middle = (101, 101), np.array([50.0, 50.0])
    image = disc(size, 75, 50, 3)
    angles = []
    for copy in changes(RandomChange(rotate=30), image):
        place, total = moments(copy)
        distance = place - middle
        np.testing.assert_allclose(np.hypot(*distance), 25, atol=0.1)
        np.testing.assert_allclose(total, image.sum(), rtol=0.01)
        angles.append(np.rad2deg(np.arctan2(distance[1], distance[0])))
    assert -30.1 < min(angles) < -27
    assert 27 < max(angles) < 30.1


def test_translation_is_a_share_of_width_and_height():
    image = disc((60, 120), 60, 30, 3)
    shifts = np.array([moments(copy)[0] - (60, 30) for copy in changes(RandomChange(translate=0.1), image)])
    np.testing.assert_allclose(np.abs(shifts).max(axis=0), (12, 6), rtol=0.05)
    np.testing.assert_allclose(shifts.mean(axis=0), 0, atol=1.5)


def test_scale_enlarges_and_shrinks_by_the_same_factor():
    image = disc((101, 101), 50, 50, 5)
    areas = [moments(copy)[1] / image.sum() for copy in changes(RandomChange(scale=0.5), image)]
    assert 1 / 1.5**2 * 0.98 < min(areas) < 1 / 1.5**2 * 1.1
    assert 1.5**2 * 0.9 < max(areas) < 1.5**2 * 1.02


def test_a_crop_contains_only_the_image(rng):
    """The image is a ramp: each copy is a window of it, long enough and not mirrored."""
    ramp = np.tile(np.linspace(0, 1, 101), (20, 1))
    spans = []
    for copy in changes(RandomChange(crop=0.4), ramp):
        assert (np.diff(copy, axis=1) > -1e-9).all()  # nothing is mirrored
        spans.append(copy[0, -1] - copy[0, 0])
    assert 0.59 < min(spans) < 0.65
    assert max(spans) > 0.95


def test_light_stays_within_its_limits(rng):
    image = smooth(rng, (20, 20))
    gray = np.full((1, 1), 0.5)
    middles = [float(copy[0, 0]) for copy in changes(RandomChange(light=0.4), gray)]
    most = AdjustLight(np.exp(-0.4), contrast=np.exp(0.4), brightness=0.2).apply(gray)[0, 0]
    least = AdjustLight(np.exp(0.4), contrast=np.exp(0.4), brightness=-0.2).apply(gray)[0, 0]
    assert least <= min(middles) < 0.4
    assert 0.6 < max(middles) <= most
    # The order of gray values stays.
    for copy in changes(RandomChange(light=0.4), image, 5):
        order = np.argsort(image.ravel())
        assert (np.diff(copy.ravel()[order]) >= 0).all()


def test_color_multiplies_channels_and_does_not_change_gray(rng):
    gray = rng.random((9, 9))
    np.testing.assert_allclose(RandomChange(color=0.3)(gray, 1, np.random.default_rng(0)), gray, atol=1e-12)
    image = rng.random((9, 9, 3)) * 0.5 + 0.1
    for copy in changes(RandomChange(color=0.3), image, 20):
        factors = copy / image
        np.testing.assert_allclose(factors - factors[:1, :1], 0, atol=1e-9)
        assert (np.abs(np.log(factors)) <= 0.3 + 1e-9).all()


def test_noise_has_the_standard_deviation_of_the_parameter():
    flat = np.full((100, 100), 0.5)
    np.testing.assert_allclose([copy.std() for copy in changes(RandomChange(noise=0.1), flat, 5)], 0.1, rtol=0.05)


def test_limits_do_not_affect_each_other(rng):
    image = rng.integers(0, 256, (9, 9), dtype=np.uint8)
    flipped = [copy.tobytes() == image.tobytes() for copy in changes(RandomChange(flip="horizontal"), image, 20)]
    noisy = changes(RandomChange(flip="horizontal", noise=0.001), image, 20)
    assert flipped == [np.abs(copy.astype(int) - image).max() < 3 for copy in noisy]


@pytest.fixture
def images(ragged):
    return check_images(ragged)


def test_each_image_is_followed_by_its_copies(images, ragged):
    found = with_copies(images, EVERYTHING, 2, (0,))
    assert found.shape == (18,)
    for place, image in enumerate(ragged):
        np.testing.assert_array_equal(found[3 * place], images[place])
        for copy in (1, 2):
            expected = EVERYTHING(images[place], copy, np.random.default_rng((0, place, copy)))
            np.testing.assert_array_equal(found[3 * place + copy], expected)
            assert found[3 * place + copy].shape == image.shape


def test_slices_have_the_same_copies(images):
    found = with_copies(images, EVERYTHING, 2, (0,))
    rows = [16, 4, 5, 4]
    for part in (found[rows], pickle.loads(pickle.dumps(found[rows]))):
        assert len(part) == 4
        for row, image in zip(rows, part, strict=True):
            np.testing.assert_array_equal(image, found[row])


def test_a_slice_is_pickled_with_its_own_images(rng):
    found = with_copies(check_images([rng.random((100, 100)) for _ in range(20)]), EVERYTHING, 3, (0,))
    assert len(pickle.dumps(found[[5, 6]])) < 2 * 80_000 + 4000


def test_images_are_read_on_access_and_errors_name_the_image(tmp_path):
    missing = [tmp_path / f"{name}.png" for name in "abc"]
    found = with_copies(check_images(missing), EVERYTHING, 4, (0,))
    with pytest.raises(ImageError, match=r"image 1 \('.*b.png'\): no such file"):
        found[7]
    assert found.name(7) == str(missing[1])
    part = with_copies(check_images(missing)[[2, 0]], EVERYTHING, 4, (0,))
    with pytest.raises(ImageError, match=r"image 2 \('.*c.png'\): no such file"):
        part[[1, 3]][1]


def test_copies_alike_do_not_depend_on_the_position(images):
    one = with_copies(images[[3]], EVERYTHING, 2, (0,), alike=True)
    several = with_copies(images, EVERYTHING, 2, (0,), alike=True)
    np.testing.assert_array_equal(one[2], several[3 * 3 + 2])
