"""data_efficiency: accuracies of models that are fitted on few and on many images."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from featrec.compilation import timed
from featrec.evaluation._corrupt import seed_from
from featrec.evaluation._given import all_classes, count_items, labelled_images
from featrec.evaluation._plan import Part, Rows, check_kinds, check_model, located, naming
from featrec.evaluation._result import Curve, Table, TableResult, draw_curves, frame, percent, report_progress
from featrec.exceptions import ImageError, InputError
from featrec.labels import as_labels
from featrec.shared_docs import with_shared_docs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["DataEfficiency", "SizeResult", "data_efficiency"]


@dataclass(frozen=True)
class SizeResult:
    """The accuracy of one model for one number of training images.

    Attributes
    ----------
    name : str
        Name of the model.
    n_per_class : int
        Number of training images of each class.
    accuracy : float
        Mean over the draws.
    deviation : float or None
        Standard deviation over the draws (with n - 1); None for a single draw.
    accuracies : tuple of float
        Accuracy of each draw.
    fit_seconds : float
        Mean time of one fit.
    """

    name: str
    n_per_class: int
    accuracy: float
    deviation: float | None
    accuracies: tuple[float, ...]
    fit_seconds: float


@dataclass(frozen=True, eq=False, repr=False)
class DataEfficiency(TableResult):
    """Result of :func:`data_efficiency`. Accuracies are between 0 and 1.

    Attributes
    ----------
    results : tuple of SizeResult
        One for each model and number of images that could be fitted, in the order of the models.
    names : tuple of str
        Names of the models.
    n_per_class : tuple of int
        The numbers of images that were used.
    left_out : tuple of int
        The numbers of images that were not used, because at least one class has fewer.
    failed : tuple of (name, n_per_class, reason)
        Fits that raised an error.
    n_draws : int
    n_classes : int
    n_test : int
    smallest_class : tuple of (label, n)
        The class with the fewest training images.
    seed : int
        Seed of the draws.
    """

    results: tuple[SizeResult, ...]
    names: tuple[str, ...]
    n_per_class: tuple[int, ...]
    left_out: tuple[int, ...]
    failed: tuple[tuple[str, int, str], ...]
    n_draws: int
    n_classes: int
    n_test: int
    smallest_class: tuple[Any, int]
    seed: int

    def __getitem__(self, key: tuple[str, int]) -> SizeResult:
        """Return the result of a model for a number of images: ``result["hog", 20]``."""
        for result in self.results:
            if (result.name, result.n_per_class) == key:
                return result
        raise KeyError(f"there is no result {key!r}; the models are {', '.join(self.names)}, the sizes {self.n_per_class}")

    def to_frame(self) -> DataFrame:
        """Return a DataFrame with one row per model, number of images and draw. Needs pandas."""
        rows = [(each, draw, share) for each in self.results for draw, share in enumerate(each.accuracies)]
        columns = {
            "model": [each.name for each, _, _ in rows],
            "n_per_class": [each.n_per_class for each, _, _ in rows],
            "draw": [draw for _, draw, _ in rows],
            "accuracy": [share for _, _, share in rows],
        }
        return frame(columns)

    def summary_to_frame(self) -> DataFrame:
        """Return a DataFrame with one row per model and number of images. Needs pandas."""
        names = ("n_per_class", "accuracy", "deviation", "fit_seconds")
        columns = {"model": [result.name for result in self.results]}
        return frame(columns | {name: [getattr(result, name) for result in self.results] for name in names})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the mean accuracy against the number of images; bands show the standard deviation. Needs matplotlib."""
        from featrec.plotting import INK, axes_for

        ax = axes_for(ax, 6.0, 4.2)
        curves = {}
        for name in self.names:
            found = [result for result in self.results if result.name == name]
            means, deviations = [each.accuracy for each in found], [each.deviation or 0.0 for each in found]
            low, high = ([mean + sign * spread for mean, spread in zip(means, deviations, strict=True)] for sign in (-1, 1))
            curves[name] = Curve([each.n_per_class for each in found], means, low, high)
        ax.set_xscale("log")
        draw_curves(ax, curves)
        ax.set_xticks(self.n_per_class, [f"{n:,}" for n in self.n_per_class])
        ax.minorticks_off()
        ax.set_xlabel("training images per class", color=INK)
        spread = f", mean ± deviation of {self.n_draws} draws" if self.n_draws > 1 else ""
        ax.set_ylabel(f"accuracy in %{spread}", color=INK)
        return ax

    def _heading(self) -> str:
        return "Accuracy by number of training images"

    def _table(self) -> Table:
        found = {(result.name, result.n_per_class): result for result in self.results}
        rows = [[name, *(_cell(found.get((name, n))) for n in self.n_per_class)] for name in self.names]
        return Table(["images per class", *(f"{n:,}" for n in self.n_per_class)], rows)

    def _sentences(self) -> list[str]:
        draws = f"mean ± standard deviation of {self.n_draws} draws" if self.n_draws > 1 else "one draw"
        basis = (
            f"Accuracy in %, {draws}; {self.n_test:,} test images, {self.n_classes} classes. "
            "In each draw, a larger training set contains the smaller ones."
        )
        return [basis, *self._missing(), *self._leaders()]

    def _missing(self) -> Iterator[str]:
        if self.left_out:
            label, n = self.smallest_class
            sizes = ", ".join(f"{size:,}" for size in self.left_out)
            yield f"Left out: {sizes} images per class, because class {label!r} has {n:,} images."
        for name, size, reason in self.failed:
            yield f"{name} could not be fitted on {size:,} images per class: {reason}"

    def _leaders(self) -> Iterator[str]:
        """Yield a sentence for each model that is the most accurate in all draws, with the numbers of images."""
        leaders: dict[str, list[str]] = {}
        for size in self.n_per_class:
            found = [result for result in self.results if result.n_per_class == size]
            ahead = [one.name for one in found if all(_always_above(one, other) for other in found if other is not one)]
            if ahead and len(found) > 1:
                leaders.setdefault(ahead[0], []).append(f"{size:,}")
        draws = " in every draw" if self.n_draws > 1 else ""
        for name, sizes in leaders.items():
            yield f"{name} is the most accurate{draws} with {', '.join(sizes)} images per class."


def _always_above(one: SizeResult, other: SizeResult) -> bool:
    """Whether one model is more accurate than the other in every draw; both are fitted on the same images."""
    return all(a > b for a, b in zip(one.accuracies, other.accuracies, strict=True))


def _cell(result: SizeResult | None) -> str:
    if result is None:
        return "–"
    spread = "" if result.deviation is None else f" ± {percent(result.deviation)}"
    return percent(result.accuracy) + spread


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
                report_progress(verbose, f"{size} images per class, {name}: {percent(found.accuracy)} %")
            else:
                failed.append((name, size, found))
                report_progress(verbose, f"{size} images per class, {name}: not fitted, {found}")
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
    labels = as_labels(y, n, what="y")
    images, y_true = labelled_images(test, "test", "the test set")
    all_classes([labels, y_true])
    if len(np.unique(labels)) < 2:
        raise InputError(f"y has one class, {labels[0].item()!r}; a classifier needs at least two")
    return labels, images, y_true


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
