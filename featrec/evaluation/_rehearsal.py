"""How long a model is going to take, from a fit on a few images."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from featrec.evaluation._clock import Clock
from featrec.evaluation._text import number
from featrec.evaluation._trials import Folds, OutOfTime, watching
from featrec.lazy import Images

__all__ = ["Rehearsal", "rehearse"]

# Images of a rehearsal.
FEW = 20
# A fit sees most images twice, to learn the words and to count them; a prediction sees them once.
PASSES = 2


@dataclass(frozen=True)
class Rehearsal:
    """Seconds that all folds are going to take, or the least that they can take where the rehearsal was ended.

    Nothing is known where it failed.
    """

    seconds: float
    ended: bool = False
    failed: bool = False

    def __str__(self) -> str:
        return f"{'at least' if self.ended else 'about'} {number(self.seconds)} s"


def rehearse(model: Any, folds: Folds, clock: Clock, limit: float) -> Rehearsal:
    """Fit a copy of the model on a few images and ask it, which also loads what is compiled.

    What goes wrong with so few images either goes wrong later, too, or does not matter.
    """
    rows = _few(folds)
    n_folds, start = len(folds.splits), clock.now()
    with warnings.catch_warnings(), watching(folds.images, clock, limit) as watched:
        warnings.simplefilter("ignore")
        images = Images(watched)
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
    """To predict one more image; what a call takes by itself, the first one above all, is no part of it."""
    seconds = []
    for batch in (images[:1], images, images[:1]):
        start = clock.now()
        fitted.predict(batch)
        seconds.append(clock.now() - start)
    return max(0.0, seconds[1] - seconds[2]) / max(1, len(images) - 1)


def _few(folds: Folds) -> np.ndarray:
    """The first image of each of some classes, and some more."""
    fit = folds.splits[0][0]
    _, first = np.unique(folds.labels[fit], return_index=True)
    return fit[np.union1d(first[: FEW // 2], np.arange(min(FEW // 2, len(fit))))]


def _expected(folds: Folds, n_few: int, fit_seconds: float, each: float) -> float:
    """Describing takes as long for each image; learning words grows about as the root of the number of images.

    Both rules are under the truth where the other one rules. The larger of them was within a factor of two for the recipes
    that take longest, at 133 images of 96 to 320 pixels.
    """
    n_fit = len(folds.splits[0][0])
    more = max(fit_seconds * math.sqrt(n_fit / n_few), fit_seconds + PASSES * each * (n_fit - n_few))
    return len(folds.splits) * more + each * len(folds.labels)
