"""Comparison: several models on the same images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.evaluation._text import Table, as_json, data_size, frame, keep, number, percent, percent_range
from featrec.evaluation._verdict import verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["Comparison", "ModelResult", "Pair"]


@dataclass(frozen=True, eq=False)
class ModelResult:
    """One row of a comparison. What is not known is None.

    Attributes
    ----------
    name : str
    kind : {"engineered", "network", "predictions"}
        Predictions came as an array, from any other program.
    accuracy : float
    interval : tuple of (low, high)
        Wilson's interval of the accuracy.
    balanced_accuracy : float
    fold_accuracies : tuple of float
        Of each fold; empty with a test set.
    fit_seconds : float or None
        Of one fit: the mean over the folds where there are folds.
    predict_seconds : float or None
        Of all images together.
    images_per_second : float or None
    width : int or None
        The columns that the final classifier sees.
    n_bytes : int or None
        The size of the saved model's file.
    y_pred : array of shape (n,)
    n_unreadable : int
        Images that could not be read, whose labels the model guessed from nothing (``on_error="empty"``).
    compile_seconds : float
        Of what was compiled in this process while the model was fitted and asked, once on a machine; in no other figure.
    """

    name: str
    kind: str
    accuracy: float
    interval: tuple[float, float]
    balanced_accuracy: float
    fold_accuracies: tuple[float, ...]
    fit_seconds: float | None
    predict_seconds: float | None
    images_per_second: float | None
    width: int | None
    n_bytes: int | None
    y_pred: np.ndarray
    n_unreadable: int = 0
    compile_seconds: float = 0.0


@dataclass(frozen=True)
class Pair:
    """Two models on the same images, by McNemar's exact test.

    Attributes
    ----------
    first, second : str
    first_only, second_only : int
        Images that only this one has right.
    p : float
        Two-sided.
    p_holm : float
        Corrected for the number of pairs.
    """

    first: str
    second: str
    first_only: int
    second_only: int
    p: float
    p_holm: float


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Several models on the same images, as :func:`compare` finds them. Shares lie in [0, 1].

    Attributes
    ----------
    results : tuple of ModelResult
        Best accuracy first.
    pairs : tuple of Pair
        Every two models, the better one first.
    n : int
    n_folds : int or None
        None with a test set.
    classes : array of shape (n_classes,)
    confidence : float
        Of the intervals, and 1 less the level at which a lead counts as beyond chance.
    y_true : array of shape (n,)
        The labels of the test set, or with folds those of all images.
    paths : tuple of str of length n, or None
        Where the judged images lie, in the order of `y_true` and of each `y_pred`; None where they came without paths.
    remarks : tuple of str
        What to know of labels that no image has.
    n_dropped : int
        Damaged files that ``ImageFolder(on_error="drop")`` left out of the images that were given.
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

    def __getitem__(self, name: str) -> ModelResult:
        for result in self.results:
            if result.name == name:
                return result
        raise KeyError(f"no model {name!r}; there are {', '.join(result.name for result in self.results)}")

    def pair(self, first: str, second: str) -> Pair:
        """The test between two models, in either order.

        Parameters
        ----------
        first, second : str

        Returns
        -------
        Pair
        """
        for pair in self.pairs:
            if {pair.first, pair.second} == {first, second}:
                return pair
        raise KeyError(f"no pair {first!r}, {second!r}; there are {', '.join(result.name for result in self.results)}")

    def verdict(self) -> list[str]:
        """What the figures say, in sentences: which is best, whether that is beyond chance, and whether a network wins."""
        return verdict(self.results, self.pairs, alpha=1 - self.confidence)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\n\n".join([self._table().plain(), "\n".join(self._sentences())])

    def _repr_html_(self) -> str:
        import html

        lines = "".join(f"<p>{html.escape(line)}</p>" for line in self._sentences())
        return self._table().html() + lines

    def to_frame(self) -> DataFrame:
        """A row a model, best first. Needs pandas."""
        left_out = ("name", "interval", "fold_accuracies", "y_pred")
        names = [field.name for field in fields(ModelResult) if field.name not in left_out]
        columns: dict[str, Any] = {name: [getattr(result, name) for result in self.results] for name in names}
        columns["low"], columns["high"] = zip(*(result.interval for result in self.results), strict=True)
        return frame(columns, index=[result.name for result in self.results])

    def pairs_to_frame(self) -> DataFrame:
        """A row a pair of models. Needs pandas."""
        return frame({field.name: [getattr(pair, field.name) for pair in self.pairs] for field in fields(Pair)})

    def predictions_to_frame(self) -> DataFrame:
        """A row an image: its true label, and what each model said; by path where there are paths. Needs pandas."""
        columns = {"y_true": self.y_true, **{result.name: result.y_pred for result in self.results}}
        return frame(columns, index=None if self.paths is None else list(self.paths))

    def to_json(self, path: str | os.PathLike | None = None) -> str:
        """All attributes as JSON; written to `path`, too, where one is given."""
        return keep(as_json({field.name: getattr(self, field.name) for field in fields(self)}), path)

    def to_markdown(self, path: str | os.PathLike | None = None) -> str:
        """The table and the sentences as Markdown; written to `path`, too, where one is given."""
        lines = "\n".join(f"- {line}" for line in self._sentences())
        return keep(f"{self._table().markdown()}\n\n{lines}", path)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the accuracies with their intervals. Needs matplotlib."""
        from featrec.plotting import plot_comparison

        return plot_comparison(self, ax=ax)

    def _table(self) -> Table:
        interval = f"{100 * self.confidence:g} % interval"
        folds = ["folds"] if self.n_folds else []
        compiling = ["compile s"] if self._compiled() else []
        figures = ["balanced", "fit s", *compiling, "predict s", "images/s", "features", "size"]
        return Table(["model", "accuracy", interval, *folds, *figures], [self._row(result) for result in self.results])

    def _row(self, result: ModelResult) -> list[str]:
        shares = 100 * np.array(result.fold_accuracies)
        folds = [f"{shares.mean():.1f} ± {shares.std(ddof=1):.1f}"] if self.n_folds else []
        compiling = [result.compile_seconds or None] if self._compiled() else []
        return [
            result.name,
            percent(result.accuracy),
            percent_range(result.interval),
            *folds,
            percent(result.balanced_accuracy),
            *map(number, (result.fit_seconds, *compiling, result.predict_seconds, result.images_per_second, result.width)),
            data_size(result.n_bytes),
        ]

    def _compiled(self) -> bool:
        """Whether anything had to be compiled, which is nobody's fit."""
        return any(result.compile_seconds for result in self.results)

    def _sentences(self) -> list[str]:
        compiling = ["What was compiled, once on this machine, is not in the seconds of fits and predictions."]
        return [self._basis(), *self.verdict(), *self.remarks, *self._unreadable(), *(compiling if self._compiled() else [])]

    def _unreadable(self) -> Iterator[str]:
        """What a reader should know of images that could not be read."""
        for result in self.results:
            if result.n_unreadable:
                yield f'{result.name} guessed the labels of {result.n_unreadable} unreadable images (on_error="empty").'
        if self.n_dropped:
            yield f'{self.n_dropped} damaged images were left out (on_error="drop").'

    def _basis(self) -> str:
        counts = np.unique(self.y_true, return_counts=True)[1]
        images = f"{self.n:,} test images" if self.n_folds is None else f"{self.n:,} images in {self.n_folds} folds"
        guess = percent(counts.max() / self.n)
        return f"{images}, {len(counts)} classes; always guessing the largest would be right for {guess} %."
