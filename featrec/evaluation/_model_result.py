"""ModelResult and Pair: the rows of a comparison, and the tests between them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from featrec.evaluation._calibration import Calibration
from featrec.evaluation._cost import Cost

__all__ = ["ModelResult", "Pair"]


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
