"""The datasets "mnist" and "fashion-mnist": 28×28 gray images in IDX files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from featrec.datasets._dataset import Dataset
from featrec.datasets._home import dataset_folder
from featrec.datasets._idx import read_idx
from featrec.datasets._labeled import LabeledImages
from featrec.datasets._published import PublishedFile, PublishedSet
from featrec.exceptions import DatasetError

__all__ = ["load_fashion_mnist", "load_mnist"]

FASHION = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"
CONTENT = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)


def _set(name: str, homepage: str, servers: tuple[str, ...], files: list[tuple[str, int, str]]) -> PublishedSet:
    published = tuple(
        PublishedFile(file, tuple(server + file for server in servers), size, f"sha256:{value}") for file, size, value in files
    )
    return PublishedSet(name, name, CONTENT, homepage, published)


# Sizes and SHA-256: tensorflow/datasets, tensorflow_datasets/url_checksums/mnist.txt, with the first server. The second server
# and the MD5 of the same four files: pytorch/vision, torchvision/datasets/mnist.py. Copies at hand have both.
MNIST = _set(
    "mnist",
    "https://yann.lecun.com/exdb/mnist/",
    ("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
    [
        (TRAIN_IMAGES, 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        (TRAIN_LABELS, 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        (TEST_IMAGES, 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        (TEST_LABELS, 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ],
)
# Sizes and SHA-256: tensorflow/datasets, tensorflow_datasets/url_checksums/fashion_mnist.txt. The server and the MD5 of the
# same four files: zalandoresearch/fashion-mnist, README.md. Copies at hand have both. The server has no https: the checksum
# decides.
FASHION_MNIST = _set(
    "fashion-mnist",
    "https://github.com/zalandoresearch/fashion-mnist",
    ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    [
        (TRAIN_IMAGES, 26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        (TRAIN_LABELS, 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        (TEST_IMAGES, 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        (TEST_LABELS, 5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ],
)


def load_mnist(
    *, data_home: str | os.PathLike | None = None, download: bool = False, _published: PublishedSet = MNIST
) -> Dataset:
    """Handwritten digits, with the standard split."""
    folder = dataset_folder(_published, data_home, download)
    classes = [str(digit) for digit in range(10)]
    return Dataset(
        "mnist",
        _half(folder, "train", classes),
        _half(folder, "t10k", classes),
        "CC BY-SA 3.0, according to the documentation of Keras",
        "Y. LeCun, L. Bottou, Y. Bengio and P. Haffner (1998). Gradient-based learning applied to document recognition. "
        "Proceedings of the IEEE 86(11), 2278-2324.",
        "70,000 handwritten digits of 28×28 gray pixels: 60,000 for training and 10,000 for testing, by different writers.",
    )


def load_fashion_mnist(
    *, data_home: str | os.PathLike | None = None, download: bool = False, _published: PublishedSet = FASHION_MNIST
) -> Dataset:
    """Images of clothing, with the standard split."""
    folder = dataset_folder(_published, data_home, download)
    return Dataset(
        "fashion-mnist",
        _half(folder, "train", FASHION),
        _half(folder, "t10k", FASHION),
        "MIT",
        "H. Xiao, K. Rasul and R. Vollgraf (2017). Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning "
        "Algorithms. arXiv:1708.07747.",
        "70,000 images of clothing of 28×28 gray pixels: 60,000 for training and 10,000 for testing.",
    )


def _half(folder: Path, part: str, classes: Sequence[str]) -> LabeledImages:
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz", 3)
    targets = read_idx(folder / f"{part}-labels-idx1-ubyte.gz", 1)
    if len(images) != len(targets) or targets.max(initial=0) >= len(classes):
        raise DatasetError(
            f"the {part} files in {os.fspath(folder)!r} do not belong together: {len(images)} images, {len(targets)} labels "
            f"up to {targets.max(initial=0)}; {len(classes)} classes are known. Copy or download them again."
        )
    return LabeledImages(images, np.array(classes)[targets], classes)
