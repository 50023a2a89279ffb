"""The sets "mnist" and "fashion-mnist": 28×28 gray pictures in IDX files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from featrec.datasets._dataset import Dataset
from featrec.datasets._home import dataset_folder
from featrec.datasets._idx import read_idx
from featrec.datasets._labeled import LabeledImages
from featrec.exceptions import DatasetError

__all__ = ["load_fashion_mnist", "load_mnist"]

FILES = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
FASHION = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


def load_mnist(*, data_home: str | os.PathLike | None = None) -> Dataset:
    """Handwritten digits, with their standard split."""
    folder = dataset_folder("mnist", "mnist", FILES, "https://yann.lecun.com/exdb/mnist/", data_home)
    classes = [str(digit) for digit in range(10)]
    return Dataset(
        "mnist",
        _half(folder, "train", classes),
        _half(folder, "t10k", classes),
        "CC BY-SA 3.0",
        "Y. LeCun, L. Bottou, Y. Bengio and P. Haffner (1998). Gradient-based learning applied to document recognition. "
        "Proceedings of the IEEE 86(11), 2278-2324.",
        "70,000 handwritten digits of 28×28 gray pixels, 60,000 to train and 10,000 to test on, by different writers.",
    )


def load_fashion_mnist(*, data_home: str | os.PathLike | None = None) -> Dataset:
    """Pieces of clothing, with their standard split."""
    homepage = "https://github.com/zalandoresearch/fashion-mnist"
    folder = dataset_folder("fashion-mnist", "fashion-mnist", FILES, homepage, data_home)
    return Dataset(
        "fashion-mnist",
        _half(folder, "train", FASHION),
        _half(folder, "t10k", FASHION),
        "MIT",
        "H. Xiao, K. Rasul and R. Vollgraf (2017). Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning "
        "Algorithms. arXiv:1708.07747.",
        "70,000 pictures of pieces of clothing of 28×28 gray pixels, 60,000 to train and 10,000 to test on.",
    )


def _half(folder: Path, part: str, classes: Sequence[str]) -> LabeledImages:
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz", 3)
    targets = read_idx(folder / f"{part}-labels-idx1-ubyte.gz", 1)
    if len(images) != len(targets) or targets.max(initial=0) >= len(classes):
        raise DatasetError(
            f"the {part} files in {os.fspath(folder)!r} do not belong together: {len(images)} pictures, {len(targets)} labels "
            f"up to {targets.max(initial=0)}; {len(classes)} classes are known. Copy or download them again."
        )
    return LabeledImages(images, np.array(classes)[targets], classes)
