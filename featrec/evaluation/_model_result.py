"""ModelResult and Pair, the rows of a comparison; and the run of one model, with facts about the fitted model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from featrec.compilation import timed
from featrec.evaluation._cost import Cost, EnergyMeter, cost_of
from featrec.evaluation._measures import Calibration, calibration_of, probabilities_of
from featrec.evaluation._plan import Plan, located, naming
from featrec.evaluation._report import timed_predictions
from featrec.exceptions import FeatrecError
from featrec.labels import as_labels
from featrec.lazy import unreadable_rows
from featrec.persistence import model_bytes

__all__ = ["ModelResult", "Pair", "Requests", "Run", "facts_of", "is_network", "learns_from_pixels", "run_model"]

# Attributes that hold the fitted estimator of a wrapper, such as a search or a calibrated classifier.
INNER = ("best_estimator_", "estimator_", "model_", "estimator", "model")


@dataclass(frozen=True, eq=False)
class ModelResult:
    """One row of a comparison. Figures that are unknown are None.

    Attributes
    ----------
    name : str
    kind : {"engineered", "network", "predictions"}
        "predictions" means that another program predicted the labels.
    accuracy : float
    interval : tuple of (low, high)
        Wilson interval of the accuracy. With repeated splits, the corrected interval of Nadeau and Bengio.
    balanced_accuracy : float
    fold_accuracies : tuple of float
        Accuracy of each fold or split; empty with a test set.
    fit_seconds : float or None
        Time of one fit; with folds, the mean over the folds.
    predict_seconds : float or None
        Time for all images.
    images_per_second : float or None
    width : int or None
        Number of features that the final classifier uses.
    n_bytes : int or None
        Size of the model file.
    y_pred : array of shape (n,)
    n_unreadable : int
        Number of images that could not be read. With ``on_error="empty"``, the model guesses their labels.
    compile_seconds : float
        Time spent compiling, which happens once per machine. No other time includes it.
    estimator : str
        The model as code, with the parameters that differ from the defaults; "" for predictions of another program.
    seeds : dict of str to str
        Value of each parameter named ``random_state``, keyed by the name of its step ("" for the model itself). If the value is
        "None", fits of this step may differ.
    n_parameters, n_multiply_adds : int or None
        Sums of ``n_parameters_`` and ``n_multiply_adds_`` (for one image) over the steps that have these attributes, such as
        networks.
    pretrained_on : tuple of str
        Values of the attribute ``pretrained_on`` of the steps: the datasets on which they were pre-trained.
    calibration : Calibration or None
        Quality of the probabilities, if requested and if the model has ``predict_proba``.
    cost : Cost or None
        Start, latency, throughput and memory in a fresh process, if requested.
    kwh : float or None
        Estimated energy of all fits and predictions in kWh, if requested.
    cost_remark : str
        Reason why the cost could not be measured.
    """

    name: str
    kind: str
    accuracy: float
    interval: tuple[float, float]
    balanced_accuracy: float
    fold_accuracies: tuple[float, ...]
    fit_seconds: float | None
    predict_seconds: float | None
    images_per_second: float | None
    width: int | None
    n_bytes: int | None
    y_pred: np.ndarray
    n_unreadable: int = 0
    compile_seconds: float = 0.0
    estimator: str = ""
    seeds: dict[str, str] = field(default_factory=dict)
    n_parameters: int | None = None
    n_multiply_adds: int | None = None
    pretrained_on: tuple[str, ...] = ()
    calibration: Calibration | None = None
    cost: Cost | None = None
    cost_remark: str = ""
    kwh: float | None = None


@dataclass(frozen=True)
class Pair:
    """Comparison of two models on the same images: McNemar's exact test or, with repeated splits, a corrected t test.

    Attributes
    ----------
    first, second : str
        Names of the models.
    first_only, second_only : int
        Number of images that only the first, or only the second, model predicts correctly.
    p : float
        Two-sided p value.
    p_holm : float
        p value after Holm's correction for the number of pairs.
    difference : float
        Accuracy of the first model minus that of the second.
    interval : tuple of (low, high) or None
        Interval of the difference, not corrected for the number of pairs: adjusted Wald interval of Bonett and Price or, with
        repeated splits, the corrected interval of Nadeau and Bengio.
    test : {"mcnemar", "corrected t"}
    """

    first: str
    second: str
    first_only: int
    second_only: int
    p: float
    p_holm: float
    difference: float = 0.0
    interval: tuple[float, float] | None = None
    test: str = "mcnemar"


@dataclass(frozen=True, eq=False)
class Run:
    """Predictions and measurements of one model; see ModelResult."""

    y_pred: np.ndarray
    fit_seconds: float | None = None
    predict_seconds: float | None = None
    width: int | None = None
    n_bytes: int | None = None
    n_unreadable: int = 0
    compile_seconds: float = 0.0
    estimator: str = ""
    seeds: dict[str, str] = field(default_factory=dict)
    n_parameters: int | None = None
    n_multiply_adds: int | None = None
    pretrained_on: tuple[str, ...] = ()
    calibration: Calibration | None = None
    cost: Cost | None = None
    cost_remark: str = ""
    kwh: float | None = None


class Requests(NamedTuple):
    """What is measured on request."""

    calibration: bool
    cost: bool
    energy: EnergyMeter


def run_model(name: str, model: Any, plan: Plan, requests: Requests) -> Run:
    """Fit a model on each part, predict the test images, and measure what is requested."""
    with requests.energy.measuring() as used:
        run, fitted = _fits_and_predictions(name, model, plan, calibration=requests.calibration)
    measured, remark = cost_of(fitted, plan.parts[-1].test) if requests.cost else (None, "")
    facts = facts_of(fitted, plan.parts[-1].test.first())
    return replace(run, **facts, cost=measured, cost_remark=remark, kwh=used.kwh)


def _fits_and_predictions(name: str, model: Any, plan: Plan, *, calibration: bool) -> tuple[Run, Any]:
    """Return the predictions with their times, and the model that was fitted last."""
    fit_seconds, predict_seconds, compile_seconds, n_unreadable = [], 0.0, 0.0, 0
    y_pred: list[np.ndarray] = []
    probabilities: list[np.ndarray | None] = []
    for part in plan.parts:
        with naming(f"while fitting the model {name!r}"), located(part.train), timed() as fit:
            fitted = clone(model).fit(part.train.taken(), part.y_train)
        n = len(part.test)
        with naming(f"while predicting with the model {name!r}"), located(part.test), unreadable_rows(n) as unreadable:
            predicted, prediction = timed_predictions(fitted, part.test.taken())
        y_pred.append(as_labels(predicted, n, what=f"the prediction of the model {name!r}"))
        if calibration:
            with naming(f"while predicting probabilities with the model {name!r}"), located(part.test):
                probabilities.append(probabilities_of(fitted, part.test.taken(), plan.y_true[part.places]))
        fit_seconds.append(fit.seconds)
        predict_seconds += prediction.seconds
        compile_seconds += fit.compile_seconds + prediction.compile_seconds
        n_unreadable += len(unreadable)
    order = np.argsort(np.concatenate([part.places for part in plan.parts]))
    run = Run(
        y_pred=np.concatenate(y_pred)[order],
        fit_seconds=None if isinstance(model, FrozenEstimator) else float(np.mean(fit_seconds)),
        predict_seconds=predict_seconds,
        compile_seconds=compile_seconds,
        n_unreadable=n_unreadable,
        calibration=calibration_of(probabilities),
    )
    return run, fitted


def facts_of(fitted: Any, one_image: Any) -> dict[str, Any]:
    """Return facts about the fitted model."""
    return {
        "width": width_of(fitted, one_image),
        "n_bytes": size_of(fitted),
        "estimator": repr(fitted),
        "seeds": seeds_of(fitted),
        "n_parameters": sum_of("n_parameters_", fitted),
        "n_multiply_adds": sum_of("n_multiply_adds_", fitted),
        "pretrained_on": pretraining_of(fitted),
    }


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
