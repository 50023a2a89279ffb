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
        """Rehearse each, and try it at once where its fair share of the time will do; then the others, the quickest first."""
        trials, waiting = [], {}
        for place, (name, (model, remark)) in enumerate(models.items()):
            foretold = self._rehearsed(model)
            if not foretold.ended and foretold.seconds <= min(self.limits.seconds, self.left() / (len(models) - place)):
                trials.append(self._tried(name, model, remark))
            else:
                waiting[name] = foretold
                self.tell(f"{name}: waits; all folds would take {foretold}")
        for name in sorted(waiting, key=lambda name: waiting[name].seconds):
            trials.append(self._left_out(name, waiting[name]) or self._tried(name, *models[name]))
        return trials

    def _rehearsed(self, model: Any) -> Rehearsal:
        """One fit of each fold takes at least as long, so that a rehearsal over this limit need not be ended."""
        limit = min(self.limits.seconds, self.left()) / len(self.folds.splits)
        return rehearse(model, self.folds, self.clock, limit) if limit else Rehearsal(0.0, ended=True)

    def _left_out(self, name: str, foretold: Rehearsal) -> Trial | None:
        """Why a model is not tried; None where it is."""
        left, total = self.left(), f"total_seconds={self.limits.total_seconds:g}"
        if not foretold.ended and foretold.seconds <= min(self.limits.seconds, left):
            return None
        if not foretold.seconds:
            return left_out(name, f"nothing was left of {total}; give more")
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
