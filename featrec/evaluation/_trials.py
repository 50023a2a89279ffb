"""Trials: fit models on folds of a few images within a time limit. A rehearsal estimates the time of a trial."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.base import clone

from featrec.compilation import compiled_so_far
from featrec.evaluation._given import as_labels
from featrec.evaluation._measures import wilson_interval
from featrec.evaluation._suggestion import Trial
from featrec.evaluation._text import number
from featrec.exceptions import FeatrecError
from featrec.lazy import Images
from featrec.parallel import checkpoint, observed_by

__all__ = ["Clock", "Folds", "Rehearsal", "left_out", "rehearse", "run_trial", "sorted_trials"]

# Maximum number of images in a rehearsal.
FEW = 20
# How many times a fit reads most images: once to learn the words, and once to count the words in each image.
PASSES = 2


class Clock:
    """A clock that does not count the time spent compiling."""

    def now(self) -> float:
        """Return the seconds since a fixed moment."""
        return time.perf_counter() - compiled_so_far().seconds


@dataclass(frozen=True, eq=False)
class Folds:
    """Images with labels, and the training and test rows of each fold."""

    images: Images
    labels: np.ndarray
    splits: Sequence[tuple[np.ndarray, np.ndarray]]


class OutOfTime(Exception):
    """The time limit of a trial is reached."""


class Deadline:
    """A step for lazy images that raises OutOfTime after the deadline, even in the middle of a fit."""

    def __init__(self, clock: Clock, seconds: float):
        self.clock, self.until = clock, clock.now() + seconds

    def check(self) -> None:
        if self.clock.now() > self.until:
            raise OutOfTime

    def __call__(self, image: np.ndarray) -> np.ndarray:
        self.check()
        return image


@contextmanager
def limited(images: Images, clock: Clock, seconds: float) -> Iterator[Images]:
    """Yield lazy images that raise OutOfTime after the time limit, which is checked at each image, checkpoint and batch."""
    deadline = Deadline(clock, seconds)
    with observed_by(deadline.check):
        yield images.then(deadline)


@dataclass
class Progress:
    """Results of the folds that are finished."""

    rows: list[np.ndarray] = field(default_factory=list)
    y_pred: list[np.ndarray] = field(default_factory=list)
    fit_seconds: list[float] = field(default_factory=list)
    predict_seconds: float = 0.0


def left_out(name: str, reason: str, expected_seconds: float | None = None) -> Trial:
    """Return the result of a model that was not tried."""
    return replace(_without_figures(name, "left out", reason), expected_seconds=expected_seconds)


def run_trial(
    name: str, model: Any, folds: Folds, *, clock: Clock, seconds: float, confidence: float, remark: str = ""
) -> Trial:
    """Fit and predict one fold after another, until no time is left.

    If an error occurs, the model is left out, with the error as the remark.
    """
    done, state = Progress(), "tried"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _run(model, folds, clock, seconds, done)
        except OutOfTime:
            state = "cut"
            remark = (
                f"stopped after {seconds:.3g} s with {len(done.rows)} of {len(folds.splits)} folds done; "
                "increase seconds and total_seconds"
            )
        except Exception as error:  # the other models are still tried
            return left_out(name, _reason(error))
    if not done.rows:
        return _without_figures(name, state, remark)
    warning = _one_line(str(caught[0].message)) if caught else ""
    return _with_figures(done, folds.labels, confidence, name=name, state=state, remark=remark, warning=warning)


def _run(model: Any, folds: Folds, clock: Clock, seconds: float, done: Progress) -> None:
    with limited(folds.images, clock, seconds) as images:
        for fit, tested in folds.splits:
            checkpoint()
            start = clock.now()
            fitted = clone(model).fit(images[fit], folds.labels[fit])
            fit_seconds, start = clock.now() - start, clock.now()
            predicted = fitted.predict(images[tested])
            done.predict_seconds += clock.now() - start
            done.rows.append(tested)
            done.y_pred.append(as_labels(predicted, len(tested), what="the prediction of the model"))
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
    """Sort trials: finished trials (best first), then trials that were cut, then models that were left out."""
    states = ("tried", "cut", "left out")
    return sorted(trials, key=lambda trial: (states.index(trial.state), -(trial.accuracy or 0), trial.fit_seconds or 0))


@dataclass(frozen=True)
class Rehearsal:
    """Estimated time of all folds.

    If the rehearsal was stopped (`ended`), the time is a lower bound. If it `failed`, the time is unknown.
    """

    seconds: float
    ended: bool = False
    failed: bool = False

    def __str__(self) -> str:
        return f"{'at least' if self.ended else 'about'} {number(self.seconds)} s"


def rehearse(model: Any, folds: Folds, clock: Clock, limit: float) -> Rehearsal:
    """Estimate the time of all folds by fitting a copy of the model on a few images. This also loads compiled code.

    Errors are ignored: either they occur again with all images, or they do not matter.
    """
    rows = _few(folds)
    n_folds, start = len(folds.splits), clock.now()
    with warnings.catch_warnings(), limited(folds.images, clock, limit) as images:
        warnings.simplefilter("ignore")
        try:
            fitted = clone(model).fit(images[rows], folds.labels[rows])
            fit_seconds = clock.now() - start
            each = _seconds_each(fitted, images[rows], clock)
        except OutOfTime:
            return Rehearsal(n_folds * limit, ended=True)
        except Exception:
            return Rehearsal(clock.now() - start, failed=True)
    return Rehearsal(_expected(folds, len(rows), fit_seconds, each))


def _seconds_each(fitted: Any, images: Images, clock: Clock) -> float:
    """Return the time to predict one image in a batch, without the fixed cost of a call.

    The first call is not used, because its fixed cost is the highest.
    """
    seconds = []
    for batch in (images[:1], images, images[:1]):
        start = clock.now()
        fitted.predict(batch)
        seconds.append(clock.now() - start)
    return max(0.0, seconds[1] - seconds[2]) / max(1, len(images) - 1)


def _few(folds: Folds) -> np.ndarray:
    """Select the first image of each of up to ten classes, and the first ten images."""
    fit = folds.splits[0][0]
    _, first = np.unique(folds.labels[fit], return_index=True)
    return fit[np.union1d(first[: FEW // 2], np.arange(min(FEW // 2, len(fit))))]


def _expected(folds: Folds, n_few: int, fit_seconds: float, each: float) -> float:
    """Return the larger of two estimates.

    The time to describe images is proportional to their number. The time to learn words is roughly proportional to the square
    root of this number. For the slowest recipes, the larger estimate was correct within a factor of two, with 133 images of 96
    to 320 pixels.
    """
    n_fit = len(folds.splits[0][0])
    more = max(fit_seconds * math.sqrt(n_fit / n_few), fit_seconds + PASSES * each * (n_fit - n_few))
    return len(folds.splits) * more + each * len(folds.labels)
