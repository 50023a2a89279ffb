"""The dataset "textures": crops of images of surfaces, shipped with scikit-image."""

from __future__ import annotations

import numpy as np

from featrec.datasets._dataset import Dataset
from featrec.datasets._labeled import LabeledImages
from featrec.datasets._options import seeded, whole_number
from featrec.datasets._shipped import shipped_file
from featrec.images import as_gray, read_image

__all__ = ["load_textures"]

FILES = {
    "brick": "brick.png",
    "coins": "coins.png",
    "galaxies": "hubble_deep_field.jpg",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "moon": "moon.png",
    "print": "page.png",
    "tissue": "ihc.png",
}
CROP = 64
GAP = 16

DESCRIPTION = (
    "Gray crops of 64×64 pixels from eight images shipped with scikit-image, one image per class. The training crops come "
    "from the left half of each image, the test crops from the right half, separated by 16 columns that no "
    "crop touches. Crops of one half overlap. One image per class says little about other bricks or other grass."
)
LICENSE = (
    "brick, grass and gravel CC0 (CC0Textures); galaxies NASA, public domain; coins (Brooklyn Museum) and "
    "tissue (CMMI) no known copyright restrictions; moon and print as distributed with scikit-image"
)
CITATION = "S. van der Walt et al. (2014). scikit-image: image processing in Python. PeerJ 2:e453."


def load_textures(*, n_train: int = 40, n_test: int = 40, random_state: int = 0) -> Dataset:
    """The textures: random crops of each class."""
    whole_number("textures", n_train=n_train, n_test=n_test)
    seed = seeded(random_state)
    return Dataset("textures", _crops(0, n_train, seed), _crops(1, n_test, seed), LICENSE, CITATION, DESCRIPTION)


def _crops(part: int, n: int, seed: int) -> LabeledImages:
    crops = np.empty((len(FILES), n, CROP, CROP), np.uint8)
    for kind, file in enumerate(FILES.values()):
        region = half_of(as_gray(read_image(shipped_file(file))), part)
        random = np.random.default_rng((seed, part, kind))
        for crop in crops[kind]:
            top, left = random.integers(0, np.array(region.shape) - CROP + 1)
            crop[...] = region[top : top + CROP, left : left + CROP]
    return LabeledImages(crops.reshape(-1, CROP, CROP), np.repeat(list(FILES), n))


def half_of(image: np.ndarray, part: int) -> np.ndarray:
    """The left (0) or the right (1) half, without half of the gap between them."""
    middle = image.shape[1] // 2
    return image[:, : middle - GAP // 2] if part == 0 else image[:, middle + GAP // 2 :]
