"""Ways back: a dot in an image is found in the changed image where the inverse of the way back says."""

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

from featrec.images import Preprocessor, chained
from featrec.preprocessing import (
    CLAHE,
    AdjustLight,
    Augmented,
    BlurFaces,
    Denoise,
    Deskew,
    Grayscale,
    NormalizeContrast,
    Rescale,
    Resize,
)
from featrec.preprocessing._copies import RandomChange
from featrec.recipes import tiny_knn

SIDE = st.integers(14, 60)
MOVING = [
    *(Resize((21, 34), mode=mode) for mode in ("stretch", "fit", "crop", "pad")),
    *(Resize((90, 48), mode=mode, fill=0) for mode in ("stretch", "fit", "crop", "pad")),
    Deskew(background="dark"),
    Deskew(background="dark", center=True),
]
TONES = [
    CLAHE(),
    AdjustLight(0.5),
    BlurFaces("lbp"),
    Denoise(),
    Denoise("bilateral"),
    Grayscale(),
    NormalizeContrast(),
    Rescale(),
]
CHANGES = [
    RandomChange(),
    RandomChange(flip="horizontal"),
    RandomChange(flip="vertical"),
    RandomChange(flip="both", rotate=40, scale=0.2, translate=0.1, crop=0.2),
    RandomChange(rotate=180, light=0.2, noise=0.01),
]


def with_dot(height, width, x, y, seed=0):
    """A slanted stroke in red and a dot in green, which the steps move together."""
    image = np.zeros((height, width, 3))
    cv2.line(image, (width // 4, height - 3), (width // 2, 2), (0.8, 0, 0), 2)
    image[y - 1 : y + 2, x - 1 : x + 2, 1] = np.outer([0.5, 1, 0.5], [0.5, 1, 0.5]) * 0.8
    return image


def mapped(way, points):
    return points @ way[:, :2].T + way[:, 2]


def inverse(way, points):
    return np.linalg.solve(way[:, :2], (points - way[:, 2]).T).T


def is_inside(changed, place, reach):
    return (place > reach).all() and (place < np.array(changed.shape[1::-1]) - 1 - reach).all()


def assert_dot_is_at(changed, place, reach):
    """The centre of mass of the green pixels around the place is at most half a pixel away."""
    ys, xs = np.mgrid[: changed.shape[0], : changed.shape[1]]
    mass = changed[..., 1] * (np.hypot(xs - place[0], ys - place[1]) <= reach + 2)
    assert mass.sum() > 0.1
    centre = np.array([(mass * xs).sum(), (mass * ys).sum()]) / mass.sum()
    assert np.abs(centre - place).max() < 0.5


@pytest.mark.parametrize("step", MOVING, ids=repr)
@given(height=SIDE, width=SIDE, across=st.floats(0, 1), down=st.floats(0, 1))
@settings(max_examples=40)
def test_a_dot_lands_where_the_way_back_says(step, height, width, across, down):
    x, y = 5 + round(across * (width - 11)), 5 + round(down * (height - 11))
    image = with_dot(height, width, x, y)
    way = step._way_back(image)
    assert way.shape == (2, 3)
    assert way.dtype == np.float64
    place, reach = inverse(way, np.array([[x, y]]))[0], 3 / np.abs(way[[0, 1], [0, 1]]).min()
    changed = step.transform([image])[0]
    assume(is_inside(changed, place, reach))  # "crop" may cut off the dot
    assert_dot_is_at(changed, place, reach)


@pytest.mark.parametrize("mode", ["stretch", "fit", "crop", "pad"])
@given(height=st.integers(1, 70), width=st.integers(1, 70), rows=st.integers(1, 70), columns=st.integers(1, 70))
@settings(max_examples=40)
def test_resized_coordinates_are_the_mapped_ones(mode, height, width, rows, columns):
    """Each pixel of the image contains its own x and y, so each pixel of the result tells where it comes from."""
    last = np.maximum([width - 1, height - 1], 1)
    coordinates = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1) / last
    image = np.dstack([coordinates, np.ones((height, width))])
    step = Resize((rows, columns), mode=mode, fill=0)
    changed = step.apply(image)
    ys, xs = np.nonzero(changed[..., 2] > 0.5)  # without what "pad" adds
    expected = mapped(step._way_back(image), np.stack([xs, ys], axis=1))
    found = changed[ys, xs, :2] * last
    # Where a pixel is divided between two others, an average is off by up to an eighth of a pixel.
    np.testing.assert_allclose(found, np.clip(expected, 0, [width - 1, height - 1]), atol=0.13)


@pytest.mark.parametrize("change", CHANGES, ids=repr)
@given(height=st.integers(30, 60), width=st.integers(30, 60), copy=st.integers(1, 5), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_a_dot_in_a_copy_lands_where_the_way_back_says(change, height, width, copy, seed):
    x, y = np.random.default_rng(seed).integers(8, [width - 8, height - 8])
    image = with_dot(height, width, x, y)
    way = change.way_back(image.shape, copy, np.random.default_rng(seed))
    copied = change(image, copy, np.random.default_rng(seed))
    dark = np.quantile(copied[..., 1], 0.5)  # AdjustLight and noise change the background, too
    copied[..., 1] = np.where(copied[..., 1] > dark + 0.1, copied[..., 1] - dark, 0)
    place = inverse(way, np.array([[x, y]]))[0]
    assume(is_inside(copied, place, 4))
    assert_dot_is_at(copied, place, 4)


@pytest.mark.parametrize("views", [0, 3])
def test_views_of_augmented_have_ways_back(rng, views):
    images = np.kron(rng.random((4, 3, 4)), np.ones((8, 8)))
    model = Augmented(tiny_knn(size=(8, 8)), flip="both", rotate=10, noise=0.1, views=views, copies=0, random_state=3)
    model.fit(images, ["a", "b", "a", "b"])
    for number, image in enumerate(images):
        found, ways = zip(*model._views_of(image), strict=True)
        viewed = model._viewed(images)[number * (1 + views) : (number + 1) * (1 + views)]
        np.testing.assert_array_equal(found, np.asarray(viewed))
        np.testing.assert_array_equal(ways[0], np.eye(2, 3))
        assert len(ways) == 1 + views
        change = model._change()
        for copy, way in enumerate(ways[1:], 1):
            random = np.random.default_rng((model.seed_, 1, 0, copy))
            np.testing.assert_array_equal(way, change.way_back(image.shape, copy, random))


@pytest.mark.parametrize("step", TONES, ids=repr)
def test_steps_that_change_values_keep_places(step):
    image = np.full((40, 50, 3), 0.1)
    image[9:18, 30:39] = 0.9
    changed = step.apply(image)
    ys, xs = np.nonzero(changed.reshape(40, 50, -1).max(axis=2) > (changed.min() + changed.max()) / 2)
    np.testing.assert_allclose([xs.mean(), ys.mean()], [34, 13], atol=0.5)
    np.testing.assert_array_equal(step._way_back(image), np.eye(2, 3))


def test_denoise_is_not_run_to_find_the_way_back(monkeypatch):
    step = Denoise()
    monkeypatch.setattr(step, "_change", None)
    np.testing.assert_array_equal(step._way_back(np.zeros((4, 4))), np.eye(2, 3))


class Shrink(Preprocessor):
    """A user's step that resizes, and says nothing about the way back."""

    def _change(self, image):
        return cv2.resize(image, (20, 24), interpolation=cv2.INTER_AREA)


def test_ways_back_of_several_steps_are_chained():
    image = with_dot(60, 50, 21, 33)
    way = np.eye(2, 3)
    for step in (Shrink(), Resize((70, 60), mode="pad"), Deskew(background="dark", center=True)):
        way = chained(way, step._way_back(image))
        image = step.apply(image)
    place = inverse(way, np.array([[21, 33]]))[0]
    assert is_inside(image, place, 8)
    assert_dot_is_at(image, place, 8)


def test_deskew_that_changes_nothing_keeps_places(rng):
    uniform, digit = np.full((9, 8), 0.5), rng.random((9, 8))
    np.testing.assert_array_equal(Deskew()._way_back(uniform), np.eye(2, 3))
    unsuited = Deskew(when="auto").fit([digit])
    assert not unsuited.applied_
    np.testing.assert_array_equal(unsuited._way_back(digit), np.eye(2, 3))
    np.testing.assert_array_equal(unsuited.apply(digit), digit)
