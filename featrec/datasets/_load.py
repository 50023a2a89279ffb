"""load_dataset: load datasets by name."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from featrec.datasets._dataset import Dataset
from featrec.datasets._published import (
    load_caltech101,
    load_cifar10,
    load_cifar100,
    load_fashion_mnist,
    load_mnist,
    load_scene15,
)
from featrec.datasets._shapes import load_shapes
from featrec.datasets._shipped import load_digits, load_faces, load_textures
from featrec.exceptions import DatasetError, InputError

__all__ = ["dataset_names", "load_dataset"]

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
