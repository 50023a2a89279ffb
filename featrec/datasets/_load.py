"""load_dataset: load datasets by name. Digits and textures are contained in the installed packages."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from featrec.datasets._dataset import Dataset, LabeledImages
from featrec.datasets._home import seeded, whole_number
from featrec.datasets._published import (
    load_caltech101,
    load_cifar10,
    load_cifar100,
    load_fashion_mnist,
    load_mnist,
    load_scene15,
)
from featrec.datasets._shapes import load_shapes
from featrec.exceptions import DatasetError, InputError
from featrec.images import as_gray, read_image

__all__ = ["dataset_names", "load_dataset", "load_digits", "load_faces", "load_textures"]


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


LOADERS: dict[str, Callable[..., Dataset]] = {
    "caltech101": load_caltech101,
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
    "digits": load_digits,
    "faces": load_faces,
    "fashion-mnist": load_fashion_mnist,
    "mnist": load_mnist,
    "scene15": load_scene15,
    "shapes": load_shapes,
    "textures": load_textures,
}


def dataset_names() -> list[str]:
    """Return the sorted names of all datasets that :func:`load_dataset` can load.

    Examples
    --------
    >>> from featrec.datasets import dataset_names
    >>> dataset_names()
    ['caltech101', 'cifar10', 'cifar100', 'digits', 'faces', 'fashion-mnist', 'mnist', 'scene15', 'shapes', 'textures']
    """
    return sorted(LOADERS)


def load_dataset(name: str, **options: Any) -> Dataset:
    """Load a dataset by name: ``train, test = load_dataset("digits")``. Nothing is downloaded unless ``download=True``.

    ================= ================================================ =====================================================
    name              images                                           options
    ================= ================================================ =====================================================
    ``digits``        handwritten digits, 8×8 gray, from scikit-learn  `random_state=0` of the split
    ``faces``         faces and background, 25×25 gray, scikit-image
    ``textures``      crops of eight surfaces, 64×64 gray, from        `n_train=40` and `n_test=40` images per class,
                      scikit-image; disjoint regions                   `random_state=0`
    ``shapes``        eight kinds of objects, generated, colour        `n_train=600`, `n_test=400`, `size=96`,
                                                                       `random_state=0` and the strengths below
    ``mnist``         handwritten digits, 28×28 gray                   `data_home=None`, `download=False`
    ``fashion-mnist`` pieces of clothing, 28×28 gray                   `data_home=None`, `download=False`
    ``cifar10``       animals and vehicles, 32×32 colour               `data_home=None`, `download=False`
    ``cifar100``      a hundred kinds of things, 32×32 colour          `labels="fine"` or `"coarse"` (twenty groups),
                                                                       `data_home=None`, `download=False`
    ``caltech101``    photographs of 101 kinds of things, many sizes   `n_train=30` images per class, at most `n_test=50`
                                                                       of the others (None: all), `background=False` (True:
                                                                       include the background class), `random_state=0`,
                                                                       `data_home=None`, `download=False`
    ``scene15``       photographs of fifteen kinds of places, gray     `data_home=None`, `download=False`
    ================= ================================================ =====================================================

    The last six datasets are read in their published layout from the folder `data_home` or, if it is None, from the folder set
    by the environment variable ``FEATREC_DATA``. ``download=True`` downloads missing files into that folder (needs the extra
    ``data``). The checksum of each file must equal the SHA-256 that tensorflow-datasets publishes. Interrupted downloads are
    resumed, and existing files are not overwritten. ``scene15`` cannot be downloaded, because no checksum could be confirmed;
    its error message lists the files that are needed.

    Parameters
    ----------
    name : str
        One of :func:`dataset_names`.
    **options
        See the table. The strengths of "shapes" are numbers from 0 to 1: `texture=0.5` (of object and background);
        `rotation=0.25` (1: any angle, and a tilt that shortens one axis by up to 40 %); `scale=0.4` (1: 40 to 100 % of the
        full size, at a random place); `light=0.5` (1: a gradient that may reduce the light to a fifth); `clutter=0.5` (1:
        on average 14 pieces behind the object, and a third as many in front of it); `noise=0.5` (1: a standard deviation of a
        quarter of the value range, in each channel); and `color=0.25` (0: the hue is independent of the class; 1: the class
        determines the hue).

    Returns
    -------
    Dataset
        A pair of labelled sequences, with the attributes classes, license, citation and description. Both parts of "shapes"
        have the attribute ``masks``: bool arrays of the shape of each image that are True where the object is visible.

    Raises
    ------
    DatasetError
        If the name is unknown, or if files are missing, damaged or cannot be downloaded. The message names the expected files.
    InputError
        If an option is unknown or out of range.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> train, test = load_dataset("digits")
    >>> len(train), len(test), train[0].shape, train.labels[:3].tolist()
    (1198, 599, (8, 8), ['0', '2', '3'])
    >>> load_dataset("shapes", n_train=16, n_test=8, noise=0)
    Dataset('shapes': 16 + 8 images, 8 classes)
    """
    if not isinstance(name, str) or name not in LOADERS:
        near = difflib.get_close_matches(str(name).lower(), LOADERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise DatasetError(
            f"there is no dataset {name!r}{hint or '.'} The available datasets are {', '.join(dataset_names())}. "
            "Use featrec.datasets.ImageFolder for your own folder."
        )
    known = [option for option in inspect.signature(LOADERS[name]).parameters if not option.startswith("_")]
    unknown = sorted(set(options) - set(known))
    if unknown:
        offered = f"its options are {', '.join(known)}" if known else "it has no options"
        raise InputError(f"the dataset {name!r} has no option {', '.join(unknown)}; {offered}")
    return LOADERS[name](**options)
