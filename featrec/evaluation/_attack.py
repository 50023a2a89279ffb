"""Attack: accuracies of several models under a query-based attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.evaluation._curves import Curve, draw_curves
from featrec.evaluation._measures import wilson_interval
from featrec.evaluation._text import Table, TableResult, frame, number, percent, percent_range

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["Attack", "ModelAttack"]


@dataclass(frozen=True, eq=False)
class ModelAttack:
    """Result of one model.

    Attributes
    ----------
    name : str
    access : {"decision_function", "predict_proba", "predict"}
        The method whose answers the attack used.
    accuracy : float
        Accuracy on the unchanged images.
    interval : tuple of (low, high)
        Wilson interval.
    attacked_accuracy : float
        Share of the images for which the attack found no change that makes the model wrong.
    attacked_interval : tuple of (low, high)
        Wilson interval.
    relative_drop : float
        Share of the accuracy that is lost.
    median_queries : float or None
        Median number of queries over the successful attacks.
    queries : array of shape (n,)
        Number of queries until the model was wrong; 0 if it is wrong without changes, -1 if it stayed right.
    """

    name: str
    access: str
    accuracy: float
    interval: tuple[float, float]
    attacked_accuracy: float
    attacked_interval: tuple[float, float]
    relative_drop: float
    median_queries: float | None
    queries: np.ndarray

    def accuracy_after(self, n_queries: int) -> float:
        """Return the share of images for which the model is still right after this number of queries."""
        return float(((self.queries < 0) | (self.queries > n_queries)).mean())


@dataclass(frozen=True, eq=False, repr=False)
class Attack(TableResult):
    """Result of :func:`attack`. Proportions are between 0 and 1.

    Attributes
    ----------
    results : tuple of ModelAttack
        Highest accuracy under attack first.
    epsilon : int
        Largest change of a pixel value, where white is 255.
    n_queries : int
        Budget of queries per image.
    n : int
        Number of images.
    confidence : float
        Confidence level of the intervals.
    seed : int
    """

    results: tuple[ModelAttack, ...]
    epsilon: int
    n_queries: int
    n: int
    confidence: float
    seed: int

    def __getitem__(self, name: str) -> ModelAttack:
        for result in self.results:
            if result.name == name:
                return result
        raise KeyError(f"there is no model {name!r}; the models are {', '.join(result.name for result in self.results)}")

    def __str__(self) -> str:
        return "\n\n".join([self._table().plain(), "\n".join(self._sentences())])

    def to_frame(self) -> DataFrame:
        """Return a DataFrame with one row per model, the highest accuracy under attack first. Needs pandas."""
        names = ("access", "accuracy", "attacked_accuracy", "relative_drop", "median_queries")
        columns: dict[str, Any] = {name: [getattr(result, name) for result in self.results] for name in names}
        columns["low"], columns["high"] = zip(*(result.interval for result in self.results), strict=True)
        columns["attacked_low"], columns["attacked_high"] = zip(
            *(result.attacked_interval for result in self.results), strict=True
        )
        return frame(columns, index=[result.name for result in self.results])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the accuracy against the number of queries, with intervals. Needs matplotlib."""
        from featrec.plotting import INK, axes_for

        ax = axes_for(ax, 6.0, 4.2)
        places = np.unique(np.linspace(0, self.n_queries, 50).astype(int)).tolist()
        curves = {}
        for result in self.results:
            shares = [result.accuracy_after(n) for n in places]
            bounds = [wilson_interval(round(share * self.n), self.n, self.confidence) for share in shares]
            curves[result.name] = Curve(places, shares, *zip(*bounds, strict=True))
        draw_curves(ax, curves, markers=False)
        ax.locator_params(axis="x", integer=True)
        ax.set_xlabel(f"queries per image; largest change {self.epsilon} of 255", color=INK)
        ax.set_ylabel(f"accuracy in %, with {100 * self.confidence:g} % interval", color=INK)
        return ax

    def _heading(self) -> str:
        return "Accuracy under attack"

    def _table(self) -> Table:
        interval = f"{100 * self.confidence:g} % interval"
        header = ["model", "accuracy", "under attack", interval, "relative drop", "median queries"]
        return Table(header, list(map(_row, self.results)))

    def _sentences(self) -> list[str]:
        labels = [result.name for result in self.results if result.access == "predict"]
        weaker = [f"Attacked using labels only, which is a weaker attack: {', '.join(labels)}."] if labels else []
        return [
            f"{self.n:,} images; square attack with at most {self.n_queries:,} queries per image and changes of at most "
            f"{self.epsilon} of 255.",
            "The accuracy under attack is an upper bound: a stronger attack may find more errors.",
            *weaker,
        ]


def _row(result: ModelAttack) -> list[str]:
    attacked = [percent(result.attacked_accuracy), percent_range(result.attacked_interval)]
    return [result.name, percent(result.accuracy), *attacked, percent(result.relative_drop), number(result.median_queries)]
