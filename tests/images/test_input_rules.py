"""Every rule of what a batch of images is, held against arrays and items that hypothesis makes up."""

import io

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from featrec.descriptors import ColorHistogram, TinyImage
from featrec.exceptions import ImageError, InputError
from featrec.images import as_float, as_gray, as_rgb, check_images, read_image

SIDES = st.integers(1, 9)
WHOLE = st.sampled_from([np.uint8, np.uint16, bool])
FLOATS = st.floats(0, 1, width=32)


@st.composite
def images(draw, channels=(None, 1, 3, 4)):
    """One legal image: any type, gray or colour, with or without alpha."""
    shape = (draw(SIDES), draw(SIDES))
    last = draw(st.sampled_from(channels))
    shape += () if last is None else (last,)
    if draw(st.booleans()):
        return draw(arrays.arrays(np.float32, shape, elements=FLOATS))
    return draw(arrays.arrays(draw(WHOLE), shape))


@given(st.lists(images(), max_size=5))
def test_a_list_may_mix_sizes_types_gray_and_colour(items):
    images = check_images(items)
    assert images.shape == (len(items),)
    for image, item in zip(images, items, strict=True):
        assert image.shape[:2] == item.shape[:2]
        assert image.ndim == 2 or image.shape[2] == 3
        assert image.dtype in (np.uint8, np.uint16, np.float32)
        assert image.flags.c_contiguous


@given(st.integers(0, 4), SIDES, SIDES, st.sampled_from([(), (1,), (3,), (4,)]), WHOLE)
def test_one_array_is_a_batch_unless_it_may_be_one_colour_image(n, height, width, last, dtype):
    batch = np.zeros((n, height, width, *last), dtype)
    if not last and width in (3, 4):
        with pytest.raises(InputError, match=r"Use \[image\].*X\[\.\.\., None\]"):
            check_images(batch)
    else:
        assert len(check_images(batch)) == n


@given(arrays.arrays(st.sampled_from([np.uint8, np.float64]), arrays.array_shapes(min_dims=2, max_dims=2)))
def test_two_axes_are_one_image_or_flattened_rows(rows):
    with pytest.raises(InputError, match=r"\[image\].*Unflatten"):
        check_images(rows)


@given(st.integers(1, 3), st.sampled_from([1, 3, 4]), st.integers(5, 9), st.integers(5, 9))
def test_channels_come_last(n, channels, height, width):
    with pytest.raises(InputError, match=r"transpose\(0, 2, 3, 1\)"):
        check_images(np.zeros((n, channels, height, width), np.uint8))


@given(arrays.array_shapes(min_dims=5, max_dims=6, max_side=3))
def test_more_axes_are_no_batch(shape):
    with pytest.raises(InputError, match="expected a batch of images"):
        check_images(np.zeros(shape, np.uint8))


ONE = st.one_of(st.text(max_size=8), st.binary(max_size=8), st.binary(max_size=8).map(bytearray))


@given(ONE)
def test_one_path_or_one_file_is_no_batch(one):
    with pytest.raises(InputError, match=r"\[image\]"):
        check_images(one)


CONTAINERS = st.one_of(
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=3),
    st.sets(st.integers(), max_size=3),
    st.frozensets(st.text(max_size=3), max_size=3),
    st.integers(),
    st.floats(),
    st.none(),
    st.lists(st.integers(), max_size=3).map(iter),
)


@given(CONTAINERS)
def test_what_has_no_order_or_one_pass_is_no_batch(given_one):
    with pytest.raises(InputError, match="expected a batch of images"):
        check_images(given_one)


@given(
    arrays.arrays(
        st.sampled_from([np.int8, np.int16, np.int32, np.int64, np.uint32, np.uint64, np.complex64]), st.tuples(SIDES, SIDES)
    )
)
def test_types_without_an_agreed_range_are_refused_by_name(image):
    with pytest.raises(ImageError, match=str(image.dtype)):
        read_image(image)


@given(st.floats(allow_nan=True, allow_infinity=True).filter(lambda value: not 0 <= value <= 1), SIDES, SIDES)
def test_floats_outside_zero_to_one_are_refused(value, height, width):
    image = np.full((height, width), 0.5)
    image[-1, -1] = value
    with pytest.raises(ImageError, match=r"\[0, 1\]"):
        read_image(image)


@given(arrays.arrays(np.uint8, st.tuples(SIDES, SIDES)))
def test_uint8_uint16_bool_and_floats_mean_shares(image):
    share = image / 255
    np.testing.assert_allclose(as_float(read_image(image)), share, atol=1e-6)
    np.testing.assert_allclose(as_float(read_image(image.astype(np.uint16) * 257)), share, atol=1e-6)
    np.testing.assert_allclose(as_float(read_image(share)), share)
    np.testing.assert_array_equal(as_float(read_image(image > 99)), image > 99)


@given(arrays.arrays(np.uint8, st.tuples(SIDES, SIDES, st.just(4))))
def test_alpha_is_laid_on_white(image):
    alpha = image[..., 3:] / 255
    expected = image[..., :3] * alpha + 255 * (1 - alpha)
    np.testing.assert_allclose(read_image(image), expected, atol=0.5001)


@given(images(channels=(None,)))
def test_gray_is_three_equal_channels_to_who_wants_colour(original):
    image = read_image(original)
    colour = as_rgb(image)
    assert colour.shape == (*image.shape, 3)
    assert all((colour[..., c] == image).all() for c in range(3))
    np.testing.assert_allclose(as_float(as_gray(colour)), as_float(image), atol=1 / 250)


@given(arrays.arrays(np.uint8, st.tuples(SIDES, SIDES, st.just(3))))
def test_colour_is_rgb_from_every_source(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    for source in (image, file.getvalue(), Image.fromarray(image)):
        np.testing.assert_array_equal(read_image(source), image)


@given(st.sampled_from([[], (), np.empty((0, 5, 5)), np.empty((0, 5, 5, 3), np.uint8)]))
def test_an_empty_batch_has_the_width_of_the_fit(nothing):
    for extractor, width in ((TinyImage(size=4), 16), (ColorHistogram(bins=2), 8)):
        fitted = extractor.fit([np.zeros((6, 6), np.uint8)])
        assert fitted.transform(nothing).shape == (0, width)


@given(st.lists(images(), min_size=1, max_size=4), st.data())
def test_a_bad_item_is_named_by_its_place(items, data):
    place = data.draw(st.integers(0, len(items)))
    items.insert(place, data.draw(st.sampled_from([np.zeros((2, 2), np.int64), b"", "nowhere.png", None])))
    with pytest.raises(ImageError, match=rf"^image {place}\b"):
        list(check_images(items))
