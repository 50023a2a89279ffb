import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from featrec.exceptions import EmptyImageError, UnsupportedImageError
from featrec.images import as_float, as_gray, as_rgb, as_uint8, read_image

SHAPES = st.sampled_from([(3, 4), (3, 4, 1), (3, 4, 3)])


@given(hnp.arrays(np.uint16, (3, 4)))
@settings(max_examples=40)
def test_white_is_65535_in_uint16(image):
    np.testing.assert_allclose(as_float(image), image / 65535, atol=1e-7)
    np.testing.assert_array_equal(as_uint8(image), np.floor(image / 257 + 0.5))


@given(hnp.arrays(np.uint8, (3, 4)))
@settings(max_examples=40)
def test_uint8_survives_conversion_to_float(image):
    assert as_float(image).dtype == np.float32
    np.testing.assert_array_equal(as_uint8(as_float(image)), image)
    assert as_uint8(image) is image


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_stay_unchanged(rng, dtype):
    image = rng.random((3, 4)).astype(dtype)
    assert as_float(image) is image
    assert as_uint8(image).dtype == np.uint8


def test_gray_as_rgb_has_three_equal_channels(rng):
    image = rng.random((3, 4))
    assert as_rgb(image).shape == (3, 4, 3)
    np.testing.assert_array_equal(as_rgb(image), np.dstack([image] * 3))
    np.testing.assert_allclose(as_gray(as_rgb(image)), image, atol=1e-15)
    colour = as_rgb(image)
    assert as_rgb(colour) is colour


def test_the_luma_has_the_weights_of_rgb():
    pure = np.zeros((1, 3, 3), np.uint8)
    pure[0, [0, 1, 2], [0, 1, 2]] = 255
    assert as_gray(pure).tolist() == [[76, 150, 29]]


def test_the_luma_of_a_view(rng):
    image = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(as_gray(image[::2, ::-1]), as_gray(image[::2, ::-1].copy()))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3)])
def test_a_decoded_image_is_not_copied(dtype, shape):
    image = np.zeros(shape, dtype)
    assert read_image(image) is image


@given(st.data())
@settings(max_examples=100)
def test_supported_arrays(data):
    dtype = data.draw(
        st.sampled_from([np.bool_, np.uint8, np.uint16, ">u2", np.float16, "<f4", ">f4", ">f8", np.float64, np.longdouble])
    )
    kind = np.dtype(dtype).kind
    elements = st.floats(0, 1, width=16) if kind == "f" else None
    image = data.draw(hnp.arrays(dtype, data.draw(SHAPES), elements=elements))
    taken = read_image(image)
    assert taken.flags.c_contiguous
    assert taken.dtype.isnative
    assert taken.dtype in (np.uint8, np.uint16, np.float32, np.float64)
    expected = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    np.testing.assert_array_equal(taken, expected * 255 if kind == "b" else expected)


@pytest.mark.parametrize("dtype, top", [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1), (np.float64, 1)])
def test_alpha_is_blended_with_white(rng, dtype, top):
    image = (rng.random((5, 6, 4)) * top).astype(dtype)
    image[0, 0, 3], image[0, 1, 3] = 0, top
    taken = read_image(image)
    assert taken.shape == (5, 6, 3)
    assert taken.dtype == dtype
    share = image[..., 3:] / top
    expected = image[..., :3] * share + top * (1 - share)
    np.testing.assert_allclose(taken, expected, atol=1e-6 if top == 1 else 0.5001)
    assert (taken[0, 0] == top).all()
    np.testing.assert_array_equal(taken[0, 1], image[0, 1, :3])


def test_read_only_and_strided_arrays(rng):
    image = rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)
    image.setflags(write=False)
    assert read_image(image) is image
    view = read_image(image[::2, ::-1])
    assert view.flags.c_contiguous
    np.testing.assert_array_equal(view, image[::2, ::-1])


def test_subclasses_of_arrays():
    masked = np.ma.masked_array(np.ones((2, 2)), mask=False)
    assert type(read_image(masked)) is np.ndarray
    with pytest.raises(UnsupportedImageError, match=r"masked pixels are not supported; image\.filled\(0\) sets"):
        read_image(np.ma.masked_array(np.ones((2, 2)), mask=[[True, False], [False, False]]))


REFUSED = {
    "int64": (
        np.zeros((2, 2), np.int64),
        r"int64 are not supported.*If .* are 0 to 255, use image\.astype\(np\.uint8\)",
    ),
    "int8": (np.zeros((2, 2), np.int8), r"int8 are not supported"),
    "uint32": (np.zeros((2, 2), np.uint32), r"uint32 are not supported"),
    "complex": (np.zeros((2, 2), complex), r"complex128 are not supported.*Convert them"),
    "object": (np.zeros((2, 2), object), r"object are not supported"),
    "text": (np.zeros((2, 2), "U3"), r"<U3 are not supported"),
    "bytes as floats": (np.full((2, 2), 255.0), r"in \[0, 1\]; found 255\.0 to 255\.0\. If they are 0 to 255, use image / 255"),
    "negative": (np.full((2, 2), -1.0), r"found -1\.0 to -1\.0"),
    "just over one": (np.full((2, 2), 1 + 1e-9), r"to 1\.000000001\. np\.clip\(image, 0, 1\) removes rounding errors"),
    "NaN": (np.array([[0.5, np.nan]]), r"must contain values in \[0, 1\]; found NaN\. np\.nan_to_num"),
    "infinity": (np.array([[0.5, np.inf]], np.float32), r"found 0\.5 to inf"),
    "NaN as half": (np.array([[0.5, np.nan]], np.float16), r"found NaN"),
    "row": (np.zeros(4), r"expected an array of shape \(h, w\) or \(h, w, 3\); got shape \(4,\)"),
    "number": (np.float64(3), r"got shape \(\)"),
    "batch": (np.zeros((2, 4, 4, 3)), r"got shape \(2, 4, 4, 3\)"),
    "channels first": (np.zeros((3, 8, 9)), r"\(3, 8, 9\)\. The channels must be the last .*: use image\.transpose\(1, 2, 0\)"),
    "two channels": (np.zeros((8, 9, 2)), r"got shape \(8, 9, 2\)$"),
}


@pytest.mark.parametrize("image, message", REFUSED.values(), ids=REFUSED)
def test_refused_arrays(image, message):
    with pytest.raises(UnsupportedImageError, match=message):
        read_image(image)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 0), (0, 4, 3)])
def test_arrays_without_pixels_are_refused(shape):
    with pytest.raises(EmptyImageError, match=f"{shape[0]} rows and {shape[1]} columns; both must be at least 1"):
        read_image(np.zeros(shape, np.uint8))
