"""Take a decision back through the steps between an extractor and a classifier: scalers, norms and projections."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.feature_selection import SelectorMixin

from featrec.classifiers import WidePCA, WideScaler
from featrec.exceptions import InputError
from featrec.explanation._target import Pull

__all__ = ["back_through"]


def back_through(step: Any, before: np.ndarray, after: np.ndarray, pull: Pull) -> Pull:
    """Express a decision on the output of a step by the step's input. Factors of the whole row, such as norms, are constants.

    Parameters
    ----------
    step : transformer
        Fitted; from rows of numbers to rows of numbers.
    before, after : array of shape (n_in,), array of shape (n_out,)
        The row of one image before and after the step.
    pull : Pull
        The decision as a sum over the columns of `after`.

    Returns
    -------
    pull : Pull
        The decision as a sum over the columns of `before`.
    """
    if isinstance(step, SelectorMixin):
        return _selected(step.get_support(), pull)
    if isinstance(step, WideScaler):
        return _wide_scaler(step, before, pull)
    rule = _RULES.get(type(step).__name__) if type(step).__module__.startswith("sklearn.") else None
    if isinstance(step, WidePCA):
        rule = _projection
    if rule is None:
        raise InputError(
            f"{type(step).__name__} cannot be explained: featrec does not know how its output depends on its input. "
            f"Known steps are {', '.join(sorted(_RULES))}, WidePCA, WideScaler, and feature selection. Remove the step, or use "
            'explain(..., method="occlusion"), which explains any model.'
        )
    return rule(step, before, after, pull)


def _by_column(factors: np.ndarray | float, offsets: np.ndarray | float, pull: Pull) -> Pull:
    """Take a decision back through ``after = before * factors + offsets``."""
    return Pull(pull.weights * factors, pull.base + float(np.sum(pull.weights * offsets)), pull.constants)


def _selected(kept: np.ndarray, pull: Pull) -> Pull:
    weights = np.zeros(len(kept))
    weights[kept] = pull.weights
    if pull.constants is None:
        return Pull(weights, pull.base)
    constants = np.zeros(len(kept))
    constants[kept] = pull.constants
    return Pull(weights, pull.base, constants)


def _wide_scaler(step: WideScaler, before: np.ndarray, pull: Pull) -> Pull:
    before = np.asarray(before, np.float64)
    raised = np.sign(before) * np.abs(before) ** step.power
    factors = np.divide(1.0, step.scale_, out=np.zeros(len(before)), where=step.scale_ > 0)
    if step.unit_length:
        length = np.linalg.norm((raised - step.mean_) * factors)
        factors = factors / (length or 1.0)
    pull = _by_column(factors, -step.mean_ * factors, pull)
    ratio = np.divide(raised, before, out=np.zeros(len(before)), where=before != 0)
    return Pull(pull.weights * ratio, pull.base, pull.constants)


def _identity(step: Any, before: np.ndarray, after: np.ndarray, pull: Pull) -> Pull:
    return pull


def _function(step: Any, before: np.ndarray, after: np.ndarray, pull: Pull) -> Pull:
    if step.func is not None:
        name = getattr(step.func, "__name__", repr(step.func))
        raise InputError(
            f"FunctionTransformer({name}) cannot be explained, because a function says nothing about its columns. "
            'Use explain(..., method="occlusion").'
        )
    return pull


def _normalizer(step: Any, before: np.ndarray, after: np.ndarray, pull: Pull) -> Pull:
    before = np.asarray(before, np.float64)
    length = float(np.linalg.norm(before, {"l1": 1, "l2": 2, "max": np.inf}[step.norm]))
    return _by_column(1 / (length or 1.0), 0.0, pull)


def _standard_scaler(step: Any, before: np.ndarray, after: np.ndarray, pull: Pull) -> Pull:
    factors = 1 / step.scale_ if step.scale_ is not None else np.ones(len(before))
    return _by_column(factors, -step.mean_ * factors if step.with_mean else 0.0, pull)


def _robust_scaler(step: Any, before: np.ndarray, after: np.ndarray, pull: Pull) -> Pull:
    factors = 1 / step.scale_ if step.with_scaling else np.ones(len(before))
    return _by_column(factors, -step.center_ * factors if step.with_centering else 0.0, pull)


def _max_abs_scaler(step: Any, before: np.ndarray, after: np.ndarray, pull: Pull) -> Pull:
    return _by_column(1 / step.scale_, 0.0, pull)


def _min_max_scaler(step: Any, before: np.ndarray, after: np.ndarray, pull: Pull) -> Pull:
    if step.clip and not np.allclose(after, before * step.scale_ + step.min_):
        raise InputError(
            "MinMaxScaler(clip=True) clipped values of this image, so its columns do not add up. Use clip=False, or "
            'explain(..., method="occlusion").'
        )
    return _by_column(step.scale_, step.min_, pull)


def _projection(step: Any, before: np.ndarray, after: np.ndarray, pull: Pull) -> Pull:
    """Take a decision back through PCA, truncated SVD or WidePCA; the rows of `components_` are the directions."""
    weights, left = pull.on_weights(np.asarray(after, np.float64))
    if left:
        raise InputError(
            f"a classifier whose rules apply to columns, such as a forest, cannot be explained after {type(step).__name__}, "
            'which mixes the columns. Use explain(..., method="occlusion").'
        )
    offset = 0.0
    if isinstance(step, WidePCA):
        offset = -float(weights @ step.offsets_)
        weights = weights * step.scales_
    elif getattr(step, "whiten", False):
        scale = np.sqrt(step.explained_variance_)
        weights = weights / np.maximum(scale, np.finfo(scale.dtype).eps)
    on_input = weights @ step.components_.astype(np.float64)
    if getattr(step, "mean_", None) is not None and not isinstance(step, WidePCA):
        offset -= float(on_input @ step.mean_)
    return Pull(on_input, pull.base + offset)


_RULES = {
    "FunctionTransformer": _function,
    "IncrementalPCA": _projection,
    "MaxAbsScaler": _max_abs_scaler,
    "MinMaxScaler": _min_max_scaler,
    "Normalizer": _normalizer,
    "PCA": _projection,
    "RobustScaler": _robust_scaler,
    "StandardScaler": _standard_scaler,
    "TruncatedSVD": _projection,
}
