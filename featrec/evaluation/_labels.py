"""The checks of labels, and rows and paths of anything that holds images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np

from featrec.exceptions import InputError

__all__ = ["all_classes", "as_labels", "count_items", "paths_of", "take"]


def as_labels(labels: Any, n: int, *, what: str) -> np.ndarray:
    """Strings or whole numbers, one for each of `n` images."""
    if labels is None:
        raise InputError(f"{what} is None; a label for each of the {n} images is needed")
    found = _as_array(labels)
    if found.ndim != 1:
        raise InputError(f"{what} must have one label an image, shape ({n},); got shape {found.shape}")
    if len(found) != n:
        raise InputError(f"{what} has {len(found)} labels for {n} images; both must be equal and in the same order")
    if found.dtype.kind == "O":
        found = _from_objects(found, what)
    if found.dtype.kind == "f" and np.array_equal(found, np.rint(found)):
        found = found.astype(np.int64)
    if found.dtype.kind not in "USTiub":
        such = found[found != np.rint(found)] if found.dtype.kind == "f" else found
        raise InputError(
            f"{what} must be strings or whole numbers, none missing; got {found.dtype} such as {such[:1].tolist()}"
        )
    return found


def _as_array(labels: Any) -> np.ndarray:
    """Without numpy's way of turning the numbers of a mixed list into texts, nan among them."""
    found = np.asarray(labels)
    if isinstance(labels, (list, tuple)) and found.ndim == 1 and found.dtype.kind in "US":
        return np.array(labels, dtype=object)
    return found


def _from_objects(found: np.ndarray, what: str) -> np.ndarray:
    kinds = {type(label) for label in found}
    if all(issubclass(kind, str) for kind in kinds):
        return found.astype(str)
    if all(issubclass(kind, (int, np.integer)) for kind in kinds):
        return found.astype(np.int64)
    names = sorted(kind.__name__ for kind in kinds)
    raise InputError(f"{what} must be all strings or all whole numbers, none missing; got {', '.join(names)}")


def all_classes(labels: Iterable[np.ndarray]) -> np.ndarray:
    """Every label once, sorted."""
    parts = [np.unique(part) for part in labels if len(part)]
    text = {part.dtype.kind in "UST" for part in parts}
    if len(text) > 1:
        shown = ", ".join(repr(part[0].item()) for part in parts)
        raise InputError(f"some labels are strings and some are numbers ({shown}); use the kind that the model was fitted with")
    return np.unique(np.concatenate(parts))


def count_items(X: Any) -> int:
    """How many images (rows) a batch has."""
    if isinstance(X, (str, bytes, os.PathLike)):
        raise InputError(
            f"a batch of images is expected; got {X!r:.80}. ImageFolder(path) reads a folder; [image] is a batch of one"
        )
    if isinstance(X, (Mapping, Set)):
        raise InputError(f"a batch of images is expected; got a {type(X).__name__}, which has no order; give a list")
    shape = getattr(X, "shape", None)
    if shape:
        return int(shape[0])
    if not hasattr(X, "__len__"):
        raise InputError(f"a batch of images with a length is expected; got {type(X).__name__}. list(images) has one.")
    return len(X)


def take(X: Any, rows: np.ndarray) -> Any:
    """Some of the images, in whatever holds them."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if isinstance(X, (list, tuple)):
        return [X[row] for row in rows]
    return X[rows]


def paths_of(X: Any) -> tuple[str | None, ...] | None:
    """The path of each image, None for one that has none; None where no image has one."""
    name = getattr(X, "name", None)
    paths = [name(position) for position in range(len(X))] if callable(name) else [_path(item) for item in _items(X)]
    return tuple(paths) if any(path is not None for path in paths) else None


def _items(X: Any) -> Iterable[Any]:
    """The items of a list or a column; none of an array of numbers."""
    if isinstance(X, np.ndarray):
        return X if X.dtype.kind in "OUT" else ()
    listed = getattr(X, "to_list", None)
    if len(getattr(X, "shape", ())) == 1 and callable(listed):
        found: list = listed()
        return found
    return X if isinstance(X, (list, tuple)) else ()


def _path(item: Any) -> str | None:
    path = os.fspath(item) if isinstance(item, (str, os.PathLike)) else None
    return os.fsdecode(path) if isinstance(path, bytes) else path
