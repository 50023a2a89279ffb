"""The dataset "faces": small patches of faces and of background, as shipped with scikit-image."""

from __future__ import annotations

import numpy as np

from featrec.datasets._dataset import Dataset
from featrec.datasets._labeled import LabeledImages
from featrec.datasets._shipped import shipped_file

__all__ = ["load_faces"]

N_FACES = 100

DESCRIPTION = (
    "100 faces and 100 background patches of 25×25 gray pixels, drawn at random from Labeled Faces in the Wild and "
    "shipped with "
    "scikit-image. The first 50 of each class are for training, the last 50 for testing. Neither the people nor the "
    "photographs "
    "are recorded, so a person or a photograph may occur in both parts. Most background patches are flat or show the black "
    "corner of a rotated photograph, which makes the dataset easy."
)
CITATION = (
    "G. B. Huang, M. Ramesh, T. Berg and E. Learned-Miller (2007). Labeled Faces in the Wild: A Database for Studying Face "
    "Recognition in Unconstrained Environments. University of Massachusetts, Amherst, Technical Report 07-49."
)
LICENSE = "not stated; the photographs come from news sites and were collected for research"


def load_faces() -> Dataset:
    """The patches, split in the order in which they are shipped."""
    values = np.load(shipped_file("lfw_subset.npy"), allow_pickle=False)
    images = np.rint(values * 255).astype(np.uint8)
    labels = np.where(np.arange(len(images)) < N_FACES, "face", "other")
    dataset = LabeledImages(images, labels)
    first_half = np.arange(len(images)) % N_FACES < N_FACES // 2
    return Dataset("faces", dataset[first_half], dataset[~first_half], LICENSE, CITATION, DESCRIPTION)
