"""robustness: accuracies of fitted models on corrupted images."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.evaluation._corrupt import checked_conditions, corrupted, seed_from
from featrec.evaluation._measures import mean_interval, share_interval, wilson_interval
from featrec.evaluation._plan import batches, check_fitted_models, predicted_right
from featrec.evaluation._report import check_confidence
from featrec.evaluation._result import (
    Curve,
    ModelResults,
    Table,
    draw_curves,
    frame,
    legend_above,
    percent,
    percent_range,
    report_progress,
    settle_shares,
    styles,
)
from featrec.shared_docs import with_shared_docs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["CorruptedAccuracy", "ModelRobustness", "Robustness", "robustness"]


@dataclass(frozen=True)
class CorruptedAccuracy:
    """The accuracy of one model under one corruption.

    Attributes
    ----------
    name : str
        Name of the model.
    corruption : str
    severity : int
    accuracy : float
    interval : tuple of (low, high)
        Wilson interval.
    """

    name: str
    corruption: str
    severity: int
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True, eq=False)
class ModelRobustness:
    """Summary of one model.

    Attributes
    ----------
    name : str
    accuracy : float
        Accuracy on the images without corruption.
    interval : tuple of (low, high)
        Wilson interval.
    mean_accuracy : float
        Mean over all corruptions and severities.
    mean_interval : tuple of (low, high)
        Interval of the mean. It treats different images as independent, but not different corruptions of the same image.
    relative_drop : float
        Share of the accuracy that is lost: ``1 - mean_accuracy / accuracy``.
    severity_accuracies : tuple of float
        Mean over all corruptions for each severity.
    severity_intervals : tuple of (low, high)
    image_accuracies : array of shape (n,)
        For each image, the share of corruptions and severities under which the model is right.
    """

    name: str
    accuracy: float
    interval: tuple[float, float]
    mean_accuracy: float
    mean_interval: tuple[float, float]
    relative_drop: float
    severity_accuracies: tuple[float, ...]
    severity_intervals: tuple[tuple[float, float], ...]
    image_accuracies: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class Robustness(ModelResults[ModelRobustness]):
    """Result of :func:`robustness`. Proportions are between 0 and 1.

    Attributes
    ----------
    results : tuple of ModelRobustness
        Highest mean accuracy under corruption first.
    cells : tuple of CorruptedAccuracy
        One for each model, corruption and severity.
    corruptions : tuple of str
    severities : tuple of int
    n : int
        Number of images.
    confidence : float
        Confidence level of the intervals.
    seed : int
        Seed of the corruptions' random numbers.
    """

    results: tuple[ModelRobustness, ...]
    cells: tuple[CorruptedAccuracy, ...]
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    n: int
    confidence: float
    seed: int

    def accuracy(self, name: str, corruption: str, severity: int | None = None) -> float:
        """Return the accuracy of a model under a corruption.

        Parameters
        ----------
        name : str
        corruption : str
        severity : int, optional
            Default: the mean over all measured severities.

        Returns
        -------
        accuracy : float
        """
        found = [
            cell.accuracy
            for cell in self.cells
            if (cell.name, cell.corruption) == (name, corruption) and severity in (None, cell.severity)
        ]
        if not found:
            raise KeyError(
                f"{name!r} was not measured under {corruption!r} at severity {severity}; the models are "
                f"{', '.join(self._names())}, the corruptions {', '.join(self.corruptions)}, "
                f"the severities {', '.join(map(str, self.severities))}"
            )
        return float(np.mean(found))

    def difference(self, first: str, second: str) -> tuple[float, float, float]:
        """Compare the mean accuracies of two models under corruption.

        Parameters
        ----------
        first, second : str
            Names of the models.

        Returns
        -------
        difference, low, high : float
            The difference, first minus second, and its interval for paired images.
        """
        gains = self[first].image_accuracies - self[second].image_accuracies
        return float(gains.mean()), *mean_interval(gains, self.confidence)

    def to_frame(self) -> DataFrame:
        """Return a DataFrame with one row per model, corruption and severity. Needs pandas.

        Images without corruption have the corruption "none" and severity 0.
        """
        clean = [CorruptedAccuracy(each.name, "none", 0, each.accuracy, each.interval) for each in self.results]
        rows = [*clean, *self.cells]
        columns: dict[str, Any] = {
            "model": [row.name for row in rows],
            **{name: [getattr(row, name) for row in rows] for name in ("corruption", "severity", "accuracy")},
        }
        columns["low"], columns["high"] = zip(*(row.interval for row in rows), strict=True)
        return frame(columns)

    def summary_to_frame(self) -> DataFrame:
        """Return a DataFrame with one row per model, the highest mean accuracy first. Needs pandas."""
        names = ("accuracy", "mean_accuracy", "relative_drop")
        columns: dict[str, Any] = {name: [getattr(result, name) for result in self.results] for name in names}
        columns["low"], columns["high"] = zip(*(result.interval for result in self.results), strict=True)
        columns["mean_low"], columns["mean_high"] = zip(*(result.mean_interval for result in self.results), strict=True)
        return frame(columns, index=self._names())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the mean accuracy over all corruptions against the severity, with intervals. Needs matplotlib."""
        from featrec.plotting import INK, axes_for

        ax = axes_for(ax, 6.0, 4.2)
        places = [0, *self.severities]
        curves = {}
        for result in self.results:
            low, high = zip(result.interval, *result.severity_intervals, strict=True)
            curves[result.name] = Curve(places, (result.accuracy, *result.severity_accuracies), low, high)
        draw_curves(ax, curves)
        ax.set_xticks(places, ["none", *map(str, self.severities)])
        kinds = "1 corruption" if len(self.corruptions) == 1 else f"{len(self.corruptions)} corruptions"
        ax.set_xlabel(f"severity; mean over {kinds}", color=INK)
        ax.set_ylabel(f"accuracy in %, with {100 * self.confidence:g} % interval", color=INK)
        return ax

    def plot_corruptions(self, ax: Axes | None = None) -> Axes:
        """Draw the accuracy under each corruption, the least harmful on top. Needs matplotlib."""
        from featrec.plotting import INK, axes_for

        means = {kind: [self.accuracy(each.name, kind) for each in self.results] for kind in self.corruptions}
        order = sorted(means, key=lambda kind: -np.mean(means[kind]))
        ax = axes_for(ax, 6.5, 1.6 + 0.26 * len(order))
        looks = styles(result.name for result in self.results)
        for number, result in enumerate(self.results):
            style = looks[result.name]
            ax.axvline(100 * result.accuracy, color=style["color"], linewidth=1, linestyle=(0, (4, 3)))
            shares = [100 * means[kind][number] for kind in order]
            ax.plot(shares, order, **style, linestyle="none", markersize=6, label=result.name)
        ax.set_ylim(len(order) - 0.4, -0.6)
        settle_shares(ax, "x")
        ax.grid(axis="y", color="#f0f2f4", linewidth=0.8)
        ax.set_xlabel(f"accuracy in %, mean over {self._severities()}; dashed: without corruption", color=INK)
        legend_above(ax)
        return ax

    def _heading(self) -> str:
        return "Accuracy on corrupted images"

    def _table(self) -> Table:
        names = self._names()
        rows = [["none", *(percent(result.accuracy) for result in self.results)]]
        rows += [[kind, *(percent(self.accuracy(name, kind)) for name in names)] for kind in self.corruptions]
        rows.append(["mean under corruption", *(percent(result.mean_accuracy) for result in self.results)])
        rows.append(["relative drop", *(percent(result.relative_drop) for result in self.results)])
        return Table(["corruption", *names], rows)

    def _sentences(self) -> list[str]:
        basis = (
            f"{self.n:,} images; accuracies in %, mean over {self._severities()}. "
            f"Brackets contain {100 * self.confidence:g} % intervals."
        )
        own = ["frost is a computed texture, unlike the photographs of ImageNet-C."] if "frost" in self.corruptions else []
        return [basis, *map(self._summary, self.results), *self._verdict(), *own]

    def _summary(self, result: ModelRobustness) -> str:
        worst = min(self.corruptions, key=lambda kind: self.accuracy(result.name, kind))
        return (
            f"{result.name}: {percent(result.accuracy)} % [{percent_range(result.interval)}] without corruption, "
            f"{percent(result.mean_accuracy)} % [{percent_range(result.mean_interval)}] with corruption; "
            f"lowest under {worst} ({percent(self.accuracy(result.name, worst))} %)."
        )

    def _verdict(self) -> list[str]:
        if len(self.results) < 2:
            return []
        first, second = self.results[:2]
        lead = self.difference(first.name, second.name)
        difference, low, high = (f"{100 * value:.1f}" for value in lead)
        sure = "" if lead[1] > 0 else " The interval contains 0, so either model may be better."
        least = min(self.results, key=lambda result: result.relative_drop)
        return [
            f"{first.name} has the highest mean accuracy under corruption, {difference} points [{low} to {high}] above "
            f"{second.name}.{sure}",
            f"{least.name} loses the smallest share of its accuracy ({percent(least.relative_drop)} %).",
        ]

    def _severities(self) -> str:
        one = len(self.severities) == 1
        return f"{'severity' if one else 'severities'} {', '.join(map(str, self.severities))}"


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
    kinds, levels = checked_conditions(corruptions, severities)
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
        report_progress(verbose, f"{title} ({row} of {len(conditions)}): {found}")
    return _result(right, kinds, levels, confidence, seed)


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
        mean_interval=share_interval(right[1:].mean(axis=0), confidence),
        relative_drop=1 - mean * n / clean if clean else 0.0,
        severity_accuracies=tuple(levels.mean(axis=1).tolist()),
        severity_intervals=tuple(share_interval(level, confidence) for level in levels),
        image_accuracies=right[1:].mean(axis=0),
    )
