"""Load "digits", "faces" and "textures". Their files are part of scikit-learn and scikit-image; nothing is downloaded."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from featrec.datasets._dataset import Dataset, LabeledImages
from featrec.datasets._home import seeded, whole_number
from featrec.exceptions import DatasetError
from featrec.images import as_gray, read_image

__all__ = ["load_digits", "load_faces", "load_textures"]

N_FACES = 100
TEXTURES = {
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
GAP = 16  # number of columns between the crops for training and the crops for testing


def load_digits(*, random_state: int = 0) -> Dataset:
    """Load handwritten digits, split randomly."""
    from sklearn.datasets import load_digits as shipped
    from sklearn.model_selection import train_test_split

    images, targets = shipped(return_X_y=True)
    images = np.rint(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    dataset = LabeledImages(images, targets.astype(str))
    rows = np.arange(len(images))
    train, test = train_test_split(rows, test_size=1 / 3, stratify=targets, random_state=seeded(random_state))
    return Dataset(
        "digits",
        dataset[np.sort(train)],
        dataset[np.sort(test)],
        "CC BY 4.0",
        "E. Alpaydin and C. Kaynak (1998). Optical Recognition of Handwritten Digits. UCI Machine Learning Repository. "
        "https://archive.ics.uci.edu/dataset/80",
        "1,797 handwritten digits of 8×8 pixels: the test set of a UCI dataset, as shipped with scikit-learn. The original "
        "values from 0 to 16 are scaled to 0 to 255. Two thirds of each class are drawn for training, the rest is for testing. "
        "The writers are not recorded, so the training set and the test set contain digits by the same writers. The images are "
        "too small for keypoints and for dense SIFT.",
    )


def load_faces() -> Dataset:
    """Load patches of faces and of background. The first half of each class is for training, the second half for testing."""
    values = np.load(shipped_file("lfw_subset.npy"), allow_pickle=False)
    images = np.rint(values * 255).astype(np.uint8)
    dataset = LabeledImages(images, np.where(np.arange(len(images)) < N_FACES, "face", "other"))
    first_half = np.arange(len(images)) % N_FACES < N_FACES // 2
    return Dataset(
        "faces",
        dataset[first_half],
        dataset[~first_half],
        "not stated; the photographs come from news sites and were collected for research",
        "G. B. Huang, M. Ramesh, T. Berg and E. Learned-Miller (2007). Labeled Faces in the Wild: A Database for Studying Face "
        "Recognition in Unconstrained Environments. University of Massachusetts, Amherst, Technical Report 07-49.",
        "100 faces and 100 background patches of 25×25 gray pixels, drawn at random from Labeled Faces in the Wild and shipped "
        "with scikit-image. The first 50 of each class are for training, the last 50 for testing. Neither the people nor the "
        "photographs are recorded, so a person or a photograph may occur in both sets. Most background patches have a uniform "
        "colour or show the black corner of a rotated photograph, so the dataset is easy.",
    )


def load_textures(*, n_train: int = 40, n_test: int = 40, random_state: int = 0) -> Dataset:
    """Load random crops of eight surfaces."""
    whole_number("textures", n_train=n_train, n_test=n_test)
    seed = seeded(random_state)
    return Dataset(
        "textures",
        _crops(0, n_train, seed),
        _crops(1, n_test, seed),
        "brick, grass and gravel CC0 (CC0Textures); galaxies NASA, public domain; coins (Brooklyn Museum) and "
        "tissue (CMMI) no known copyright restrictions; moon and print as distributed with scikit-image",
        "S. van der Walt et al. (2014). scikit-image: image processing in Python. PeerJ 2:e453.",
        "Gray crops of 64×64 pixels from eight images shipped with scikit-image, one image per class. The training crops come "
        "from the left half of each image, the test crops from the right half; no crop touches the 16 columns between the "
        "halves. Crops of the same half overlap. Each class has only one image, so the accuracy on other images is unknown.",
    )


def _crops(part: int, n: int, seed: int) -> LabeledImages:
    crops = np.empty((len(TEXTURES), n, CROP, CROP), np.uint8)
    for kind, file in enumerate(TEXTURES.values()):
        half = _half(as_gray(read_image(shipped_file(file))), part)
        random = np.random.default_rng((seed, part, kind))
        for crop in crops[kind]:
            top, left = random.integers(0, np.array(half.shape) - CROP + 1)
            crop[...] = half[top : top + CROP, left : left + CROP]
    return LabeledImages(crops.reshape(-1, CROP, CROP), np.repeat(list(TEXTURES), n))


def _half(image: np.ndarray, part: int) -> np.ndarray:
    """Return the left (0) or right (1) half of an image, without the gap."""
    middle = image.shape[1] // 2
    return image[:, : middle - GAP // 2] if part == 0 else image[:, middle + GAP // 2 :]


def shipped_file(name: str) -> Path:
    """Return the path of a file in scikit-image's data folder."""
    spec = find_spec("skimage")
    folder = Path(spec.origin).parent / "data" if spec and spec.origin else Path("skimage/data")
    if not (folder / name).is_file():
        raise DatasetError(
            f"this installation of scikit-image lacks the file {name} in {folder}. The wheels of scikit-image contain it: "
            "pip install --force-reinstall scikit-image"
        )
    return folder / name
