"""The parts of a comparison: a test set, folds, or splits that test images several times; and duplicates across a split."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, check_cv

from featrec.evaluation._given import count_items, labelled_images, take
from featrec.exceptions import FeatrecError, ImageError, InputError
from featrec.images import check_images
from featrec.labels import as_labels
from featrec.lazy import Images
from featrec.parallel import map_batches

__all__ = ["Part", "Rows", "check_classes", "duplicates_in", "rows_of", "split_into_parts"]


@dataclass(frozen=True)
class Rows:
    """Some rows of the images that the caller passed."""

    given: Any
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def taken(self) -> Any:
        """Return the selected images. If all images are selected, return the object that the caller passed."""
        return self.given if np.array_equal(self.rows, np.arange(count_items(self.given))) else take(self.given, self.rows)

    def first(self) -> Any:
        """Return a batch that contains only the first image."""
        return take(self.given, self.rows[:1])


@dataclass(frozen=True)
class Part:
    """Training images, their labels, and test images. `places` are the positions of their predictions among all predictions."""

    train: Rows
    y_train: np.ndarray
    test: Rows
    places: np.ndarray


def rows_of(parts: list[Part], n: int) -> np.ndarray | None:
    """Return the image of each prediction, or None if each image has one prediction, in the order of the images."""
    tested = np.concatenate([part.test.rows for part in parts])
    return None if _is_partition(tested, n) else tested


def _is_partition(tested: np.ndarray, n: int) -> bool:
    return np.array_equal(np.sort(tested), np.arange(n))


def split_into_parts(X: Any, y: np.ndarray, test: Any, cv: Any, groups: Any) -> tuple[list[Part], np.ndarray, int | None]:
    """Return the parts, the true labels of the images to test on, and the number of splits. A test set is a single part."""
    if (test is None) == (cv is None):
        raise InputError("give exactly one of test=(images, labels) and cv=5")
    if test is None:
        folds = _folds(X, y, cv, groups)
        return folds, y, len(folds)
    if groups is not None:
        raise InputError("groups need cv, which keeps a group in one fold; for groups of a test set use test_groups")
    images, y_true = labelled_images(test, "test", "the test set")
    places = np.arange(len(y_true))
    return [Part(Rows(X, np.arange(len(y))), y, Rows(images, places), places)], y_true, None


def _check_folds(cv: Any, y: np.ndarray) -> None:
    """Check that the number of folds is at least 2, and that each class has at least one image per fold."""
    if isinstance(cv, (bool, np.bool_, str)) or (isinstance(cv, Integral) and cv < 2):
        raise InputError(f"cv must be the number of folds, at least 2, or a scikit-learn splitter; got {cv!r}")
    if not isinstance(cv, Integral):
        return
    classes, counts = np.unique(y, return_counts=True)
    if counts.min() < cv:
        images = "1 image" if counts.min() == 1 else f"{counts.min()} images"
        raise InputError(
            f"cv={cv} needs at least {cv} images of each class, one for each fold; class {classes[counts.argmin()].item()!r} "
            f"has {images}. Use a smaller cv, leave out small classes, or use a test set"
        )


def _folds(X: Any, y: np.ndarray, cv: Any, groups: Any) -> list[Part]:
    _check_folds(cv, y)
    if groups is not None:
        groups = as_labels(groups, len(y), what="groups")
        cv = _group_folds(cv, groups)
    splitter = check_cv(cv, y, classifier=True)
    name = type(splitter).__name__
    try:
        splits = list(splitter.split(np.zeros(len(y)), y, groups))
    except (ValueError, TypeError) as error:
        raise InputError(f"cv: {name} cannot split these images: {error}") from error
    _check_splits(splits, name)
    tested = np.concatenate([rows for _, rows in splits])
    if _is_partition(tested, len(y)):
        places = [rows for _, rows in splits]
    else:
        places = np.split(np.arange(len(tested)), np.cumsum([len(rows) for _, rows in splits])[:-1])
    return [Part(Rows(X, fit), y[fit], Rows(X, rows), place) for (fit, rows), place in zip(splits, places, strict=True)]


def _check_splits(splits: list[tuple[np.ndarray, np.ndarray]], name: str) -> None:
    """Check that there are at least two splits, and that each tests images that it does not train on."""
    if len(splits) < 2:
        raise InputError(f"cv must have at least two splits; {name} has {len(splits)}. Give one split as test=(images, labels)")
    for number, (fit, tested) in enumerate(splits, start=1):
        if not len(fit) or not len(tested) or len(np.intersect1d(fit, tested)):
            raise InputError(
                f"cv: split {number} of {name} has {len(fit)} training and {len(tested)} test images, "
                f"{len(np.intersect1d(fit, tested))} of them in both; use a splitter that separates them"
            )


def _group_folds(cv: Any, groups: np.ndarray) -> Any:
    if not isinstance(cv, Integral):
        return cv
    n_groups = len(np.unique(groups))
    if n_groups < int(cv):
        raise InputError(f"cv={cv} needs at least {cv} groups, because a group stays in one fold; groups has {n_groups}")
    return StratifiedGroupKFold(int(cv))


def check_classes(parts: list[Part]) -> None:
    for number, part in enumerate(parts, start=1):
        if len(np.unique(part.y_train)) < 2:
            where = "y has" if len(parts) == 1 else f"the training set of fold {number} has"
            raise InputError(f"{where} one class, {part.y_train[0].item()!r}; a classifier needs at least two")


def duplicates_in(parts: list[Part]) -> np.ndarray | None:
    """Return the positions of predictions whose image is identical to a training image of its split.

    None if the images cannot be read, for example because only predictions of other programs are compared.
    """
    train = _digests(parts[0].train.given)
    same = parts[0].test.given is parts[0].train.given
    test = train if same else _digests(parts[0].test.given)
    if train is None or test is None:
        return None
    found = []
    for part in parts:
        known = {train[row] for row in part.train.rows} - {None}
        found += [place for place, row in zip(part.places, part.test.rows, strict=True) if test[row] in known]
    return np.sort(np.array(found, int))


def _digests(X: Any) -> list[bytes | None] | None:
    """Return a digest of the pixels of each image, None for an image that cannot be read."""
    if hasattr(X, "to_numpy") and len(getattr(X, "shape", ())) == 2 and X.shape[1] > 1:
        X = X.to_numpy()
    if isinstance(X, np.ndarray) and X.dtype.kind in "uifb":
        return [_digest(image) for image in X]
    try:
        images = check_images(X)
    except FeatrecError:
        return None
    found = [one for batch in map_batches(_of_batch, images, n_jobs=-1, shared_memory=True) for one in batch]
    return found if any(one is not None for one in found) else None


def _of_batch(images: Images) -> list[bytes | None]:
    return [_of_image(images, place) for place in range(len(images))]


def _of_image(images: Images, place: int) -> bytes | None:
    try:
        return _digest(images[place])
    except ImageError:
        return None


def _digest(image: np.ndarray) -> bytes:
    pixels = np.ascontiguousarray(image)
    digest = hashlib.blake2b(repr((pixels.shape, pixels.dtype.str)).encode(), digest_size=16)
    digest.update(pixels.view(np.uint8).data if pixels.size else b"")
    return digest.digest()
