"""Comparison: results of several models on the same images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.evaluation._comparison_text import (
    Shares,
    basis,
    calibration_table,
    class_recalls,
    compiled,
    cost_table,
    duplicates_told,
    energy_table,
    group_accuracies,
    group_table,
    network_table,
    pretraining_told,
    result_table,
    verdict,
)
from featrec.evaluation._cost import Cost
from featrec.evaluation._measures import largest_share
from featrec.evaluation._model_result import ModelResult, Pair
from featrec.evaluation._result import ModelResults, Table, TableResult, as_csv, frame, keep, legend_above, settle_shares
from featrec.exceptions import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["Comparison"]

# With more groups, such as persons, the table is left out of the text.
MAX_GROUPS_SHOWN = 30
# Indices of the colours in featrec.plotting.PALETTE.
COLORS = {"engineered": 4, "network": 5, "predictions": 2}
MEANINGS = {"engineered": "engineered features", "network": "network", "predictions": "another program's predictions"}


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(ModelResults[ModelResult]):
    """Result of :func:`compare`. Proportions are between 0 and 1.

    Attributes
    ----------
    results : tuple of ModelResult
        Highest accuracy first.
    pairs : tuple of Pair
        All pairs of models. In each pair, the more accurate model is the first.
    n : int
        Number of predictions of each model: the number of images or, with repeated splits, of all test sets together.
    n_folds : int or None
        Number of folds or splits; None with a test set.
    classes : array of shape (n_classes,)
    confidence : float
        Confidence level of the intervals; a lead is significant if its p value is at most 1 - confidence.
    y_true : array of shape (n,)
        Labels of the test set; with folds, of all images; with repeated splits, of the test images of all splits, in the order
        of the splits.
    paths : tuple of str of length n, or None
        Paths of the test images, in the order of `y_true` and of each `y_pred`; None if the images have no paths.
    remarks : tuple of str
        Remarks on labels that no image has.
    n_dropped : int
        Number of damaged files that ``ImageFolder(on_error="drop")`` left out of the images.
    n_train : int or None
        Number of training images; with folds or splits, the mean.
    rows : array of shape (n,) or None
        With repeated splits, the index in `X` of the image that each prediction refers to.
    groups : array of shape (n,) or None
        Group of the image of each prediction.
    duplicates : array or None
        Positions in `y_true` of images that are identical, pixel for pixel, to a training image; None if they were not counted.
    stamp : dict
        Versions, machine, commit of featrec, and date.
    """

    results: tuple[ModelResult, ...]
    pairs: tuple[Pair, ...]
    n: int
    n_folds: int | None
    classes: np.ndarray
    confidence: float
    y_true: np.ndarray
    paths: tuple[str | None, ...] | None = None
    remarks: tuple[str, ...] = ()
    n_dropped: int = 0
    n_train: int | None = None
    rows: np.ndarray | None = None
    groups: np.ndarray | None = None
    duplicates: np.ndarray | None = None
    stamp: dict[str, Any] = field(default_factory=dict)

    def pair(self, first: str, second: str) -> Pair:
        """Return the test between two models. The order of the names does not matter."""
        for pair in self.pairs:
            if {pair.first, pair.second} == {first, second}:
                return pair
        raise KeyError(f"there is no pair {first!r}, {second!r}; the models are {', '.join(self._names())}")

    def verdict(self) -> list[str]:
        """Return sentences that state which model is best, whether its lead is significant, and whether a network wins."""
        return verdict(self)

    def __str__(self) -> str:
        more = [f"{caption}\n{table.plain()}" for caption, table in self._more_tables().items()]
        return "\n\n".join([self._table().plain(), "\n".join(self._sentences()), *more])

    def to_markdown(self, path: str | os.PathLike | None = None) -> str:
        """Return the tables and the sentences as Markdown. If `path` is given, also write them to this file."""
        more = [f"{caption}\n\n{table.markdown()}" for caption, table in self._more_tables().items()]
        return keep("\n\n".join([super().to_markdown(), *more]), path)

    def to_frame(self) -> DataFrame:
        """Return a DataFrame with one row per model, the most accurate first. Needs pandas."""
        return frame(self._columns(), index=self._names())

    def to_csv(self, path: str | os.PathLike | None = None) -> str:
        """Return the figures of ``to_frame``, unrounded, as CSV. If `path` is given, also write them to this file."""
        columns = {"model": self._names(), **self._columns()}
        return keep(as_csv([list(columns), *zip(*columns.values(), strict=True)]), path)

    def to_html(
        self,
        path: str | os.PathLike | None = None,
        *,
        title: str | None = None,
        images: Any = None,
        sections: Sequence[TableResult] = (),
    ) -> str:
        """Return one self-contained HTML page. If `path` is given, also write it to this file.

        The page has the verdict, sortable tables, figures of accuracy against time and size, the tests, confusion matrices,
        images on which the models disagree, machine and versions, and tables to copy. It makes no request to any server.

        Parameters
        ----------
        path : path, optional
        title : str, optional
            Heading of the page. Default: the number of models and classes.
        images : images, optional
            The test images; with `cv`, all images `X`. By default they are read from `paths`; without paths, the page has no
            images. At most 36 small copies are embedded.
        sections : sequence of results, optional
            Other results to add, each with its sentences, figure and table, such as curves of the same models.
        """
        from featrec.evaluation._comparison_page import comparison_page

        n_classes = len(np.unique(self.y_true))
        title = f"Comparison of {len(self.results)} models on {n_classes} classes" if title is None else title
        return keep(comparison_page(self, title=title, images=images, sections=sections), path)

    def _columns(self) -> dict[str, list]:
        """Return the columns of all figures, keyed by name. Measurements that were not requested are left out."""
        left_out = ("name", "interval", "fold_accuracies", "y_pred", "estimator", "seeds", "calibration", "cost", "cost_remark")
        names = [field.name for field in fields(ModelResult) if field.name not in left_out]
        columns: dict[str, list] = {name: [getattr(result, name) for result in self.results] for name in names}
        columns["pretrained_on"] = [", ".join(result.pretrained_on) for result in self.results]
        columns["low"], columns["high"] = map(list, zip(*(result.interval for result in self.results), strict=True))
        measured = {"calibration": ("ece", "brier", "log_loss"), "cost": [field.name for field in fields(Cost)]}
        for part, figures in measured.items():
            if any(getattr(result, part) for result in self.results):
                columns |= {name: [getattr(getattr(result, part), name, None) for result in self.results] for name in figures}
        return columns

    def pairs_to_frame(self) -> DataFrame:
        """Return a DataFrame with one row per pair of models. Needs pandas."""
        return frame({field.name: [getattr(pair, field.name) for pair in self.pairs] for field in fields(Pair)})

    def classes_to_frame(self) -> DataFrame:
        """Return a DataFrame of recalls with one row per class and one column per model. Needs pandas."""
        return _shares_frame(class_recalls(self))

    def groups_to_frame(self) -> DataFrame:
        """Return a DataFrame of accuracies with one row per group and one column per model. Needs pandas."""
        found = group_accuracies(self)
        if found is None:
            raise InputError("the comparison has no groups; give compare test_groups, or groups with cv")
        return _shares_frame(found)

    def predictions_to_frame(self) -> DataFrame:
        """Return a DataFrame with the true label and all predictions of each image. Needs pandas.

        If the images have paths, the index contains the paths.
        """
        columns = {"y_true": self.y_true, **{result.name: result.y_pred for result in self.results}}
        return frame(columns, index=None if self.paths is None else list(self.paths))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the accuracies with intervals, the best on top, and the images per second. Needs matplotlib."""
        from featrec.plotting import FAINT, INK, axes_for

        results = sorted(self.results, key=lambda result: -result.accuracy)
        ax = axes_for(ax, 7.5, 1.4 + 0.42 * len(results))
        guess = 100 * largest_share(self.y_true)
        ax.axvline(guess, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), label="always the largest class")
        labelled: set[str] = set()
        for place, result in enumerate(results):
            _draw_result(ax, place, result, label=None if result.kind in labelled else MEANINGS[result.kind])
            labelled.add(result.kind)
        ax.set_ylim(len(results) - 0.4, -0.6)
        ax.set_yticks(range(len(results)), [result.name for result in results])
        _settle_axes(ax, [result.interval for result in results], guess)
        ax.set_xlabel(f"accuracy in %, with {100 * self.confidence:g} % interval; {self.n:,} images", color=INK)
        legend_above(ax, n_columns=4)
        return ax

    def _table(self) -> Table:
        return result_table(self)

    def _more_tables(self) -> dict[str, Table]:
        """Return the tables of optional measurements, keyed by caption."""
        one = "In a fresh process with the model file: start, first answer, one image at a time, batches, and peak memory."
        tables = {
            one: cost_table(self),
            "Energy of all fits and predictions, an estimate from load and rated power.": energy_table(self),
            "Networks.": network_table(self),
            "Probabilities; smaller is better.": calibration_table(self),
            "Accuracy on each group, in percent.": group_table(self) if _few_groups(self) else None,
        }
        return {caption: table for caption, table in tables.items() if table is not None}

    def _sentences(self) -> list[str]:
        return [basis(self), *self.verdict(), *self._notes()]

    def _notes(self) -> list[str]:
        """Return facts that affect the interpretation of the figures."""
        compiling = ["Compiling happens once on this machine and is not included in the times of fits and predictions."]
        told = [*self.remarks, *duplicates_told(self), *pretraining_told(self), *self._unreadable()]
        return [*told, *(compiling if compiled(self) else [])]

    def _unreadable(self) -> Iterator[str]:
        for result in self.results:
            if result.n_unreadable:
                yield f'{result.name} guessed the labels of {result.n_unreadable} unreadable images (on_error="empty").'
        if self.n_dropped:
            yield f'Damaged images that were left out (on_error="drop"): {self.n_dropped}.'
        for result in self.results:
            if result.cost_remark:
                yield f"The cost of {result.name} could not be measured: {result.cost_remark}."


def _shares_frame(found: Shares) -> DataFrame:
    return frame(dict(zip(found.models, found.accuracies.T, strict=True)), index=found.names)


def _few_groups(comparison: Comparison) -> bool:
    return comparison.groups is not None and len(np.unique(comparison.groups)) <= MAX_GROUPS_SHOWN


def _draw_result(ax: Axes, place: int, result: ModelResult, *, label: str | None) -> None:
    from featrec.plotting import FAINT, INK, PALETTE

    color = PALETTE[COLORS[result.kind]]
    low, high = (100 * bound for bound in result.interval)
    ax.plot([low, high], [place, place], color=color, linewidth=5, alpha=0.35, solid_capstyle="round")
    ax.plot(100 * result.accuracy, place, "o", color=color, markersize=7, label=label)
    position: dict[str, Any] = {
        "xycoords": ax.get_yaxis_transform(),
        "textcoords": "offset points",
        "va": "center",
        "fontsize": 9,
    }
    ax.annotate(f"{100 * result.accuracy:.1f} %", (1, place), (8, 0), color=INK, weight="bold", **position)
    speed = result.images_per_second
    if speed is not None:
        text = f"{speed:,.0f} images/s" if speed >= 10 else f"{speed:.2g} images/s"
        ax.annotate(text, (1, place), (58, 0), color=FAINT, **position)


def _settle_axes(ax: Axes, intervals: list[tuple[float, float]], guess: float) -> None:
    lowest = min([guess, *(100 * low for low, _ in intervals)])
    highest = max(100 * high for _, high in intervals)
    ax.set_xlim(max(0, lowest - 4), min(101, highest + 4))
    settle_shares(ax, "x")
