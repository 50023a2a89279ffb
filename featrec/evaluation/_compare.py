"""compare: fit several models and evaluate them on the same images."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from featrec.evaluation._comparison import Comparison
from featrec.evaluation._cost import EnergyMeter, loaded_runtimes, stamp
from featrec.evaluation._given import all_classes
from featrec.evaluation._measures import (
    Resampling,
    balanced_accuracy,
    class_measures,
    confusion_counts,
    holm,
    mcnemar,
    paired_interval,
    wilson_interval,
)
from featrec.evaluation._model_result import ModelResult, Pair, Requests, Run, is_network, run_model
from featrec.evaluation._plan import Plan, check_kinds, groups_of, planned
from featrec.evaluation._report import check_confidence, count_dropped
from featrec.evaluation._result import number, percent, report_progress
from featrec.evaluation._splits import Part, Rows, duplicates_in
from featrec.exceptions import UnknownLabelWarning
from featrec.shared_docs import with_shared_docs

__all__ = ["compare", "compare_runs"]


@with_shared_docs
def compare(
    models: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    test: tuple[Any, Any] | None = None,
    cv: Any = None,
    groups: Any = None,
    test_groups: Any = None,
    networks: Collection[str] | None = None,
    confidence: float = 0.95,
    calibration: bool = False,
    cost: bool = False,
    energy: bool = False,
    duplicates: bool = True,
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
        smallest class. A splitter that tests images several times, such as ``RepeatedStratifiedKFold`` or
        ``StratifiedShuffleSplit``, gives repeated splits. Give either `test` or `cv`, not both.
    groups : array-like of shape (n,), optional
        Group of each image, such as the film or the person, for use with `cv`. Images of one group stay in one fold.
    test_groups : array-like of shape (n_test,), optional
        Group of each image of the test set, such as its camera or photographer. The result contains the accuracy on each group;
        with `cv`, it contains the accuracy on each group of `groups`.
    networks : collection of names, optional
        Names of the models that count as networks. Default: models with a step that has the attribute ``network_kind``, such as
        CNNFeatures. In your own class, set ``network_kind = "features"`` if it computes features with a trained network, or
        ``network_kind = "pixels"`` if it trains a network on pixels.
    confidence : float, default=0.95
        Confidence level of the intervals; a lead is significant if its p value is at most 1 - confidence.
    calibration : bool, default=False
        Whether to measure how well probabilities are calibrated. Models with ``predict_proba`` then predict the test images a
        second time.
    cost : bool, default=False
        Whether to measure start, latency, throughput and memory of each model in a fresh process. This process loads the model
        file, then predicts up to 64 test images repeatedly for a few seconds. With `cv`, this is the model of the last split. A
        model that cannot be saved has no cost.
    energy : bool, default=False
        Whether to estimate the energy of the fits and predictions of each model. codecarbon computes the estimate from load and
        rated power. The estimates can rank models on one machine, but their absolute values may be far off. Needs
        ``featrec[energy]``.
    duplicates : bool, default=True
        Whether to count test images whose pixels are identical to those of a training image. This decodes each image once.

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
    Times are wall-clock times. Models run one after another, each with its own `n_jobs`. Before the measurement, the model
    predicts one image, so that compiled code is already loaded. With folds, the interval and McNemar's test treat the
    predictions as independent, although folds share most of their training images; differences are therefore slightly less
    certain than p suggests. With repeated splits, the accuracy is the mean over the splits, and intervals and tests use the
    corrected variance of Nadeau and Bengio, which accounts for shared training images. With `cv`, the accuracy of a frozen
    model that was fitted on `X` is too high, because it is evaluated on its own training images.

    References
    ----------
    McNemar, "Note on the sampling error of the difference between correlated proportions or percentages", 1947.
    Holm, "A simple sequentially rejective multiple test procedure", 1979.
    Nadeau and Bengio, "Inference for the generalization error", 2003.
    Bonett and Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on paired data", 2012.

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
    by_group = groups_of(plan, groups, test_groups)
    for remark in plan.remarks:
        warnings.warn(remark, UnknownLabelWarning, stacklevel=2)
    runs, options = {}, Requests(calibration=calibration, cost=cost, energy=EnergyMeter(energy))
    for place, (name, model) in enumerate(models.items(), start=1):
        report_progress(verbose, f"{name} ({place} of {len(models)}) ...")
        runs[name] = Run(plan.given[name]) if name in plan.given else run_model(name, model, plan, options)
        report_progress(verbose, f"{name}: {percent((runs[name].y_pred == plan.y_true).mean())} %{_fit_time(runs[name])}")
    return _compared(
        runs,
        {name: _kind(name, models[name], networks) for name in models},
        plan,
        confidence,
        n_dropped=count_dropped(X, *(test or ())[:1]),
        groups=by_group,
        duplicates=duplicates_in(plan.parts) if duplicates and len(plan.given) < len(models) else None,
        stamp=stamp(packages=loaded_runtimes()),
    )


def compare_runs(
    runs: Mapping[str, Run],
    kinds: Mapping[str, str],
    y_true: Sequence[np.ndarray],
    n_train: Sequence[int],
    *,
    rows: np.ndarray | None = None,
    confidence: float = 0.95,
    remarks: Sequence[str] = (),
    **facts: Any,
) -> Comparison:
    """Compare runs that were measured before, such as the stored runs of a benchmark.

    Parameters
    ----------
    runs : dict of name to Run
        The predictions of each run are those of all splits, in the order of the splits.
    kinds : dict of name to str
        The `kind` of each result.
    y_true : sequence of arrays
        True labels of the test images of each split. One split counts as a test set, several as repeated splits.
    n_train : sequence of int
        Number of training images of each split.
    rows : array, optional
        With several splits, the image that each prediction refers to. Default: each refers to another image.
    confidence, remarks, **facts
        As the attributes of Comparison.
    """
    labels = np.concatenate(y_true)
    everywhere = np.arange(len(labels))
    places = np.split(everywhere, np.cumsum([len(part) for part in y_true])[:-1])
    splits = zip(places, n_train, strict=True)
    parts = [Part(Rows(None, np.arange(n)), np.empty(0), Rows(None, place), place) for place, n in splits]
    n_folds, rows = (len(parts), everywhere if rows is None else rows) if len(parts) > 1 else (None, None)
    plan = Plan(parts, labels, n_folds, {}, np.unique(labels), None, tuple(remarks), {}, rows)
    return _compared(runs, kinds, plan, confidence, **facts)


def _compared(runs: Mapping[str, Run], kinds: Mapping[str, str], plan: Plan, confidence: float, **facts: Any) -> Comparison:
    """Compute the results and the tests between all pairs."""
    classes = all_classes([plan.known, *(run.y_pred for run in runs.values())])
    results = [_result(name, run, kinds[name], plan, classes, confidence) for name, run in runs.items()]
    results.sort(key=lambda result: -result.accuracy)
    pairs, n = _pairs(results, plan, confidence), len(plan.y_true)
    found = tuple(results), pairs, n, plan.n_folds, classes, confidence, plan.y_true, plan.paths, plan.remarks
    n_train = round(np.mean([len(part.train) for part in plan.parts]))
    return Comparison(*found, n_train=n_train, rows=plan.rows, **facts)


def _fit_time(run: Run) -> str:
    return "" if run.fit_seconds is None else f", fitted in {number(run.fit_seconds)} s"


def _kind(name: str, model: Any, networks: Collection[str] | None) -> str:
    if is_network(model) if networks is None else name in networks:
        return "network"
    return "engineered" if hasattr(model, "predict") else "predictions"


def _result(name: str, run: Run, kind: str, plan: Plan, classes: np.ndarray, confidence: float) -> ModelResult:
    correct = run.y_pred == plan.y_true
    measures = class_measures(confusion_counts(plan.y_true, run.y_pred, classes))
    shares = _split_accuracies(correct, plan)
    return ModelResult(
        name=name,
        kind=kind,
        accuracy=float(correct.mean() if plan.rows is None else shares.mean()),
        interval=_interval(correct, shares, plan, confidence),
        balanced_accuracy=balanced_accuracy(measures),
        fold_accuracies=tuple(shares.tolist()),
        images_per_second=None if run.predict_seconds is None else len(correct) / max(run.predict_seconds, 1e-9),
        **{**vars(run), "compile_seconds": run.compile_seconds + plan.compile_seconds.get(name, 0.0)},
    )


def _split_accuracies(correct: np.ndarray, plan: Plan) -> np.ndarray:
    """Return the accuracy of each split; empty with a test set."""
    return np.array([correct[part.places].mean() for part in plan.parts] if len(plan.parts) > 1 else [])


def _interval(correct: np.ndarray, shares: np.ndarray, plan: Plan, confidence: float) -> tuple[float, float]:
    if plan.rows is None:
        return wilson_interval(int(correct.sum()), len(correct), confidence)
    low, high = Resampling(plan.test_ratio).interval(shares, confidence)
    return max(0.0, low), min(1.0, high)


def _pairs(results: list[ModelResult], plan: Plan, confidence: float) -> tuple[Pair, ...]:
    """Test all pairs of models, and correct the p values for the number of pairs."""
    correct = [result.y_pred == plan.y_true for result in results]
    couples = list(itertools.combinations(range(len(results)), 2))
    found = [_test(correct[i], correct[j], plan, confidence) for i, j in couples]
    corrected = holm(np.array([test["p"] for test in found])).tolist()
    return tuple(
        Pair(results[i].name, results[j].name, p_holm=p, difference=results[i].accuracy - results[j].accuracy, **test)
        for (i, j), test, p in zip(couples, found, corrected, strict=True)
    )


def _test(first: np.ndarray, second: np.ndarray, plan: Plan, confidence: float) -> dict[str, Any]:
    """Return the counts, the p value and the interval of the difference, given which predictions of two models are correct."""
    counts = int((first & ~second).sum()), int((second & ~first).sum())
    only = dict(zip(("first_only", "second_only"), counts, strict=True))
    if plan.rows is None:
        return {**only, "p": mcnemar(*counts), "interval": paired_interval(*counts, len(first), confidence)}
    differences, resampling = _split_accuracies(first, plan) - _split_accuracies(second, plan), Resampling(plan.test_ratio)
    interval = resampling.interval(differences, confidence)
    return {**only, "p": resampling.p(differences), "interval": interval, "test": "corrected t"}
