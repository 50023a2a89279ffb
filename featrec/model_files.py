"""Limits and checks that classes declare for model files.

Before :mod:`featrec.persistence` creates any object, it reads the following attributes from the class of each stored object:

- ``_file_limits``: a dict of settings and their :class:`SizeLimit`;
- ``_check_stored_settings(stored)``: a static method that raises a ValueError if settings need too much memory;
- ``_check_stored_arrays(stored)``: a static method that raises a ValueError if learned arrays do not match each other.

When a model is saved, the method ``_stored_attributes()`` of an estimator returns a dict of attributes whose value in the file
differs, such as the name of a network instead of the network. It raises an InputError if the estimator cannot be saved.

`stored` is a :data:`Stored` mapping of attributes. A class whose arrays are passed to a compiled loop must declare
``_check_stored_arrays``, because compiled loops do not check their arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

__all__ = ["SizeLimit", "Stored", "check_mixture", "check_neighbors", "check_stored_array"]

# The attributes of a stored object as plain values: numbers, strings, arrays, lists and dicts.
Stored = Mapping[str, Any]


class SizeLimit(NamedTuple):
    """Maximum product of the numbers in a setting. A single number is raised to the power `sides`: ``size=8`` means 8×8."""

    most: int
    sides: int = 1


def check_stored_array(what: str, array: Any, shape: tuple[Any, ...], *dtypes: type) -> None:
    """Check that an array is finite and not empty, has one of the dtypes, and has the shape, in which None means any length."""
    kinds = [np.dtype(dtype) for dtype in dtypes]
    expected = f"finite {' or '.join(map(str, kinds))} of shape ({', '.join('n' if n is None else str(n) for n in shape)})"
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{what} of type {type(array).__name__}; expected {expected}")
    fits = array.ndim == len(shape) and all(wanted in (None, n) for n, wanted in zip(array.shape, shape, strict=True))
    if not fits or not array.size or array.dtype not in kinds or not np.isfinite(array).all():
        raise ValueError(f"{what} of shape {array.shape} and type {array.dtype}; expected {expected}")


def check_mixture(stored: Stored) -> None:
    """Check a diagonal mixture. Compiled loops need one weight and one row of variances for each mean."""
    if "means_" not in stored:
        return
    if stored.get("covariance_type", "diag") != "diag":
        return  # No compiled loop uses other types.
    means, variances, weights = stored["means_"], stored["covariances_"], stored["weights_"]
    check_stored_array("means", means, (None, stored["n_features_in_"]), np.float32, np.float64)
    check_stored_array("variances", variances, means.shape, np.float32, np.float64)
    check_stored_array("weights", weights, means.shape[:1], np.float32, np.float64)
    if not (variances > 0).all():
        raise ValueError(f"the smallest variance is {variances.min()}; all variances must be greater than 0")
    if not (weights >= 0).all() or not weights.any():
        raise ValueError("some weights are negative, or all are zero")


def check_neighbors(stored: Stored) -> None:
    """Check that `n_neighbors` is at least 1, which compiled loops assume."""
    found = stored.get("n_neighbors")
    if found is not None and (type(found) is not int or found < 1):
        raise ValueError(f"n_neighbors={found!r:.80}; expected an integer greater than 0")
