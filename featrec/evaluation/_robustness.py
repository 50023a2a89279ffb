"""Robustness: accuracies of several models on corrupted images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import norm

from featrec.evaluation._result import (
    Curve,
    Table,
    TableResult,
    draw_curves,
    frame,
    percent,
    percent_range,
    settle_shares,
    styles,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["CorruptedAccuracy", "ModelRobustness", "Robustness", "mean_interval"]


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
class Robustness(TableResult):
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

    def __getitem__(self, name: str) -> ModelRobustness:
        for result in self.results:
            if result.name == name:
                return result
        raise KeyError(f"there is no model {name!r}; the models are {', '.join(result.name for result in self.results)}")

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
                f"{', '.join(result.name for result in self.results)}, the corruptions {', '.join(self.corruptions)}, "
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

    def __str__(self) -> str:
        return "\n\n".join([self._table().plain(), "\n".join(self._sentences())])

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
        return frame(columns, index=[result.name for result in self.results])

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
        ax.set_xlabel(f"severity; mean over {_counted(len(self.corruptions), 'corruption')}", color=INK)
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
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=8, labelcolor=INK)
        return ax

    def _heading(self) -> str:
        return "Accuracy on corrupted images"

    def _table(self) -> Table:
        names = [result.name for result in self.results]
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


def mean_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Compute the normal interval of a mean of independent values, one per image."""
    if len(values) < 2:
        return -1.0, 1.0
    half = norm.ppf(0.5 + confidence / 2) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
