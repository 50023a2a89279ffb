"""Facts about a model: whether it is a network, and its features, parameters, seeds and size."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from featrec.exceptions import FeatrecError
from featrec.persistence import model_bytes

__all__ = ["is_network", "learns_from_pixels", "pretraining_of", "seeds_of", "size_of", "sum_of", "width_of"]

# Attributes that hold the fitted estimator of a wrapper, such as a search or a calibrated classifier.
INNER = ("best_estimator_", "estimator_", "model_", "estimator", "model")


def is_network(model: Any) -> bool:
    """Whether the model, or a step at any depth, has the attribute ``network_kind``."""
    return bool(_network_kinds(model) & {"features", "pixels"})


def learns_from_pixels(model: Any) -> bool:
    """Whether the model, or a step at any depth, has ``network_kind = "pixels"``, like networks that are trained on pixels."""
    return "pixels" in _network_kinds(model)


def _network_kinds(model: Any) -> set[str]:
    """Return the values of the attribute ``network_kind``. This module does not import the classes of networks."""
    steps = model.get_params(deep=True).values() if hasattr(model, "get_params") else ()
    kinds = (getattr(step, "network_kind", None) for step in (model, *steps))
    return {kind for kind in kinds if isinstance(kind, str)}


def width_of(model: Any, one_image: Any) -> int | None:
    """Return the number of features that the final classifier uses, or None if it is unknown."""
    if isinstance(model, FrozenEstimator):
        return width_of(model.estimator, one_image)
    if hasattr(model, "best_estimator_"):
        return width_of(model.best_estimator_, one_image)
    if not isinstance(model, Pipeline):
        return _columns(model)
    found = _columns(model[-1])
    if found is not None or len(model) < 2:
        return found
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            codes = model[:-1].transform(one_image)
    except Exception:  # an error here must not discard the finished comparison
        return None
    return int(codes.shape[1]) if len(getattr(codes, "shape", ())) == 2 else None


def _columns(model: Any) -> int | None:
    found = getattr(model, "n_features_in_", None)
    return None if found is None else int(found)


def size_of(model: Any) -> int | None:
    try:
        return model_bytes(model)
    except FeatrecError:
        return None


def sum_of(name: str, model: Any) -> int | None:
    """Return the sum of an attribute such as ``n_parameters_`` over all fitted steps; None if no step has it."""
    found = [getattr(step, name, None) for step in _fitted_steps(model, set())]
    values = [int(value) for value in found if value is not None]
    return sum(values) if values else None


def pretraining_of(model: Any) -> tuple[str, ...]:
    """Return the values of the attribute ``pretrained_on`` of all steps, such as ``"ImageNet-1k"``."""
    found = [getattr(step, "pretrained_on", None) for step in _fitted_steps(model, set())]
    return tuple(dict.fromkeys(value for value in found if isinstance(value, str) and value))


def seeds_of(model: Any) -> dict[str, str]:
    """Return the value of each parameter named ``random_state`` keyed by the name of its step ("" for the model itself)."""
    if not hasattr(model, "get_params"):
        return {}
    split = {name.rpartition("random_state"): value for name, value in model.get_params(deep=True).items()}
    return {step.removesuffix("__"): repr(value) for (step, found, rest), value in split.items() if found and not rest}


def _fitted_steps(model: Any, seen: set[int]) -> Iterator[Any]:
    """Yield a fitted model and its steps at any depth, each object once."""
    if id(model) in seen or not hasattr(model, "get_params"):
        return
    seen.add(id(model))
    yield model
    inner = [pair[1] for name in ("steps", "transformer_list", "transformers_") for pair in getattr(model, name, ())]
    wrapped = next((getattr(model, name) for name in INNER if hasattr(getattr(model, name, None), "get_params")), None)
    calibrated = [one.estimator for one in getattr(model, "calibrated_classifiers_", ())[:1]]
    for step in (*inner, *(calibrated or [wrapped])):
        yield from _fitted_steps(step, seen)
