"""data_efficiency: fit models on few and on many images."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from featrec.compilation import timed
from featrec.evaluation._corrupt import seed_from
from featrec.evaluation._data_efficiency import DataEfficiency, SizeResult
from featrec.evaluation._given import all_classes, as_labels, count_items
from featrec.evaluation._plan import Part, Rows, check_kinds, check_model, located, naming
from featrec.evaluation._robust import report
from featrec.evaluation._text import percent
from featrec.exceptions import ImageError, InputError
from featrec.shared_docs import with_shared_docs

__all__ = ["data_efficiency"]


@with_shared_docs
def data_efficiency(
    models: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    test: tuple[Any, Any],
    n_per_class: Collection[int] = (5, 10, 20, 50, 100, 500),
    n_draws: int = 3,
    random_state: Any = None,
    verbose: int = 0,
) -> DataEfficiency:
    """Fit models on different numbers of images per class, and measure their accuracy on one test set.

    Parameters
    ----------
    models : dict of name to model
        Models to fit; each is cloned for every fit.
    X, y : images and their labels
        Images that the training sets are drawn from.
    test : tuple of (X, y)
        Test set, the same for all fits.
    n_per_class : collection of int, default=(5, 10, 20, 50, 100, 500)
        Numbers of images of each class. Numbers larger than the smallest class are left out; the result lists them.
    n_draws : int, default=3
        Number of random draws. In each draw, a larger training set contains the smaller ones.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the draws. All models are fitted on the same images. The models have their own `random_state`.

    Returns
    -------
    DataEfficiency

    Raises
    ------
    InputError
        If labels do not match the images, if a parameter is invalid, or if none of the sizes can be used.
    ImageError
        If an image cannot be used.

    Notes
    -----
    If a model cannot be fitted on a training set, for example because the images have fewer descriptors than visual words, this
    size is missing for the model, and the result contains the reason. The other fits continue.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.evaluation import data_efficiency
    >>> from featrec.recipes import tiny_knn
    >>> train, test = load_dataset("digits")
    >>> models = {"tiny": tiny_knn(size=(8, 8))}
    >>> result = data_efficiency(
    ...     models, train, train.labels, test=(test, test.labels), n_per_class=(2, 20, 5000), random_state=0
    ... )
    >>> result["tiny", 20].accuracy > result["tiny", 2].accuracy, result.left_out
    (True, (5000,))
    """
    labels, images, y_true = _checked_sets(X, y, test)
    sizes = _checked_sizes(n_per_class, n_draws)
    classes, counts = np.unique(labels, return_counts=True)
    used = tuple(size for size in sizes if size <= counts.min())
    smallest = classes[counts.argmin()].item(), int(counts.min())
    if not used:
        raise InputError(f"class {smallest[0]!r} has {smallest[1]} images, fewer than all sizes in n_per_class={sizes}")
    seed = seed_from(random_state)
    draws = [_drawn(labels, np.random.default_rng((seed, draw))) for draw in range(n_draws)]
    parts = {size: [_part(X, labels, rows, size, images) for rows in draws] for size in used}
    _check_models(models, parts[used[0]][0], y_true)
    results: list[SizeResult] = []
    failed: list[tuple[str, int, str]] = []
    for size in used:
        for name, model in models.items():
            found = _measured(name, model, size, parts[size], y_true)
            if isinstance(found, SizeResult):
                results.append(found)
                report(verbose, f"{size} images per class, {name}: {percent(found.accuracy)} %")
            else:
                failed.append((name, size, found))
                report(verbose, f"{size} images per class, {name}: not fitted, {found}")
    order = list(models)
    results.sort(key=lambda result: order.index(result.name))
    left_out = tuple(size for size in sizes if size not in used)
    n_test = len(y_true)
    return DataEfficiency(
        tuple(results), tuple(order), used, left_out, tuple(failed), n_draws, len(classes), n_test, smallest, seed
    )


def _checked_sets(X: Any, y: Any, test: Any) -> tuple[np.ndarray, Any, np.ndarray]:
    """Return the labels of the training images, the test images and their labels."""
    n = count_items(X)
    if n == 0:
        raise InputError("data_efficiency needs training images; got none")
    if not isinstance(test, (tuple, list)) or len(test) != 2:
        way_out = "; use test=(test, test.labels)" if hasattr(test, "labels") else ""
        raise InputError(f"test must be a pair (images, labels); got {type(test).__name__}{way_out}")
    labels = as_labels(y, n, what="y")
    n_test = count_items(test[0])
    if n_test == 0:
        raise InputError("the test set has no images")
    y_true = as_labels(test[1], n_test, what="the test set's y")
    all_classes([labels, y_true])
    if len(np.unique(labels)) < 2:
        raise InputError(f"y has one class, {labels[0].item()!r}; a classifier needs at least two")
    return labels, test[0], y_true


def _checked_sizes(n_per_class: Any, n_draws: Any) -> tuple[int, ...]:
    """Check both parameters, and return the sizes in increasing order."""
    if not isinstance(n_draws, Integral) or isinstance(n_draws, bool) or int(n_draws) < 1:
        raise InputError(f"n_draws must be an integer of at least 1; got {n_draws!r}")
    fine = isinstance(n_per_class, Collection) and not isinstance(n_per_class, str) and len(n_per_class)
    if not fine or not all(isinstance(n, Integral) and not isinstance(n, bool) and int(n) > 0 for n in n_per_class):
        way_out = f"; use ({n_per_class},)" if isinstance(n_per_class, Integral) else ""
        raise InputError(f"n_per_class must be a collection of positive integers; got {n_per_class!r}{way_out}")
    return tuple(sorted({int(n) for n in n_per_class}))


def _check_models(models: Any, part: Part, y_true: np.ndarray) -> None:
    """Check everything that can be checked without a fit."""
    check_kinds(models, None)
    for name, model in models.items():
        if isinstance(model, FrozenEstimator) or not hasattr(model, "predict"):
            raise InputError(
                f"models[{name!r}] is a {type(model).__name__}; data_efficiency fits models on different images, so give an "
                "estimator that it can clone and fit"
            )
        check_model(name, model, part, y_true)


def _drawn(labels: np.ndarray, random: np.random.Generator) -> dict[Any, np.ndarray]:
    """Shuffle the rows of each class."""
    return {label: random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels).tolist()}


def _part(X: Any, labels: np.ndarray, drawn: Mapping[Any, np.ndarray], size: int, test: Any) -> Part:
    """Return the first rows of each class in this draw, in the order of the images."""
    rows = np.sort(np.concatenate([shuffled[:size] for shuffled in drawn.values()]))
    places = np.arange(count_items(test))
    return Part(Rows(X, rows), labels[rows], Rows(test, places), places)


def _measured(name: str, model: Any, size: int, parts: list[Part], y_true: np.ndarray) -> SizeResult | str:
    """Fit and evaluate a clone on each draw. If a fit fails, return the reason."""
    accuracies, seconds = [], []
    for part in parts:
        try:
            with naming(f"while fitting the model {name!r}"), located(part.train), timed() as spent:
                fitted = clone(model).fit(part.train.taken(), part.y_train)
        except ImageError:
            raise
        except (ValueError, RuntimeError, ArithmeticError) as error:
            return " ".join(str(error).split())
        with naming(f"while predicting with the model {name!r}"), located(part.test):
            predicted = fitted.predict(part.test.taken())
        right = as_labels(predicted, len(y_true), what=f"the prediction of the model {name!r}") == y_true
        accuracies.append(float(right.mean()))
        seconds.append(spent.seconds)
    deviation = float(np.std(accuracies, ddof=1)) if len(parts) > 1 else None
    return SizeResult(name, size, float(np.mean(accuracies)), deviation, tuple(accuracies), float(np.mean(seconds)))
