"""Labelled images, datasets with a training set and a test set, and the search for damaged images."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from featrec.exceptions import DatasetError, DroppedImageWarning, ImageError, InputError
from featrec.images import read_image
from featrec.lazy import Failure, Failures, Images, LazySequence
from featrec.parallel import each_batch

__all__ = ["Dataset", "LabeledImages", "LabeledSequence", "check_on_error", "find_damaged", "kept_rows"]


class Masks(LazySequence):
    """The masks of objects in images, which are bool arrays of shape (h, w). A slice is a view."""

    def __repr__(self) -> str:
        return f"Masks({len(self)})"

    def _item(self, stored: np.ndarray) -> np.ndarray:
        return stored


class LabeledSequence(LazySequence):
    """Base class of labelled image sequences. The source has one item per image. A slice has the same classes.

    `masks` is a lazy sequence with the mask of each image, or None if the masks are not known.
    """

    holds_images = True
    masks: Masks | None = None
    _by_item = ("labels", "masks")

    def __init__(self, source: np.ndarray | Sequence, labels: np.ndarray, classes: Sequence[str]):
        super().__init__(source)
        self.labels = labels
        self.classes = list(classes)


class LabeledImages(LabeledSequence):
    """Images in memory, each with a label.

    LabeledImages are sliced like an array of shape (n,). A slice is a view; no image is copied.

    Parameters
    ----------
    images : array of shape (n, h, w) or (n, h, w, 3), or list of arrays
        Converted on access by :func:`featrec.images.read_image`; uint8 stays uint8.
    labels : sequence of str of length n
        The class of each image.
    classes : sequence of str, optional
        All classes, which must include every label. Default: the sorted set of labels.
    masks : array of bool of shape (n, h, w), or list of arrays of bool, optional
        Pixels of each image that show its object. Figures and checks of explanations compare with them.

    Attributes
    ----------
    labels : array of str of shape (n,)
    classes : list of str
    masks : sequence of arrays of bool, or None
        One mask of shape (h, w) for each image; a slice of the images has the masks of these images. None if the masks are not
        known.
    shape : tuple
        ``(n,)``.
    positions : array of int of shape (n,)
        Positions in the original sequence, for error messages.

    Raises
    ------
    InputError
        If the numbers of images and labels differ, if a label is not among the classes, or if the masks do not fit the images.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.datasets import LabeledImages
    >>> images = LabeledImages(np.zeros((4, 8, 8), np.uint8), ["cat", "dog", "dog", "cat"])
    >>> images[0].shape, images[1:3].labels.tolist()
    ((8, 8), ['dog', 'dog'])
    """

    def __init__(
        self,
        images: np.ndarray | Sequence[np.ndarray],
        labels: Sequence[str] | np.ndarray,
        classes: Sequence[str] | None = None,
        *,
        masks: np.ndarray | Sequence[np.ndarray] | None = None,
    ):
        labels = np.asarray(labels, dtype=str)
        if labels.shape != (len(images),):
            raise InputError(f"expected one label for each image; got {len(images)} images and labels of shape {labels.shape}")
        found = np.unique(labels).tolist()
        classes = found if classes is None else list(classes)
        unknown = sorted(set(found) - set(classes))
        if unknown:
            raise InputError(f"the labels {unknown} are not among the classes {classes}; add them to classes")
        super().__init__(images, labels, classes)
        self.masks = None if masks is None else _checked_masks(masks, images)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return Images(self).__array__(dtype)

    def __repr__(self) -> str:
        return f"LabeledImages({len(self)} images, {len(self.classes)} classes)"

    def _item(self, stored: Any) -> np.ndarray:
        return read_image(stored)


def _checked_masks(masks: np.ndarray | Sequence[np.ndarray], images: np.ndarray | Sequence[np.ndarray]) -> Masks:
    if len(masks) != len(images):
        raise InputError(f"expected one mask for each image; got {len(images)} images and {len(masks)} masks")
    for position, (mask, image) in enumerate(zip(masks, images, strict=True)):
        found, wanted = np.asarray(mask), np.shape(image)[:2]
        if found.dtype != np.bool_ or found.shape != wanted:
            raise InputError(
                f"mask {position} must be an array of bool of the shape of its image, {wanted}; got {found.dtype} of shape "
                f"{found.shape}. Use mask > 0 for a mask of 0 and 255."
            )
    return Masks(masks)


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A training set and a test set: ``train, test = load_dataset(name)``.

    Attributes
    ----------
    name : str
    train, test : sequence of images
        Each has ``labels``, ``classes`` and ``masks``, and is sliced like an array of shape (n,). `masks` is None except for
        "shapes", where it is a lazy sequence of bool arrays that show the pixels of each object.
    license : str
        Licence of the images.
    citation : str
        The publication to cite.
    description : str
        What the images show, and how they are split.
    """

    name: str
    train: LabeledSequence
    test: LabeledSequence
    license: str
    citation: str
    description: str

    @property
    def classes(self) -> list[str]:
        return self.train.classes

    def __iter__(self) -> Iterator[LabeledSequence]:
        return iter((self.train, self.test))

    def __len__(self) -> int:
        return 2

    def __getitem__(self, position: int) -> LabeledSequence:
        return (self.train, self.test)[position]

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}: {len(self.train)} + {len(self.test)} images, {len(self.classes)} classes)"


class _Part(NamedTuple):
    n_images: int
    failures: list[Failure]


def find_damaged(images: Any, *, n_jobs: int | None = None, verbose: int = 0) -> Failures:
    """Decode each image once. Return the position, path and reason of each image that cannot be read."""
    found: list[Failure] = []
    start = 0
    for part in each_batch(_read, images, n_jobs=n_jobs, verbose=verbose, label="images read"):
        found += [Failure(start + (failure.index or 0), failure.item, failure.reason) for failure in part.failures]
        start += part.n_images
    return Failures(found)


def _read(images: Any) -> _Part:
    failures = []
    for position in range(len(images)):
        try:
            images[position]
        except ImageError as error:
            failures.append(Failure(position, images.name(position), error.reason))
    return _Part(len(images), failures)


def kept_rows(path: str, labels: np.ndarray, dropped: Failures) -> np.ndarray:
    """Return the rows of the readable images, and warn once about the other images."""
    n = len(labels)
    if len(dropped) == n:
        first = dropped[0]
        raise DatasetError(f"none of the {n} images of {path!r} can be read; the first error: {first.item!r}: {first.reason}")
    kept = np.setdiff1d(np.arange(n), [failure.index for failure in dropped])
    gone = np.setdiff1d(labels, labels[kept]).tolist()
    empty = f"; the classes {gone} have no images left" if gone else ""
    warnings.warn(
        f"{path!r}: {len(dropped)} of {n} images cannot be read and were left out, with their labels{empty}. "
        "The attribute dropped and 'featrec check' list them with the reasons.",
        DroppedImageWarning,
        stacklevel=4,
    )
    return kept


def check_on_error(on_error: str) -> None:
    """Check `on_error` of an ImageFolder, whose options differ from those of extractors."""
    if on_error == "empty":
        raise InputError(
            'on_error="empty" is only available in extractors and recipes, which return a row for each image; '
            'ImageFolder accepts "raise", or "drop", which leaves out damaged files and their labels'
        )
    if on_error not in ("raise", "drop"):
        raise InputError(f'on_error of ImageFolder must be "raise" or "drop"; got {on_error!r}')
