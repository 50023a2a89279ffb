"""Load published datasets: "mnist", "fashion-mnist", "cifar10", "cifar100", "caltech101" and "scene15"."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from featrec.datasets._dataset import Dataset, LabeledImages
from featrec.datasets._folder import ImageFolder
from featrec.datasets._home import (
    PublishedFile,
    PublishedSet,
    dataset_folder,
    flag,
    one_of,
    seeded,
    whole_number,
)
from featrec.exceptions import DatasetError, InputError

__all__ = ["load_caltech101", "load_cifar10", "load_cifar100", "load_fashion_mnist", "load_mnist", "load_scene15", "read_idx"]

MNIST_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
FASHION = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
UNSIGNED_BYTES = 8  # type code in the header of an IDX file

CIFAR_NAMES = "batches.meta.txt"
CIFAR_TRAIN = [f"data_batch_{number}.bin" for number in range(1, 6)]
CIFAR_TEST = ["test_batch.bin"]
LEVELS = ("coarse", "fine")
SIDE = 32
PIXELS = 3 * SIDE * SIDE
CIFAR_HOMEPAGE = "https://www.cs.toronto.edu/~kriz/cifar.html (binary version)"
CIFAR_LICENSE = "not stated; the authors ask users to cite the report"
CIFAR_CITATION = (
    "A. Krizhevsky (2009). Learning Multiple Layers of Features from Tiny Images. Technical report, University of Toronto."
)

CALTECH_IMAGES = "101_ObjectCategories"
BACKGROUND = "BACKGROUND_Google"


def _mnist_like(name: str, homepage: str, servers: tuple[str, ...], files: list[tuple[int, str]]) -> PublishedSet:
    published = tuple(
        PublishedFile(file, tuple(server + file for server in servers), size, f"sha256:{value}")
        for file, (size, value) in zip(MNIST_FILES, files, strict=True)
    )
    return PublishedSet(name, name, MNIST_FILES, homepage, published)


# Addresses, sizes and SHA-256 checksums are those of tensorflow/datasets, in tensorflow_datasets/url_checksums/mnist.txt,
# fashion_mnist.txt, cifar10.txt and cifar100.txt, and in tensorflow_datasets/datasets/caltech101/checksums.tsv.
# The address of the second MNIST server is from pytorch/vision, torchvision/datasets/mnist.py. The Fashion-MNIST server does
# not support HTTPS, but the checksum protects the download.
MNIST = _mnist_like(
    "mnist",
    "https://yann.lecun.com/exdb/mnist/",
    ("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
    [
        (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ],
)
FASHION_MNIST = _mnist_like(
    "fashion-mnist",
    "https://github.com/zalandoresearch/fashion-mnist",
    ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    [
        (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ],
)
CIFAR10 = PublishedSet(
    "cifar10",
    "cifar-10-batches-bin",
    (CIFAR_NAMES, *CIFAR_TRAIN, *CIFAR_TEST),
    CIFAR_HOMEPAGE,
    archive=PublishedFile(
        "cifar-10-binary.tar.gz",
        ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
        170_052_171,
        "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ),
)
CIFAR100 = PublishedSet(
    "cifar100",
    "cifar-100-binary",
    ("coarse_label_names.txt", "fine_label_names.txt", "train.bin", "test.bin"),
    CIFAR_HOMEPAGE,
    archive=PublishedFile(
        "cifar-100-binary.tar.gz",
        ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
        168_513_733,
        "sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    ),
)
CALTECH101 = PublishedSet(
    "caltech101",
    "caltech-101",
    (CALTECH_IMAGES,),
    "https://doi.org/10.22002/D1.20086 (caltech-101.zip, and 101_ObjectCategories.tar.gz inside it)",
    archive=PublishedFile(
        "caltech-101.zip",
        ("https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip?download=1",),
        137_414_764,
        "sha256:331234750fc7f77520e50d9565e8b6907b03565e30320da1401130db08c61f91",
    ),
    inner="caltech-101/101_ObjectCategories.tar.gz",
)
# There is no download, because torchvision and tensorflow-datasets list no checksum, and no other citable source was found.
SCENE15 = PublishedSet(
    "scene15",
    "scene15",
    ("train", "test"),
    "https://doi.org/10.6084/m9.figshare.7007177 (one folder per class; create the split yourself)",
)


def load_mnist(
    *, data_home: str | os.PathLike | None = None, download: bool = False, _published: PublishedSet = MNIST
) -> Dataset:
    """Load handwritten digits, with the standard split."""
    folder = dataset_folder(_published, data_home, download)
    classes = [str(digit) for digit in range(10)]
    return Dataset(
        "mnist",
        _from_idx(folder, "train", classes),
        _from_idx(folder, "t10k", classes),
        "CC BY-SA 3.0, according to the documentation of Keras",
        "Y. LeCun, L. Bottou, Y. Bengio and P. Haffner (1998). Gradient-based learning applied to document recognition. "
        "Proceedings of the IEEE 86(11), 2278-2324.",
        "70,000 handwritten digits, 28×28 gray pixels each: 60,000 for training and 10,000 for testing, by different writers.",
    )


def load_fashion_mnist(
    *, data_home: str | os.PathLike | None = None, download: bool = False, _published: PublishedSet = FASHION_MNIST
) -> Dataset:
    """Load images of clothing, with the standard split."""
    folder = dataset_folder(_published, data_home, download)
    return Dataset(
        "fashion-mnist",
        _from_idx(folder, "train", FASHION),
        _from_idx(folder, "t10k", FASHION),
        "MIT",
        "H. Xiao, K. Rasul and R. Vollgraf (2017). Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning "
        "Algorithms. arXiv:1708.07747.",
        "70,000 images of clothing, 28×28 gray pixels each: 60,000 for training and 10,000 for testing.",
    )


def load_cifar10(
    *, data_home: str | os.PathLike | None = None, download: bool = False, _published: PublishedSet = CIFAR10
) -> Dataset:
    """Load ten classes of animals and vehicles, with the standard split."""
    folder = dataset_folder(_published, data_home, download)
    return Dataset(
        "cifar10",
        _from_records(folder, CIFAR_TRAIN, CIFAR_NAMES, n_labels=1, column=0),
        _from_records(folder, CIFAR_TEST, CIFAR_NAMES, n_labels=1, column=0),
        CIFAR_LICENSE,
        CIFAR_CITATION,
        "60,000 colour images of 32×32 pixels: 50,000 for training and 10,000 for testing; 6,000 of each class.",
    )


def load_cifar100(
    *,
    labels: str = "fine",
    data_home: str | os.PathLike | None = None,
    download: bool = False,
    _published: PublishedSet = CIFAR100,
) -> Dataset:
    """Load a hundred classes, or the twenty groups that they form, with the standard split."""
    one_of("cifar100", LEVELS, labels=labels)
    folder = dataset_folder(_published, data_home, download)
    names, column = f"{labels}_label_names.txt", LEVELS.index(labels)
    return Dataset(
        "cifar100",
        _from_records(folder, ["train.bin"], names, n_labels=2, column=column),
        _from_records(folder, ["test.bin"], names, n_labels=2, column=column),
        CIFAR_LICENSE,
        CIFAR_CITATION,
        "60,000 colour images of 32×32 pixels: 50,000 for training and 10,000 for testing; 600 of each of 100 classes. With "
        "labels='coarse', the same images in the same order have the labels of 20 groups of five classes each.",
    )


def load_caltech101(
    *,
    n_train: int = 30,
    n_test: int | None = 50,
    background: bool = False,
    random_state: int = 0,
    data_home: str | os.PathLike | None = None,
    download: bool = False,
    _published: PublishedSet = CALTECH101,
) -> Dataset:
    """Load photographs of 101 categories, split at random into `n_train` and at most `n_test` images of each class."""
    whole_number("caltech101", n_train=n_train)
    if n_test is not None:
        whole_number("caltech101", n_test=n_test)
    flag("caltech101", background=background)
    seed = seeded(random_state)
    images = ImageFolder(dataset_folder(_published, data_home, download) / CALTECH_IMAGES)
    classes = [name for name in images.classes if background or name != BACKGROUND]
    train, test = zip(*(_drawn(images, name, n_train, n_test, seed) for name in classes), strict=True)
    halves = [images[np.concatenate(rows)] for rows in (train, test)]
    for half in halves:
        half.classes = classes
    return Dataset(
        "caltech101",
        halves[0],
        halves[1],
        # Two public lists of datasets quote this licence from the record; the record itself was not checked.
        "CC BY 4.0, as quoted from the CaltechDATA record (doi:10.22002/D1.20086)",
        "L. Fei-Fei, R. Fergus and P. Perona (2004). Learning generative visual models from few training examples: an "
        "incremental Bayesian approach tested on 101 object categories. CVPR Workshop on Generative-Model Based Vision.",
        "Photographs and drawings of 101 categories, mostly colour, about 300×200 pixels each; about 40 to 800 images of "
        f"each class. The training set has {n_train} random images of each class, the test set "
        f"{'all' if n_test is None else f'at most {n_test}'} of the rest"
        f"{', including the background class' if background else ''}. The classes differ in size, so the literature reports "
        "the mean of the accuracies of the classes, averaged over several random splits (random_state).",
    )


def load_scene15(
    *, data_home: str | os.PathLike | None = None, download: bool = False, _published: PublishedSet = SCENE15
) -> Dataset:
    """Load photographs of scenes. The folders "train" and "test" determine the split."""
    train, test = ImageFolder.split(dataset_folder(_published, data_home, download))
    return Dataset(
        "scene15",
        train,
        test,
        "not stated; collected for research",
        "S. Lazebnik, C. Schmid and J. Ponce (2006). Beyond Bags of Features: Spatial Pyramid Matching for Recognizing Natural "
        "Scene Categories. CVPR. After A. Oliva and A. Torralba (2001) and L. Fei-Fei and P. Perona (2005).",
        "4,485 gray photographs of fifteen categories of scenes, about 250×250 pixels each; 100 of each class are "
        "for training, the rest for testing. Some photographs occur twice.",
    )


def _from_idx(folder: Path, part: str, classes: Sequence[str]) -> LabeledImages:
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz", 3)
    targets = read_idx(folder / f"{part}-labels-idx1-ubyte.gz", 1)
    if len(images) != len(targets) or targets.max(initial=0) >= len(classes):
        raise DatasetError(
            f"the {part} files in {os.fspath(folder)!r} do not belong together: they contain {len(images)} images and "
            f"{len(targets)} labels; the largest label is {targets.max(initial=0)}, but there are {len(classes)} classes. Copy "
            "or download them again."
        )
    return LabeledImages(images, np.array(classes)[targets], classes)


def read_idx(path: Path, n_axes: int) -> np.ndarray:
    """Read a gzipped IDX file: a header of big-endian integers, followed by unsigned bytes of shape (n,) or (n, h, w)."""
    try:
        with gzip.open(path) as file:
            content = bytearray(file.read())
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged_idx(path, f"it cannot be unpacked ({error})") from error
    magic = bytes([0, 0, UNSIGNED_BYTES, n_axes])
    if content[:4] != magic:
        raise _damaged_idx(
            path, f"it starts with {content[:4].hex(' ')}, but a file of {n_axes} axes must start with {magic.hex(' ')}"
        )
    start = 4 + 4 * n_axes
    if len(content) < start:
        raise _damaged_idx(path, f"its header is truncated: it has {len(content)} of {start} bytes")
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", n_axes, 4))
    if len(content) - start != math.prod(shape):
        found = len(content) - start
        raise _damaged_idx(path, f"its header declares {math.prod(shape):,} values of shape {shape}, but {found:,} follow")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _damaged_idx(path: Path, problem: str) -> DatasetError:
    return DatasetError(f"{os.fspath(path)!r} is not a valid IDX file: {problem}. Copy or download it again.")


def _from_records(folder: Path, files: list[str], names: str, *, n_labels: int, column: int) -> LabeledImages:
    """Decode CIFAR records, which contain one or two labels and then the three channels."""
    classes = (folder / names).read_text().split()
    records = np.concatenate([_records(folder / file, n_labels) for file in files])
    targets = records[:, column]
    if targets.max(initial=0) >= len(classes):
        raise DatasetError(
            f"{os.fspath(folder)!r} has labels up to {targets.max()}, but {names} lists only {len(classes)} "
            "classes. Copy it again."
        )
    images = records[:, n_labels:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return LabeledImages(np.ascontiguousarray(images), np.array(classes)[targets], classes)


def _records(path: Path, n_labels: int) -> np.ndarray:
    content, length = np.fromfile(path, np.uint8), n_labels + PIXELS
    if not len(content) or len(content) % length:
        raise DatasetError(
            f"{os.fspath(path)!r} has {len(content):,} bytes, which is not a multiple of the record length "
            f"{length:,}. Copy it again."
        )
    return content.reshape(-1, length)


def _drawn(images: ImageFolder, name: str, n_train: int, n_test: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose random rows of one class for training and for testing.

    The rows depend only on the seed and the class. A smaller training set is a subset of a larger one.
    """
    rows = np.flatnonzero(images.labels == name)
    if len(rows) <= n_train:
        raise InputError(
            f"n_train of the dataset 'caltech101' is {n_train}, but the class {name!r} has only {len(rows)} images. "
            f"At least one must remain for testing; use n_train={len(rows) - 1} or less"
        )
    order = np.random.default_rng((seed, zlib.crc32(name.encode()))).permutation(rows)
    rest = order[n_train:]
    return np.sort(order[:n_train]), np.sort(rest if n_test is None else rest[-n_test:])
