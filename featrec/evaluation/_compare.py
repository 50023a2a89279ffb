"""compare: fit several models and evaluate them on the same images."""

from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from featrec.compilation import timed
from featrec.evaluation._comparison import Comparison, ModelResult, Pair
from featrec.evaluation._given import all_classes, as_labels
from featrec.evaluation._measures import (
    balanced_accuracy,
    class_measures,
    confusion_counts,
    holm,
    mcnemar,
    wilson_interval,
)
from featrec.evaluation._plan import Part, Plan, check_kinds, located, naming, planned
from featrec.evaluation._report import check_confidence, count_dropped, timed_predictions
from featrec.evaluation._text import number, percent
from featrec.exceptions import FeatrecError, UnknownLabelWarning
from featrec.lazy import unreadable_rows
from featrec.persistence import model_bytes
from featrec.shared_docs import with_shared_docs

__all__ = ["compare", "is_network", "learns_from_pixels"]


@with_shared_docs
def compare(
    models: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    test: tuple[Any, Any] | None = None,
    cv: Any = None,
    groups: Any = None,
    networks: Collection[str] | None = None,
    confidence: float = 0.95,
    verbose: int = 0,
) -> Comparison:
    """Fit and evaluate several models on the same images: accuracy with intervals, paired tests, times and sizes.

    Before the first fit, everything that can be checked without a fit is checked: labels, folds, parameters, the file and layer
    of a network, and predictions of other programs.

    Parameters
    ----------
    models : dict of name to model
        Models to compare. An estimator is cloned and fitted, unless it is inside ``FrozenEstimator`` and already fitted.
        Predictions of another program can be given instead of a model: an array of labels in the order of the test images (with
        `cv`, of all images), or a dict of path to label.
    X, y : images and their labels
        Training set.
    test : tuple of (X, y), optional
        Test set.
    cv : int or splitter, optional
        Number of stratified folds, or a splitter, for cross-validation. The number is at least 2 and at most the size of the
        smallest class. Give either `test` or `cv`, not both.
    groups : array-like of shape (n,), optional
        Group of each image, such as the film or the person; only used with `cv`. Images of one group stay in one fold.
    networks : collection of names, optional
        Names of the models that count as networks. Default: models with a step that has the attribute ``network_kind``, such as
        CNNFeatures. In your own class, set ``network_kind = "features"`` if it computes features with a trained network, or
        ``network_kind = "pixels"`` if it trains a network on pixels.
    confidence : float, default=0.95
        Confidence level of the intervals; a lead is significant if its p value is at most 1 - confidence.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        If both or neither of `test` and `cv` are given, if labels or predictions do not match the images, or if a parameter of
        a model is invalid.
    ImageError
        If an image cannot be used; the error names its path, or its index in `X` or the test set.

    Warns
    -----
    UnknownLabelWarning
        If predictions of another program contain a label that no image has, or if the test set contains a label that no
        training image has.

    Notes
    -----
    Times are wall-clock times. Models run one after another, each with its own `n_jobs`. Before the measurement, one image is
    predicted to load compiled code. With folds, the interval and McNemar's test treat the predictions as independent, although
    folds share most of their training images; p values are therefore slightly too small. With `cv`, the
    accuracy of a frozen model that was fitted on `X` is too high, because it is evaluated on its own training images.

    References
    ----------
    McNemar, "Note on the sampling error of the difference between correlated proportions or percentages", 1947.
    Holm, "A simple sequentially rejective multiple test procedure", 1979.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> models = {"neighbours": KNeighborsClassifier(), "bayes": GaussianNB()}
    >>> result = compare(models, X[:900], y[:900], test=(X[900:], y[900:]))
    >>> [row.name for row in result.results], result.pairs[0].p < 0.001
    (['neighbours', 'bayes'], True)
    """
    check_confidence(confidence)
    check_kinds(models, networks)
    plan = planned(models, X, y, test, cv, groups)
    for remark in plan.remarks:
        warnings.warn(remark, UnknownLabelWarning, stacklevel=2)
    runs = {}
    for place, (name, model) in enumerate(models.items(), start=1):
        _report_progress(verbose, f"{name} ({place} of {len(models)}) ...")
        runs[name] = Run(plan.given[name]) if name in plan.given else run_model(name, model, plan.parts)
        _report_progress(verbose, f"{name}: {percent((runs[name].y_pred == plan.y_true).mean())} %{_fit_time(runs[name])}")
    classes = all_classes([plan.known, *(run.y_pred for run in runs.values())])
    kinds = {name: _kind(name, models[name], networks) for name in models}
    results = [_result(name, run, kinds[name], plan, classes, confidence) for name, run in runs.items()]
    results.sort(key=lambda result: -result.accuracy)
    pairs, n = _pairs(results, plan.y_true), len(plan.y_true)
    found = tuple(results), pairs, n, plan.n_folds, classes, confidence, plan.y_true, plan.paths, plan.remarks
    return Comparison(*found, n_dropped=count_dropped(X, *(test or ())[:1]))


def _report_progress(verbose: int, text: str) -> None:
    if verbose:
        sys.stderr.write(text + "\n")


def _fit_time(run: Run) -> str:
    return "" if run.fit_seconds is None else f", fitted in {number(run.fit_seconds)} s"


def _kind(name: str, model: Any, networks: Collection[str] | None) -> str:
    if is_network(model) if networks is None else name in networks:
        return "network"
    return "engineered" if hasattr(model, "predict") else "predictions"


def _result(name: str, run: Run, kind: str, plan: Plan, classes: np.ndarray, confidence: float) -> ModelResult:
    correct = run.y_pred == plan.y_true
    measures = class_measures(confusion_counts(plan.y_true, run.y_pred, classes))
    parts = plan.parts
    return ModelResult(
        name=name,
        kind=kind,
        accuracy=float(correct.mean()),
        interval=wilson_interval(int(correct.sum()), len(correct), confidence),
        balanced_accuracy=balanced_accuracy(measures),
        fold_accuracies=tuple(float(correct[part.test.rows].mean()) for part in parts) if len(parts) > 1 else (),
        fit_seconds=run.fit_seconds,
        predict_seconds=run.predict_seconds,
        images_per_second=None if run.predict_seconds is None else len(correct) / max(run.predict_seconds, 1e-9),
        width=run.width,
        n_bytes=run.n_bytes,
        compile_seconds=run.compile_seconds + plan.compile_seconds.get(name, 0.0),
        y_pred=run.y_pred,
        n_unreadable=run.n_unreadable,
    )


def _pairs(results: list[ModelResult], y_true: np.ndarray) -> tuple[Pair, ...]:
    right = {result.name: result.y_pred == y_true for result in results}
    found = []
    for first, second in itertools.combinations(right, 2):
        only_first, only_second = (int((right[a] & ~right[b]).sum()) for a, b in ((first, second), (second, first)))
        found.append((first, second, only_first, only_second, mcnemar(only_first, only_second)))
    corrected = holm(np.array([pair[-1] for pair in found]))
    return tuple(Pair(*pair, float(p_holm)) for pair, p_holm in zip(found, corrected, strict=True))


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


def run_model(name: str, model: Any, parts: list[Part]) -> Run:
    """Fit a model on each part and predict the test images."""
    fit_seconds, predict_seconds, compile_seconds, n_unreadable = [], 0.0, 0.0, 0
    predictions: list[np.ndarray] = []
    for part in parts:
        with naming(f"while fitting the model {name!r}"), located(part.train), timed() as fit:
            fitted = clone(model).fit(part.train.taken(), part.y_train)
        n = len(part.test)
        with naming(f"while predicting with the model {name!r}"), located(part.test), unreadable_rows(n) as unreadable:
            predicted, prediction = timed_predictions(fitted, part.test.taken())
        predictions.append(as_labels(predicted, n, what=f"the prediction of the model {name!r}"))
        fit_seconds.append(fit.seconds)
        predict_seconds += prediction.seconds
        compile_seconds += fit.compile_seconds + prediction.compile_seconds
        n_unreadable += len(unreadable)
    y_pred = np.concatenate(predictions)[np.argsort(np.concatenate([part.test.rows for part in parts]))]
    mean_fit = None if isinstance(model, FrozenEstimator) else float(np.mean(fit_seconds))
    width = _width(fitted, parts[-1].test.first())
    return Run(y_pred, mean_fit, predict_seconds, width, _size(fitted), n_unreadable, compile_seconds)


def is_network(model: Any) -> bool:
    """Return whether the model, or a step at any depth, has the attribute ``network_kind``."""
    return bool(_network_kinds(model) & {"features", "pixels"})


def learns_from_pixels(model: Any) -> bool:
    """Return whether the model, or a step at any depth, is a network trained on pixels (``network_kind = "pixels"``)."""
    return "pixels" in _network_kinds(model)


def _network_kinds(model: Any) -> set[str]:
    """Return the values of the attribute ``network_kind``. The classes of networks are not imported here."""
    steps = model.get_params(deep=True).values() if hasattr(model, "get_params") else ()
    kinds = (getattr(step, "network_kind", None) for step in (model, *steps))
    return {kind for kind in kinds if isinstance(kind, str)}


def _width(model: Any, one_image: Any) -> int | None:
    """Return the number of features that the final classifier uses, or None if it is unknown."""
    if isinstance(model, FrozenEstimator):
        return _width(model.estimator, one_image)
    if hasattr(model, "best_estimator_"):
        return _width(model.best_estimator_, one_image)
    if not isinstance(model, Pipeline):
        return _columns(model)
    found = _columns(model[-1])
    if found is not None or len(model) < 2:
        return found
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            codes = model[:-1].transform(one_image)
    except Exception:  # an error at this point must not discard the finished comparison
        return None
    return int(codes.shape[1]) if len(getattr(codes, "shape", ())) == 2 else None


def _columns(model: Any) -> int | None:
    found = getattr(model, "n_features_in_", None)
    return None if found is None else int(found)


def _size(model: Any) -> int | None:
    try:
        return model_bytes(model)
    except FeatrecError:
        return None
