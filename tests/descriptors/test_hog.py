from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from skimage import data, feature

from featrec.compiled import _hog as compiled
from featrec.descriptors import HOG
from featrec.descriptors._hog_codes import Bins, _bins_of_axes, _bins_of_bytes
from featrec.exceptions import FailedImageWarning, ImageError
from tests.descriptors.contributions import assert_complete, parts_with_content, spot, touched
from tests.naive import hog as naive

NORMS = ("L1", "L1-sqrt", "L2", "L2-Hys")


def assert_same_as_scikit_image(image, **parameters):
    expected = feature.hog(image, channel_axis=-1 if image.ndim == 3 else None, **parameters)
    np.testing.assert_allclose(HOG(**parameters).extract(image), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("orientations", [8, 9, 12])
@pytest.mark.parametrize("block_norm", NORMS)
@pytest.mark.parametrize("transform_sqrt", [False, True])
@pytest.mark.parametrize("shape", [(48, 48), (51, 67), (51, 67, 3)])
def test_codes_equal_scikit_image(rng, orientations, block_norm, transform_sqrt, shape):
    image = rng.random(shape)
    assert_same_as_scikit_image(
        image, orientations=orientations, block_norm=block_norm, transform_sqrt=transform_sqrt, pixels_per_cell=(7, 9)
    )


@pytest.mark.parametrize("original", [data.camera, data.astronaut])
def test_codes_equal_scikit_image_on_photographs_with_gradients_on_bin_borders(original):
    image = original()[100:201, 150:263] / 255
    for orientations, transform_sqrt in product((8, 9, 12), (False, True)):
        assert_same_as_scikit_image(image, orientations=orientations, transform_sqrt=transform_sqrt)


@pytest.mark.parametrize("cells_per_block", [(1, 1), (2, 3), (4, 1)])
def test_codes_with_other_block_shapes_equal_scikit_image(rng, cells_per_block):
    assert_same_as_scikit_image(rng.random((40, 41)), cells_per_block=cells_per_block)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(30, 33), (30, 33, 3)])
def test_integer_images_equal_scaled_float_images(rng, dtype, shape):
    top = np.iinfo(dtype).max
    image = rng.integers(0, top, shape, dtype=dtype, endpoint=True)
    np.testing.assert_allclose(HOG().extract(image), HOG().extract(image / top), rtol=0, atol=1e-6)


@pytest.mark.parametrize("orientations", [6, 7, 8, 9, 12, 14, 24, 28])
@pytest.mark.parametrize("shape", [(40, 47), (40, 47, 3)])
@pytest.mark.parametrize("spread", [3, 256])
def test_bins_of_8_bit_images_equal_scikit_image(rng, orientations, shape, spread):
    """Images with few values have many gradients on bin borders. scikit-image does not rescale pixels; L1 is affected least."""
    image = rng.integers(0, spread, shape, dtype=np.uint8)
    sizes = {"orientations": orientations, "pixels_per_cell": (5, 6), "cells_per_block": (1, 1)}
    expected = feature.hog(image, channel_axis=-1 if len(shape) == 3 else None, block_norm="L1", **sizes)
    found = HOG(**sizes).cells(image).reshape(-1, orientations)
    shares = found / (found.sum(axis=1, keepdims=True) + 1e-5 / 255)
    np.testing.assert_allclose(shares.ravel(), expected, rtol=0, atol=2e-7)


@pytest.mark.parametrize("orientations", range(1, 33))
def test_horizontal_and_vertical_gradients_equal_scikit_image(orientations):
    """The computed border of a bin may differ from the axis by rounding errors."""
    image = np.zeros((24, 24))
    image[4:20, 4:20] = 0.5
    found = HOG(orientations=orientations, cells_per_block=(1, 1)).extract(image)
    expected = feature.hog(image, orientations, cells_per_block=(1, 1))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    byte = HOG(orientations=orientations, cells_per_block=(1, 1)).extract((image * 254).astype(np.uint8))
    np.testing.assert_allclose(byte, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(16, 20), (16, 20, 1), (16, 20, 3)])
@pytest.mark.parametrize("transform_sqrt", [False, True])
def test_an_image_has_the_same_code_alone_and_in_a_batch(rng, dtype, shape, transform_sqrt):
    """Test one array, a list, lists of mixed data types, and parts on several threads."""
    images = rng.random((70, *shape)).astype(dtype)
    if np.dtype(dtype).kind == "u":
        images = rng.integers(0, np.iinfo(dtype).max, (70, *shape), dtype=dtype, endpoint=True)
    hog = HOG(orientations=8, pixels_per_cell=[(4, 4), (8, 5)], cells_per_block=(2, 2), transform_sqrt=transform_sqrt)
    codes = hog.fit_transform(images)
    assert codes.shape == (70, hog.n_features_out_)
    np.testing.assert_array_equal(codes, [hog.extract(image) for image in images])
    np.testing.assert_array_equal(codes, hog.transform(list(images)))
    np.testing.assert_array_equal(codes[::-3], hog.set_params(n_jobs=2).transform(images[::-3]))
    mixed = [*images[:5], np.zeros((16, 20), np.uint8), *images[5:9]]
    np.testing.assert_array_equal(hog.transform(mixed), np.insert(codes[:9], 5, 0, axis=0))


def test_an_invalid_float_image_of_an_array_is_named(rng):
    images = rng.random((50, 24, 24))
    images[41, 3, 3] = 1.5
    with pytest.raises(ImageError, match=r"image 41: float images must contain values in \[0, 1\]; found .* to 1.5"):
        HOG().fit_transform(images)
    hog = HOG(on_error="empty").fit(images)
    with pytest.warns(FailedImageWarning, match="1 of 50 images"):
        codes = hog.transform(images)
    assert list(np.flatnonzero(~codes.any(axis=1))) == [41]
    assert [failure.index for failure in hog.failures_] == [41]
    np.testing.assert_array_equal(np.delete(codes, 41, axis=0), HOG().fit_transform(np.delete(images, 41, axis=0)))


def test_codes_of_several_cell_sizes_are_concatenated(rng):
    image = rng.integers(0, 256, (28, 28), dtype=np.uint8)
    sizes = [(4, 4), (7, 7), [14, 10]]
    for original in (image, image / 255):
        each = [HOG(pixels_per_cell=size, cells_per_block=(2, 2)).extract(original) for size in sizes]
        np.testing.assert_array_equal(
            HOG(pixels_per_cell=sizes, cells_per_block=(2, 2)).extract(original), np.concatenate(each)
        )
    assert HOG(pixels_per_cell=sizes).cells(image).shape == (7, 7, 9)
    assert HOG(pixels_per_cell=sizes).cells(image, pixels_per_cell=(14, 10)).shape == (2, 2, 9)
    assert HOG(pixels_per_cell=[(8, 8)]).cells(image, pixels_per_cell=(4, 4)).shape == (7, 7, 9)


def test_an_integer_applies_to_rows_and_columns():
    image = np.random.default_rng(0).integers(0, 256, (30, 28), np.uint8)
    found = HOG(pixels_per_cell=5, cells_per_block=2).extract(image)
    np.testing.assert_array_equal(found, HOG(pixels_per_cell=(5, 5), cells_per_block=(2, 2)).extract(image))
    with pytest.raises(ImageError, match="HOG needs at least 40×40 pixels for one block of cells; got 30×28"):
        HOG(pixels_per_cell=20, cells_per_block=2).extract(image)


@pytest.mark.parametrize("orientations", [8, 9, 10])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_signed_bins_add_up_to_unsigned_bins(rng, orientations, dtype):
    """The sums of opposite bins over a whole turn equal the bins over half a turn; in the negative, opposite bins are
    swapped."""
    image = rng.integers(0, 256, (30, 41), dtype=np.uint8)
    image = image if dtype == np.uint8 else image / 255
    signed = HOG(orientations=2 * orientations, signed=True)
    cells = signed.cells(image)
    folded = cells[..., :orientations] + cells[..., orientations:]
    np.testing.assert_allclose(folded, HOG(orientations=orientations).cells(image), atol=1e-6)
    turned = signed.cells(image.max() - image)
    if dtype == np.uint8:
        np.testing.assert_allclose(turned, np.roll(cells, orientations, axis=2), atol=1e-6)


@pytest.mark.parametrize(("turns", "bin_"), [(0, 0), (1, 3), (2, 6), (3, 9)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_signed_gradients_point_to_the_bright_side(turns, bin_, dtype):
    """Angles increase clockwise, because y points down; there are 12 bins of 30 degrees."""
    ramp = np.rot90(np.tile(np.arange(24, dtype=np.uint8), (24, 1)), -turns)
    ramp = ramp if dtype == np.uint8 else ramp.astype(dtype) / 255
    cells = HOG(orientations=12, signed=True).cells(ramp)
    assert (cells[..., bin_] > 0).all()
    assert np.count_nonzero(cells) == 9


def test_an_angle_rounded_to_half_a_turn_is_in_the_first_bin():
    dx, dy = np.array([1.0, 1.0, -1.0]), np.array([-1e-30, 1e-30, 1e-30])
    assert list(Bins(9, False).of(dy, dx)) == [0, 0, 0]
    assert list(Bins(9, True).of(dy, dx)) == [0, 0, 4]


def test_tiny_gradients_give_finite_cells(rng):
    image = 1e-42 * rng.random((24, 24))
    cells = HOG().cells(image)
    assert np.isfinite(cells).all()
    assert cells.max() < 1e-41


def test_a_flat_image_is_zero():
    assert (HOG().extract(np.full((32, 32), 77, np.uint8)) == 0).all()


SIZES = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=3)
BLOCKS = st.tuples(st.integers(1, 2), st.integers(1, 2))


def width_of(shape, sizes, block, orientations):
    counts = [(shape[0] // tall - block[0] + 1) * (shape[1] // wide - block[1] + 1) for tall, wide in sizes]
    return sum(counts) * block[0] * block[1] * orientations


def codes_of_bytes(images, table, orientations, sizes, block, norm):
    """Return the codes of the compiled loop and of its naive implementation."""
    count, height, width, channels = images.shape
    codes = np.full((2, count, width_of((height, width), sizes, block, orientations)), np.nan, np.float32)
    grids = compiled.hog_grids(height, width, orientations, sizes)
    room, padded = compiled.hog_room(height, width, orientations, grids, 0 if channels == 1 else 1)
    flat, shared = images.reshape(count, height * width * channels), (table, orientations, grids, *block, norm, room)
    if channels == 1:
        compiled.hog_gray(flat, height, width, *shared, codes[0])
        naive.hog_gray(images, table, orientations, np.array(sizes), *block, norm, codes[1])
    else:
        compiled.hog_colour(flat, channels, height, width, *shared, padded, codes[0])
        naive.hog_colour(images, table, orientations, np.array(sizes), *block, norm, codes[1])
    return codes


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(8, 13), st.integers(8, 13), st.sampled_from([1, 3])),
    count=st.integers(0, 3),
    sizes=SIZES,
    block=BLOCKS,
    orientations=st.integers(1, 13),
    norm=st.sampled_from(range(5)),
    signed=st.booleans(),
    top=st.sampled_from([2, 255]),
)
@settings(deadline=None, max_examples=60)
def test_codes_of_bytes_equal_the_naive_loops(seed, shape, count, sizes, block, orientations, norm, signed, top):
    images = np.random.default_rng(seed).integers(0, top, (count, *shape), dtype=np.uint8, endpoint=True)
    found, expected = codes_of_bytes(images, _bins_of_bytes(Bins(orientations, signed)), orientations, sizes, block, norm)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (1, 3), (4, 2), (2, 5), (9, 701), (5, 1023), (3, 2100)]
)
def test_codes_of_narrow_and_wide_images_of_bytes(rng, shape, channels):
    """Images may be narrower than the mirrored frame, or so wide that a band has few rows or only one."""
    images = rng.integers(0, 256, (2, *shape, channels), dtype=np.uint8)
    found, expected = codes_of_bytes(images, _bins_of_bytes(Bins(9, False)), 9, [(1, 1)], (1, 1), compiled.NONE)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_read_only_images_have_the_same_codes(rng):
    images = rng.integers(0, 256, (3, 24, 30, 3), dtype=np.uint8)
    for pixels in (images, images[..., 0].copy()):
        expected = HOG().fit_transform(pixels)
        pixels.setflags(write=False)
        np.testing.assert_array_equal(HOG().fit_transform(pixels), expected)


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(0, 2), st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3])),
    dtype=st.sampled_from([np.float32, np.float64]),
    integer=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_gradients_equal_the_naive_loops(seed, shape, dtype, integer):
    rng = np.random.default_rng(seed)
    images = (rng.integers(0, 5, shape) / 4 if integer else rng.random(shape)).astype(dtype)
    ours, plain = np.full((2, 2, *shape[:3]), np.nan)
    compiled.hog_gradients(images, *ours)
    naive.hog_gradients(images.astype(float), *plain)
    np.testing.assert_array_equal(ours, plain)


@given(
    seed=st.integers(0, 2**32 - 1),
    orientations=st.integers(1, 40),
    signed=st.booleans(),
    kind=st.sampled_from(["integers", "floats", "axes"]),
)
@settings(deadline=None, max_examples=60)
def test_directions_equal_the_naive_loops_except_doubtful_ones(seed, orientations, signed, kind):
    rng = np.random.default_rng(seed)
    dx, dy = rng.integers(-3, 4, (2, 50)) / 3.0 if kind == "integers" else rng.normal(size=(2, 50))
    if kind == "axes":
        dy[::2] = 0
        dx[1::2] = 0
    axes = _bins_of_axes(Bins(orientations, signed))
    half_turn = orientations / 2 if signed else float(orientations)
    bins, lengths, doubtful = np.full((2, 50), -1, np.int32), np.empty((2, 50), np.float32), np.empty((2, 50), np.int64)
    ours = compiled.hog_directions(dx, dy, orientations, half_turn, axes, bins[0], lengths[0], doubtful[0])
    plain = naive.hog_directions(dx, dy, orientations, half_turn, axes, bins[1], lengths[1], doubtful[1])
    np.testing.assert_allclose(lengths[0], lengths[1], rtol=1e-6)
    doubts = doubtful[0, :ours]
    sure = np.setdiff1d(np.arange(50), np.union1d(doubts, doubtful[1, :plain]))
    np.testing.assert_array_equal(bins[0, sure], bins[1, sure])
    # Gradients that differ from a border only by float64 rounding errors are also doubtful in float32.
    turns = np.arctan2(dy, dx) / np.pi * half_turn
    slanted = np.flatnonzero((abs(turns - np.rint(turns)) < 1e-12) & (dx != 0) & (dy != 0))
    assert set(slanted) <= set(doubts)
    assert len(doubts) <= max(10, 2 * plain) or kind == "integers"


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(8, 12), st.integers(8, 12)),
    count=st.integers(0, 3),
    sizes=SIZES,
    block=BLOCKS,
    orientations=st.integers(1, 9),
    norm=st.sampled_from(range(5)),
)
@settings(deadline=None, max_examples=60)
def test_codes_equal_the_naive_loops(seed, shape, count, sizes, block, orientations, norm):
    rng = np.random.default_rng(seed)
    bins = rng.integers(0, orientations, (count, shape[0] * shape[1]), dtype=np.int32)
    lengths = rng.random(bins.shape).astype(np.float32) * np.float32(0.2)
    codes = np.full((2, count, width_of(shape, sizes, block, orientations)), np.nan, np.float32)
    grids, own = compiled.hog_grids(*shape, orientations, sizes), np.arange(orientations).astype(np.uint16)
    _, _, *room = compiled.hog_room(*shape, orientations, grids)[0]
    compiled.hog_codes(bins, lengths, shape[1], own, orientations, grids, *block, norm, *room, codes[0])
    naive.hog_codes(bins, lengths, *shape, orientations, np.array(sizes), *block, norm, codes[1])
    np.testing.assert_allclose(codes[0], codes[1], rtol=1e-5, atol=1e-6)


def test_an_image_smaller_than_a_block_is_an_error():
    with pytest.raises(ImageError, match=r"image 1: HOG needs at least 24×24 pixels for one block of cells; got 23×40.*Resize"):
        HOG().fit_transform([np.zeros((24, 24)), np.zeros((23, 40))])
    with pytest.raises(ImageError, match=r"needs at least 24×24 pixels .* got 1×1"):
        HOG().extract(np.zeros((1, 1), np.uint8))
    with pytest.raises(ImageError, match=r"HOG needs at least 20×21 pixels for one block of cells; got 24×20"):
        HOG(pixels_per_cell=[(4, 4), (10, 5), (8, 7)], cells_per_block=(2, 3)).extract(np.zeros((24, 20)))


@pytest.mark.parametrize("on_error", ["raise", "empty"])
def test_images_of_different_sizes_are_an_error(on_error):
    match = r"image 1: HOG returns 162 values for this image but 81 for previous images.*Put Resize"
    with pytest.raises(ImageError, match=match):
        HOG(on_error=on_error).fit_transform([np.zeros((24, 24)), np.zeros((24, 32))])


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match=r"pixels_per_cell must be 2 positive integers, or one integer for all; got \(8, 0\)"):
        HOG(pixels_per_cell=(8, 0)).extract(np.zeros((24, 24)))
    with pytest.raises(ValueError, match="cells_per_block must be 2 positive integers"):
        HOG(cells_per_block=(2, 2, 2)).extract(np.zeros((24, 24)))


LAYOUTS = [
    {},
    {"cells_per_block": (1, 2), "orientations": 5, "block_norm": "L1-sqrt", "transform_sqrt": True, "signed": True},
    {"pixels_per_cell": [(8, 6), (4, 4), (5, 9)], "cells_per_block": (2, 1), "balance": True},
    {"pixels_per_cell": "auto", "cells_per_block": 2, "block_norm": "L1", "mirror": True},
    {"cells_per_block": 1, "color": "gray", "mirror": True},
    {"pixels_per_cell": [(4, 4), (8, 8)], "cells_per_block": 2, "color": "rgb"},
]


@pytest.mark.parametrize("parameters", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.uint8, float])
@pytest.mark.parametrize("shape", [(33, 46), (46, 33, 3)])
def test_contributions_add_up_and_lie_where_the_image_has_content(rng, parameters, dtype, shape):
    """In a black image, only the cells around a spot have gradients, and only the regions of the layout in it have values."""
    hog = HOG(**parameters)
    image = rng.random(shape) if dtype is float else rng.integers(0, 256, shape, dtype=dtype)
    found = assert_complete(hog, image)
    is_cell = np.array(["cell of" in name for name in found.names])
    for top, left in ((0, 0), (10, 21), (shape[0] - 5, shape[1] - 6), (17, 5)):
        where = top, top + 5, left, left + 6
        image = spot(rng, shape, dtype, *where)
        gradients = touched(found.outlines, *where, down=1) | touched(found.outlines, *where, across=1)
        expected = np.where(is_cell, gradients, touched(found.outlines, *where))
        if len(shape) == 2 and parameters.get("color") == "rgb":
            expected &= np.array(["minus" not in name for name in found.names])  # gray images have no opponent colours
        np.testing.assert_array_equal(parts_with_content(hog, image), expected)


def test_contributions_of_a_flat_image_are_zero_except_for_its_layout():
    image = np.full((24, 30, 3), 255, np.uint8)
    assert not assert_complete(HOG(), image).values.any()
    found = assert_complete(HOG(color="rgb"), image)
    assert {name.split(",")[0] for name, value in zip(found.names, found.values, strict=True) if value} == {"mean of lightness"}


def test_contributions_of_a_fitted_layout_are_scaled(rng):
    images = rng.random((4, 24, 24, 3))
    assert_complete(HOG(color="auto").fit(images), images[0])
    with pytest.raises(ImageError, match="HOG needs at least 24×24 pixels"):
        HOG().contributions(np.zeros((20, 40)), np.ones(4))
