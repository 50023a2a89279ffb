"""SIFT gives OpenCV's numbers, and an empty Bag where OpenCV finds nothing."""

import pickle

import cv2
import numpy as np
import pytest
from skimage.data import astronaut, camera
from sklearn.base import clone

from featrec.descriptors import SIFT

OPTIONS = [
    ({}, {}),
    ({"n_features": 40}, {"nfeatures": 40}),
    ({"n_octave_layers": 5, "sigma": 1.2}, {"nOctaveLayers": 5, "sigma": 1.2}),
    ({"contrast_threshold": 0.01, "edge_threshold": 5.0}, {"contrastThreshold": 0.01, "edgeThreshold": 5.0}),
]


@pytest.fixture(scope="module")
def gray():
    return np.ascontiguousarray(camera()[100:260, 180:400])


@pytest.fixture(scope="module")
def colour():
    return np.ascontiguousarray(astronaut()[50:200, 150:300])


def by_hand(gray, **options):
    keypoints, descriptors = cv2.SIFT_create(**options).detectAndCompute(gray, None)
    return descriptors, np.array([(*point.pt, point.size, point.angle) for point in keypoints], np.float32)


def assert_equal(bag, expected):
    np.testing.assert_array_equal(bag.descriptors, expected[0])
    np.testing.assert_array_equal(bag.frames, expected[1])


@pytest.mark.parametrize(("options", "of_cv2"), OPTIONS)
def test_gray_equals_cv2(gray, options, of_cv2):
    bag = SIFT(**options).extract(gray)
    assert_equal(bag, by_hand(gray, **of_cv2))
    assert len(bag.descriptors) > 30
    assert (bag.descriptors.dtype, bag.size, bag.metric) == (np.float32, (160, 220), "euclidean")


def test_colour_equals_cv2(colour):
    assert_equal(SIFT().extract(colour), by_hand(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)))


def test_options_differ(gray):
    counts = {len(SIFT(**options).extract(gray).descriptors) for options, _ in OPTIONS}
    assert len(counts) == len(OPTIONS)


def test_types_agree(gray):
    expected = SIFT().extract(gray)
    for same in (gray.astype(np.uint16) * 257, gray / 255, (gray / 255).astype(np.float32), gray[..., None]):
        assert_equal(SIFT().extract(same), (expected.descriptors, expected.frames))


def test_read_only_and_strided(gray):
    view = gray[:, ::-1]
    view.flags.writeable = False
    assert_equal(SIFT().extract(view), by_hand(np.ascontiguousarray(view)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (3, 3), (60, 80), (60, 80, 3)])
def test_nothing_found(shape):
    bag = SIFT().extract(np.full(shape, 90, np.uint8))
    assert bag.descriptors.shape == (0, 128)
    assert bag.descriptors.dtype == np.float32
    assert bag.frames.shape == (0, 4)
    assert bag.size == shape[:2]


def test_lazy_pickled_cloned(gray):
    bags = SIFT(n_features=20).transform([gray, np.zeros((5, 5))])
    again = pickle.loads(pickle.dumps(bags))
    assert_equal(again[0], (bags[0].descriptors, bags[0].frames))
    assert len(bags[1].descriptors) == 0
    assert clone(SIFT(sigma=2.0)).sigma == 2.0
    assert list(SIFT().get_feature_names_out()[[0, -1]]) == ["sift0", "sift127"]


@pytest.mark.parametrize(
    "wrong", [{"n_features": -1}, {"n_octave_layers": 0}, {"contrast_threshold": -0.1}, {"edge_threshold": 0}, {"sigma": 0}]
)
def test_wrong_values(gray, wrong):
    with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter of SIFT must be"):
        SIFT(**wrong).transform([gray])
