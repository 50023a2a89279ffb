"""robustness: evaluate fitted models on corrupted images."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from featrec.evaluation._corrupt import check_corruption, check_severity, corrupted, corruption_names, seed_from
from featrec.evaluation._given import all_classes, as_labels
from featrec.evaluation._measures import wilson_interval
from featrec.evaluation._plan import check_kinds, naming
from featrec.evaluation._report import check_confidence
from featrec.evaluation._result import percent
from featrec.evaluation._robustness import CorruptedAccuracy, ModelRobustness, Robustness, mean_interval
from featrec.exceptions import InputError
from featrec.images import check_images
from featrec.lazy import Images
from featrec.shared_docs import with_shared_docs

__all__ = ["batches", "check_fitted", "check_fitted_models", "predicted_right", "report", "robustness"]

# Number of corrupted images in memory at a time. All models predict them, so each image is corrupted only once.
BATCH = 256


@with_shared_docs
def robustness(
    models: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    corruptions: Collection[str] | None = None,
    severities: Collection[int] = (1, 3, 5),
    random_state: Any = None,
    confidence: float = 0.95,
    verbose: int = 0,
) -> Robustness:
    """Measure how much accuracy fitted models lose on corrupted images. Nothing is fitted.

    Parameters
    ----------
    models : dict of name to fitted model
        Any objects with ``predict`` that take images.
    X, y : images and their labels
        Images that the models were not fitted on, of at least 28 × 28 pixels.
    corruptions : collection of str, optional
        Names from :func:`corruption_names`. Default: all 19.
    severities : collection of int, default=(1, 3, 5)
        From 1 (weakest) to 5.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the corruptions. All models see the same corrupted images.
    confidence : float, default=0.95
        Confidence level of the intervals.

    Returns
    -------
    Robustness

    Raises
    ------
    InputError
        If a model is not fitted, if labels do not match the images, or if a corruption or a severity does not exist.
    ImageError
        If an image cannot be read or is smaller than 28 × 28 pixels.

    See Also
    --------
    corrupt : The definition of each corruption.

    Notes
    -----
    Images are corrupted in batches of 256, which are held in memory. Each image is corrupted once for all models.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.evaluation import robustness
    >>> from featrec.recipes import hog_svm
    >>> train, test = load_dataset("shapes", n_train=40, n_test=20)
    >>> model = hog_svm().fit(train, train.labels)
    >>> result = robustness({"hog": model}, test, test.labels, corruptions=["fog", "rotation"], random_state=0)
    >>> result.n, len(result.cells)
    (20, 6)
    """
    check_confidence(confidence)
    kinds, levels = _conditions(corruptions, severities)
    images, y_true = check_fitted_models("robustness", models, X, y)
    seed = seed_from(random_state)
    conditions = [(kind, level) for kind in kinds for level in levels]
    right = {name: np.empty((1 + len(conditions), len(y_true)), bool) for name in models}
    for row, condition in enumerate([None, *conditions]):
        changed = images if condition is None else corrupted(images, *condition, seed)
        for rows in batches(len(images)):
            batch = changed[rows].compute()
            for name, model in models.items():
                right[name][row, rows] = predicted_right(name, model, batch, y_true[rows])
        title = "without corruption" if condition is None else "{} at severity {}".format(*condition)
        found = ", ".join(f"{name} {percent(right[name][row].mean())} %" for name in models)
        report(verbose, f"{title} ({row} of {len(conditions)}): {found}")
    return _result(right, kinds, levels, confidence, seed)


def _conditions(corruptions: Any, severities: Any) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Check the names and the severities, and return them without duplicates."""
    given = corruption_names() if corruptions is None else corruptions
    for what, values in (("corruptions", given), ("severities", severities)):
        if isinstance(values, str) or not isinstance(values, Collection) or not len(values):
            way_out = f"; use [{values!r}]" if isinstance(values, (str, int)) else ""
            raise InputError(f"{what} must be a collection with at least one item; got {values!r}{way_out}")
    for kind in given:
        check_corruption(kind)
    for severity in severities:
        check_severity(severity)
    return tuple(dict.fromkeys(given)), tuple(sorted({int(severity) for severity in severities}))


def check_fitted_models(caller: str, models: Any, X: Any, y: Any) -> tuple[Images, np.ndarray]:
    """Check models, images and labels. Return the images and the labels."""
    images = check_images(X)
    if not len(images):
        raise InputError(f"{caller} needs at least one image; got none")
    y_true = as_labels(y, len(images), what="y")
    check_fitted(caller, models, images[:1], y_true)
    return images, y_true


def check_fitted(caller: str, models: Any, first_image: Any, y_true: np.ndarray) -> None:
    """Check the models, and predict one image with each."""
    check_kinds(models, None)
    for name, model in models.items():
        if not hasattr(model, "predict"):
            raise InputError(
                f"models[{name!r}] is a {type(model).__name__} without predict; {caller} needs models that predict images"
            )
        with naming(f"while checking the model {name!r}, before any measurement"):
            try:
                predicted = model.predict(first_image)
            except NotFittedError as error:
                raise InputError(f"the model {name!r} is not fitted; {caller} does not fit models, so fit it first") from error
            all_classes([y_true, as_labels(predicted, 1, what=f"the prediction of the model {name!r}")])


def batches(n: int) -> Iterator[slice]:
    """Yield slices of up to 256 of `n` images."""
    return (slice(start, min(start + BATCH, n)) for start in range(0, n, BATCH))


def predicted_right(name: str, model: Any, images: Any, y_true: np.ndarray) -> np.ndarray:
    """Return, for each image, whether the model predicts its label."""
    with naming(f"while predicting with the model {name!r}"):
        predicted = model.predict(images)
    return as_labels(predicted, len(y_true), what=f"the prediction of the model {name!r}") == y_true


def report(verbose: int, text: str) -> None:
    """Write a line of progress."""
    if verbose:
        sys.stderr.write(text + "\n")


def _result(
    right: Mapping[str, np.ndarray], kinds: tuple[str, ...], levels: tuple[int, ...], confidence: float, seed: int
) -> Robustness:
    results = [_summary(name, rows, len(levels), confidence) for name, rows in right.items()]
    results.sort(key=lambda result: -result.mean_accuracy)
    n = next(iter(right.values())).shape[1]
    cells = []
    for result in results:
        counts = right[result.name][1:].sum(axis=1).reshape(len(kinds), len(levels))
        for kind, row in zip(kinds, counts.tolist(), strict=True):
            for level, count in zip(levels, row, strict=True):
                cells.append(CorruptedAccuracy(result.name, kind, level, count / n, wilson_interval(count, n, confidence)))
    return Robustness(tuple(results), tuple(cells), kinds, levels, n, confidence, seed)


def _summary(name: str, right: np.ndarray, n_levels: int, confidence: float) -> ModelRobustness:
    """Summarise the rows of one model; the first row is for the images without corruption."""
    clean, n = int(right[0].sum()), right.shape[1]
    levels = right[1:].reshape(-1, n_levels, n).mean(axis=0)
    mean = float(right[1:].mean())
    return ModelRobustness(
        name=name,
        accuracy=clean / n,
        interval=wilson_interval(clean, n, confidence),
        mean_accuracy=mean,
        mean_interval=_share_interval(right[1:].mean(axis=0), confidence),
        relative_drop=1 - mean * n / clean if clean else 0.0,
        severity_accuracies=tuple(levels.mean(axis=1).tolist()),
        severity_intervals=tuple(_share_interval(level, confidence) for level in levels),
        image_accuracies=right[1:].mean(axis=0),
    )


def _share_interval(shares: np.ndarray, confidence: float) -> tuple[float, float]:
    low, high = mean_interval(shares, confidence)
    return max(0.0, low), min(1.0, high)
