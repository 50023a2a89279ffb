"""Published datasets are read from small files that are written here in their formats."""

import gzip
import struct

import numpy as np
import pytest
from PIL import Image

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


@pytest.mark.parametrize(
    "content, message",
    [
        (idx(np.zeros((2, 3, 3)), kind=13), "starts with 00 00 0d 03, but a file of 3 axes must start with 00 00 08 03"),
        (idx(np.zeros(5)), "starts with 00 00 08 01"),
        (idx(np.zeros((2, 3, 3)))[:-1], r"declares 18 values of shape \(2, 3, 3\), but 17 follow"),
        (idx(np.zeros((2, 3, 3))) + b"\0", "declares 18 values .* 19 follow"),
        (idx(np.zeros((2, 3, 3)))[:9], "header is truncated: it has 9 of 16 bytes"),
        (b"", "starts with , but"),
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
def test_images_and_labels_that_do_not_belong_together(fashion, targets):
    put_idx(fashion, "train-labels-idx1-ubyte.gz", targets)
    match = f"train files .* do not belong together: they contain 7 images and {len(targets)} labels"
    with pytest.raises(DatasetError, match=match):
        load_dataset("fashion-mnist", data_home=fashion.parent)


def planes(red: int) -> bytes:
    """Return the channels of an image: a number, the row, and the column."""
    rows, columns = np.mgrid[:32, :32]
    return np.stack([np.full((32, 32), red), rows, columns]).astype(np.uint8).tobytes()


@pytest.fixture
def cifar(tmp_path):
    """Write files with one image of each of two classes; red is the number of the file."""
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / CIFAR_NAMES).write_text("plane\ncar\n\n")
    for number, file in enumerate([*CIFAR_TRAIN, *CIFAR_TEST]):
        (folder / file).write_bytes(b"\0" + planes(number) + b"\1" + planes(number))
    return folder


def test_cifar10(cifar):
    train, test = load_dataset("cifar10", data_home=cifar.parent)
    assert train.labels.tolist() == ["plane", "car"] * 5
    assert train[2][4, 9].tolist() == [1, 4, 9]
    assert test[1][0, 31].tolist() == [5, 0, 31]
    assert train.classes == ["plane", "car"]


@pytest.fixture
def cifar100(tmp_path):
    """Write two training images and one test image: a coarse label, a fine label, and the channels."""
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    (folder / "coarse_label_names.txt").write_text("fish\nflowers\n")
    (folder / "fine_label_names.txt").write_text("orchid\nshark\ntrout\n")
    (folder / "train.bin").write_bytes(b"\0\1" + planes(9) + b"\1\0" + planes(9))
    (folder / "test.bin").write_bytes(b"\0\2" + planes(9))
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


@pytest.mark.parametrize(
    ("name", "file", "change", "message"),
    [
        ("cifar", CIFAR_TRAIN[3], lambda data: data[:-1], "data_batch_4.bin' has 6,145 bytes, .* multiple of .* length 3,073"),
        ("cifar", CIFAR_TRAIN[3], lambda data: b"\7" + data[1:], r"up to 7, but batches\.meta\.txt lists only 2 classes"),
        ("cifar100", "test.bin", lambda data: data[1:], "test.bin' has 3,073 bytes, .* not a multiple of .* length 3,074"),
        ("cifar100", "test.bin", lambda data: b"\0\3" + data[2:], r"up to 3, but fine_label_names\.txt lists only 3 classes"),
    ],
)
def test_damaged_cifar(request, name, file, change, message):
    path = request.getfixturevalue(name) / file
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DatasetError, match=message):
        load_dataset({"cifar": "cifar10"}.get(name, name), data_home=path.parents[1])


CALTECH = {"BACKGROUND_Google": 9, "Faces": 12, "accordion": 6, "airplanes": 8}


@pytest.fixture(scope="module")
def caltech(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for name, n in CALTECH.items():
        folder = root / "caltech-101" / "101_ObjectCategories" / name
        folder.mkdir(parents=True)
        for number in range(1, n + 1):
            Image.fromarray(np.full((5, 7, 3), number, np.uint8)).save(folder / f"image_{number:04d}.jpg")
    return root


def load_caltech(home, **options):
    return load_dataset("caltech101", data_home=home, **options)


def counts(half) -> dict[str, int]:
    return dict(zip(*np.unique(half.labels, return_counts=True), strict=True))


def test_the_number_of_images_per_class_of_caltech101(caltech):
    train, test = load_caltech(caltech, n_train=4, n_test=3)
    assert counts(train) == {"Faces": 4, "accordion": 4, "airplanes": 4}
    assert counts(test) == {"Faces": 3, "accordion": 2, "airplanes": 3}
    assert train.classes == test.classes == ["Faces", "accordion", "airplanes"]
    assert train[0].shape == (5, 7, 3)
    train, test = load_caltech(caltech, n_train=4, n_test=None)
    assert counts(test) == {"Faces": 8, "accordion": 2, "airplanes": 4}
    assert len({*train.paths, *test.paths}) == 26


def test_caltech101_with_the_background_class(caltech):
    with_clutter = load_caltech(caltech, n_train=4, background=True)
    assert with_clutter.classes == sorted(CALTECH)
    assert counts(with_clutter.train)["BACKGROUND_Google"] == 4
    assert "including the background class" in with_clutter.description
    plain = load_caltech(caltech, n_train=4)
    assert "background" not in plain.description
    assert plain.train.paths == [path for path in with_clutter.train.paths if "BACKGROUND" not in path]


def test_the_split_of_caltech101_depends_on_the_seed_and_grows_with_the_training_set(caltech):
    first, same, other = (load_caltech(caltech, n_train=4, n_test=2, random_state=seed) for seed in (0, 0, 1))
    assert first.train.paths == same.train.paths != other.train.paths
    few = load_caltech(caltech, n_train=2, n_test=2)
    assert set(few.train.paths) < set(first.train.paths)
    assert few.test.paths == first.test.paths


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *[({"n_train": n}, rf"is {n}, but the class 'accordion' has only 6 images. .* use n_train=5 or less") for n in (6, 7)],
        ({"n_train": 0}, "n_train of the dataset 'caltech101' must be an integer of at least 1; got 0"),
        ({"n_test": 0.5}, r"n_test of the dataset 'caltech101' must be an integer of at least 1; got 0\.5"),
        ({"background": 1}, "background of the dataset 'caltech101' must be True or False; got 1"),
    ],
)
def test_invalid_options_of_caltech101_are_refused(caltech, options, message):
    with pytest.raises(InputError, match=message):
        load_caltech(caltech, **options)
