import pickle
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data, feature
from sklearn.base import clone

from featrec.compiled import _hog as compiled
from featrec.descriptors import HOG
from featrec.exceptions import ImageError
from tests.naive import hog as naive

NORMS = ("L1", "L1-sqrt", "L2", "L2-Hys")


def assert_same_as_scikit_image(image, **parameters):
    expected = feature.hog(image, channel_axis=-1 if image.ndim == 3 else None, **parameters)
    np.testing.assert_allclose(HOG(**parameters).extract(image), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("orientations", [8, 9, 12])
@pytest.mark.parametrize("block_norm", NORMS)
@pytest.mark.parametrize("transform_sqrt", [False, True])
@pytest.mark.parametrize("shape", [(48, 48), (51, 67), (51, 67, 3)])
def test_has_the_numbers_of_scikit_image(rng, orientations, block_norm, transform_sqrt, shape):
    image = rng.random(shape)
    assert_same_as_scikit_image(
        image, orientations=orientations, block_norm=block_norm, transform_sqrt=transform_sqrt, pixels_per_cell=(7, 9)
    )


@pytest.mark.parametrize("picture", [data.camera, data.astronaut])
def test_agrees_on_photographs_where_gradients_lie_on_the_borders_of_bins(picture):
    image = picture()[100:201, 150:263] / 255
    for orientations, transform_sqrt in product((8, 9, 12), (False, True)):
        assert_same_as_scikit_image(image, orientations=orientations, transform_sqrt=transform_sqrt)


@pytest.mark.parametrize("cells_per_block", [(1, 1), (2, 3), (4, 1)])
def test_blocks_of_other_shapes(rng, cells_per_block):
    assert_same_as_scikit_image(rng.random((40, 41)), cells_per_block=cells_per_block)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(30, 33), (30, 33, 3)])
def test_integers_are_scaled_first(rng, dtype, shape):
    top = np.iinfo(dtype).max
    image = rng.integers(0, top, shape, dtype=dtype, endpoint=True)
    np.testing.assert_array_equal(HOG().extract(image), HOG().extract(image / top))


def test_cells_are_scikit_images_before_the_norm(rng):
    image = rng.random((43, 50))
    cells = HOG(orientations=8).cells(image)
    assert cells.shape == (5, 6, 8)
    blocks = feature.hog(image, orientations=8, cells_per_block=(1, 1), block_norm="L1", feature_vector=False)[:, :, 0, 0]
    np.testing.assert_allclose(cells / (cells.sum(axis=2, keepdims=True) + 1e-5), blocks, atol=1e-6)


def test_a_ramp_to_the_right_has_orientation_zero():
    image = np.tile(np.linspace(0, 1, 24), (24, 1))
    cells = HOG().cells(image)
    assert (cells[..., 0] > 0).all()
    assert (cells[..., 1:] == 0).all()


def test_a_direction_rounded_to_half_a_turn_votes_for_the_first_bin():
    dx, dy = np.ones((8, 8)), np.full((8, 8), -1e-30)
    cells = np.empty((1, 1, 9))
    compiled.hog_cells(dx, dy, np.arctan2(dy, dx), 8, 8, cells)
    np.testing.assert_allclose(cells[0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0])


def test_a_flat_picture_is_zero():
    assert (HOG().extract(np.full((32, 32), 77, np.uint8)) == 0).all()


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3])),
    cell=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    orientations=st.integers(1, 13),
    integer=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_gradients_and_cells_are_those_of_the_naive_loops(seed, shape, cell, orientations, integer):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 5, shape) / 4 if integer else rng.random(shape)
    ours, plain = np.empty((2, *shape[:2])), np.empty((2, *shape[:2]))
    compiled.hog_gradients(image, *ours)
    naive.hog_gradients(image, *plain)
    np.testing.assert_array_equal(ours, plain)

    angles = np.arctan2(plain[1], plain[0])
    cells = np.full((2, shape[0] // cell[0], shape[1] // cell[1], orientations), np.nan)
    compiled.hog_cells(*ours, angles, *cell, cells[0])
    naive.hog_cells(*plain, angles, *cell, cells[1])
    np.testing.assert_allclose(cells[0], cells[1], atol=1e-12)


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 9)),
    block=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    norm=st.sampled_from(range(4)),
)
@settings(deadline=None, max_examples=60)
def test_blocks_are_those_of_the_naive_loops(seed, shape, block, norm):
    cells = np.random.default_rng(seed).random(shape) * 0.2
    count = max(0, shape[0] - block[0] + 1) * max(0, shape[1] - block[1] + 1)
    codes = np.full((2, count, block[0] * block[1] * shape[2]), np.nan, np.float32)
    compiled.hog_blocks(cells, *block, norm, codes[0])
    naive.hog_blocks(cells, *block, norm, codes[1])
    np.testing.assert_allclose(codes[0], codes[1], rtol=1e-5, atol=1e-7)


def test_norms_are_numbered_alike_in_the_naive_loops():
    assert (compiled.L1, compiled.L1_SQRT, compiled.L2, compiled.L2_HYS) == (0, 1, 2, 3)


def test_a_batch_is_a_float32_matrix_whatever_the_number_of_threads(rng):
    pictures = [rng.random((32, 40)), rng.integers(0, 256, (32, 40, 3), dtype=np.uint8), np.zeros((32, 40), np.uint16)] * 5
    codes = HOG().fit_transform(pictures)
    assert codes.shape == (15, 2 * 3 * 81)
    assert codes.dtype == np.float32
    np.testing.assert_array_equal(HOG(n_jobs=2).fit(pictures).transform(pictures), codes)
    np.testing.assert_array_equal(codes[1], HOG().extract(pictures[1]))


def test_names_clone_and_pickle(rng):
    pictures = rng.random((3, 24, 24))
    hog = HOG(orientations=4).set_output(transform="pandas").fit(pictures)
    frame = pickle.loads(pickle.dumps(hog)).transform(pictures)
    assert list(frame.columns[:2]) == ["hog0", "hog1"]
    assert frame.shape == (3, 36)
    assert clone(hog).get_params() == hog.get_params()


def test_pictures_without_room_for_a_block_are_refused():
    with pytest.raises(ImageError, match=r"image 1: HOG needs 24×24 pixels for one block of cells; got 23×40.*Resize"):
        HOG().fit_transform([np.zeros((24, 24)), np.zeros((23, 40))])
    with pytest.raises(ImageError, match=r"needs 24×24 pixels .* got 1×1"):
        HOG().extract(np.zeros((1, 1), np.uint8))


def test_pictures_of_unequal_sizes_are_refused():
    with pytest.raises(ImageError, match=r"HOG gives 162 numbers, 81 for those before.*Resize"):
        HOG().fit_transform([np.zeros((24, 24)), np.zeros((24, 32))])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"pixels_per_cell": (8, 0)}, r"pixels_per_cell must be 2 positive integers, or one that stands for all; got \(8, 0\)"),
        ({"cells_per_block": (2, 2, 2)}, "cells_per_block must be 2 positive integers"),
        ({"block_norm": "l2"}, "'block_norm' parameter of HOG must be a str among"),
        ({"orientations": 0}, "'orientations' parameter of HOG must be an int"),
    ],
)
def test_wrong_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        HOG(**parameters).extract(np.zeros((24, 24)))
