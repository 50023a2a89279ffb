"""Fast access to images that are already one array."""

from __future__ import annotations

import numpy as np

from featrec.exceptions import UnsupportedImageError
from featrec.images._convert import check_float
from featrec.images._dark import DarkWatch
from featrec.images._input import ImageItems
from featrec.lazy import Images

__all__ = ["stacked"]


def stacked(images: Images) -> np.ndarray | None:
    """The images as they would be read, as one array of shape (n, h, w) or (n, h, w, 3).

    None if the source is not a plain array of 8-bit or float images, if there are previous steps, or if values are invalid,
    because reading one by one lets the error name the image.
    """
    source = images.source
    if not isinstance(source, ImageItems) or type(source.source) is not np.ndarray:
        return None
    if not all(isinstance(step, DarkWatch) and step.describe is None for step in images.steps):
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
    """Select rows; consecutive rows without a copy."""
    first, last = int(rows[0]), int(rows[-1])
    if last - first == len(rows) - 1 and (rows[1:] - rows[:-1] == 1).all():
        return items[first : last + 1]
    return items[rows]
