import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from PIL import Image
from scipy import sparse

from featrec import Bag, Bags, Images
from featrec.datasets import load_dataset
from featrec.exceptions import EmptyImageError, InputError, MissingImageError, UnsupportedImageError
from featrec.images import check_images

SIDES = st.integers(1, 9)


@pytest.fixture
def files(tmp_path, rng):
    """Return the paths of five gray images; the first pixel of image i has the value i."""
    paths = []
    for position in range(5):
        image = rng.integers(0, 256, (6 + position, 8), dtype=np.uint8)
        image[0, 0] = position
        paths.append(str(tmp_path / f"{position}.png"))
        Image.fromarray(image).save(paths[-1])
    return paths


def order(images):
    return [int(image[0, 0]) for image in images]


class Column:
    """A sequence that decodes an item on access, like a column of a dataset, and has no other methods."""

    def __init__(self, paths):
        self.paths, self.reads = paths, 0

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, position):
        self.reads += 1
        return Image.open(self.paths[position])


class Folder(Column):
    """A sequence that declares that it contains images, like an ImageFolder."""

    holds_images = True
    labels = ("a",) * 5

    @property
    def shape(self):
        return (len(self),)

    def __getitem__(self, position):
        self.reads += 1
        return np.asarray(Image.open(self.paths[position]))

    def name(self, position):
        return self.paths[position]

    def __array__(self, dtype=None, copy=None):
        raise TypeError("images of different sizes are no array")


@pytest.mark.parametrize(
    "make",
    [
        *[list, tuple, np.array, lambda p: np.array(p, dtype=object), lambda p: np.array(p, dtype=np.dtypes.StringDType())],
        *[pd.Series, pd.Index, pd.Categorical, lambda p: pd.Series(p).array, Column, Folder],
        *[lambda p: [Path(path) for path in p], lambda p: pd.Series([Path(path).read_bytes() for path in p])],
        lambda p: [Path(path).read_bytes() for path in p],
        *[lambda p: [Image.open(path) for path in p], lambda p: [np.asarray(Image.open(path)) for path in p]],
    ],
)
def test_all_kinds_of_sequences(files, make):
    images = check_images(make(files))
    assert isinstance(images, Images)
    assert images.shape == (5,)
    assert order(images) == [0, 1, 2, 3, 4]
    assert order(images[[4, 1]]) == [4, 1]


def test_kinds_of_items_may_be_mixed(files):
    with Image.open(files[1]) as original:
        mixed = [files[0], original, Path(files[2]), Path(files[3]).read_bytes(), np.full((2, 2, 3), 4, np.uint8)]
        assert [image.flat[0] for image in check_images(mixed)] == [0, 1, 2, 3, 4]


def test_images_are_returned_unchanged(ragged):
    images = check_images(ragged)
    assert check_images(images) is images
    for image, item in zip(images, ragged, strict=True):
        np.testing.assert_array_equal(image, item)
        assert image.flags.c_contiguous


def test_an_array_of_another_library():
    class Tensor:
        """A class with the attributes of a tensor that is not a NumPy array."""

        def __init__(self, shape):
            self.values = np.ones(shape, np.float32)
            self.shape, self.ndim, self.dtype = shape, len(shape), "float32"

        def __len__(self):
            return len(self.values)

        def __getitem__(self, key):
            return self.values[key]

        def __array__(self, dtype=None, copy=None):
            return self.values

        def tolist(self):
            raise AssertionError("lists of numbers are slow")

    assert check_images(Tensor((2, 8, 9, 3)))[1].shape == (8, 9, 3)
    with pytest.raises(InputError, match=r"shape \(2, 3, 8, 9\)\. Channels must be last: X\.transpose\(0, 2, 3, 1\)"):
        check_images(Tensor((2, 3, 8, 9)))


@pytest.mark.parametrize(
    "nothing", [[], (), np.empty((0, 8, 8)), np.empty((0, 8, 8, 3)), np.array([]), np.array([], dtype=object)]
)
def test_an_empty_batch_is_accepted(nothing):
    assert check_images(nothing).shape == (0,)
    assert check_images(pd.Series(nothing, dtype=object) if np.ndim(nothing) == 1 else nothing).shape == (0,)


def test_the_index_of_a_column_is_kept(files):
    column = pd.Series(files, index=list("abcde")).sample(frac=1, random_state=3)
    images = check_images(column)
    assert list(images.index) == list(column.index)
    assert order(images) == ["abcde".index(name) for name in column.index]
    images = check_images(pd.Series(files, index=[10, 20, 30, 40, 50])[2:])
    assert order(images) == [2, 3, 4]
    assert list(images[1:].index) == [40, 50]


def test_the_check_decodes_nothing(files):
    for kind in (Column, Folder):
        source = kind(files)
        images = check_images(source)
        assert images[[3, 1]].shape == (2,)
        assert source.reads == 0
        assert order(images[[3, 1]]) == [3, 1]
        assert source.reads == 2
    missing = check_images(["no.png", "such.png"])
    assert len(missing) == 2


ONE = ["cat.jpg", np.str_("cat.jpg"), Path("cat.jpg"), b"\xff", bytearray(b"\xff"), memoryview(b"\xff"), Image.new("L", (4, 4))]


@pytest.mark.parametrize("one", ONE, ids=lambda one: type(one).__name__)
def test_one_image_is_refused(one):
    kind = type(one).__name__
    with pytest.raises(InputError, match=rf"expected a batch of images: .*; got one image \({kind}\)\. Use a list: \[image\]"):
        check_images(one)


NO_BATCH = {
    "a gray image or rows": (np.zeros((8, 9)), r"2-D array of shape \(8, 9\)\. For one gray image, use \[image\].*Unflatten\("),
    "a colour image": (np.zeros((8, 9, 3)), r"shape \(8, 9, 3\)\. For one colour image, use \[image\]; .* X\[\.\.\., None\]"),
    "an image with alpha": (np.zeros((8, 9, 4)), r"shape \(8, 9, 4\)\. For one colour image, use \[image\]"),
    "channels first": (np.zeros((5, 3, 8, 9)), r"shape \(5, 3, 8, 9\)\. Channels must be last: X\.transpose\(0, 2, 3, 1\)"),
    "two channels": (np.zeros((5, 8, 9, 2)), r"shape \(5, 8, 9, 2\)\. The last axis must have 1 or 3 channels"),
    "one row": (np.zeros(5), r"shape \(5,\)\. A batch must have shape \(n, height, width\)"),
    "a number": (np.array(5.0), r"shape \(\)\. A batch must have shape"),
    "five axes": (np.zeros((1, 2, 8, 9, 3)), r"shape \(1, 2, 8, 9, 3\)\. A batch must have shape"),
    "int64": (np.zeros((5, 8, 9), np.int64), r"int64 are not supported.*image\.astype\(np\.uint8\)"),
    "2-D paths": (np.array([["a.png"], ["b.png"]]), r"an array of type <U5 and shape \(2, 1\)\. Use a 1-D array or a list"),
    "records": (np.zeros(3, [("path", "U9")]), r"an array of type \[\('path', '<U9'\)\]"),
    "fixed bytes": (np.array([b"ab\0"]), r"an array of type \|S3\. numpy removes trailing zero bytes; use a list"),
    "a dict": ({"a": "a.png"}, r"got a dict\. Use a list, such as list\(paths\.values\(\)\)"),
    "a set": ({"a.png"}, r"got a set\. Use a list, .*sorted\(paths\)"),
    "values": ({"a": "a.png"}.values(), r"got a dict_values\. The images are read several times; use list\(images\)"),
    "a generator": ((name for name in ["a.png"]), r"got a generator\. The images are read several times"),
    "nothing": (None, r"got a NoneType\."),
    "a table": (
        pd.DataFrame({"path": ["a.png"], "width": [3]}),
        r'table of \d columns.* such as table\["path"\]; .*Unflatten',
    ),
    "sparse rows": (sparse.csr_array((2, 784)), r"got a sparse matrix of shape \(2, 784\)\. .*Unflatten\("),
    "a bag": (Bag(np.zeros((2, 3))), r"got a Bag\. These images are already described; pass them to an encoder"),
    "bags": (Bags([]), r"got a Bags\. These images are already described"),
    "a list of bags": ([Bag(np.zeros((2, 3)))], r"got a list of Bag\. These images are already described"),
    "numbers": ([1, 2, 3], r"got a list of numbers\. An image is an array of shape \(h, w\)"),
    "a range": (range(3), r"got a range of numbers\."),
    "numbers as objects": (np.array([1, 2], object), r"got a ndarray of numbers\."),
    "lists": ([[1, 2], [3, 4]], r"list of batches \(the first is of type list and length 2\)\. Use one batch, such as X\[0\]"),
    "rows in a list": ([np.zeros(784)], r"list of 1-D arrays\. .*Unflatten\(\(height, width\)\)\.transform\(np\.stack\(rows"),
    "pairs": ([(np.zeros((8, 8)), "cat")], r"got a list of pairs\. Pass labels separately: \[image for image, label in"),
    "images and labels": ((np.zeros((9, 8, 8)), np.zeros(9)), r"tuple of batches .*ndarray and length 9\)\. .*unpack a pair"),
    "list and labels": ((["a.png", "b.png"], ["cat", "dog"]), r"tuple of batches \(the first is of type list and length 2\)"),
    "a dataset's pair": ((Folder(["a"]), Folder(["b"])), r"tuple of batches \(the first is of type Folder .* train, test = X"),
    "a pair of Images": ((Images([]), Images([])), r"tuple of batches \(the first is of type Images"),
}


@pytest.mark.parametrize("given, message", NO_BATCH.values(), ids=NO_BATCH)
def test_other_input_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        check_images(given)


def test_an_invalid_item_is_named_when_it_is_accessed(files, tmp_path):
    (tmp_path / "void.png").touch()
    items = [files[0], str(tmp_path / "void.png"), Path("missing.png"), None, np.zeros((2, 2), int), np.zeros((0, 3)), np.nan]
    images = check_images(pd.Series(items, dtype=object))
    assert [images.name(position) for position in (2, 3)] == ["missing.png", None]
    assert images[0].shape == (6, 8)
    with pytest.raises(EmptyImageError, match=r"^image 1 \('.*void\.png'\): zero bytes"):
        images[1]
    with pytest.raises(MissingImageError, match=r"^image 2 \('missing\.png'\): no such file") as caught:
        images[2]
    assert (caught.value.position, caught.value.item) == (2, "missing.png")
    with pytest.raises(UnsupportedImageError, match=r"^image 3: an image must be .* got a NoneType\. This is a missing value"):
        images[3]
    with pytest.raises(UnsupportedImageError, match=r"^image 4: images of type int64 are not supported"):
        images[4]
    with pytest.raises(EmptyImageError, match=r"^image 5: the image has 0 rows and 3 columns"):
        images[5]
    with pytest.raises(UnsupportedImageError, match=r"^image 6: .* got a float\. This is a missing value; remove it together"):
        images[6]


def test_a_whole_dataset_is_refused():
    whole = load_dataset("digits")
    with pytest.raises(InputError, match=r"got a whole dataset \(Dataset\)\. Use its training set or .*: train, test = X"):
        check_images(whole)
    assert check_images(whole[0])[0].shape == (8, 8)


def test_a_slice_is_pickled_with_its_own_items():
    for items in ([np.zeros((100, 100))] + [np.zeros((2, 2))] * 5, np.zeros((6, 100, 100))):
        images = check_images(items)
        assert len(pickle.dumps(images[5:])) < len(pickle.dumps(images)) / 4


@pytest.mark.parametrize("read", [str, lambda path: Path(path).read_bytes()], ids=["paths", "bytes"])
def test_a_column_of_polars(files, read):
    pl = pytest.importorskip("polars")
    images = check_images(pl.Series([read(path) for path in files]))
    assert images.index is None
    assert order(images) == [0, 1, 2, 3, 4]
    assert order(images[[2, 0]]) == [2, 0]
    assert order(check_images(pl.DataFrame({"path": [read(path) for path in files]}))) == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match=r'got a table of 2 columns\. Use its column .*, such as table\["path"\]'):
        check_images(pl.DataFrame({"path": ["a.png"], "width": [3]}))


DTYPES = st.sampled_from([bool, np.uint8, np.uint16, np.float32, np.float64])


@given(st.integers(0, 4), SIDES, SIDES, st.sampled_from([(), (1,), (3,), (4,)]), DTYPES)
def test_one_array_is_a_batch_unless_it_may_be_one_colour_image(n, height, width, last, dtype):
    batch = np.zeros((n, height, width, *last), dtype)
    if not last and width in (3, 4):
        with pytest.raises(InputError, match=r"use \[image\].*X\[\.\.\., None\]"):
            check_images(batch)
    else:
        shape = (height, width) if last in ((), (1,)) else (height, width, 3)
        assert [image.shape for image in check_images(batch)] == [shape] * n
