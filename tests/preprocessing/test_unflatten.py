import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks

from featrec.exceptions import InputError
from featrec.preprocessing import Resize, Unflatten


@parametrize_with_checks([Unflatten((1, -1), max_value=1000.0)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("shape", [(4, 6), (4, 2, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_rows_become_images(rng, shape, dtype):
    rows = rng.random((5, 24)).astype(dtype) if np.dtype(dtype).kind == "f" else rng.integers(0, 256, (5, 24)).astype(dtype)
    images = Unflatten(shape).fit_transform(rows)
    assert images.shape == (5,)
    assert images[0].dtype == dtype
    np.testing.assert_array_equal(np.asarray(images), rows.reshape(5, *shape))


@pytest.mark.parametrize("shape", [(3, 4, 2), (3, -1, 2), (3, 4, -1)])
def test_channels_stored_one_after_the_other_become_the_last_axis(rng, shape):
    originals = rng.integers(0, 256, (5, 4, 2, 3)).astype(np.uint8)
    images = Unflatten(shape).fit_transform(originals.transpose(0, 3, 1, 2).reshape(5, 24))
    np.testing.assert_array_equal(np.asarray(images), originals)
    np.testing.assert_array_equal(np.asarray(images[[3, 1]]), originals[[3, 1]])


def test_three_at_both_ends_means_channels_last_unless_the_width_is_inferred(rng):
    rows = rng.integers(0, 256, (2, 27)).astype(np.uint8)
    np.testing.assert_array_equal(Unflatten((3, 3, 3)).transform(rows)[0], rows[0].reshape(3, 3, 3))
    np.testing.assert_array_equal(Unflatten((3, 3, -1)).transform(rows)[0], rows[0].reshape(3, 3, 3).transpose(1, 2, 0))


def test_minus_one_is_inferred(rng):
    rows = rng.random((2, 24))
    assert Unflatten((-1, 6)).transform(rows)[0].shape == (4, 6)
    assert Unflatten((2, -1, 3)).transform(rows)[0].shape == (2, 4, 3)


@given(
    rows=hnp.arrays(
        st.sampled_from([np.int8, np.int16, np.int32, np.int64, np.uint32, np.uint64]),
        (3, 4),
        elements=st.integers(0, 127),
    ),
    top=st.integers(0, 255),
)
@settings(max_examples=40)
def test_whole_numbers_up_to_255_become_uint8(rows, top):
    if rows.dtype.itemsize > 1:
        rows[0, 0] = top
    images = np.asarray(Unflatten((2, 2)).transform(rows))
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images.reshape(3, 4), rows)


def test_bool_is_black_and_white():
    image = Unflatten((1, 2)).transform(np.array([[False, True]]))[0]
    assert image.tolist() == [[0, 255]]
    assert image.dtype == np.uint8


@pytest.mark.parametrize("dtype", [np.uint16, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("top", [16, 254, 300])
def test_max_value_is_white(dtype, top):
    rows = np.array([[0, 4, top, 8]], dtype=dtype)
    image = Unflatten((2, 2), max_value=top).transform(rows)[0]
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image.ravel(), (np.array([0, 4, top, 8]) / top).astype(np.float32))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int64, np.float32, np.float64])
def test_bytes_stored_as_other_types_become_uint8(rng, dtype):
    rows = rng.integers(0, 2 if dtype is bool else 256, (5, 12)).astype(dtype)
    images = np.asarray(Unflatten((3, 4), max_value=255).transform(rows))
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images.reshape(5, 12), rows)


def test_one_fractional_value_makes_all_images_float():
    images = np.asarray(Unflatten((1, 2), max_value=255).transform(np.array([[0.0, 255.0], [127.5, 51.0]])))
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images.ravel(), np.float32([0, 1, 0.5, 0.2]))


@given(top=st.floats(1e-6, 1e6), share=st.floats(0, 1))
@settings(max_examples=60)
def test_scaled_values_are_at_most_one(top, share):
    image = Unflatten((1, 2), max_value=top).transform(np.array([[top, min(top, share * top)]]))[0]
    assert image[0, 0] == 1
    assert 0 <= image[0, 1] <= 1


def test_half_floats_are_divided_without_overflow():
    image = Unflatten((1, 2), max_value=65535).transform(np.array([[60000, 32768]], np.float16))[0]
    np.testing.assert_allclose(image, [[60000 / 65535, 32768 / 65535]], rtol=1e-3)


def test_the_index_of_a_table_is_kept(rng):
    table = pd.DataFrame(rng.integers(0, 256, (6, 9)), index=list("fbdace"), columns=[f"pixel{i}" for i in range(9)])
    step = Unflatten((3, 3)).fit(table)
    images = step.transform(table)
    assert list(images.index) == list("fbdace")
    assert list(images[[2, 0]].index) == ["d", "f"]
    np.testing.assert_array_equal(images[2].ravel(), table.loc["d"])
    assert images[0].dtype == np.uint8
    assert step.n_features_in_ == 9
    assert list(step.feature_names_in_) == list(table.columns)


def test_polars_table(rng):
    pl = pytest.importorskip("polars")
    values = rng.integers(0, 256, (4, 6))
    images = Unflatten((2, 3)).transform(pl.DataFrame(values, schema=[f"c{i}" for i in range(6)]))
    np.testing.assert_array_equal(np.asarray(images).reshape(4, 6), values)


def test_rows_are_not_copied(rng):
    rows = rng.integers(0, 256, (2000, 400), dtype=np.uint8)
    tracemalloc.start()
    images = Unflatten((20, 20)).transform(rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < rows.nbytes / 4
    assert np.shares_memory(images[1500], rows)


def test_a_slice_is_pickled_with_its_own_rows(rng):
    images = Unflatten((20, 20)).transform(rng.integers(0, 256, (100, 400), dtype=np.uint8))
    part = pickle.dumps(images[[7, 3]])
    assert len(part) < 4000
    np.testing.assert_array_equal(pickle.loads(part)[0], images[7])


def test_transform_needs_no_fit_and_set_output_changes_nothing(rng):
    step = clone(Unflatten((2, 3))).set_output(transform="pandas")
    assert step.fit_transform(rng.random((2, 6))).shape == (2,)
    assert step.transform(rng.random((3, 6)))[2].shape == (2, 3)
    assert step.transform(np.empty((0, 6))).shape == (0,)


REFUSED = {
    "floats to 255": (
        np.full((3, 4), 255.0),
        r"floats must be in \[0, 1\], but row 0 .* 255.0 .* max_value=\.\.\.\): 255",
    ),
    "ints over 255": (
        np.array([[1, 2, 3, 4], [1, 2, 3, 300]]),
        r"integers must be from 0 to 255, but row 1 .* int64 .* to 300",
    ),
    "negative ints": (np.array([[1, 2, 3, -4]]), r"Negative values in data.*row 0 .* from -4 to 3.*standardise"),
    "negative floats": (np.array([[0.5] * 4, [0, 0, 0, -0.1]]), r"Negative values in data.*row 1 .* from -0\.1"),
    "NaN": (
        np.array([[0.5] * 4, [0, 0, np.nan, 0]]),
        r"1 of 2 rows contain NaN or infinity; the first is row 1.*Remove these rows",
    ),
    "infinity": (np.array([[0, np.inf, 0, 0]]), r"contain NaN or infinity; the first is row 0"),
    "too few columns": (np.zeros((2, 3)), r"images of shape \(2, 2\) have 4 values, but the rows have 3"),
    "label left in": (
        np.zeros((2, 5)),
        r"have 4 values, but the rows have 5\. .*Drop columns that are not pixels, such as the label",
    ),
    "square": (np.zeros((2, 784)), r"the rows have 784\. For square images, use shape=\(28, 28\)"),
    "square colour": (
        np.zeros((2, 3072)),
        r"the rows have 3072\. .* shape=\(32, 32, 3\), or \(3, 32, 32\) if all red values come first",
    ),
    "images": (np.zeros((5, 8, 8)), r"ndarray of shape \(5, 8, 8\), which already contains images\. Omit this step"),
    "dataset": (load_digits(), r"got a whole dataset\. Use its rows: dataset\.data"),
    "one row": (np.zeros(4), r"Expected 2D array, got 1D array"),
    "complex": (np.zeros((2, 4), complex), r"Complex data not supported"),
    "text": ([["a", "b", "c", "d"]], r"dtype='numeric' is not compatible|could not convert string"),
}


@pytest.mark.parametrize("rows, message", REFUSED.values(), ids=REFUSED)
def test_invalid_rows_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        Unflatten((2, 2)).transform(rows)


def test_lengths_that_do_not_divide_are_refused():
    with pytest.raises(InputError, match=r"shape \(-1, 5\) have a multiple of 5 values, but the rows have 12"):
        Unflatten((-1, 5)).transform(np.zeros((1, 12)))


def test_values_over_max_value_are_refused():
    with pytest.raises(InputError, match=r"no value may exceed max_value=16, but row 1 .* 17\.0.*largest possible value"):
        Unflatten((1, 2), max_value=16).transform(np.array([[16.0, 1], [17, 0]]))


def test_images_are_refused(ragged):
    with pytest.raises(InputError, match=r"Images of shape \(6,\), which already contains images"):
        Unflatten((2, 2)).transform(Resize(4).transform(ragged))


@pytest.mark.parametrize("shape", [(4,), (2, 2, 4), (-1, -1), (0, 4), (2.0, 2), (4, 2, 2), (-2, 4), (3, -1, -1), (2, 2, -1)])
def test_invalid_shapes_are_refused(shape):
    with pytest.raises(
        InputError, match=r"shape must be \(height, width\), \(height, width, 3\), or .* either height or width may be -1"
    ):
        Unflatten(shape).fit(np.zeros((1, 4)))
