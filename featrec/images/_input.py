"""The one check of what is given as a batch of pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence, Set
from numbers import Number
from typing import Any, NoReturn

import numpy as np
from PIL import Image

from featrec.bag import Bag
from featrec.exceptions import InputError
from featrec.images._convert import check_dtype
from featrec.images._read import read_image
from featrec.lazy import Bags, Images

__all__ = ["check_images"]

ONE_PICTURE = (str, bytes, bytearray, memoryview, os.PathLike, Image.Image)


def check_images(X: Any) -> Images:
    """Take anything that holds pictures as lazy Images; refuse what does not, with the way out.

    Parameters
    ----------
    X : Images, ImageFolder, list, array, or column of a table
        Arrays (h, w) or (h, w, 3), paths, encoded bytes or PIL images, mixed as you like; or one array (n, h, w),
        (n, h, w, 1) or (n, h, w, 3). Nothing is decoded here.

    Returns
    -------
    Images

    Raises
    ------
    InputError
        Where `X` is one picture, flattened rows, a table, or no sequence.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.images import check_images
    >>> check_images(np.zeros((5, 8, 8)))
    Images(5 of Pictures)
    """
    if isinstance(X, Images):
        return X
    _refuse_what_is_no_batch(X)
    if getattr(X, "holds_images", False):
        return Images(X)
    items = _check_array(X if isinstance(X, np.ndarray) else np.asarray(X)) if _is_array(X) else _as_list(X)
    _refuse_other_items(items)
    return Images(Pictures(items), index=X.index if hasattr(X, "iloc") else None)


class Pictures:
    """Images in any of their forms, decoded when asked for."""

    # scikit-learn slices a list or array itself, so that of the whole nothing is known here.
    counted = "The number counts the images handed over; in a cross-validation those are the fold's"

    def __init__(self, items: Sequence | np.ndarray):
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: Any) -> np.ndarray:
        return read_image(self.items[position])

    def name(self, position: int) -> str | None:
        """The path, where the item is one."""
        item = self.items[position]
        return os.fspath(item) if isinstance(item, (str, os.PathLike)) else None

    def take(self, rows: np.ndarray) -> Pictures:
        """Some of them."""
        if isinstance(self.items, np.ndarray):
            return Pictures(self.items[rows])
        return Pictures([self.items[row] for row in rows])


def _refuse_what_is_no_batch(X: Any) -> None:
    if isinstance(X, ONE_PICTURE):
        if isinstance(X, (str, os.PathLike)) and os.path.exists(X) and not _is_image_file(X):
            _refuse(f"the path of a folder or archive ({os.fsdecode(X)!r})", "featrec.datasets.ImageFolder(path) reads those.")
        _refuse(f"one picture ({type(X).__name__})", "Put it into a list: [picture].")
    if isinstance(X, (Bag, Bags)):
        _refuse(f"a {type(X).__name__}", "The pictures have been described already; give it to an encoder.")
    if isinstance(X, (Mapping, Set)):
        _refuse(f"a {type(X).__name__}", "Give a list; list(paths.values()) or sorted(paths) makes one.")
    if (hasattr(X, "columns") or hasattr(X, "column_names")) and hasattr(X, "shape"):
        _refuse(
            "a table", 'Give its column of paths or pictures, table["path"]; flattened pictures in rows need Unflatten first.'
        )
    if hasattr(X, "train") and hasattr(X, "test"):
        _refuse(f"a whole data set ({type(X).__name__})", "Give one of its parts: train, test = X.")
    if hasattr(X, "tocsr"):
        _refuse(f"a sparse matrix of shape {X.shape}", "Flattened pictures in rows need Unflatten((height, width)) first.")
    if not hasattr(X, "__len__") or not hasattr(X, "__getitem__"):
        _refuse(f"a {type(X).__name__}", "Several passes are made over the pictures; list(pictures) holds them.")


def _is_image_file(path: str | os.PathLike) -> bool:
    return os.path.isfile(path) and not os.fsdecode(path).lower().endswith((".zip", ".tar", ".tar.gz", ".tgz", ".csv", ".tsv"))


def _is_array(X: Any) -> bool:
    """numpy's, or another library's of two axes or more (a tensor, say); a column of a table is none."""
    return isinstance(X, np.ndarray) or (hasattr(X, "__array__") and getattr(X, "ndim", 1) > 1)


def _check_array(X: np.ndarray) -> np.ndarray:
    if X.dtype.kind in "OSUT" or X.dtype.names:
        return _check_column(X)
    if X.ndim == 1 and not len(X):
        return X
    if X.ndim == 2:
        _refuse(
            f"a 2-D array of shape {X.shape}",
            "One gray picture is given as [picture]; flattened pictures in rows need Unflatten((height, width)) first.",
        )
    if X.ndim == 3 and X.shape[2] in (3, 4):
        _refuse(
            f"an array of shape {X.shape}",
            "If it is one colour picture, write [picture]; if it is a batch of narrow gray ones, write X[..., None].",
        )
    if X.ndim == 4 and X.shape[3] not in (1, 3, 4):
        way_out = "Channels come last: X.transpose(0, 2, 3, 1)." if X.shape[1] in (1, 3, 4) else "Channels come last, 1 or 3."
        _refuse(f"an array of shape {X.shape}", way_out)
    if X.ndim not in (3, 4):
        _refuse(f"an array of shape {X.shape}", "A batch is (n, height, width) or (n, height, width, 3).")
    check_dtype(X.dtype)
    return X


def _check_column(X: np.ndarray) -> np.ndarray:
    """A 1-D array of objects or text."""
    if X.ndim != 1 or X.dtype.names:
        _refuse(f"an array of {X.dtype} of shape {X.shape}", "Give a 1-D array or a list.")
    if X.dtype.kind == "S":
        _refuse(f"an array of {X.dtype}", "numpy cuts zeros off the end of bytes; give a list, or an array of dtype=object.")
    return X


def _refuse_other_items(X: Any) -> None:
    """The usual mistakes show in the first item; nothing is decoded for it."""
    if not isinstance(X, (list, tuple, range, np.ndarray)) or len(X) == 0 or not _is_column(X):
        return
    first: Any = X[0]
    kind = f"a {type(X).__name__} of"
    if isinstance(first, (Number, np.number)) and first == first:
        _refuse(f"{kind} numbers", "A picture is an array (h, w) or (h, w, 3), a path, bytes or a PIL image.")
    if isinstance(first, (Bag, Bags)):
        _refuse(f"{kind} {type(first).__name__}", "The pictures have been described already; give it to an encoder.")
    if isinstance(first, tuple) and len(first) == 2:
        _refuse(f"{kind} pairs", "Labels go apart: [picture for picture, label in pairs].")
    if isinstance(first, np.ndarray) and first.ndim == 1:
        _refuse(f"{kind} 1-D arrays", "Flattened pictures in rows need np.stack(rows) and Unflatten((height, width)) first.")
    if _is_batch(first):
        _refuse(
            f"{kind} batches (the first is of type {type(first).__name__} and length {len(first)})",
            "Give one of them, X[0]; a pair (train, test) or (pictures, labels) is unpacked: train, test = X.",
        )


def _is_column(X: Any) -> bool:
    return not isinstance(X, np.ndarray) or X.dtype.kind == "O"


def _is_batch(item: Any) -> bool:
    if isinstance(item, np.ndarray):
        return item.ndim == 4 or (item.ndim == 3 and item.shape[2] not in (1, 3, 4) and item.shape[0] not in (1, 3, 4))
    return isinstance(item, (Images, list, tuple)) or getattr(item, "holds_images", False)


def _as_list(X: Any) -> Sequence:
    """A column of a table by position; a sequence as it is."""
    for name in ("tolist", "to_list"):
        if hasattr(X, name) and not isinstance(X, np.ndarray):
            return getattr(X, name)()
    return X


def _refuse(given: str, way_out: str) -> NoReturn:
    raise InputError(
        f"a batch of pictures is expected: a list, a folder, or an array (n, h, w) or (n, h, w, 3); got {given}. {way_out}"
    )
