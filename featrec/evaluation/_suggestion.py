"""Suggestion: what trying several models on a few images says about which to take up first."""

from __future__ import annotations

import html
import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from featrec.evaluation._measures import mcnemar
from featrec.evaluation._text import Table, as_json, frame, keep, number, p_value, percent, percent_range

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Suggestion", "Trial", "suggested"]

# What may be given up for speed, where it may be noise.
TOLERATED = 0.02 + 1e-9


@dataclass(frozen=True, eq=False)
class Trial:
    """One row of a suggestion. What could not be measured is None.

    Attributes
    ----------
    name : str
    state : {"tried", "cut", "left out"}
        Cut means that the time was up before all folds were done.
    accuracy : float or None
        Of all images that were judged, each by a model fitted without it: the mean over the folds.
    interval : tuple of (low, high) or None
        Wilson's interval of the accuracy.
    fit_seconds : float or None
        Of one fit: the mean over the folds.
    seconds_per_image : float or None
        To predict one image of a batch.
    n_folds : int
        How many were done.
    remark : str
        Why the model was left out or cut; else when it is the one to use, where that is known.
    warning : str
        The first that was given; empty where there was none.
    rows : array of shape (n_judged,)
        The places of the judged images in the sample.
    y_pred : array of shape (n_judged,)
    expected_seconds : float or None
        For a model that was left out for lack of time: what all folds would take, as a fit on a few images foretells.
    """

    name: str
    state: str
    accuracy: float | None
    interval: tuple[float, float] | None
    fit_seconds: float | None
    seconds_per_image: float | None
    n_folds: int
    remark: str
    warning: str
    rows: np.ndarray
    y_pred: np.ndarray
    expected_seconds: float | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Suggestion:
    """Several models tried on the same few images, as ``recipes.suggest`` finds them. Shares lie in [0, 1].

    Attributes
    ----------
    trials : tuple of Trial
        Those tried to the end, best accuracy first; then those that were cut, then those left out.
    first : str or None
        The one to try first: of those whose accuracy is at most two points under the best, and that within the noise
        (McNemar's exact test), the one that takes least time. None where none was tried to the end.
    n_given : int
        How many images there were to draw from.
    rows : array of shape (n,)
        The places of the sample among them.
    y_true : array of shape (n,)
        The labels of the sample.
    n_folds : int
    left_out_classes : tuple
        Classes with fewer images than folds, which take no part.
    confidence : float
        Of the intervals, and 1 less the level at which a distance counts as more than noise.
    paths : tuple of str of length n, or None
        Where the images of the sample lie; None where they came without paths.
    """

    trials: tuple[Trial, ...]
    first: str | None
    n_given: int
    rows: np.ndarray
    y_true: np.ndarray
    n_folds: int
    left_out_classes: tuple
    confidence: float
    paths: tuple[str | None, ...] | None = None

    def __getitem__(self, name: str) -> Trial:
        for trial in self.trials:
            if trial.name == name:
                return trial
        raise KeyError(f"no trial {name!r}; there are {', '.join(trial.name for trial in self.trials)}")

    def verdict(self) -> list[str]:
        """Which to try first and why, in sentences."""
        tried = [trial for trial in self.trials if trial.state == "tried"]
        if self.first is None or not tried:
            return ["None could be tried to the end, so there is nothing to suggest."]
        guess = _largest(self.y_true)
        doubt = []
        if tried[0].interval is not None and tried[0].interval[0] <= guess:
            doubt = [f"None is beyond chance better than always guessing the largest class ({percent(guess)} %)."]
        alpha = 1 - self.confidence
        said = _sentence(self[self.first], tried, self.y_true, alpha)
        return [*doubt, said, *self._too_few(tried, alpha), *self._cut(tried[0])]

    def _too_few(self, tried: list[Trial], alpha: float) -> list[str]:
        """Those farther behind that so few images cannot tell from the best."""
        near = _near(tried, self.y_true, alpha)
        unclear = [trial.name for trial in tried if trial not in near and _p(tried[0], trial, self.y_true) > alpha]
        if not unclear or len(self.rows) == self.n_given:
            return []
        return [f"{len(self.rows)} images cannot tell {', '.join(unclear)} from {tried[0].name}; a larger n_images can."]

    def _cut(self, best: Trial) -> list[str]:
        """What was cut while it was ahead."""
        ahead = []
        for trial in self.trials:
            if trial.state == "cut" and trial.accuracy is not None and best.accuracy is not None:
                same = float((best.y_pred[trial.rows] == self.y_true[trial.rows]).mean())
                if trial.accuracy > same:
                    figures = f"{percent(trial.accuracy)} % against {percent(same)} % of {best.name} on the same images"
                    ahead.append(f"{trial.name} had {figures} when it was cut; with more seconds it may come first.")
        return ahead

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        others = [f"{trial.name}, {trial.state}: {trial.remark}" for trial in self.trials if trial.state != "tried"]
        warned = [f"{trial.name} warned: {trial.warning}" for trial in self.trials if trial.warning]
        parts = [self._table().plain(), "\n".join([self._basis(), *self.verdict()]), "\n".join(others + warned)]
        return "\n\n".join(filter(None, parts))

    def _repr_html_(self) -> str:
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in [self._basis(), *self.verdict()])
        return self._table(remarks=True).html() + lines

    def to_frame(self) -> DataFrame:
        """A row a model, in the order of the table. Needs pandas."""
        names = ("state", "accuracy", "fit_seconds", "seconds_per_image", "n_folds", "expected_seconds", "remark", "warning")
        columns = {name: [getattr(trial, name) for trial in self.trials] for name in names}
        intervals = [trial.interval or (None, None) for trial in self.trials]
        columns["low"], columns["high"] = (list(ends) for ends in zip(*intervals, strict=True))
        return frame(columns, index=[trial.name for trial in self.trials])

    def to_json(self, path: str | os.PathLike | None = None) -> str:
        """All attributes as JSON; written to `path`, too, where one is given."""
        return keep(as_json({field.name: getattr(self, field.name) for field in fields(self)}), path)

    def to_markdown(self, path: str | os.PathLike | None = None) -> str:
        """The table and the sentences as Markdown; written to `path`, too, where one is given."""
        lines = "\n".join(f"- {line}" for line in [self._basis(), *self.verdict()])
        return keep(f"{self._table(remarks=True).markdown()}\n\n{lines}", path)

    def _table(self, *, remarks: bool = False) -> Table:
        header = ["recipe", "accuracy", f"{100 * self.confidence:g} % interval", "fit s", "ms an image", "folds"]
        header += ["remark"] if remarks else []
        shown = [trial for trial in self.trials if remarks or trial.n_folds]
        return Table(header, [self._row(trial) + ([trial.remark] if remarks else []) for trial in shown])

    def _row(self, trial: Trial) -> list[str]:
        if trial.accuracy is None or trial.interval is None or trial.seconds_per_image is None:
            return [trial.name, *["–"] * 4, trial.state]
        return [
            trial.name,
            percent(trial.accuracy),
            percent_range(trial.interval),
            number(trial.fit_seconds),
            number(1000 * trial.seconds_per_image),
            f"{trial.n_folds} of {self.n_folds}",
        ]

    def _basis(self) -> str:
        n_classes = len(np.unique(self.y_true))
        images = f"{len(self.y_true):,} of {self.n_given:,} images, {n_classes} classes, {self.n_folds} folds"
        short = len(self.left_out_classes)
        left_out = f" {short} classes with fewer images than folds take no part." if short else ""
        guess = f"always guessing the largest class would be right for {percent(_largest(self.y_true))} %"
        more = " With more images the order may be another." if len(self.rows) < self.n_given else ""
        return f"{images}; {guess}.{more}{left_out}"


def suggested(trials: list[Trial], y_true: np.ndarray, alpha: float) -> str | None:
    """The fastest of those that are near the best; trials best first."""
    tried = [trial for trial in trials if trial.state == "tried"]
    return min(_near(tried, y_true, alpha), key=_cost).name if tried else None


def _near(tried: list[Trial], y_true: np.ndarray, alpha: float) -> list[Trial]:
    """Those whose distance to the best is small and may be noise; the best itself is one."""
    best = tried[0].accuracy or 0
    return [trial for trial in tried if best - (trial.accuracy or 0) <= TOLERATED and _p(tried[0], trial, y_true) > alpha]


def _sentence(first: Trial, tried: list[Trial], y_true: np.ndarray, alpha: float) -> str:
    """Why this one comes first."""
    best, *rest = tried
    if not rest:
        return f"Try {first.name} first: nothing else could be tried to the end."
    if first is not best:
        p = p_value(_p(best, first, y_true))
        takes = f"{number(_cost(first))} s to learn and to answer where {best.name} takes {number(_cost(best))} s"
        return (
            f"Try {first.name} first: its {percent(first.accuracy or 0)} % are within the noise of the best, "
            f"{best.name} with {percent(best.accuracy or 0)} % (McNemar {p}), and it is the fastest of these: {takes}."
        )
    near = [trial.name for trial in _near(tried, y_true, alpha)[1:]]
    if near:
        return f"Try {best.name} first: it is the most accurate, and the fastest of those within the noise ({', '.join(near)})."
    chance = _p(best, rest[0], y_true)
    if chance > alpha:
        return f"Try {best.name} first: it is the most accurate."
    return (
        f"Try {best.name} first: it is the most accurate, and its lead over {rest[0].name} is beyond chance "
        f"(McNemar {p_value(chance)})."
    )


def _p(first: Trial, second: Trial, y_true: np.ndarray) -> float:
    """McNemar's exact test between two that were tried to the end."""
    right, other = first.y_pred == y_true, second.y_pred == y_true
    return mcnemar(int((right & ~other).sum()), int((other & ~right).sum()))


def _cost(trial: Trial) -> float:
    """The seconds of a fold's fit, and of predicting as many images as all folds judge."""
    return (trial.fit_seconds or 0) + (trial.seconds_per_image or 0) * len(trial.rows)


def _largest(labels: np.ndarray) -> float:
    return float(np.unique(labels, return_counts=True)[1].max() / len(labels))
