"""The set "cifar10": 32×32 colour pictures, in its published binary layout."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from featrec.datasets._dataset import Dataset
from featrec.datasets._home import dataset_folder
from featrec.datasets._labeled import LabeledImages
from featrec.exceptions import DatasetError

__all__ = ["load_cifar10"]

NAMES = "batches.meta.txt"
TRAIN = [f"data_batch_{number}.bin" for number in range(1, 6)]
TEST = ["test_batch.bin"]
SIDE = 32
RECORD = 1 + 3 * SIDE * SIDE


def load_cifar10(*, data_home: str | os.PathLike | None = None) -> Dataset:
    """Ten kinds of animals and vehicles, with their standard split."""
    homepage = "https://www.cs.toronto.edu/~kriz/cifar.html (binary version)"
    folder = dataset_folder("cifar10", "cifar-10-batches-bin", [NAMES, *TRAIN, *TEST], homepage, data_home)
    classes = (folder / NAMES).read_text().split()
    return Dataset(
        "cifar10",
        _half(folder, TRAIN, classes),
        _half(folder, TEST, classes),
        "not stated; its page asks to cite the report",
        "A. Krizhevsky (2009). Learning Multiple Layers of Features from Tiny Images. Technical report, University of Toronto.",
        "60,000 colour pictures of 32×32 pixels, 50,000 to train and 10,000 to test on, 6,000 of each class.",
    )


def _half(folder: Path, files: list[str], classes: list[str]) -> LabeledImages:
    """A record is a label and the three channels, one after another."""
    records = np.concatenate([_records(folder / file) for file in files])
    targets = records[:, 0]
    if targets.max(initial=0) >= len(classes):
        raise DatasetError(
            f"{os.fspath(folder)!r} has labels up to {targets.max()}, and {NAMES} names {len(classes)} classes. Copy it again."
        )
    images = records[:, 1:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return LabeledImages(np.ascontiguousarray(images), np.array(classes)[targets], classes)


def _records(path: Path) -> np.ndarray:
    content = np.fromfile(path, np.uint8)
    if not len(content) or len(content) % RECORD:
        raise DatasetError(
            f"{os.fspath(path)!r} has {len(content):,} bytes, which is no multiple of a record's {RECORD:,}. Copy it again."
        )
    return content.reshape(-1, RECORD)
