"""The one check of what is given as a batch of pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from PIL import Image

from featrec.bag import Bag
from featrec.exceptions import InputError
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
    if isinstance(X, np.ndarray):
        return Images(Pictures(_check_array(X)))
    if getattr(X, "holds_images", False):
        return Images(X)
    return Images(Pictures(_as_list(X)), index=_pandas_index(X))


class Pictures:
    """Pictures in any of their forms, decoded when asked for."""

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
        _refuse(f"one picture ({type(X).__name__})", "Put it into a list: [picture].")
    if isinstance(X, (Bag, Bags)):
        _refuse(f"a {type(X).__name__}", "The pictures have been described already; give it to an encoder.")
    if isinstance(X, (dict, set, frozenset)):
        _refuse(f"a {type(X).__name__}", "Give a list; list(paths.values()) or sorted(paths) makes one.")
    if hasattr(X, "columns") and hasattr(X, "shape"):
        _refuse("a table", 'Give its column of paths: table["path"].')
    if not hasattr(X, "__len__") or not hasattr(X, "__getitem__"):
        _refuse(f"a {type(X).__name__}", "Several passes are made over the pictures; list(pictures) holds them.")


def _check_array(X: np.ndarray) -> np.ndarray:
    if X.dtype.kind in "OSUT" or X.dtype.names:
        if X.ndim != 1:
            _refuse(f"an array of {X.dtype} of shape {X.shape}", "Give a 1-D array or a list.")
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
    return X


def _as_list(X: Any) -> Sequence:
    """A column of a table by position; a sequence as it is."""
    if hasattr(X, "to_list"):
        return X.to_list()
    if hasattr(X, "tolist") and hasattr(X, "dtype") and not hasattr(X, "__array_namespace__"):
        return X.tolist()
    return X


def _pandas_index(X: Any) -> Any:
    return X.index if hasattr(X, "iloc") else None


def _refuse(given: str, way_out: str) -> NoReturn:
    raise InputError(
        f"a batch of pictures is expected: a list, a folder, or an array (n, h, w) or (n, h, w, 3); got {given}. {way_out}"
    )
