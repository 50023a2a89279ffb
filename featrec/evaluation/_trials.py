"""Trials: fit models on folds of a few images within a time limit, the fastest models first.

A rehearsal on even fewer images estimates the time of a trial; models that are too slow are left out.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.base import clone

from featrec.compilation import compiled_so_far
from featrec.evaluation._measures import wilson_interval
from featrec.evaluation._result import number, percent, report_progress
from featrec.evaluation._suggestion import Trial
from featrec.exceptions import FeatrecError
from featrec.labels import as_labels
from featrec.lazy import Images
from featrec.parallel import checkpoint, observed_by

__all__ = ["Clock", "Folds", "Limits", "sorted_trials", "tried_in_turn"]

# Maximum number of images in a rehearsal.
FEW = 20
# How many times a fit reads most images: once to learn the words, and once to count the words in each image.
PASSES = 2
# When rehearsals have used this share of the remaining time, postponed models are tried before more models are rehearsed.
MOST_REHEARSED = 1 / 3
# A rehearsal is repeated only if it took less than this share of the time allowed for the model.
SHORT = 1 / 3
# If less than this share of the total time is left, models are left out without a rehearsal.
LEAST = 0.02


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


@dataclass(frozen=True)
class Limits:
    """Time limit of each model, time limit of all models together, and confidence level of intervals."""

    seconds: float
    total_seconds: float
    confidence: float


def tried_in_turn(
    groups: Iterable[Mapping[str, tuple[Any, str]]], folds: Folds, limits: Limits, clock: Clock, start: float, verbose: int
) -> list[Trial]:
    """Try all models, one group after another.

    A group maps each name to a model and a remark, or to None and the reason why the model is left out.
    """
    turns = _Turns(folds, limits, clock, start + limits.total_seconds, verbose)
    found = [(name, *made) for group in groups for name, made in group.items()]
    trials = [left_out(name, remark) for name, model, remark in found if model is None]
    count = f"{len(found) - len(trials)} of {len(found)} models"
    turns.report(f"trying {count} on {len(folds.labels)} images, at most {limits.total_seconds:g} s")
    for group in groups:
        models = {name: made for name, made in group.items() if made[0] is not None}
        trials += turns.tried(models)
    return trials


@dataclass(frozen=True)
class _Turns:
    folds: Folds
    limits: Limits
    clock: Clock
    until: float
    verbose: int

    def left(self) -> float:
        return max(0.0, self.until - self.clock.now())

    def report(self, text: str) -> None:
        report_progress(self.verbose, text)

    def tried(self, models: Mapping[str, tuple[Any, str]]) -> list[Trial]:
        """Rehearse each model, and try it immediately if its share of the remaining time is enough.

        Other models are postponed until all models are rehearsed, or until rehearsals have used a third of the remaining time.
        Then the fastest postponed models are tried.
        """
        trials: list[Trial] = []
        waiting: dict[str, Rehearsal] = {}
        rehearsed, most = 0.0, self.left() * MOST_REHEARSED
        for place, (name, (model, remark)) in enumerate(models.items()):
            if rehearsed > most:
                trials += self._settled(waiting, models)
                waiting, rehearsed, most = {}, 0.0, self.left() * MOST_REHEARSED
            left = self.left()
            if left < self.limits.total_seconds * LEAST:
                trials.append(left_out(name, f"total_seconds={self.limits.total_seconds:g} was nearly used up; increase it"))
                continue
            share = min(self.limits.seconds, left / (len(models) - place))
            estimate = self._rehearsed(model, share)
            rehearsed += left - self.left()
            if estimate.failed or (not estimate.ended and estimate.seconds <= min(share, self.left())):
                trials.append(self._tried(name, model, remark, share if estimate.failed else self.limits.seconds))
            else:
                waiting[name] = estimate
                self.report(f"{name}: postponed; all folds would take {estimate}")
        return trials + self._settled(waiting, models)

    def _settled(self, waiting: Mapping[str, Rehearsal], models: Mapping[str, tuple[Any, str]]) -> list[Trial]:
        """Try the postponed models, starting with the fastest, until no time is left."""
        order = sorted(waiting, key=lambda name: waiting[name].seconds)
        most = self.limits.seconds
        return [self._left_out(name, waiting[name]) or self._tried(name, *models[name], most) for name in order]

    def _rehearsed(self, model: Any, share: float) -> Rehearsal:
        """Rehearse a model. A short rehearsal with a long estimate is repeated: the first one also loads compiled code."""
        start = self.left()
        # Maximum useful time of a rehearsal. Each fold takes longer than a rehearsal, so all folds would take too long.
        limit = min(self.limits.seconds, start) / len(self.folds.splits)
        found = rehearse(model, self.folds, self.clock, limit)
        took = start - self.left()
        if not found.ended and found.seconds > share and took < share * SHORT:
            again = rehearse(model, self.folds, self.clock, limit)
            return min(found, again, key=lambda one: one.seconds)
        return found

    def _left_out(self, name: str, estimate: Rehearsal) -> Trial | None:
        """Return the result of a model that would take too long, or None if enough time is left."""
        left, total = self.left(), f"total_seconds={self.limits.total_seconds:g}"
        if not estimate.ended and estimate.seconds <= min(self.limits.seconds, left):
            return None
        takes = f"all {len(self.folds.splits)} folds would take {estimate}"
        if self.limits.seconds <= left:
            reason = f"{takes}, more than seconds={self.limits.seconds:g}; increase it"
        else:
            reason = f"{takes}, but {number(left)} s of {total} were left; increase it"
        self.report(f"{name}: left out, {reason}")
        return left_out(name, reason, estimate.seconds)

    def _tried(self, name: str, model: Any, remark: str, seconds: float) -> Trial:
        limits = {"seconds": min(seconds, self.left()), "confidence": self.limits.confidence}
        trial = run_trial(name, model, self.folds, clock=self.clock, remark=remark, **limits)
        result = trial.state if trial.accuracy is None else f"{percent(trial.accuracy)} %"
        self.report(f"{name}: {result}; {number(self.left())} s left")
        return trial
