"""Check and convert labels that users give."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.exceptions import InputError

__all__ = ["as_labels"]


def as_labels(labels: Any, n: int, *, what: str) -> np.ndarray:
    """Convert to an array of `n` strings, integers or booleans. Floats that are whole numbers become integers."""
    if labels is None:
        raise InputError(f"{what} is None; each of the {n} images needs a label")
    found = _as_array(labels)
    if found.ndim != 1:
        raise InputError(f"{what} must have one label per image, shape ({n},); got shape {found.shape}")
    if len(found) != n:
        raise InputError(f"{what} has {len(found)} labels for {n} images; give one label per image, in the same order")
    if found.dtype.kind == "O":
        found = _from_objects(found, what)
    if found.dtype.kind == "f" and np.array_equal(found, np.rint(found)):
        found = found.astype(np.int64)
    if found.dtype.kind not in "USTiub":
        such = found[found != np.rint(found)] if found.dtype.kind == "f" else found
        raise InputError(
            f"{what} must be strings or integers, without missing values; got {found.dtype} such as {such[:1].tolist()}"
        )
    return found


def _as_array(labels: Any) -> np.ndarray:
    """Convert labels to an array. If types are mixed, numbers and nan stay numbers; numpy would convert them to strings."""
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
    raise InputError(f"{what} must be all strings or all integers, without missing values; got {', '.join(names)}")
