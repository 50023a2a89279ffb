"""AKAZE gives OpenCV's numbers, wherever OpenCV keeps it, and an empty Bag where OpenCV finds nothing or fails."""

import pickle

import cv2
import numpy as np
import pytest
from skimage.data import astronaut, camera
from sklearn.base import clone

from featrec.descriptors import AKAZE, _keypoints
from featrec.exceptions import MissingExtraError

HOME = cv2 if hasattr(cv2, "AKAZE_create") else getattr(cv2, "xfeatures2d", None)
needs_akaze = pytest.mark.skipif(not hasattr(HOME, "AKAZE_create"), reason="this OpenCV has no AKAZE")

OPTIONS = [
    ({}, {}),
    ({"threshold": 0.0003, "n_octaves": 2}, {"threshold": 0.0003, "nOctaves": 2}),
    ({"n_octave_layers": 2, "diffusivity": "weickert"}, {"nOctaveLayers": 2, "diffusivity": "KAZE_DIFF_WEICKERT"}),
    ({"diffusivity": "charbonnier"}, {"diffusivity": "KAZE_DIFF_CHARBONNIER"}),
    ({"diffusivity": "pm_g1", "max_points": 40}, {"diffusivity": "KAZE_DIFF_PM_G1", "max_points": 40}),
    ({"descriptor_type": "mldb_upright"}, {"descriptor_type": "AKAZE_DESCRIPTOR_MLDB_UPRIGHT"}),
]


@pytest.fixture(scope="module")
def gray():
    return np.ascontiguousarray(camera()[100:260, 180:400])


def by_hand(gray, **options):
    options = {name: getattr(HOME, value) if isinstance(value, str) else value for name, value in options.items()}
    keypoints, descriptors = HOME.AKAZE_create(**options).detectAndCompute(gray, None)
    return descriptors, np.array([(*point.pt, point.size, point.angle) for point in keypoints], np.float32)


def assert_equal(bag, expected):
    np.testing.assert_array_equal(bag.descriptors, expected[0])
    np.testing.assert_array_equal(bag.frames, expected[1])


@needs_akaze
@pytest.mark.parametrize(("options", "of_cv2"), OPTIONS)
def test_gray_equals_cv2(gray, options, of_cv2):
    bag = AKAZE(**options).extract(gray)
    assert_equal(bag, by_hand(gray, **of_cv2))
    assert len(bag.descriptors) > 30
    assert (bag.descriptors.dtype, bag.descriptors.shape[1]) == (np.uint8, 61)
    assert (bag.size, bag.metric) == ((160, 220), "hamming")


@needs_akaze
def test_colour_equals_cv2():
    colour = np.ascontiguousarray(astronaut()[50:200, 150:300])
    assert_equal(AKAZE().extract(colour), by_hand(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)))


@needs_akaze
def test_options_change_the_numbers(gray):
    default = AKAZE().extract(gray).descriptors
    for options, _ in OPTIONS[1:]:
        assert not np.array_equal(AKAZE(**options).extract(gray).descriptors, default), options


@needs_akaze
def test_types_agree(gray):
    expected = AKAZE().extract(gray)
    for same in (gray.astype(np.uint16) * 257, gray / 255, (gray / 255).astype(np.float32), gray[..., None]):
        assert_equal(AKAZE().extract(same), (expected.descriptors, expected.frames))


@needs_akaze
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 90), (90, 1), (2, 2), (30, 30), (58, 200), (200, 58, 3), (100, 80), (100, 80, 3)]
)
def test_nothing_found(shape):
    bag = AKAZE().extract(np.full(shape, 90, np.uint8))
    assert bag.descriptors.shape == (0, 61)
    assert bag.descriptors.dtype == np.uint8
    assert bag.frames.shape == (0, 4)
    assert (bag.size, bag.metric) == (shape[:2], "hamming")


@needs_akaze
@pytest.mark.parametrize("options", [{}, {"n_octave_layers": 12, "threshold": 0.0}, {"descriptor_type": "mldb_upright"}])
def test_images_that_are_not_handed_to_opencv_would_have_given_nothing(rng, options):
    """At 58 pixels OpenCV still works and finds nothing; at 59 it does find something."""
    of_cv2 = {"nOctaveLayers": options.get("n_octave_layers", 4), "threshold": options.get("threshold", 0.001)}
    for side, found in ((58, False), (59, True)):
        blobs = np.kron(rng.integers(0, 256, (side // 4 + 1, 150)), np.ones((4, 4)))[:side].astype(np.uint8)
        keypoints, _ = HOME.AKAZE_create(**of_cv2).detectAndCompute(np.ascontiguousarray(blobs), None)
        assert (len(keypoints) > 0) == found
        assert (len(AKAZE(**options).extract(blobs).descriptors) > 0) == found


@needs_akaze
def test_lazy_pickled_cloned(gray):
    bags = AKAZE(max_points=20).transform([gray, np.zeros((5, 5))])
    again = pickle.loads(pickle.dumps(bags))
    assert_equal(again[0], (bags[0].descriptors, bags[0].frames))
    assert len(bags[1].descriptors) == 0
    assert clone(AKAZE(n_octaves=2)).n_octaves == 2
    assert list(AKAZE().get_feature_names_out()[[0, -1]]) == ["akaze0", "akaze60"]


def test_an_opencv_without_it_is_named_before_any_image(monkeypatch):
    monkeypatch.setattr(_keypoints, "cv2", type("cv2", (), {"__version__": "5.0.0", "xfeatures2d": None}))
    with pytest.raises(MissingExtraError, match=r"AKAZE is not in the installed OpenCV 5\.0\.0.*opencv-contrib-python"):
        AKAZE().fit([np.zeros((9, 9))])


@needs_akaze
@pytest.mark.parametrize("place", ["cv2", "cv2.xfeatures2d"])
def test_both_places_are_looked_into(place, monkeypatch):
    made = type("home", (), {"AKAZE_create": None})
    both = {"cv2": {"AKAZE_create": None}, "cv2.xfeatures2d": {"xfeatures2d": made}}[place]
    monkeypatch.setattr(_keypoints, "cv2", type("cv2", (), both))
    assert _keypoints.home_of("AKAZE") is (_keypoints.cv2 if place == "cv2" else made)


@needs_akaze
@pytest.mark.parametrize(
    "wrong",
    [
        {"descriptor_type": "kaze"},
        {"threshold": -0.1},
        {"threshold": np.inf},
        {"n_octaves": 0},
        {"n_octave_layers": 0},
        {"diffusivity": "none"},
        {"max_points": -2},
    ],
    ids=str,
)
def test_wrong_values(gray, wrong):
    with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter of AKAZE must be"):
        AKAZE(**wrong).transform([gray])
