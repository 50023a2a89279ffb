"""Check a batch of images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence, Set
from numbers import Number
from typing import Any, NoReturn

import numpy as np
from PIL import Image

from featrec.bag import Bag
from featrec.exceptions import InputError, UnsupportedImageError
from featrec.images._convert import check_dtype, check_float
from featrec.images._read import read_image
from featrec.images._recall import DarkWatch
from featrec.lazy import Bags, Images, LazySequence

__all__ = ["check_images", "stacked"]

ONE_IMAGE = (str, bytes, bytearray, memoryview, os.PathLike, Image.Image)


def check_images(X: Any) -> Images:
    """Convert a batch of images to lazy Images. Raise an error with a hint for any other input.

    Parameters
    ----------
    X : Images, ImageFolder, list, array, table column, or table with one column
        Arrays of shape (h, w) or (h, w, 3), paths, encoded bytes or PIL images, which may be mixed; or one array of shape (n,
        h, w), (n, h, w, 1) or (n, h, w, 3). No image is decoded here.

    Returns
    -------
    Images

    Raises
    ------
    InputError
        If `X` is a single image, rows of flattened images, a table of several columns, or not a sequence.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.images import check_images
    >>> check_images(np.zeros((5, 8, 8)))
    Images(5 of ImageItems)
    """
    if isinstance(X, Images):
        return X
    X = _only_column(X)
    _refuse_what_is_no_batch(X)
    if getattr(X, "holds_images", False):
        return Images(X)
    items = _check_array(X if isinstance(X, np.ndarray) else np.asarray(X)) if _is_array(X) else _as_list(X)
    _refuse_other_items(items)
    return Images(ImageItems(items), index=X.index if hasattr(X, "iloc") else None)


class ImageItems(LazySequence):
    """Images in any supported form, decoded when accessed."""

    # If scikit-learn slices a list or an array, the position in the whole sequence is not known.
    counted = "The number is the position among the images passed in; in a cross-validation, it is the position in the fold"

    def __init__(self, items: Sequence | np.ndarray):
        super().__init__(items, positions=np.arange(len(items)))

    def name(self, position: int) -> str | None:
        """Return the path if the item is a path, or None."""
        item: Any = self.source[int(self.rows[position])]
        return os.fspath(item) if isinstance(item, (str, os.PathLike)) else None

    def _item(self, stored: Any) -> np.ndarray:
        return read_image(stored)


def _only_column(X: Any) -> Any:
    """Return the column of a pandas, polars or pyarrow table with one column; return other input unchanged."""
    if not (hasattr(X, "shape") and len(X.shape) == 2 and X.shape[1] == 1):
        return X
    if hasattr(X, "iloc"):
        return X.iloc[:, 0]
    names = getattr(X, "column_names", getattr(X, "columns", None))
    return X if names is None else X[names[0]]


def _refuse_what_is_no_batch(X: Any) -> None:
    if isinstance(X, ONE_IMAGE):
        if isinstance(X, (str, os.PathLike)) and os.path.exists(X) and not _is_image_file(X):
            _refuse(f"the path of a folder or archive ({os.fsdecode(X)!r})", "featrec.datasets.ImageFolder(path) reads it.")
        _refuse(f"one image ({type(X).__name__})", "Use a list: [image].")
    if isinstance(X, (Bag, Bags)):
        _refuse(f"a {type(X).__name__}", "These images are already described; pass them to an encoder.")
    if isinstance(X, (Mapping, Set)):
        _refuse(f"a {type(X).__name__}", "Use a list, such as list(paths.values()) or sorted(paths).")
    if (hasattr(X, "columns") or hasattr(X, "column_names")) and hasattr(X, "shape"):
        _refuse(
            f"a table of {X.shape[1]} columns",
            'Use its column of paths or images, such as table["path"]; for rows of flattened images, use Unflatten first.',
        )
    if hasattr(X, "train") and hasattr(X, "test"):
        _refuse(f"a whole dataset ({type(X).__name__})", "Use its training set or its test set: train, test = X.")
    if hasattr(X, "tocsr"):
        _refuse(f"a sparse matrix of shape {X.shape}", "For rows of flattened images, use Unflatten((height, width)) first.")
    if not hasattr(X, "__len__") or not hasattr(X, "__getitem__"):
        _refuse(f"a {type(X).__name__}", "The images are read several times; use list(images).")


def _is_image_file(path: str | os.PathLike) -> bool:
    return os.path.isfile(path) and not os.fsdecode(path).lower().endswith((".zip", ".tar", ".tar.gz", ".tgz", ".csv", ".tsv"))


def _is_array(X: Any) -> bool:
    """Return whether X is a NumPy array, or another library's array with at least two axes. Table columns are not arrays."""
    return isinstance(X, np.ndarray) or (hasattr(X, "__array__") and getattr(X, "ndim", 1) > 1)


def _check_array(X: np.ndarray) -> np.ndarray:
    if X.dtype.kind in "OSUT" or X.dtype.names:
        return _check_column(X)
    if X.ndim == 1 and not len(X):
        return X
    if X.ndim == 2:
        _refuse(
            f"a 2-D array of shape {X.shape}",
            "For one gray image, use [image]; for rows of flattened images, use Unflatten((height, width)) first.",
        )
    if X.ndim == 3 and X.shape[2] in (3, 4):
        _refuse(
            f"an array of shape {X.shape}",
            "For one colour image, use [image]; for a batch of narrow gray images, use X[..., None].",
        )
    if X.ndim == 4 and X.shape[3] not in (1, 3, 4):
        channels_first = X.shape[1] in (1, 3, 4)
        way_out = (
            "Channels must be last: X.transpose(0, 2, 3, 1)." if channels_first else "The last axis must have 1 or 3 channels."
        )
        _refuse(f"an array of shape {X.shape}", way_out)
    if X.ndim not in (3, 4):
        _refuse(f"an array of shape {X.shape}", "A batch must have shape (n, height, width) or (n, height, width, 3).")
    check_dtype(X.dtype)
    return X


def _check_column(X: np.ndarray) -> np.ndarray:
    """Check a 1-D array of objects or text."""
    if X.ndim != 1 or X.dtype.names:
        _refuse(f"an array of type {X.dtype} and shape {X.shape}", "Use a 1-D array or a list.")
    if X.dtype.kind == "S":
        _refuse(f"an array of type {X.dtype}", "numpy removes trailing zero bytes; use a list, or an array of dtype=object.")
    return X


def _refuse_other_items(X: Any) -> None:
    """Check the first item for common mistakes, without decoding it."""
    if not isinstance(X, (list, tuple, range, np.ndarray)) or len(X) == 0 or not _is_column(X):
        return
    first: Any = X[0]
    kind = f"a {type(X).__name__} of"
    if isinstance(first, (Number, np.number)) and first == first:
        _refuse(f"{kind} numbers", "An image is an array of shape (h, w) or (h, w, 3), a path, bytes or a PIL image.")
    if isinstance(first, (Bag, Bags)):
        _refuse(f"{kind} {type(first).__name__}", "These images are already described; pass them to an encoder.")
    if isinstance(first, tuple) and len(first) == 2:
        _refuse(f"{kind} pairs", "Pass labels separately: [image for image, label in pairs].")
    if isinstance(first, np.ndarray) and first.ndim == 1:
        _refuse(f"{kind} 1-D arrays", "For rows of flattened images, use Unflatten((height, width)).transform(np.stack(rows)).")
    if _is_batch(first):
        _refuse(
            f"{kind} batches (the first is of type {type(first).__name__} and length {len(first)})",
            "Use one batch, such as X[0]; unpack a pair (train, test) or (images, labels): train, test = X.",
        )


def _is_column(X: Any) -> bool:
    return not isinstance(X, np.ndarray) or X.dtype.kind == "O"


def _is_batch(item: Any) -> bool:
    if isinstance(item, np.ndarray):
        return item.ndim == 4 or (item.ndim == 3 and item.shape[2] not in (1, 3, 4) and item.shape[0] not in (1, 3, 4))
    return isinstance(item, (Images, list, tuple)) or getattr(item, "holds_images", False)


def _as_list(X: Any) -> Sequence:
    """Convert a table column to a list; return other sequences unchanged."""
    for name in ("tolist", "to_list"):
        if hasattr(X, name) and not isinstance(X, np.ndarray):
            return getattr(X, name)()
    return X


def _refuse(given: str, way_out: str) -> NoReturn:
    raise InputError(
        f"expected a batch of images: a list, a folder, or an array of shape (n, h, w) or (n, h, w, 3); got {given}. {way_out}"
    )


def stacked(images: Images) -> np.ndarray | None:
    """Return the images as one array of shape (n, h, w) or (n, h, w, 3), or None if they must be read one by one.

    Images are read one by one if the source is not a plain array of 8-bit or float images, if there are previous steps, or if
    values are invalid. In the last case, the error message can then name the image.
    """
    source = images.source
    if not isinstance(source, ImageItems) or type(source.source) is not np.ndarray:
        return None
    if not all(isinstance(step, DarkWatch) for step in images.steps):
        return None
    items = source.source
    plain = items.dtype.isnative and items.dtype in (np.uint8, np.float32, np.float64)
    if not plain or items.ndim not in (3, 4) or (items.ndim == 4 and items.shape[3] not in (1, 3)) or 0 in items.shape:
        return None
    stack = _rows(items, source.rows[images.rows])
    if stack.dtype.kind == "f":
        try:
            check_float(stack)
        except UnsupportedImageError:
            return None
    return np.ascontiguousarray(stack[..., 0] if stack.ndim == 4 and stack.shape[3] == 1 else stack)


def _rows(items: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Select rows. Consecutive rows are not copied."""
    first, last = int(rows[0]), int(rows[-1])
    if last - first == len(rows) - 1 and (rows[1:] - rows[:-1] == 1).all():
        return items[first : last + 1]
    return items[rows]
