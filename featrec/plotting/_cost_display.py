"""AccuracyCostDisplay: accuracy against time or memory, and the models that no other model beats in both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from featrec.exceptions import InputError
from featrec.plotting._display import FAINT, INK, PALETTE, SMALL, Display, chart_style, heading, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["AccuracyCostDisplay"]

# Costs of a row of a comparison: what the axis says, and the unit.
COSTS = {
    "fit_seconds": ("time of the fit", "s"),
    "predict_seconds": ("time to predict all test images", "s"),
    "n_bytes": ("size of the model file", "B"),
}
UNITS = {
    "s": ((1e-6, "µs"), (1e-3, "ms"), (1.0, "s"), (60.0, "min"), (3600.0, "h")),
    "B": ((1.0, "B"), (1e3, "kB"), (1e6, "MB"), (1e9, "GB")),
}
# Places of a name around its point, in points: the first that overlaps no other name is used.
OFFSETS = ((7, 0), (-7, 0), (0, 9), (0, -9), (7, 8), (-7, 8), (7, -8), (-7, -8), (7, 16), (-7, -16), (7, -16), (-7, 16))
# Size of a letter and of a line, in points.
LETTER, LINE = 4.7, 10.0


class AccuracyCostDisplay(Display):
    """Accuracy against a cost on a logarithmic axis. A line connects the models that no other model beats in both.

    Parameters
    ----------
    names : sequence of length n_models
    accuracy : array of shape (n_models,)
        Accuracies between 0 and 1.
    cost : array of shape (n_models,)
        Seconds or bytes, above 0.
    interval : array of shape (n_models, 2), optional
        Lower and upper limit of each accuracy.
    cost_name : str, default="cost"
    unit : {"s", "B"} or str, default="s"
        Unit of the cost. Seconds and bytes are written as ms, min, MB and so on.

    Attributes
    ----------
    front_ : array of ints
        Models that no other model beats in both accuracy and cost, the cheapest first.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from featrec.plotting import AccuracyCostDisplay
    >>> display = AccuracyCostDisplay(["a", "b", "c"], [0.7, 0.9, 0.8], [0.01, 1.0, 2.0]).plot()
    >>> display.front_
    array([0, 1])
    """

    def __init__(self, names: Any, accuracy: Any, cost: Any, *, interval: Any = None, cost_name: str = "cost", unit: str = "s"):
        self.names = [str(name) for name in names]
        self.accuracy, self.cost = np.asarray(accuracy, float), np.asarray(cost, float)
        self.interval = None if interval is None else np.asarray(interval, float)
        self.cost_name, self.unit = cost_name, unit
        n = len(self.names)
        if not n or self.accuracy.shape != (n,) or self.cost.shape != (n,):
            shapes = f"{self.accuracy.shape} and {self.cost.shape}"
            raise InputError(f"each of the {n} models needs one accuracy and one cost; got shapes {shapes}")
        if not (np.isfinite(self.cost) & (self.cost > 0)).all():
            place = int(np.flatnonzero(~(np.isfinite(self.cost) & (self.cost > 0)))[0])
            raise InputError(
                f"the cost of {self.names[place]!r} must be above 0 for a logarithmic axis; got {self.cost[place]:g}"
            )
        if not ((self.accuracy >= 0) & (self.accuracy <= 1)).all():
            raise InputError(f"accuracies must be between 0 and 1; got {self.accuracy.min():g} to {self.accuracy.max():g}")
        if self.interval is not None and self.interval.shape != (n, 2):
            raise InputError(f"interval must have shape ({n}, 2), low and high of each model; got {self.interval.shape}")
        self.front_ = front_of(self.accuracy, self.cost)

    @classmethod
    def from_comparison(cls, comparison: Any, *, cost: str = "predict_seconds", ax: Axes | None = None) -> Self:
        """Draw the rows of a comparison. Rows whose cost is unknown are left out, and the title says how many.

        Parameters
        ----------
        comparison : Comparison
            Result of :func:`featrec.evaluation.compare`.
        cost : {"fit_seconds", "predict_seconds", "n_bytes"}, default="predict_seconds"
        ax : matplotlib Axes, optional

        Returns
        -------
        display : AccuracyCostDisplay
        """
        if cost not in COSTS:
            raise InputError(f"cost must be one of {', '.join(COSTS)}; got {cost!r}")
        if not hasattr(comparison, "results"):
            raise InputError(f"from_comparison needs a Comparison, as returned by compare; got {type(comparison).__name__}")
        rows = [row for row in comparison.results if getattr(row, cost)]
        if not rows:
            raise InputError(f"{cost} is unknown for all rows of the comparison; predictions of other programs have no cost")
        name, unit = COSTS[cost]
        numbers = [row.accuracy for row in rows], [getattr(row, cost) for row in rows]
        display = cls([row.name for row in rows], *numbers, interval=[row.interval for row in rows], cost_name=name, unit=unit)
        display.n_unknown = len(comparison.results) - len(rows)
        return display.plot(ax)

    n_unknown = 0

    def _inches(self) -> tuple[float, float]:
        return 7.2, 4.8

    def _draw(self, ax: Axes) -> None:
        on_front = np.isin(np.arange(len(self.names)), self.front_)
        ax.set_xscale("log")
        accuracy = 100 * self.accuracy
        if self.interval is not None:
            lengths = np.maximum(np.abs(100 * self.interval.T - accuracy), 0)
            ax.errorbar(self.cost, accuracy, lengths, fmt="none", ecolor=FAINT, elinewidth=1, capsize=2, zorder=1)
        front = self.front_
        ax.plot(self.cost[front], accuracy[front], color=PALETTE[4], linewidth=1.4, drawstyle="steps-post", zorder=2)
        for chosen, face in ((on_front, PALETTE[4]), (~on_front, "white")):
            style: dict[str, Any] = {"facecolor": face, "edgecolor": PALETTE[4], "linewidths": 1.3, "zorder": 3}
            ax.scatter(self.cost[chosen], accuracy[chosen], s=46, **style)
        self._settle(ax)
        self._write_names(ax, on_front)
        unknown = f"; the cost of {plural(self.n_unknown, 'model')} is unknown" if self.n_unknown else ""
        count = plural(len(front), "model")
        heading(ax, f"Accuracy against {self.cost_name}\nfilled: {count} that no other beats in both{unknown}")

    def _settle(self, ax: Axes) -> None:
        chart_style(ax, f"{self.cost_name} (logarithmic)", "accuracy in %")
        low, high = float(self.cost.min()), float(self.cost.max())
        room = max(1.6, (high / low) ** 0.12)
        ax.set_xlim(low / room, high * room)
        limits = 100 * (np.stack([self.accuracy] * 2, axis=1) if self.interval is None else self.interval)
        edge = max(1.0, 0.12 * float(limits.max() - limits.min()))
        ax.set_ylim(max(-2.0, limits.min() - edge), min(102.0, limits.max() + edge))
        if self.unit in UNITS:
            ax.xaxis.set_major_formatter(lambda value, _: in_units(value, self.unit))
            decades = np.log10(high * room / (low / room))
            ax.xaxis.set_minor_formatter(lambda value, _: in_units(value, self.unit) if decades < 2.2 and _leads(value) else "")
        ax.grid(color="#e3e6ea", linewidth=0.8)
        ax.set_axisbelow(True)

    def _write_names(self, ax: Axes, on_front: np.ndarray) -> None:
        """Write each name beside its point, where it overlaps no other name and no point, if there is such a place."""
        width, height = (72 * side * 0.85 for side in self.figure_.get_size_inches())
        (left, right), (low, high) = np.log10(ax.get_xlim()), ax.get_ylim()
        xs = (np.log10(self.cost) - left) / (right - left) * width
        ys = (100 * self.accuracy - low) / (high - low) * height
        taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in zip(xs, ys, strict=True)]
        taken += _steps(xs[self.front_], ys[self.front_])
        if self.interval is not None:
            ends = (100 * self.interval - low) / (high - low) * height
            taken += [(x - 1, bottom, x + 1, top) for x, (bottom, top) in zip(xs, ends, strict=True)]
        for place in np.argsort(xs, kind="stable"):
            boxes = [_box(xs[place], ys[place], len(self.names[place]), offset) for offset in OFFSETS]
            overlaps = [_overlap(box, taken, place, width) for box in boxes]
            best = int(np.argmin(overlaps))
            taken.append(boxes[best])
            across, up = OFFSETS[best]
            align = "left" if across > 0 else "right" if across < 0 else "center"
            ax.annotate(
                self.names[place], (self.cost[place], 100 * self.accuracy[place]), (across, up), textcoords="offset points",
                ha=align, va="center", fontsize=SMALL, color=INK, weight="bold" if on_front[place] else "normal", zorder=4,
            )  # fmt: skip


def front_of(accuracy: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Return the models that no other model beats in accuracy and cost, the cheapest first."""
    order = np.lexsort((-accuracy, cost))
    best = np.concatenate([[-np.inf], np.maximum.accumulate(accuracy[order])[:-1]])
    front: np.ndarray = order[accuracy[order] > best]
    return front


def in_units(value: float, unit: str) -> str:
    """Return a number of seconds or bytes with a readable unit."""
    scale, name = next((step for step in reversed(UNITS[unit]) if value >= step[0] * 0.999), UNITS[unit][0])
    return f"{value / scale:.3g} {name}"


def _leads(value: float) -> bool:
    """Return whether a minor tick is at 2 or 5 times a power of ten."""
    return round(value / 10 ** np.floor(np.log10(value))) in (2, 5)


def _steps(xs: np.ndarray, ys: np.ndarray) -> list[tuple]:
    """Return the boxes of the lines that connect the front."""
    pairs = list(zip(xs[:-1], xs[1:], ys[:-1], ys[1:], strict=True))
    across = [(left, low - 1, right, low + 1) for left, right, low, _ in pairs]
    return across + [(right - 1, low, right + 1, high) for _, right, low, high in pairs]


def _box(x: float, y: float, letters: int, offset: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return left, bottom, right and top of a name, in points."""
    across, up = offset
    width = LETTER * letters
    left = x + across - (0 if across > 0 else width if across < 0 else width / 2)
    return left, y + up - LINE / 2, left + width, y + up + LINE / 2


def _overlap(box: tuple, taken: list[tuple], own: int, width: float) -> float:
    """Return the area that a name shares with other names and points, and what of it is outside the axes."""
    area = 40.0 * (max(0.0, -box[0]) + max(0.0, box[2] - width))
    for place, other in enumerate(taken):
        if place != own:
            wide, high = min(box[2], other[2]) - max(box[0], other[0]), min(box[3], other[3]) - max(box[1], other[1])
            area += max(0.0, wide) * max(0.0, high)
    return area
