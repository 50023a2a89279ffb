"""Unflatten: convert rows of numbers to images."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, validate_data

from featrec.base import Estimator, NoOutputContainer, check_one_label_each, real_number
from featrec.exceptions import InputError
from featrec.images import read_image
from featrec.lazy import Images, LazySequence

__all__ = ["Unflatten"]


class Unflatten(NoOutputContainer, TransformerMixin, Estimator):
    """Convert flattened images, one per row of a 2-D array or table, to images.

    A pipeline that starts with this step accepts the output of ``fetch_openml`` or ``load_digits``. White is 255 for uint8,
    65535 for uint16, and 1 for floats. Other integer types are converted to uint8 if all values are from 0 to 255. For all
    other values, set `max_value`.

    Parameters
    ----------
    shape : tuple of (height, width), (height, width, 3) or (3, height, width)
        Shape of each image. If height or width is -1, it is inferred from the length of a row. (3, height, width) means that
        rows contain all red values first, then all green and all blue values, as in CIFAR-10; the resulting images have shape
        (height, width, 3).
    max_value : float, optional
        Value of white, such as 255 for bytes stored as floats (``fetch_openml``) or 16 for scikit-learn's digits. The values
        are divided by it, and the images are float32. Exception: if it is 255 and all values are whole numbers, the images are
        uint8.

    Attributes
    ----------
    n_features_in_ : int
        Length of a row.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from featrec.preprocessing import Unflatten
    >>> rows = load_digits().data
    >>> images = Unflatten((8, 8), max_value=16).transform(rows)
    >>> images
    Images(1797 of Rows)
    >>> images[0].shape, images[0].dtype, float(images[0].max())
    ((8, 8), dtype('float32'), 0.9375)
    """

    _parameter_constraints = {"shape": [tuple, list], "max_value": [real_number(0, closed="neither"), None]}

    def __init__(self, shape: tuple[int, ...], *, max_value: float | None = None):
        self.shape = shape
        self.max_value = max_value

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters and the rows, and learn the length of a row.

        Parameters
        ----------
        X : array or table of shape (n_images, height * width) or (n_images, 3 * height * width)
        y : array-like of shape (n_images,), optional
            Labels are not used; only their number is checked.

        Returns
        -------
        self
        """
        check_one_label_each(y, len(self._rows(X, reset=True)))
        return self

    def transform(self, X: Any) -> Images:
        """Convert rows to lazy images, which keep the index of a pandas table."""
        return Images(self._rows(X, reset=False), index=X.index if hasattr(X, "iloc") else None)

    def _rows(self, X: Any, *, reset: bool) -> Rows:
        self._check_parameters()
        _refuse_images(X)
        checks = {"dtype": "numeric", "ensure_all_finite": False, "ensure_min_samples": int(reset)}
        if reset or hasattr(self, "n_features_in_"):
            rows = validate_data(self, X, reset=reset, **checks)
        else:
            rows = check_array(X, estimator=self, input_name="X", **checks)
        shape = _resolved(tuple(self.shape), rows.shape[1])
        colours_first = len(shape) == 3 and self.shape[2] != 3
        rows = _checked(rows, self.max_value)
        if self.max_value == 255:
            as_bytes = rows.astype(np.uint8, copy=False)
            if np.array_equal(as_bytes, rows):
                return Rows(as_bytes, shape, None, colours_first)
        return Rows(rows, shape, self.max_value, colours_first)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        shape = tuple(self.shape)
        whole = all(isinstance(side, Integral) and (side > 0 or side == -1) for side in shape)
        coloured = len(shape) == 3 and 3 in (shape[0], shape[2])
        if not whole or not (coloured or len(shape) == 2) or shape.count(-1) > 1:
            raise InputError(
                "Unflatten: shape must be (height, width), (height, width, 3), or (3, height, width) if each channel is "
                f"stored separately; either height or width may be -1; got {self.shape!r}"
            )

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.positive_only = True
        tags.no_validation = False
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags


class Rows(LazySequence):
    """Images stored as rows of one array; a row is converted when it is accessed."""

    def __init__(self, values: np.ndarray, shape: tuple[int, ...], max_value: float | None, colours_first: bool):
        super().__init__(values)
        self.shape_of_one, self.max_value, self.colours_first = shape, max_value, colours_first

    def _item(self, stored: np.ndarray) -> np.ndarray:
        image = stored.reshape(self.shape_of_one)
        if self.colours_first:
            image = image.transpose(1, 2, 0)
        if self.max_value is not None:
            # In float64, values up to max_value cannot exceed 1 after the division.
            image = (image / np.float64(self.max_value)).astype(np.float32)
        return read_image(image)


def _refuse_images(X: Any) -> None:
    if isinstance(X, Images) or getattr(X, "holds_images", False) or (isinstance(X, np.ndarray) and X.ndim in (3, 4)):
        raise InputError(
            f"Unflatten expects rows in an array of shape (n_images, n_values); got {type(X).__name__} of shape {X.shape}, "
            "which already contains images. Omit this step."
        )
    if isinstance(X, dict) and "data" in X:
        raise InputError("Unflatten expects rows in an array or a table; got a whole dataset. Use its rows: dataset.data.")


def _resolved(shape: tuple[int, ...], found: int) -> tuple[int, ...]:
    """Replace -1 in the shape, and check that the shape matches the length of the rows."""
    known = int(np.prod([side for side in shape if side != -1]))
    fits = found % known == 0 if -1 in shape else found == known
    if not fits:
        needed = f"a multiple of {known}" if -1 in shape else str(known)
        raise InputError(
            f"Unflatten: images of shape {shape} have {needed} values, but the rows have {found}. "
            f"{_guess(found)}Drop columns that are not pixels, such as the label."
        )
    return tuple(found // known if side == -1 else side for side in shape)


def _guess(found: int) -> str:
    gray, coloured = math.isqrt(found), math.isqrt(found // 3)
    if gray**2 == found:
        return f"For square images, use shape={(gray, gray)}. "
    if 3 * coloured**2 == found:
        last, first = (coloured, coloured, 3), (3, coloured, coloured)
        return f"For square images, use shape={last}, or {first} if all red values come first, as in CIFAR-10. "
    return ""


def _checked(rows: np.ndarray, max_value: float | None) -> np.ndarray:
    """Check the values of the rows, and convert integers to uint8 if `max_value` is not set."""
    if rows.size == 0 or (rows.dtype in (bool, np.uint8, np.uint16) and max_value is None):
        return rows
    if rows.dtype.kind == "f" and not np.isfinite(rows.sum(dtype=np.float64)):
        _refuse_missing(rows)
    whole = rows.dtype.kind in "iu"
    most = max_value if max_value is not None else 255 if whole else 1
    low, high = rows.min().item(), rows.max().item()
    if low < 0 or high > most:
        _refuse_range(rows, low, high, max_value)
    return rows.astype(np.uint8) if whole and max_value is None else rows


def _refuse_missing(rows: np.ndarray) -> None:
    missing = ~np.isfinite(rows).all(axis=1)
    if missing.any():
        raise InputError(
            f"Unflatten: {int(missing.sum())} of {len(rows)} rows contain NaN or infinity; the first is row "
            f"{int(missing.argmax())}. Remove these rows, or replace the values first."
        )


def _refuse_range(rows: np.ndarray, low: Any, high: Any, max_value: float | None) -> None:
    row = int(np.argmax((rows == (low if low < 0 else high)).any(axis=1)))
    if low < 0:
        rule = "Negative values in data; pixel values must be at least 0"
        way_out = "Do not standardise rows before this step."
    elif max_value is not None:
        rule, way_out = f"no value may exceed max_value={max_value:g}", "Set max_value to the largest possible value."
    else:
        rule = "integers must be from 0 to 255" if rows.dtype.kind in "iu" else "floats must be in [0, 1]"
        way_out = "Set the value of white with Unflatten(shape, max_value=...): 255 for bytes, 16 for scikit-learn's digits."
    raise InputError(
        f"Unflatten: {rule}, but row {row} violates this; the values of type {rows.dtype} are from {low} to {high}. {way_out}"
    )
