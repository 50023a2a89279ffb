import pickle
import threading

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.model_selection import KFold, train_test_split
from sklearn.utils import _safe_indexing, indexable, resample

from featrec import Bag, Bags, Images
from featrec.exceptions import ImageError, InputError
from featrec.lazy import LazySequence, resolve_key


class Counting:
    """Images of shape (2, 3) filled with their number; records which were read."""

    def __init__(self, n):
        self.n, self.read = n, []
        self.lock = threading.Lock()

    def __len__(self):
        return self.n

    def __getitem__(self, position):
        assert type(position) is int
        with self.lock:
            self.read.append(position)
        return np.full((2, 3), position, np.uint8)

    def name(self, position):
        return f"image{position}.png"


class Held(LazySequence):
    """Numbered images, with some weight in a pickle."""

    def __init__(self, numbers, weight=0):
        super().__init__([(number, bytes([number]) * weight) for number in numbers])

    def name(self, position):
        return f"image{self.source[self.rows[position]][0]}.png"

    def _item(self, stored):
        return np.full((2, 3), stored[0], np.uint8)


def double(image):
    return image * 2


def plus_one(image):
    return image + 1


def describe(image):
    return Bag(image[:1].astype(np.float32), size=image.shape)


def fail_at_seven(image):
    if image[0, 0] == 7:
        raise ImageError("seven is refused")
    return image


def crash(image):
    raise ZeroDivisionError("by zero")


def numbers(images):
    return [int(image[0, 0]) for image in images]


@st.composite
def lengths_and_keys(draw):
    n = draw(st.integers(0, 12))
    kinds = [st.slices(n), st.lists(st.booleans(), min_size=n, max_size=n)]
    if n:
        kinds.append(st.lists(st.integers(-n, n - 1), max_size=15))
    key = draw(st.one_of(kinds))
    form = draw(st.sampled_from(["as it is", "array", "series"])) if isinstance(key, list) else "as it is"
    if form == "array":
        key = np.array(key, dtype=bool if key and isinstance(key[0], bool) else int)
    elif form == "series":
        key = pd.Series(key, dtype=bool if key and isinstance(key[0], bool) else int)
    return n, (key, ...) if draw(st.booleans()) else key


@given(lengths_and_keys())
@settings(max_examples=300)
def test_keys_select_as_in_numpy(n_and_key):
    n, key = n_and_key
    plain = key[0] if isinstance(key, tuple) else key
    if isinstance(plain, (list, pd.Series)):
        plain = np.array(plain, dtype=int if len(plain) == 0 or not isinstance(next(iter(plain)), (bool, np.bool_)) else bool)
    np.testing.assert_array_equal(resolve_key(key, n), np.arange(n)[plain])


@given(st.integers(1, 9), st.data())
def test_one_position(n, data):
    position = data.draw(st.integers(-n, n - 1))
    for key in (position, np.int64(position), np.array(position), (position, ...)):
        found = resolve_key(key, n)
        assert type(found) is int
        assert found == np.arange(n)[position]


@pytest.mark.parametrize(
    "key, message",
    [
        (5, "position 5 is out of range for 5 items"),
        (-6, "position -6 is out of range for 5 items"),
        (np.uint8(200), "position 200 is out of range"),
        ([0, 5], "out of bounds"),
        ([True, False], "boolean index did not match"),
        ((1, 2), r"a sequence of 5 items has only one axis; got the key \(1, 2\)"),
        ((1, slice(None)), "a sequence of 5 items has only one axis"),
        (np.zeros((2, 2), int), r"one axis; got a key of shape \(2, 2\)"),
        (True, r"one axis; got a key of shape \(\)"),
        (None, r"one axis; got a key of shape \(\)"),
        ("a", r"one axis; got a key of shape \(\)"),
        (1.0, r"one axis; got a key of shape \(\)"),
        ([0.5], "must be of integer"),
        (["a"], "must be of integer|only integers"),
    ],
)
def test_invalid_keys_are_refused(key, message):
    with pytest.raises(IndexError, match=message):
        Images(Counting(5))[key]


def test_items_are_read_on_access():
    source = Counting(10)
    images = Images(source).then(double)
    part = images[2:8][::-1][[True, False] * 3][[0, -1], ...]
    assert images.shape == (10,)
    assert part.shape == (2,)
    assert source.read == []
    assert numbers(part) == [14, 6]
    assert source.read == [7, 3]


def test_scikit_learn_splits_without_reading():
    source = Counting(20)
    images = Images(source)
    labels = np.arange(20)
    train, test, train_labels, test_labels = train_test_split(images, labels, random_state=0, stratify=labels % 2)
    indexable(images, labels)
    resample(images, n_samples=30, random_state=0)
    for rows, _ in KFold(3).split(images, labels):
        assert isinstance(_safe_indexing(images, rows), Images)
    assert source.read == []
    assert isinstance(train, Images)
    assert numbers(train) == list(train_labels)
    assert numbers(test) == list(test_labels)


def test_each_pass_reads_once_in_order():
    source = Counting(4)
    images = Images(source)
    assert numbers(images) == [0, 1, 2, 3]
    assert source.read == [0, 1, 2, 3]


@given(st.lists(st.sampled_from([slice(None, None, -1), slice(1, None), slice(None, None, 2), [0, 0, -1]]), max_size=4))
def test_slices_of_slices(keys):
    images, expected = Images(Counting(40)), np.arange(40)
    for key in keys:
        images, expected = images[key], expected[key]
    assert numbers(images) == list(expected)
    assert [images.name(position) for position in range(len(images))] == [f"image{number}.png" for number in expected]


def test_steps_are_applied_in_order_to_a_new_sequence():
    images = Images(Counting(4))
    assert numbers(images.then(double).then(plus_one)) == [1, 3, 5, 7]
    assert numbers(images.then(plus_one).then(double)) == [2, 4, 6, 8]
    assert numbers(images) == [0, 1, 2, 3]


def test_described():
    bags = Images(Counting(4), index=pd.Index(list("abcd")))[1:].then(double).described(describe)
    assert isinstance(bags, Bags)
    assert bags.shape == (3,)
    assert list(bags.index) == ["b", "c", "d"]
    np.testing.assert_array_equal(bags[2].descriptors, [[6, 6, 6]])
    assert bags[2].size == (2, 3)
    assert [bag.descriptors[0, 0] for bag in bags.then(lambda bag: Bag(bag.descriptors / 2))] == [1, 2, 3]


def test_repr():
    assert repr(Images(Counting(4))[1:]) == "Images(3 of Counting)"
    assert repr(Images(Counting(4)).then(double).described(describe)) == "Bags(4 of Counting → function → function)"


def test_the_index_is_sliced():
    images = Images(Counting(5), index=pd.Index(list("vwxyz")))
    assert list(images[[4, 0]].index) == ["z", "v"]
    assert list(images[np.array([True, False, True, False, False])].index) == ["v", "x"]
    assert list(images.then(double)[::-2].compute().index) == ["z", "x", "v"]
    assert list(pickle.loads(pickle.dumps(Images(Held(range(5)), index=images.index)[3:])).index) == ["y", "z"]
    assert Images(Counting(5))[1:].index is None


def test_a_slice_is_pickled_with_its_own_items():
    images = Images(Held(range(100), weight=1000), steps=(double,))
    for part in (images[[70, 20]], images[[70, 20]].described(describe)):
        sent = pickle.dumps(part)
        assert len(sent) < 5000 < len(pickle.dumps(images))
        again = pickle.loads(sent)
        assert [again.name(position) for position in (0, 1)] == ["image70.png", "image20.png"]
    assert numbers(pickle.loads(pickle.dumps(images[[70, 20, 70]]))) == [140, 40, 140]
    assert numbers(pickle.loads(pickle.dumps(images[[70, 20, 10]][1:]))) == [40, 20]
    assert len(images.source) == 100, "pickling does not change the sequence"


def test_a_slice_of_computed_items_is_pickled_with_its_own_items():
    images = Images([np.zeros((100, 100), np.uint8)] * 3 + [np.full((2, 3), 9, np.uint8)])
    assert len(pickle.dumps(images[3:])) < 2000
    assert numbers(pickle.loads(pickle.dumps(images[[3, 0]]))) == [9, 0]


def test_errors_name_the_position_in_the_whole_batch_and_the_path():
    images = Images(Held(range(10)), steps=(fail_at_seven,))
    message = r"^image 7 \('image7\.png'\): seven is refused$"
    part = images[5:][::-1]
    for sequence in (part, pickle.loads(pickle.dumps(part)), part.then(double).described(describe)):
        with pytest.raises(ImageError, match=message) as caught:
            list(sequence)
        assert (caught.value.position, caught.value.item) == (7, "image7.png")


def test_positions_of_computed_images_are_kept():
    images = Images(Held(range(10)))[5:].compute().then(fail_at_seven)
    with pytest.raises(ImageError, match=r"^image 7"):
        images[2]


def test_other_errors_get_a_note():
    with pytest.raises(ZeroDivisionError, match="by zero") as caught:
        Images(Counting(10), steps=(crash,))[4:][2]
    assert caught.value.__notes__ == ["at image 6 ('image6.png')"]
    with pytest.raises(ZeroDivisionError, match="by zero") as caught:
        Images([np.zeros((2, 2))], steps=(crash,))[0]
    assert caught.value.__notes__ == ["at image 0"]


@pytest.mark.parametrize("n_jobs", [None, 1, 2, -1])
def test_compute_reads_each_item_once(n_jobs):
    source = Counting(70)
    held = Images(source).then(double)[::-1].compute(n_jobs=n_jobs)
    assert sorted(source.read) == list(range(70))
    expected = [2 * position % 256 for position in range(69, -1, -1)]
    assert numbers(held) == numbers(held) == expected
    assert len(source.read) == 70
    bags = Images(source).described(describe).compute(n_jobs=n_jobs)
    assert [bag.descriptors[0, 0] for bag in bags] == list(range(70))
    assert len(source.read) == 140


def test_compute_in_processes():
    with joblib.parallel_config("loky", n_jobs=2):
        assert numbers(Images(Held(range(40))).then(double).compute()) == list(range(0, 80, 2))


def test_images_of_one_shape_become_an_array():
    images = Images(Counting(4))[1:]
    expected = np.stack([np.full((2, 3), position, np.uint8) for position in (1, 2, 3)])
    np.testing.assert_array_equal(np.asarray(images), expected)
    assert np.asarray(images).dtype == np.uint8
    assert np.asarray(images, dtype=np.float32).dtype == np.float32
    assert np.asarray(Images(Counting(0))).shape == (0,)
    with pytest.raises(ValueError, match="always makes a copy"):
        np.array(images, copy=False)


def test_images_of_several_shapes_do_not_become_an_array(ragged):
    with pytest.raises(
        InputError, match=r"images of the same shape; found 6 shapes, such as .*Resize the images first, or iterate"
    ):
        np.asarray(Images(ragged))


def test_bags_do_not_become_an_array():
    bags = Images(Counting(4)).described(describe)
    for convert in (np.asarray, np.array):
        with pytest.raises(InputError, match=r"number of descriptors differs.*An encoder .*bags\[i\]\.descriptors"):
            convert(bags)


def test_many_threads_read_one_sequence():
    images = Images(Counting(50)).then(double)
    results, start = [], threading.Barrier(6)

    def read():
        start.wait()
        results.append(numbers(images[::-1]))

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [list(range(98, -1, -2))] * 6
