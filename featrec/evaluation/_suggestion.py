"""Suggestion: the model to use first, chosen by trials of several models on a few images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featrec.evaluation._measures import largest_share, mcnemar
from featrec.evaluation._result import Table, TableResult, frame, number, p_value, percent, percent_range

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Suggestion", "Trial", "suggested"]

# Maximum loss of accuracy that is accepted for a faster model, if the difference is not significant.
TOLERATED = 0.02 + 1e-9


@dataclass(frozen=True, eq=False)
class Trial:
    """One row of a suggestion. Figures that were not measured are None.

    Attributes
    ----------
    name : str
    state : {"tried", "cut", "left out"}
        "cut": the time limit was reached before all folds were done.
    accuracy : float or None
        Share of correct predictions for the images of all finished folds.
    interval : tuple of (low, high) or None
        Wilson interval of the accuracy.
    fit_seconds : float or None
        Mean time of one fit over the folds.
    seconds_per_image : float or None
        Time to predict one image in a batch.
    n_folds : int
        Number of finished folds.
    remark : str
        Reason why the model was left out or cut. If the model was tried, the remark is the description of the recipe.
    warning : str
        First warning of the model, or "" if there was none.
    rows : array of shape (n_judged,)
        Positions of the test images in the sample.
    y_pred : array of shape (n_judged,)
    expected_seconds : float or None
        Estimated time of all folds, for a model that was left out because it would take too long.
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
class Suggestion(TableResult):
    """Result of :func:`featrec.recipes.suggest`. Proportions are between 0 and 1.

    Attributes
    ----------
    trials : tuple of Trial
        Finished trials, highest accuracy first, then trials that were cut, then models that were left out.
    first : str or None
        Name of the model to use first. It is the fastest model whose accuracy is at most two percentage points below the best
        and not significantly different from it (McNemar's exact test). None if no trial was finished.
    n_given : int
        Number of images that the sample was drawn from.
    rows : array of shape (n,)
        Positions of the sample among all given images.
    y_true : array of shape (n,)
        Labels of the sample.
    n_folds : int
    left_out_classes : tuple
        Classes with fewer images than folds, which were left out.
    confidence : float
        Confidence level of the intervals; a difference is significant if its p value is at most 1 - confidence.
    paths : tuple of str of length n, or None
        Paths of the sample; None if the images have no paths.
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
        raise KeyError(f"no trial {name!r}; the trials are {', '.join(trial.name for trial in self.trials)}")

    def verdict(self) -> list[str]:
        """Return sentences that state which model to use first, and why."""
        tried = [trial for trial in self.trials if trial.state == "tried"]
        if self.first is None or not tried:
            return ["No trial was finished, so there is no suggestion."]
        guess = largest_share(self.y_true)
        doubt = []
        if tried[0].interval is not None and tried[0].interval[0] <= guess:
            doubt = [f"No model is significantly better than always predicting the largest class ({percent(guess)} %)."]
        alpha = 1 - self.confidence
        reason = _sentence(self[self.first], tried, self.y_true, alpha)
        return [*doubt, reason, *self._too_few(tried, alpha), *self._cut(tried[0])]

    def _too_few(self, tried: list[Trial], alpha: float) -> list[str]:
        """Return a remark on models whose accuracy is more than two points below the best, but not significantly."""
        near = _near(tried, self.y_true, alpha)
        unclear = [trial.name for trial in tried if trial not in near and _p(tried[0], trial, self.y_true) > alpha]
        if not unclear or len(self.rows) == self.n_given:
            return []
        names, best = ", ".join(unclear), tried[0].name
        return [f"{len(self.rows)} images are too few to show a difference between {best} and {names}; increase n_images."]

    def _cut(self, best: Trial) -> list[str]:
        """Return remarks on models that were ahead when they were cut."""
        ahead = []
        for trial in self.trials:
            if trial.state == "cut" and trial.accuracy is not None and best.accuracy is not None:
                same = float((best.y_pred[trial.rows] == self.y_true[trial.rows]).mean())
                if trial.accuracy > same:
                    figures = (
                        f"{percent(trial.accuracy)} %, compared with {percent(same)} % for {best.name} on the same images,"
                    )
                    ahead.append(f"{trial.name} had {figures} when it was stopped; with more seconds, it might be the best.")
        return ahead

    def __str__(self) -> str:
        others = _others([trial for trial in self.trials if trial.state != "tried"])
        warned = [f"{trial.name} warned: {trial.warning}" for trial in self.trials if trial.warning]
        parts = [self._table(remarks=False).plain(), "\n".join(self._sentences()), "\n".join(others + warned)]
        return "\n\n".join(filter(None, parts))

    def to_frame(self) -> DataFrame:
        """Return a DataFrame with one row per model, in the order of the table. Needs pandas."""
        names = ("state", "accuracy", "fit_seconds", "seconds_per_image", "n_folds", "expected_seconds", "remark", "warning")
        columns = {name: [getattr(trial, name) for trial in self.trials] for name in names}
        intervals = [trial.interval or (None, None) for trial in self.trials]
        columns["low"], columns["high"] = (list(ends) for ends in zip(*intervals, strict=True))
        return frame(columns, index=[trial.name for trial in self.trials])

    def _sentences(self) -> list[str]:
        return [self._basis(), *self.verdict()]

    def _table(self, *, remarks: bool = True) -> Table:
        header = ["recipe", "accuracy", f"{100 * self.confidence:g} % interval", "fit s", "ms per image", "folds"]
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
        left_out = f" {short} classes with fewer images than folds were left out." if short else ""
        guess = f"always predicting the largest class gives {percent(largest_share(self.y_true))} %"
        more = " With more images the order may change." if len(self.rows) < self.n_given else ""
        return f"{images}; {guess}.{more}{left_out}"


def _others(trials: list[Trial]) -> list[str]:
    """Return lines about models that were not tried to the end. Models with the same reason share one line."""
    names: dict[str, list[str]] = {}
    for trial in trials:
        late = trial.state == "left out" and "total_seconds=" in trial.remark
        reason = "left out for lack of time; increase total_seconds" if late else f"{trial.state}: {trial.remark}"
        names.setdefault(reason, []).append(trial.name)
    return [f"{', '.join(same)}, {reason}" for reason, same in names.items()]


def suggested(trials: list[Trial], y_true: np.ndarray, alpha: float) -> str | None:
    """Return the name of the fastest trial whose accuracy is close to the best. `trials` must be sorted, best first."""
    tried = [trial for trial in trials if trial.state == "tried"]
    return min(_near(tried, y_true, alpha), key=_cost).name if tried else None


def _near(tried: list[Trial], y_true: np.ndarray, alpha: float) -> list[Trial]:
    """Return the best trial, and the trials whose difference from it is small and not significant."""
    best = tried[0].accuracy or 0
    return [trial for trial in tried if best - (trial.accuracy or 0) <= TOLERATED and _p(tried[0], trial, y_true) > alpha]


def _sentence(first: Trial, tried: list[Trial], y_true: np.ndarray, alpha: float) -> str:
    best, *rest = tried
    if not rest:
        return f"Try {first.name} first: it is the only finished trial."
    if first is not best:
        test = p_value(_p(best, first, y_true))
        times = f"{number(_cost(first))} s to fit and predict, against {number(_cost(best))} s for {best.name}"
        return (
            f"Try {first.name} first: its accuracy of {percent(first.accuracy or 0)} % is not significantly different from the "
            f"highest accuracy ({best.name}, {percent(best.accuracy or 0)} %; McNemar {test}), and it is faster: {times}."
        )
    near = [trial.name for trial in _near(tried, y_true, alpha)[1:]]
    if near:
        return f"Try {best.name} first: it is the most accurate, and faster than those close to it ({', '.join(near)})."
    p = _p(best, rest[0], y_true)
    if p > alpha:
        return f"Try {best.name} first: it is the most accurate."
    return (
        f"Try {best.name} first: it is the most accurate, and its lead over {rest[0].name} is statistically significant "
        f"(McNemar {p_value(p)})."
    )


def _p(first: Trial, second: Trial, y_true: np.ndarray) -> float:
    right, other = first.y_pred == y_true, second.y_pred == y_true
    return mcnemar(int((right & ~other).sum()), int((other & ~right).sum()))


def _cost(trial: Trial) -> float:
    """Return the time of one fit plus the time of predicting the images of all folds."""
    return (trial.fit_seconds or 0) + (trial.seconds_per_image or 0) * len(trial.rows)
