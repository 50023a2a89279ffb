"""ORB gives OpenCV's numbers, and an empty Bag where OpenCV finds nothing or fails."""

import pickle

import cv2
import numpy as np
import pytest
from skimage.data import astronaut, camera
from sklearn.base import clone

from featrec.descriptors import ORB

OPTIONS = [
    ({}, {}),
    ({"n_features": 60, "scale_factor": 1.5}, {"nfeatures": 60, "scaleFactor": 1.5}),
    ({"n_levels": 3, "fast_threshold": 8}, {"nlevels": 3, "fastThreshold": 8}),
    ({"edge_threshold": 15, "patch_size": 15, "first_level": 2}, {"edgeThreshold": 15, "patchSize": 15, "firstLevel": 2}),
    ({"score_type": "fast", "n_features": 100}, {"scoreType": cv2.ORB_FAST_SCORE, "nfeatures": 100}),
]


@pytest.fixture(scope="module")
def gray():
    return np.ascontiguousarray(camera()[100:260, 180:400])


def by_hand(gray, **options):
    keypoints, descriptors = cv2.ORB_create(**options).detectAndCompute(gray, None)
    return descriptors, np.array([(*point.pt, point.size, point.angle) for point in keypoints], np.float32)


def assert_equal(bag, expected):
    np.testing.assert_array_equal(bag.descriptors, expected[0])
    np.testing.assert_array_equal(bag.frames, expected[1])


@pytest.mark.parametrize(("options", "of_cv2"), OPTIONS)
def test_gray_equals_cv2(gray, options, of_cv2):
    bag = ORB(**options).extract(gray)
    assert_equal(bag, by_hand(gray, **of_cv2))
    assert len(bag.descriptors) > 30
    assert (bag.descriptors.dtype, bag.size, bag.metric) == (np.uint8, (160, 220), "hamming")


def test_colour_equals_cv2():
    colour = np.ascontiguousarray(astronaut()[50:200, 150:300])
    assert_equal(ORB().extract(colour), by_hand(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)))


def test_scores_rank_differently(gray):
    harris, fast = (ORB(n_features=50, score_type=score).extract(gray).frames for score in ("harris", "fast"))
    assert not np.array_equal(harris, fast)


def test_types_agree(gray):
    expected = ORB().extract(gray)
    for same in (gray.astype(np.uint16) * 257, gray / 255, (gray / 255).astype(np.float32), gray[..., None]):
        assert_equal(ORB().extract(same), (expected.descriptors, expected.frames))


def test_read_only_and_strided(gray):
    view = gray[::-1]
    view.flags.writeable = False
    assert_equal(ORB().extract(view), by_hand(np.ascontiguousarray(view)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (3, 3), (100, 80), (100, 80, 3)])
def test_nothing_found(shape):
    bag = ORB().extract(np.full(shape, 90, np.uint8))
    assert bag.descriptors.shape == (0, 32)
    assert bag.descriptors.dtype == np.uint8
    assert bag.frames.shape == (0, 4)
    assert bag.metric == "hamming"


def test_levels_without_a_pixel_are_left_out():
    noise = np.random.default_rng(0).integers(0, 256, (20, 24), dtype=np.uint8)
    with pytest.raises(cv2.error, match="inv_scale_x > 0"):
        by_hand(noise, nlevels=12, scaleFactor=2.0, edgeThreshold=2, patchSize=4)
    bag = ORB(n_levels=12, scale_factor=2.0, edge_threshold=2, patch_size=4).extract(noise)
    # The sixth level is 20 / 2**5 pixels wide, which rounds to 1; the seventh has none.
    assert_equal(bag, by_hand(noise, nlevels=6, scaleFactor=2.0, edgeThreshold=2, patchSize=4))
    assert len(bag.descriptors) > 0


def test_lazy_pickled_cloned(gray):
    bags = ORB(n_features=20).transform([gray, np.zeros((5, 5))])
    again = pickle.loads(pickle.dumps(bags))
    assert_equal(again[0], (bags[0].descriptors, bags[0].frames))
    assert len(bags[1].descriptors) == 0
    assert clone(ORB(n_levels=2)).n_levels == 2
    assert list(ORB().get_feature_names_out()[[0, -1]]) == ["orb0", "orb31"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_features": 0},
        {"scale_factor": 1.0},
        {"n_levels": 0},
        {"edge_threshold": -1},
        {"first_level": -1},
        {"score_type": "best"},
        {"patch_size": 1},
        {"fast_threshold": 256},
    ],
)
def test_wrong_values(gray, wrong):
    with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter of ORB must be"):
        ORB(**wrong).transform([gray])
