"""Pictures of one size as one array, for classifiers that take pixels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from featrec.bag import Bag
from featrec.base import check_one_label_each
from featrec.exceptions import InputError, UnsupportedImageError
from featrec.lazy import Bags, Images

__all__ = ["as_values", "picture_array"]

FILES = (str, bytes, bytearray, os.PathLike)


def picture_array(X: Any, y: Any = None, *, stage: str, n_jobs: int | None = None) -> np.ndarray:
    """Arrays or Images of one size as one array (n, h, w, channels): uint8 as it is, anything else float32 in [0, 1].

    Lazy Images are computed here, each picture once; labels of another number are refused before.
    """
    _refuse_what_is_no_batch(X, stage)
    if isinstance(X, np.ndarray) and X.dtype != object:
        return _values(_check_shape(X, stage), stage)
    if isinstance(X, Images) or getattr(X, "holds_images", False):
        check_one_label_each(y, len(X))
        pictures: Sequence = (X if isinstance(X, Images) else Images(X)).held(n_jobs)
    else:
        pictures = list(X)
    return _stack(pictures, stage)


def as_values(pictures: np.ndarray) -> np.ndarray:
    """Values in [0, 1], float32."""
    return pictures.astype(np.float32) / np.float32(255) if pictures.dtype == np.uint8 else pictures


def _refuse_what_is_no_batch(X: Any, stage: str) -> None:
    if isinstance(X, FILES) or hasattr(X, "getbands"):
        raise InputError(f"{stage} takes a batch of pictures; got one ({type(X).__name__}). Put it into a list: [picture].")
    if isinstance(X, (Bag, Bags)):
        raise InputError(f"{stage} takes pictures; got a {type(X).__name__}. Leave out the extractor before it.")
    if hasattr(X, "columns") or not hasattr(X, "__len__") or not hasattr(X, "__getitem__"):
        raise InputError(f"{stage} takes one array, a list of arrays or Images; got a {type(X).__name__}.")


def _check_shape(X: np.ndarray, stage: str) -> np.ndarray:
    if X.ndim == 2:
        raise InputError(
            f"{stage} takes pictures (n, height, width) or (n, height, width, 3); got an array of shape {X.shape}. One gray "
            "picture is given as [picture]; flattened pictures in rows need Unflatten((height, width)) before it."
        )
    if X.ndim == 3 and X.shape[2] in (3, 4):
        raise InputError(f"{stage} takes a batch of pictures; got an array of shape {X.shape}. One picture: write [picture].")
    if X.ndim not in (3, 4) or (X.ndim == 4 and X.shape[3] not in (1, 3)):
        raise InputError(
            f"{stage} takes pictures (n, height, width) or (n, height, width, 3); got an array of shape {X.shape}."
        )
    return X[..., None] if X.ndim == 3 else X


def _stack(pictures: Sequence, stage: str) -> np.ndarray:
    for position, picture in enumerate(pictures):
        _check_picture(picture, position, stage)
    sizes = sorted({picture.shape[:2] for picture in pictures})
    if len(sizes) > 1:
        raise InputError(
            f"{stage} takes pictures of one size; these have {len(sizes)}, such as {sizes[0]} and {sizes[1]}. "
            "Put Resize((height, width)) before it."
        )
    channels = max((_channels(picture) for picture in pictures), default=1)
    whole = all(picture.dtype == np.uint8 for picture in pictures)
    shape = (len(pictures), *(sizes[0] if sizes else (0, 0)), channels)
    out = np.empty(shape, np.uint8 if whole else np.float32)
    for row, picture in zip(out, pictures, strict=True):
        row[:] = (picture if whole else as_values(_values(picture, stage))).reshape(*sizes[0], -1)
    return out


def _check_picture(picture: Any, position: int, stage: str) -> None:
    if not isinstance(picture, np.ndarray):
        raise InputError(
            f"{stage} takes arrays; item {position} is a {type(picture).__name__}. Files and other pictures are read and "
            f"brought to one size before it: make_pipeline(Resize((32, 32)), {stage}())."
        )
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] not in (1, 3)):
        raise InputError(f"{stage} takes pictures (h, w) or (h, w, 3); item {position} has the shape {picture.shape}.")


def _channels(picture: np.ndarray) -> int:
    return int(picture.shape[2]) if picture.ndim == 3 else 1


def _values(X: np.ndarray, stage: str) -> np.ndarray:
    """uint8 as it is, other types as float32 in [0, 1]."""
    if X.dtype == np.uint8:
        return X
    if X.dtype == bool or X.dtype == np.uint16:
        return X.astype(np.float32) / np.float32(1 if X.dtype == bool else 65535)
    if X.dtype.kind != "f":
        raise UnsupportedImageError(
            f"{stage} takes uint8, uint16, bool and floats in [0, 1]; got {X.dtype}. "
            "X.astype(np.uint8) if its values are 0 to 255."
        )
    if X.size and not (X.min() >= 0 and X.max() <= 1):
        raise UnsupportedImageError(
            f"{stage} takes floats in [0, 1]; these lie between {X.min():.4g} and {X.max():.4g}. Divide by the largest "
            "possible value."
        )
    return X.astype(np.float32)
