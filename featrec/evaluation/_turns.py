"""Many models within one total time: the quickest first, and those left out that would not end in what is left."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from featrec.evaluation._clock import Clock
from featrec.evaluation._rehearsal import Rehearsal, rehearse
from featrec.evaluation._run import learns_from_pixels
from featrec.evaluation._suggestion import Trial
from featrec.evaluation._text import number, percent
from featrec.evaluation._trials import Folds, left_out, run_trial

__all__ = ["Limits", "tried_in_turn"]

# The share of the time after which those that wait are tried before others are rehearsed.
MOST_REHEARSED = 1 / 3
# The share of a model's own share that a first rehearsal may take to be repeated.
SHORT = 1 / 3
# The share of the time that is as good as none.
LEAST = 0.02


@dataclass(frozen=True)
class Limits:
    """Seconds for each model and for all together, and the confidence of intervals."""

    seconds: float
    total_seconds: float
    confidence: float


def tried_in_turn(
    made: Mapping[str, tuple[Any, str]], folds: Folds, limits: Limits, clock: Clock, start: float, verbose: int
) -> list[Trial]:
    """A trial for each name, of a model with a remark, or of None with the reason to leave it out."""
    turns = _Turns(folds, limits, clock, start + limits.total_seconds, verbose)
    trials = [left_out(name, remark) for name, (model, remark) in made.items() if model is None]
    models = {name: model for name, (model, _) in made.items() if model is not None}
    turns.tell(f"trying {len(models)} of {len(made)} on {len(folds.labels)} images, {limits.total_seconds:g} s at most")
    for group in _groups(models):
        trials += turns.tried({name: (models[name], made[name][1]) for name in group})
    return trials


def _groups(models: Mapping[str, Any]) -> Iterator[list[str]]:
    """All whose fit on few images is quick; then one by one networks, which pass many times over few images."""
    late = [name for name, model in models.items() if learns_from_pixels(model)]
    yield [name for name in models if name not in late]
    yield from ([name] for name in late)


@dataclass(frozen=True)
class _Turns:
    folds: Folds
    limits: Limits
    clock: Clock
    until: float
    verbose: int

    def left(self) -> float:
        """Seconds until all must have ended."""
        return max(0.0, self.until - self.clock.now())

    def tell(self, text: str) -> None:
        if self.verbose:
            sys.stderr.write(text + "\n")

    def tried(self, models: Mapping[str, tuple[Any, str]]) -> list[Trial]:
        """Rehearse each, and try it at once where its fair share of the time will do.

        The others wait until all are rehearsed, or a third of the time is used up by rehearsals: then the quickest are tried.
        """
        trials: list[Trial] = []
        waiting: dict[str, Rehearsal] = {}
        rehearsed = 0.0
        for place, (name, (model, remark)) in enumerate(models.items()):
            if rehearsed > self.limits.total_seconds * MOST_REHEARSED:
                trials += self._settled(waiting, models)
                waiting, rehearsed = {}, 0.0
            left = self.left()
            if left < self.limits.total_seconds * LEAST:
                trials.append(left_out(name, f"nothing was left of total_seconds={self.limits.total_seconds:g}; give more"))
                continue
            share = min(self.limits.seconds, left / (len(models) - place))
            foretold = self._rehearsed(model, share)
            rehearsed += left - self.left()
            if not foretold.ended and foretold.seconds <= min(share, self.left()):
                trials.append(self._tried(name, model, remark))
            else:
                waiting[name] = foretold
                self.tell(f"{name}: waits; all folds would take {foretold}")
        return trials + self._settled(waiting, models)

    def _settled(self, waiting: Mapping[str, Rehearsal], models: Mapping[str, tuple[Any, str]]) -> list[Trial]:
        """Try as many as there is time for, the quickest first."""
        order = sorted(waiting, key=lambda name: waiting[name].seconds)
        return [self._left_out(name, waiting[name]) or self._tried(name, *models[name]) for name in order]

    def _rehearsed(self, model: Any, share: float) -> Rehearsal:
        """A second time where the first, which loads what is compiled, was short and foretells long."""
        start = self.left()
        # One fit of each fold takes at least as long as a rehearsal, so that one over this limit need not be ended.
        limit = min(self.limits.seconds, start) / len(self.folds.splits)
        found = rehearse(model, self.folds, self.clock, limit)
        took = start - self.left()
        if not found.ended and found.seconds > share and took < share * SHORT:
            again = rehearse(model, self.folds, self.clock, limit)
            return min(found, again, key=lambda one: one.seconds)
        return found

    def _left_out(self, name: str, foretold: Rehearsal) -> Trial | None:
        """Why a model is not tried; None where it is."""
        left, total = self.left(), f"total_seconds={self.limits.total_seconds:g}"
        if not foretold.ended and foretold.seconds <= min(self.limits.seconds, left):
            return None
        takes = f"all {len(self.folds.splits)} folds would take {foretold}"
        if self.limits.seconds <= left:
            reason = f"{takes}, and seconds={self.limits.seconds:g} allows less; give more"
        else:
            reason = f"{takes}, and {number(left)} of {total} were left; give more"
        self.tell(f"{name}: left out, {reason}")
        return left_out(name, reason, foretold.seconds)

    def _tried(self, name: str, model: Any, remark: str) -> Trial:
        seconds = min(self.limits.seconds, self.left())
        limits = {"seconds": seconds, "confidence": self.limits.confidence}
        trial = run_trial(name, model, self.folds, clock=self.clock, remark=remark, **limits)
        result = trial.state if trial.accuracy is None else f"{percent(trial.accuracy)} %"
        self.tell(f"{name}: {result}; {number(self.left())} s left")
        return trial
