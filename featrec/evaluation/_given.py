"""Checks of arguments: models, images, labels, and predictions of other programs."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, NoReturn

import numpy as np

from featrec.exceptions import InputError
from featrec.labels import as_labels

__all__ = [
    "all_classes",
    "count_items",
    "foreign_labels",
    "labelled_images",
    "named_among",
    "paths_of",
    "predictions_of",
    "refuse_no_model",
    "take",
]

MAX_SHOWN = 3


def refuse_no_model(model: Any, where: str) -> None:
    """Raise an error if a name, file, class or function is passed as a model; the message explains how to get a model."""
    if isinstance(model, (str, os.PathLike)):
        path = os.fspath(model)
        way_out = f"persistence.load({path!r})" if os.path.exists(path) else f"recipes.make({path!r})"
        raise InputError(f"{where} is a string, not a model; use {way_out}")
    if isinstance(model, type) or (callable(model) and not hasattr(model, "predict")):
        kind = "class" if isinstance(model, type) else "function"
        name = getattr(model, "__name__", "model")
        raise InputError(f"{where} is a {kind}, not a model; call it: {name}()")
    if hasattr(model, "fit") and not hasattr(model, "predict"):
        raise InputError(f"{where} is a {type(model).__name__} without predict; a pipeline must end with a classifier")
    if model is None:
        raise InputError(f"{where} is None; expected a model, such as recipes.make('hog_svm'), or an array of predictions")


def labelled_images(given: Any, parameter: str, what: str) -> tuple[Any, np.ndarray]:
    """Check a pair (images, labels), and return the images and their labels."""
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        way_out = f"; use {parameter}=({parameter}, {parameter}.labels)" if hasattr(given, "labels") else ""
        raise InputError(f"{parameter} must be a pair (images, labels); got {type(given).__name__}{way_out}")
    n = count_items(given[0])
    if n == 0:
        raise InputError(f"{what} has no images")
    return given[0], as_labels(given[1], n, what=f"{what}'s y")


def all_classes(labels: Iterable[np.ndarray]) -> np.ndarray:
    """Return the sorted union of several arrays of labels."""
    parts = [np.unique(part) for part in labels if len(part)]
    text = {part.dtype.kind in "UST" for part in parts}
    if len(text) > 1:
        shown = ", ".join(repr(part[0].item()) for part in parts)
        raise InputError(f"some labels are strings and some are numbers ({shown}); use the type that the model was fitted with")
    return np.unique(np.concatenate(parts))


def count_items(X: Any) -> int:
    """Return the number of images (rows) in a batch."""
    if isinstance(X, (str, bytes, os.PathLike)):
        raise InputError(
            f"expected a batch of images; got {X!r:.80}. Use [image] for one image, ImageFolder(path) for a folder"
        )
    if isinstance(X, (Mapping, Set)):
        raise InputError(f"expected a batch of images; got a {type(X).__name__}, which has no order; give a list")
    shape = getattr(X, "shape", None)
    if shape:
        return int(shape[0])
    if not hasattr(X, "__len__"):
        raise InputError(f"expected a batch of images with a length; got {type(X).__name__}. Use list(images).")
    return len(X)


def take(X: Any, rows: np.ndarray) -> Any:
    """Select images from an array, a list, a DataFrame or a lazy sequence."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if isinstance(X, (list, tuple)):
        return [X[row] for row in rows]
    return X[rows]


def paths_of(X: Any) -> tuple[str | None, ...] | None:
    """Return a tuple with the path of each image (None for an image without a path), or None if no image has a path."""
    name = getattr(X, "name", None)
    paths = [name(position) for position in range(len(X))] if callable(name) else [_path(item) for item in _items(X)]
    return tuple(paths) if any(path is not None for path in paths) else None


def _items(X: Any) -> Iterable[Any]:
    """Return the items of a list or a column. For an array of numbers, return an empty tuple."""
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


def predictions_of(
    name: str, given: Any, paths: Sequence[str | None] | None, others: Iterable[str | None], n: int
) -> np.ndarray:
    """Return the labels of the `n` test images from an array in the same order, or from a dict of path to label.

    A dict may also contain the paths of `others`, which are ignored.
    """
    if not isinstance(given, Mapping):
        return as_labels(given, n, what=f"the array of predictions {name!r}")
    if paths is None:
        raise InputError(
            f"the predictions {name!r} are a dict of path to label, but the test images have no paths; "
            "give an ImageFolder or a list of paths, or an array of labels in the order of the images"
        )
    return as_labels(_by_path(name, given, paths, others), n, what=f"the predictions {name!r}")


def named_among(given: Iterable[str], paths: Iterable[str | None], excluded: Iterable[str | None]) -> list[str]:
    """Select the given paths that match one of `paths` and none of `excluded`."""
    wanted, others = _PathEndings(paths), _PathEndings(excluded)
    return [path for path in given if wanted.knows(path) and not others.knows(path)]


def _by_path(name: str, given: Mapping, paths: Sequence[str | None], others: Iterable[str | None]) -> list[Any]:
    tests, training = _PathEndings(paths), _PathEndings(others)
    found: dict[int, Any] = {}
    unknown = []
    for path, label in given.items():
        if not isinstance(path, (str, os.PathLike)):
            raise InputError(f"the predictions {name!r} are a dict of path to label; got the key {path!r}")
        position = tests.position(name, path)
        if position is None:
            unknown += [] if training.knows(path) else [path]
        elif position in found:
            raise InputError(f"the predictions {name!r} contain {paths[position]!r} twice; keep one label for each image")
        else:
            found[position] = label
    if unknown:
        _refuse_unknown(name, unknown, paths)
    missing = [path for position, path in enumerate(paths) if position not in found]
    if missing:
        raise InputError(
            f"the predictions {name!r} have no label for {_listed(missing)}; each of the {len(paths)} test images needs one"
        )
    return [found[position] for position in range(len(paths))]


def _refuse_unknown(name: str, unknown: list[Any], paths: Sequence[str | None]) -> NoReturn:
    known = next(path for path in paths if path is not None)
    raise InputError(
        f"the predictions {name!r} contain {_listed(unknown)}, "
        f"which {'is not an image' if len(unknown) == 1 else 'are not images'} of this comparison; "
        f"write paths like {known!r}, or the last parts of a path if no other image shares them"
    )


def _listed(paths: Sequence[Any]) -> str:
    """Format the first paths and the number of the remaining paths."""
    shown = ", ".join(repr(None if path is None else os.fspath(path)) for path in paths[:MAX_SHOWN])
    return shown if len(paths) <= MAX_SHOWN else f"{shown} and {len(paths) - MAX_SHOWN} more"


class _PathEndings:
    """Find images by the last parts of their paths, because another program may have read them from a different folder."""

    def __init__(self, paths: Iterable[str | None]):
        self.positions: dict[tuple[str, ...], list[int]] = {}
        for position, path in enumerate(paths):
            parts = () if path is None else _parts(os.path.abspath(path))
            for start in range(len(parts)):
                self.positions.setdefault(parts[start:], []).append(position)

    def knows(self, path: Any) -> bool:
        return bool(self._found(path))

    def position(self, name: str, path: Any) -> int | None:
        """Return the index of the image with this path, or None."""
        found = self._found(path)
        if len(found) > 1:
            raise InputError(
                f"the predictions {name!r} contain {os.fspath(path)!r}, which matches {len(found)} images; "
                "write more of the path, such as its folder"
            )
        return found[0] if found else None

    def _found(self, path: Any) -> list[int]:
        whole = self.positions.get(_parts(os.path.abspath(path)))
        return whole or self.positions.get(_parts(os.path.normpath(path)), [])


def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.replace("\\", "/").split("/"))


def foreign_labels(what: str, labels: np.ndarray, known: np.ndarray) -> str:
    """Return a remark on the labels that are not among the known labels, or "" if all labels are known."""
    foreign, counts = np.unique(labels[~np.isin(labels, known)], return_counts=True)
    if not len(foreign):
        return ""
    shown = [
        f"{label!r} ({count} of {len(labels)}{_nearest(label, known)})"
        for label, count in zip(foreign.tolist(), counts, strict=True)
    ]
    more = f" and {len(shown) - MAX_SHOWN} more" if len(shown) > MAX_SHOWN else ""
    return f"{what}, which count as errors: {', '.join(shown[:MAX_SHOWN])}{more}."


def _nearest(label: Any, known: np.ndarray) -> str:
    if not isinstance(label, str):
        return ""
    names = {name.casefold(): name for name in reversed(known.tolist())}
    close = difflib.get_close_matches(label.casefold().strip(), names, n=1)
    return f"; did you mean {names[close[0]]!r}?" if close else ""
