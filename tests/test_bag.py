import copy
import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from featrec import Bag
from featrec.exceptions import InputError

NUMBERS = st.sampled_from(["b", "u1", "u2", "i1", "i4", "i8", "f2", "f4", "f8", ">f4", ">u2"]).map(np.dtype)


@given(st.data())
@settings(max_examples=80)
def test_descriptors_become_float32_unless_they_are_bytes(data):
    dtype = data.draw(NUMBERS)
    elements = st.floats(-1000, 1000, width=16) if dtype.kind == "f" else None
    values = data.draw(hnp.arrays(dtype, (data.draw(st.integers(0, 4)), 3), elements=elements))
    bag = Bag(values)
    assert bag.descriptors.dtype == (np.uint8 if dtype == np.uint8 else np.float32)
    np.testing.assert_allclose(bag.descriptors, values.astype(np.float64), rtol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_descriptors_are_not_copied(dtype):
    values = np.zeros((3, 4), dtype)
    assert Bag(values).descriptors is values


def test_a_bag_may_be_empty():
    bag = Bag(np.empty((0, 128)), np.empty((0, 4)), (40, 50))
    assert bag.descriptors.shape == (0, 128)
    assert bag.frames.shape == (0, 4)


def test_lists_are_converted():
    bag = Bag([[1, 2], [3, 4]], frames=[[0, 0, 1, -1], [5, 5, 1, -1]])
    assert bag.descriptors.dtype == bag.frames.dtype == np.float32


def test_bags_are_frozen_without_equality_or_length():
    bag = Bag(np.zeros((2, 3)))
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'metric'"):
        bag.metric = "hamming"
    assert bag != Bag(np.zeros((2, 3)))
    assert not hasattr(bag, "__len__")
    assert not isinstance(bag, tuple)
    assert hash(bag) == hash(bag)


def test_an_array_of_bags_has_one_axis():
    bags = np.array([Bag(np.zeros((2, 3))), Bag(np.zeros((2, 3)))])
    assert bags.shape == (2,)
    assert bags.dtype == object


def test_pickle_and_copy():
    bag = Bag(np.eye(2, dtype=np.uint8), np.zeros((2, 4)), (7, 9), "hamming")
    for again in (pickle.loads(pickle.dumps(bag)), copy.deepcopy(bag)):
        np.testing.assert_array_equal(again.descriptors, bag.descriptors)
        np.testing.assert_array_equal(again.frames, bag.frames)
        assert (again.size, again.metric) == ((7, 9), "hamming")


def test_mirrored_is_optional_and_survives_pickling():
    bag = Bag(np.eye(2), np.zeros((2, 4)), (7, 9), mirrored=[False, True])
    assert Bag(np.eye(2)).mirrored is None
    for again in (bag, pickle.loads(pickle.dumps(bag)), dataclasses.replace(bag, descriptors=np.ones((2, 5)))):
        assert again.mirrored.dtype == bool
        np.testing.assert_array_equal(again.mirrored, [False, True])
    older = object.__new__(Bag)  # as unpickled from a version without this field
    older.__dict__.update({name: value for name, value in vars(bag).items() if name != "mirrored"})
    assert older.mirrored is None
    assert dataclasses.replace(older, size=(7, 8)).mirrored is None


def test_mirrored_frames_are_found_in_the_image():
    frames = np.array([[2, 3, 4, 30], [2, 3, 4, 30], [0, 1, 4, -1], [1, 1, 4, 200]], np.float32)
    bag = Bag(np.zeros((4, 2)), frames, (7, 9), mirrored=[False, True, True, True])
    np.testing.assert_array_equal(bag._frames_in_image(), [[2, 3, 4, 30], [6, 3, 4, 150], [8, 1, 4, -1], [7, 1, 4, 340]])
    assert Bag(np.zeros((4, 2)), frames, (7, 9))._frames_in_image() is bag.frames


def test_repr():
    assert repr(Bag(np.zeros((2, 3), np.uint8), np.zeros((2, 4)), (7, 9), "hamming")) == (
        "Bag(2 descriptors of 3 uint8, frames, image 7×9, hamming)"
    )


REFUSED = {
    "one row": ({"descriptors": np.zeros(3)}, r"shape \(n, d\); got float64 of shape \(3,\).*Bag\(np\.empty\(\(0, d\)\)\)"),
    "three axes": ({"descriptors": np.zeros((1, 2, 3))}, r"got float64 of shape \(1, 2, 3\)"),
    "text": ({"descriptors": np.array([["a"]])}, r"got <U1 of shape \(1, 1\)"),
    "complex": ({"descriptors": np.zeros((1, 2), complex)}, r"got complex128"),
    "objects": ({"descriptors": np.array([[None]])}, r"got object"),
    "NaN": ({"descriptors": np.array([[np.nan]])}, r"descriptors must be finite; some are NaN or infinite"),
    "infinity": ({"descriptors": np.array([[-np.inf]], np.float32)}, r"descriptors must be finite"),
    "over float32": ({"descriptors": np.array([[1e300]])}, r"descriptors must be finite"),
    "metric": (
        {"descriptors": np.zeros((1, 2)), "metric": "cosine"},
        r"metric must be one of .*euclidean.*hamming.*; got 'cosine'",
    ),
    "numbers as bits": (
        {"descriptors": np.zeros((1, 2)), "metric": "hamming"},
        r"packed bits of type uint8; got float32\. Use np\.packbits",
    ),
    "frames": ({"descriptors": np.zeros((2, 3)), "frames": np.zeros((2, 3))}, r"shape \(2, 4\): .*; got \(2, 3\)"),
    "mirrored without size": (
        {"descriptors": np.zeros((2, 3)), "mirrored": np.zeros(2, bool)},
        r"mirrored needs the image size.*Use Bag\(descriptors, frames, \(height, width\), mirrored=mirrored\)",
    ),
    "numbers as mirrored": (
        {"descriptors": np.zeros((2, 3)), "size": (7, 9), "mirrored": np.zeros(2)},
        r"mirrored must be an array of bool of shape \(2,\), one value per descriptor; got float64 of shape \(2,\)",
    ),
    "number of mirrored": (
        {"descriptors": np.zeros((2, 3)), "size": (7, 9), "mirrored": np.zeros(3, bool)},
        r"got bool of shape \(3,\)",
    ),
    "number of frames": ({"descriptors": np.zeros((2, 3)), "frames": np.zeros((1, 4))}, r"shape \(2, 4\): .*; got \(1, 4\)"),
}


@pytest.mark.parametrize("arguments, message", REFUSED.values(), ids=REFUSED)
def test_invalid_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Bag(**arguments)
