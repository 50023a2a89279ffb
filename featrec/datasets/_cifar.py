"""The datasets "cifar10" and "cifar100": 32×32 colour images in their published binary layouts."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from featrec.datasets._dataset import Dataset
from featrec.datasets._home import dataset_folder
from featrec.datasets._labeled import LabeledImages
from featrec.datasets._options import one_of
from featrec.datasets._published import PublishedFile, PublishedSet
from featrec.exceptions import DatasetError

__all__ = ["load_cifar10", "load_cifar100"]

NAMES = "batches.meta.txt"
TRAIN = [f"data_batch_{number}.bin" for number in range(1, 6)]
TEST = ["test_batch.bin"]
LEVELS = ("coarse", "fine")
SIDE = 32
PIXELS = 3 * SIDE * SIDE

HOMEPAGE = "https://www.cs.toronto.edu/~kriz/cifar.html (binary version)"
LICENSE = "not stated; the home page asks to cite the report"
CITATION = (
    "A. Krizhevsky (2009). Learning Multiple Layers of Features from Tiny Images. Technical report, University of Toronto."
)

# Address, size and SHA-256: tensorflow/datasets, tensorflow_datasets/url_checksums/cifar10.txt. (The home page gives an MD5.)
CIFAR10 = PublishedSet(
    "cifar10",
    "cifar-10-batches-bin",
    (NAMES, *TRAIN, *TEST),
    HOMEPAGE,
    archive=PublishedFile(
        "cifar-10-binary.tar.gz",
        ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
        170_052_171,
        "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ),
)
# Address, size and SHA-256: tensorflow/datasets, tensorflow_datasets/url_checksums/cifar100.txt. Files of the archive:
# tensorflow_datasets/image_classification/cifar.py.
CIFAR100 = PublishedSet(
    "cifar100",
    "cifar-100-binary",
    ("coarse_label_names.txt", "fine_label_names.txt", "train.bin", "test.bin"),
    HOMEPAGE,
    archive=PublishedFile(
        "cifar-100-binary.tar.gz",
        ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
        168_513_733,
        "sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    ),
)


def load_cifar10(
    *, data_home: str | os.PathLike | None = None, download: bool = False, _published: PublishedSet = CIFAR10
) -> Dataset:
    """Ten classes of animals and vehicles, with the standard split."""
    folder = dataset_folder(_published, data_home, download)
    return Dataset(
        "cifar10",
        _half(folder, TRAIN, NAMES, n_labels=1, column=0),
        _half(folder, TEST, NAMES, n_labels=1, column=0),
        LICENSE,
        CITATION,
        "60,000 colour images of 32×32 pixels: 50,000 for training and 10,000 for testing; 6,000 of each class.",
    )


def load_cifar100(
    *,
    labels: str = "fine",
    data_home: str | os.PathLike | None = None,
    download: bool = False,
    _published: PublishedSet = CIFAR100,
) -> Dataset:
    """A hundred classes, or the twenty groups that they form, with the standard split."""
    one_of("cifar100", LEVELS, labels=labels)
    folder = dataset_folder(_published, data_home, download)
    names, column = f"{labels}_label_names.txt", LEVELS.index(labels)
    return Dataset(
        "cifar100",
        _half(folder, ["train.bin"], names, n_labels=2, column=column),
        _half(folder, ["test.bin"], names, n_labels=2, column=column),
        LICENSE,
        CITATION,
        "60,000 colour images of 32×32 pixels: 50,000 for training and 10,000 for testing; 600 of each of 100 classes. With "
        "labels='coarse' the same images, in the same order, are labelled by 20 groups of five classes each.",
    )


def _half(folder: Path, files: list[str], names: str, *, n_labels: int, column: int) -> LabeledImages:
    """Decode records of labels followed by the three channels."""
    classes = (folder / names).read_text().split()
    records = np.concatenate([_records(folder / file, n_labels) for file in files])
    targets = records[:, column]
    if targets.max(initial=0) >= len(classes):
        raise DatasetError(
            f"{os.fspath(folder)!r} has labels up to {targets.max()}, but {names} lists only {len(classes)} "
            f"classes. Copy it again."
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
