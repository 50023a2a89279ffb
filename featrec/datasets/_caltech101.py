"""The dataset "caltech101": photographs of 101 categories of objects, with the usual random split."""

from __future__ import annotations

import os
import zlib

import numpy as np

from featrec.datasets._dataset import Dataset
from featrec.datasets._folder import ImageFolder
from featrec.datasets._home import dataset_folder
from featrec.datasets._options import flag, seeded, whole_number
from featrec.datasets._published import PublishedFile, PublishedSet
from featrec.exceptions import InputError

__all__ = ["load_caltech101"]

IMAGES = "101_ObjectCategories"
BACKGROUND = "BACKGROUND_Google"

# Address, size and SHA-256: tensorflow/datasets, tensorflow_datasets/datasets/caltech101/checksums.tsv; tar file inside:
# caltech101_dataset_builder.py in the same folder.
CALTECH101 = PublishedSet(
    "caltech101",
    "caltech-101",
    (IMAGES,),
    "https://doi.org/10.22002/D1.20086 (caltech-101.zip, and 101_ObjectCategories.tar.gz inside it)",
    archive=PublishedFile(
        "caltech-101.zip",
        ("https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip?download=1",),
        137_414_764,
        "sha256:331234750fc7f77520e50d9565e8b6907b03565e30320da1401130db08c61f91",
    ),
    inner="caltech-101/101_ObjectCategories.tar.gz",
)
# Two public lists of datasets quote this licence from the record; the record itself was not checked.
LICENSE = "CC BY 4.0, as quoted from the CaltechDATA record (doi:10.22002/D1.20086)"
CITATION = (
    "L. Fei-Fei, R. Fergus and P. Perona (2004). Learning generative visual models from few training examples: an incremental "
    "Bayesian approach tested on 101 object categories. CVPR Workshop on Generative-Model Based Vision."
)
DESCRIPTION = (
    "Photographs and drawings of 101 categories, about 300×200 pixels in varying sizes, mostly colour; about 40 to 800 of "
    "each class. The training set has {n_train} random images of each class, the test set {n_test} of the "
    "rest{background}. The classes "
    "differ in size, so the literature reports the mean accuracy per class, over several random splits (random_state)."
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
    """Split the images randomly: `n_train` of each class for training, and at most `n_test` of the rest for testing."""
    whole_number("caltech101", n_train=n_train)
    if n_test is not None:
        whole_number("caltech101", n_test=n_test)
    flag("caltech101", background=background)
    seed = seeded(random_state)
    images = ImageFolder(dataset_folder(_published, data_home, download) / IMAGES)
    classes = [name for name in images.classes if background or name != BACKGROUND]
    train, test = zip(*(_drawn(images, name, n_train, n_test, seed) for name in classes), strict=True)
    halves = [images[np.concatenate(rows)] for rows in (train, test)]
    for half in halves:
        half.classes = classes
    told = DESCRIPTION.format(
        n_train=n_train,
        n_test="all" if n_test is None else f"at most {n_test}",
        background=", including the background class" if background else "",
    )
    return Dataset("caltech101", halves[0], halves[1], LICENSE, CITATION, told)


def _drawn(images: ImageFolder, name: str, n_train: int, n_test: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of one class. They depend only on the seed and the class; a smaller training set is a subset of a larger one."""
    rows = np.flatnonzero(images.labels == name)
    if len(rows) <= n_train:
        raise InputError(
            f"n_train of the dataset 'caltech101' is {n_train}, but the class {name!r} has {len(rows)} images, of which at "
            f"least one is for testing; use n_train={len(rows) - 1} or less"
        )
    order = np.random.default_rng((seed, zlib.crc32(name.encode()))).permutation(rows)
    rest = order[n_train:]
    return np.sort(order[:n_train]), np.sort(rest if n_test is None else rest[-n_test:])
