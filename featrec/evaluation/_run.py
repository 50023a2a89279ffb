"""Run: the predictions and measurements of one model of a comparison."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from featrec.compilation import timed
from featrec.evaluation._calibration import Calibration, calibration_of, probabilities_of
from featrec.evaluation._cost import Cost, cost_of
from featrec.evaluation._energy import EnergyMeter
from featrec.evaluation._given import as_labels
from featrec.evaluation._plan import Plan, located, naming
from featrec.evaluation._report import timed_predictions
from featrec.evaluation._traits import pretraining_of, seeds_of, size_of, sum_of, width_of
from featrec.lazy import unreadable_rows

__all__ = ["Requests", "Run", "run_model"]


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
    facts = _facts(fitted, plan.parts[-1].test.first())
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


def _facts(fitted: Any, one_image: Any) -> dict[str, Any]:
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
