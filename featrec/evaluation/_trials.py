"""Models tried on the same folds of a few images, each for so many seconds."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.base import clone

from featrec.evaluation._clock import Clock
from featrec.evaluation._labels import as_labels
from featrec.evaluation._measures import wilson_interval
from featrec.evaluation._suggestion import Trial
from featrec.exceptions import FeatrecError
from featrec.lazy import Images
from featrec.parallel import observed_by

__all__ = ["Folds", "OutOfTime", "left_out", "run_trial", "sorted_trials", "watching"]


@dataclass(frozen=True, eq=False)
class Folds:
    """Images with labels, and the rows to learn from and to judge on of each fold."""

    images: Images
    labels: np.ndarray
    splits: Sequence[tuple[np.ndarray, np.ndarray]]


class OutOfTime(Exception):
    """The time of a trial is up."""


class Watched:
    """Images until the time is up; then asking for one ends the trial, also in the middle of a fit, as checkpoints do."""

    def __init__(self, images: Images, clock: Clock, seconds: float):
        self.images, self.clock, self.until = images, clock, clock.now() + seconds

    def __len__(self) -> int:
        return len(self.images)

    @property
    def positions(self) -> np.ndarray:
        """Where they stand among the images that were given."""
        return self.images.positions

    def name(self, position: int) -> str | None:
        """The path, where there is one."""
        return self.images.name(position)

    def check(self) -> None:
        """End the trial if the time is up."""
        if self.clock.now() > self.until:
            raise OutOfTime

    def __getitem__(self, position: int) -> np.ndarray:
        self.check()
        image: np.ndarray = self.images[position]
        return image


@contextmanager
def watching(images: Images, clock: Clock, seconds: float) -> Iterator[Watched]:
    """The images for so many seconds; OutOfTime ends whatever still asks for one."""
    watched = Watched(images, clock, seconds)
    with observed_by(watched.check):
        yield watched


@dataclass
class Progress:
    """What the folds that are done have given."""

    rows: list[np.ndarray] = field(default_factory=list)
    y_pred: list[np.ndarray] = field(default_factory=list)
    fit_seconds: list[float] = field(default_factory=list)
    predict_seconds: float = 0.0


def left_out(name: str, reason: str, expected_seconds: float | None = None) -> Trial:
    """The row of a model that was not tried."""
    return replace(_without_figures(name, "left out", reason), expected_seconds=expected_seconds)


def run_trial(
    name: str, model: Any, folds: Folds, *, clock: Clock, seconds: float, confidence: float, remark: str = ""
) -> Trial:
    """Fit and ask the model fold by fold, as long as there is time; what goes wrong is the reason to leave it out."""
    done, state = Progress(), "tried"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            _run(model, folds, clock, seconds, done)
        except OutOfTime:
            state = "cut"
            over = f"{seconds:.3g} s were over with {len(done.rows)} of {len(folds.splits)} folds done"
            remark = f"{over}; give it more seconds and total_seconds"
        except Exception as error:  # one model that fails must not cost what is known of the others
            return left_out(name, _reason(error))
    if not done.rows:
        return _without_figures(name, state, remark)
    warning = _one_line(str(told[0].message)) if told else ""
    return _with_figures(done, folds.labels, confidence, name=name, state=state, remark=remark, warning=warning)


def _run(model: Any, folds: Folds, clock: Clock, seconds: float, done: Progress) -> None:
    with watching(folds.images, clock, seconds) as watched:
        images = Images(watched)
        for fit, judged in folds.splits:
            watched.check()
            start = clock.now()
            fitted = clone(model).fit(images[fit], folds.labels[fit])
            fit_seconds, start = clock.now() - start, clock.now()
            predicted = fitted.predict(images[judged])
            done.predict_seconds += clock.now() - start
            done.rows.append(judged)
            done.y_pred.append(as_labels(predicted, len(judged), what="what the model predicts"))
            done.fit_seconds.append(fit_seconds)


def _without_figures(name: str, state: str, remark: str) -> Trial:
    nothing = np.empty(0, int)
    return Trial(name, state, None, None, None, None, 0, remark, "", nothing, nothing)


def _with_figures(done: Progress, labels: np.ndarray, confidence: float, **words: Any) -> Trial:
    rows = np.concatenate(done.rows)
    order = np.argsort(rows)
    rows, y_pred = rows[order], np.concatenate(done.y_pred)[order]
    right = int((y_pred == labels[rows]).sum())
    return Trial(
        accuracy=right / len(rows),
        interval=wilson_interval(right, len(rows), confidence),
        fit_seconds=float(np.mean(done.fit_seconds)),
        seconds_per_image=done.predict_seconds / len(rows),
        n_folds=len(done.rows),
        rows=rows,
        y_pred=y_pred,
        **words,
    )


def _reason(error: Exception) -> str:
    text = _one_line(str(error))
    return text if isinstance(error, FeatrecError) else f"{type(error).__name__}: {text}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def sorted_trials(trials: Iterable[Trial]) -> list[Trial]:
    """Those tried to the end, best first, then those that were cut, then those left out."""
    states = ("tried", "cut", "left out")
    return sorted(trials, key=lambda trial: (states.index(trial.state), -(trial.accuracy or 0), trial.fit_seconds or 0))
