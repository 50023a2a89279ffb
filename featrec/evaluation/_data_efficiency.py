"""DataEfficiency: accuracies of several models for different numbers of training images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featrec.evaluation._curves import Curve, draw_curves
from featrec.evaluation._text import Table, TableResult, frame, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["DataEfficiency", "SizeResult"]


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

    def __str__(self) -> str:
        return "\n\n".join([self._table().plain(), "\n".join(self._sentences())])

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
