"""compare: fit several models, or take them as they are, and judge them on the same images."""

from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from featrec.evaluation._comparison import Comparison, ModelResult, Pair
from featrec.evaluation._evaluate import check_confidence, count_dropped
from featrec.evaluation._labels import all_classes
from featrec.evaluation._measures import (
    balanced_accuracy,
    class_measures,
    confusion_counts,
    holm,
    mcnemar,
    wilson_interval,
)
from featrec.evaluation._plan import Plan, planned
from featrec.evaluation._preflight import check_kinds
from featrec.evaluation._run import Run, is_network, run_model
from featrec.evaluation._text import number, percent
from featrec.exceptions import UnknownLabelWarning

__all__ = ["compare"]


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
    """Judge several models on the same images: accuracy with intervals, paired tests, times and sizes.

    Everything that can be checked without a fit is checked before the first one: labels, folds, parameters, the file and the
    layer of a network, predictions from elsewhere.

    Parameters
    ----------
    models : dict of name to model
        An estimator is cloned and fitted; one in ``FrozenEstimator`` is used as it is. The predictions of any other program,
        for the test images or with `cv` for all of X, are an array of labels in the order of the images, or a dict of path
        to label, which is matched by path.
    X, y : images and their labels, as many
        To learn from.
    test : tuple of (X, y), optional
        Images to judge on.
    cv : int or splitter, optional
        Instead of `test`: every image is predicted by a model that was fitted without it. An int, from 2 to the size of the
        smallest class, makes stratified folds. Give exactly one of the two.
    groups : array-like of shape (n,), optional
        With `cv`: images of one group (one film, one person) stay in one fold.
    networks : collection of names, optional
        The models that count as networks. Default: those with a step that has the attribute ``network_kind``, such as
        CNNFeatures. In a class of your own, set ``network_kind = "features"`` for features of a trained network, or "pixels"
        for a network that is trained on pixels.
    confidence : float, default=0.95
        Of the intervals; a lead counts as beyond chance where p is at most 1 less this.
    verbose : int, default=0
        1 tells the progress on the standard error.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        Where not exactly one of `test` and `cv` is given, where labels or predictions do not fit the images, or a model's
        parameters are wrong.
    ImageError
        Where an image cannot be used, with its path, or its index in what was given.

    Warns
    -----
    UnknownLabelWarning
        Where predictions from elsewhere hold a label that no image has, or the test set one that nothing can be learned about.

    Notes
    -----
    Times are wall-clock, one model after another, each with the `n_jobs` that it has; a first image is predicted
    untimed, to load what is compiled. With folds the pooled interval and McNemar's test take the predictions as
    independent, though folds share most of what they learn from; so differences are a little less certain than p says.
    A frozen model that has learned from X is judged on what it has seen.

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
        _tell(verbose, f"{name} ({place} of {len(models)}) ...")
        runs[name] = Run(plan.given[name]) if name in plan.given else run_model(name, model, plan.parts)
        _tell(verbose, f"{name}: {percent((runs[name].y_pred == plan.y_true).mean())} %{_fit_time(runs[name])}")
    classes = all_classes([plan.known, *(run.y_pred for run in runs.values())])
    kinds = {name: _kind(name, models[name], networks) for name in models}
    results = [_result(name, run, kinds[name], plan, classes, confidence) for name, run in runs.items()]
    results.sort(key=lambda result: -result.accuracy)
    pairs, n = _pairs(results, plan.y_true), len(plan.y_true)
    found = tuple(results), pairs, n, plan.n_folds, classes, confidence, plan.y_true, plan.paths, plan.remarks
    return Comparison(*found, n_dropped=count_dropped(X, *(test or ())[:1]))


def _tell(verbose: int, text: str) -> None:
    if verbose:
        sys.stderr.write(text + "\n")


def _fit_time(run: Run) -> str:
    return "" if run.fit_seconds is None else f", fitted in {number(run.fit_seconds)} s"


def _kind(name: str, model: Any, networks: Collection[str] | None) -> str:
    if is_network(model) if networks is None else name in networks:
        return "network"
    return "engineered" if hasattr(model, "predict") else "predictions"


def _result(name: str, run: Run, kind: str, plan: Plan, classes: np.ndarray, confidence: float) -> ModelResult:
    right = run.y_pred == plan.y_true
    measures = class_measures(confusion_counts(plan.y_true, run.y_pred, classes))
    parts = plan.parts
    return ModelResult(
        name=name,
        kind=kind,
        accuracy=float(right.mean()),
        interval=wilson_interval(int(right.sum()), len(right), confidence),
        balanced_accuracy=balanced_accuracy(measures),
        fold_accuracies=tuple(float(right[part.judge.rows].mean()) for part in parts) if len(parts) > 1 else (),
        fit_seconds=run.fit_seconds,
        predict_seconds=run.predict_seconds,
        images_per_second=None if run.predict_seconds is None else len(right) / max(run.predict_seconds, 1e-9),
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
