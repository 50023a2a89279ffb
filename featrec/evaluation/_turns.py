"""Trials of many models within a total time. The fastest models are tried first; models that are too slow are left out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from featrec.evaluation._suggestion import Trial
from featrec.evaluation._text import number, percent
from featrec.evaluation._trials import Clock, Folds, Rehearsal, left_out, rehearse, run_trial

__all__ = ["Limits", "tried_in_turn"]

# When rehearsals have used this share of the remaining time, postponed models are tried before more models are rehearsed.
MOST_REHEARSED = 1 / 3
# A rehearsal is repeated only if it took less than this share of the time allowed for the model.
SHORT = 1 / 3
# If less than this share of the total time is left, models are left out without a rehearsal.
LEAST = 0.02


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
        if self.verbose:
            sys.stderr.write(text + "\n")

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
