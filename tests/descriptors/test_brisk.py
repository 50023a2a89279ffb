"""BRISK gives OpenCV's numbers, wherever OpenCV keeps it, and an empty Bag where OpenCV finds nothing or fails."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import cv2
import numpy as np
import pytest
from skimage.data import astronaut, camera
from sklearn.base import clone

from featrec.descriptors import BRISK, _brisk, _keypoints
from featrec.exceptions import MissingExtraError

HOME = cv2 if hasattr(cv2, "BRISK_create") else getattr(cv2, "xfeatures2d", None)
needs_brisk = pytest.mark.skipif(not hasattr(HOME, "BRISK_create"), reason="this OpenCV has no BRISK")

OPTIONS = [
    ({}, (30, 3, 1.0)),
    ({"thresh": 50, "octaves": 1}, (50, 1, 1.0)),
    ({"octaves": 0}, (30, 0, 1.0)),
    ({"pattern_scale": 0.5}, (30, 3, 0.5)),
]


@pytest.fixture(scope="module")
def gray():
    return np.ascontiguousarray(camera()[100:260, 180:400])


def by_hand(gray, *options):
    keypoints, descriptors = HOME.BRISK_create(*options).detectAndCompute(gray, None)
    return descriptors, np.array([(*point.pt, point.size, point.angle) for point in keypoints], np.float32)


def assert_equal(bag, expected):
    np.testing.assert_array_equal(bag.descriptors, expected[0])
    np.testing.assert_array_equal(bag.frames, expected[1])


@needs_brisk
@pytest.mark.parametrize(("options", "of_cv2"), OPTIONS)
def test_gray_equals_cv2(gray, options, of_cv2):
    bag = BRISK(**options).extract(gray)
    assert_equal(bag, by_hand(gray, *of_cv2))
    assert len(bag.descriptors) > 30
    assert (bag.descriptors.dtype, bag.descriptors.shape[1]) == (np.uint8, 64)
    assert (bag.size, bag.metric) == ((160, 220), "hamming")


@needs_brisk
def test_colour_equals_cv2():
    colour = np.ascontiguousarray(astronaut()[50:200, 150:300])
    assert_equal(BRISK().extract(colour), by_hand(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)))


@needs_brisk
def test_a_kept_detector_answers_as_a_new_one_does(gray):
    """A thread keeps its last detector; other settings, other images and other threads do not meet it."""
    expected = {thresh: by_hand(gray, thresh, 3, 1.0) for thresh in (30, 60)}
    for thresh in (30, 60, 60, 30):
        assert_equal(BRISK(thresh=thresh).extract(gray), expected[thresh])
        BRISK(thresh=thresh).extract(gray[::-1, :100])
    with ThreadPoolExecutor(3) as pool:
        bags = list(pool.map(lambda i: BRISK(thresh=30 + 30 * (i % 2)).extract(gray), range(8)))
    for i, bag in enumerate(bags):
        assert_equal(bag, expected[30 + 30 * (i % 2)])


@needs_brisk
def test_each_thread_has_a_detector_of_its_own():
    barrier = Barrier(2)

    def detector(_):
        barrier.wait()
        return _brisk._detector(30, 3, 1.0)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(detector, range(2))
    assert first is not second


@needs_brisk
def test_types_agree(gray):
    expected = BRISK().extract(gray)
    for same in (gray.astype(np.uint16) * 257, gray / 255, (gray / 255).astype(np.float32), gray[..., None]):
        assert_equal(BRISK().extract(same), (expected.descriptors, expected.frames))


@needs_brisk
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2), (5, 5), (6, 6), (100, 80), (100, 80, 3)])
def test_nothing_found(shape):
    bag = BRISK().extract(np.full(shape, 90, np.uint8))
    assert bag.descriptors.shape == (0, 64)
    assert bag.descriptors.dtype == np.uint8
    assert bag.frames.shape == (0, 4)
    assert (bag.size, bag.metric) == (shape[:2], "hamming")


@needs_brisk
@pytest.mark.parametrize(("side", "octaves"), [(5, 2), (6, 3), (47, 5), (48, 6)])
def test_octaves_without_a_pixel_are_left_out(side, octaves, rng):
    noise = np.kron(rng.integers(0, 256, (side // 3 + 1, 60)), np.ones((3, 3)))[:side].astype(np.uint8)
    with pytest.raises(cv2.error, match="inv_scale_x > 0"):
        by_hand(noise, 10, octaves + 1, 0.2)
    keypoints, descriptors = HOME.BRISK_create(10, octaves, 0.2).detectAndCompute(noise, None)
    bag = BRISK(thresh=10, octaves=10**9, pattern_scale=0.2).extract(noise)
    assert len(bag.descriptors) == len(keypoints)
    if side > 10:
        np.testing.assert_array_equal(bag.descriptors, descriptors)


@needs_brisk
def test_lazy_pickled_cloned(gray):
    bags = BRISK(thresh=60).transform([gray, np.zeros((5, 5))])
    again = pickle.loads(pickle.dumps(bags))
    assert_equal(again[0], (bags[0].descriptors, bags[0].frames))
    assert len(bags[1].descriptors) == 0
    assert clone(BRISK(octaves=2)).octaves == 2
    assert list(BRISK().get_feature_names_out()[[0, -1]]) == ["brisk0", "brisk63"]


def test_an_opencv_without_it_is_named_before_any_image(monkeypatch):
    monkeypatch.setattr(_keypoints, "cv2", type("cv2", (), {"__version__": "5.0.0"}))
    with pytest.raises(MissingExtraError, match=r"BRISK is not in the installed OpenCV 5\.0\.0.*opencv-contrib-python"):
        BRISK().fit([np.zeros((9, 9))])


@needs_brisk
@pytest.mark.parametrize(
    "wrong",
    [
        {"thresh": -1},
        {"thresh": 256},
        {"octaves": -1},
        {"pattern_scale": 0},
        {"pattern_scale": np.inf},
        {"pattern_scale": np.nan},
    ],
    ids=str,
)
def test_wrong_values(gray, wrong):
    with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter of BRISK must be"):
        BRISK(**wrong).transform([gray])
