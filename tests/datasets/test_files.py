"""The published file formats, on files written here."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from featrec.datasets import load_dataset
from featrec.datasets._published import CIFAR_NAMES, CIFAR_TEST, CIFAR_TRAIN, FASHION, read_idx
from featrec.exceptions import DatasetError, InputError


def idx(values: np.ndarray, kind: int = 8) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, kind, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


def put_idx(folder, name: str, values: np.ndarray):
    path = folder / name
    path.write_bytes(gzip.compress(idx(values)))
    return path


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (7, 28, 28)).astype(np.uint8)


@pytest.fixture
def fashion(tmp_path, pixels):
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    for part, n in (("train", 7), ("t10k", 3)):
        put_idx(folder, f"{part}-images-idx3-ubyte.gz", pixels[:n])
        put_idx(folder, f"{part}-labels-idx1-ubyte.gz", np.arange(n))
    return folder


def test_idx(tmp_path, pixels):
    assert np.array_equal(read_idx(put_idx(tmp_path, "images", pixels), 3), pixels)
    assert read_idx(put_idx(tmp_path, "none", pixels[:0]), 3).shape == (0, 28, 28)


@pytest.mark.parametrize(
    "content, message",
    [
        (idx(np.zeros((2, 3, 3)), kind=13), "starts with 00 00 0d 03; unsigned bytes of 3 axes start with 00 00 08 03"),
        (idx(np.zeros(5)), "starts with 00 00 08 01"),
        (idx(np.zeros((2, 3, 3)))[:-1], r"declares 18 values \(2, 3, 3\), but 17 follow"),
        (idx(np.zeros((2, 3, 3))) + b"\0", "declares 18 values .* 19 follow"),
        (idx(np.zeros((2, 3, 3)))[:9], "header is truncated: 9 of 16 bytes"),
        (b"", "starts with ; unsigned"),
    ],
)
def test_damaged_idx(tmp_path, content, message):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(DatasetError, match=f"not a valid IDX file: .*{message}.*Copy or download"):
        read_idx(path, 3)


@pytest.mark.parametrize("cut", [lambda data: data[:40], lambda data: b"no gzip", lambda data: data[:20] + b"\xff" + data[21:]])
def test_damaged_gzip(tmp_path, pixels, cut):
    path = put_idx(tmp_path, "images.gz", pixels)
    path.write_bytes(cut(path.read_bytes()))
    with pytest.raises(DatasetError, match="cannot be unpacked"):
        read_idx(path, 3)


def test_fashion_mnist(fashion, pixels):
    train, test = load_dataset("fashion-mnist", data_home=fashion.parent)
    assert np.array_equal(np.asarray(train), pixels)
    assert train.labels.tolist() == FASHION[:7]
    assert len(test) == 3
    assert test.classes == FASHION


@pytest.mark.parametrize("targets", [np.arange(6), np.array([0, 1, 2, 3, 4, 5, 10])], ids=["too few", "too large"])
def test_labels_that_do_not_belong_to_the_images(fashion, targets):
    put_idx(fashion, "train-labels-idx1-ubyte.gz", targets)
    with pytest.raises(DatasetError, match=f"train files .* do not belong together: 7 images, {len(targets)} labels"):
        load_dataset("fashion-mnist", data_home=fashion.parent)


@pytest.fixture
def cifar(tmp_path):
    """Each file holds one image of each of two classes; red counts the file, green the row, blue the column."""
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / CIFAR_NAMES).write_text("plane\ncar\n\n")
    rows, columns = np.mgrid[:32, :32]
    for number, file in enumerate([*CIFAR_TRAIN, *CIFAR_TEST]):
        planes = np.stack([np.full((32, 32), number), rows, columns]).astype(np.uint8).tobytes()
        (folder / file).write_bytes(b"\0" + planes + b"\1" + planes)
    return folder


def test_cifar10(cifar):
    train, test = load_dataset("cifar10", data_home=cifar.parent)
    assert train.labels.tolist() == ["plane", "car"] * 5
    assert train[2][4, 9].tolist() == [1, 4, 9]
    assert test[1][0, 31].tolist() == [5, 0, 31]
    assert train.classes == ["plane", "car"]


def test_damaged_cifar10(cifar):
    path = cifar / CIFAR_TRAIN[3]
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(
        DatasetError, match=r"data_batch_4.bin' has 6,145 bytes, which is not a multiple of the record length 3,073"
    ):
        load_dataset("cifar10", data_home=cifar.parent)
    path.write_bytes(b"\7" + content[1:])
    with pytest.raises(DatasetError, match=r"labels up to 7, but batches\.meta\.txt lists only 2 classes"):
        load_dataset("cifar10", data_home=cifar.parent)


@pytest.fixture
def cifar100(tmp_path):
    """Two images to train on and one to test on: a coarse label, a fine label, and the channels."""
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    (folder / "coarse_label_names.txt").write_text("fish\nflowers\n")
    (folder / "fine_label_names.txt").write_text("orchid\nshark\ntrout\n")
    rows, columns = np.mgrid[:32, :32]
    planes = np.stack([np.full((32, 32), 9), rows, columns]).astype(np.uint8).tobytes()
    (folder / "train.bin").write_bytes(b"\0\1" + planes + b"\1\0" + planes)
    (folder / "test.bin").write_bytes(b"\0\2" + planes)
    return folder


def test_cifar100(cifar100):
    train, test = load_dataset("cifar100", data_home=cifar100.parent)
    assert train.labels.tolist() == ["shark", "orchid"]
    assert test.labels.tolist() == ["trout"]
    assert train[1][4, 31].tolist() == [9, 4, 31]
    assert train.classes == test.classes == ["orchid", "shark", "trout"]


def test_the_groups_of_cifar100(cifar100):
    train, test = load_dataset("cifar100", data_home=cifar100.parent, labels="coarse")
    assert train.labels.tolist() == ["fish", "flowers"]
    assert test.labels.tolist() == ["fish"]
    assert train.classes == ["fish", "flowers"]
    with pytest.raises(InputError, match="labels of the dataset 'cifar100' must be 'coarse' or 'fine'; got 'both'"):
        load_dataset("cifar100", data_home=cifar100.parent, labels="both")


def test_damaged_cifar100(cifar100):
    content = (cifar100 / "test.bin").read_bytes()
    (cifar100 / "test.bin").write_bytes(content[1:])
    with pytest.raises(DatasetError, match=r"test.bin' has 3,073 bytes, which is not a multiple of the record length 3,074"):
        load_dataset("cifar100", data_home=cifar100.parent)
    (cifar100 / "test.bin").write_bytes(b"\0\3" + content[2:])
    with pytest.raises(DatasetError, match=r"labels up to 3, but fine_label_names\.txt lists only 3 classes"):
        load_dataset("cifar100", data_home=cifar100.parent)
