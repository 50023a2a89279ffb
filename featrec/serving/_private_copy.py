"""A copy of a model for one thread: its estimators are new objects, its arrays are shared."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

__all__ = ["private_copy"]

# Set in the copy: an unusable image must be an error, not a row of zeros; images of users must not reach a cache on disk; and a
# server prints no progress.
SET = {"on_error": "raise", "cache": None, "verbose": 0}
LISTS = (list, tuple)


def private_copy(model: Any) -> Any:
    """Copy the estimators of a model, but not their arrays.

    Some estimators store facts about the last batch (`failures_`). With one copy per thread, they do so on objects that no
    other thread sees.
    """
    return _copied(model, {})


def _copied(value: Any, seen: dict[int, Any]) -> Any:
    if id(value) in seen:
        return seen[id(value)]
    if _is_model(value):
        twin = seen[id(value)] = object.__new__(type(value))
        state = {name: _copied(each, seen) for name, each in vars(value).items()}
        vars(twin).update(state | {name: new for name, new in SET.items() if name in state})
        return twin
    if type(value) in LISTS and any(_holds_model(each) for each in value):
        return type(value)(_copied(each, seen) for each in value)
    if type(value) is dict and any(_holds_model(each) for each in value.values()):
        return {key: _copied(each, seen) for key, each in value.items()}
    return value


def _is_model(value: Any) -> bool:
    """Return whether this is an estimator, or an object such as those that scikit-learn's calibration keeps."""
    if isinstance(value, type) or not hasattr(value, "__dict__"):
        return False
    return isinstance(value, BaseEstimator) or hasattr(type(value), "predict_proba")


def _holds_model(value: Any) -> bool:
    return _is_model(value) or (type(value) in LISTS and any(map(_holds_model, value)))
