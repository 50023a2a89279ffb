"""How long a model is going to take, from a fit on a few images."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from featrec.evaluation._clock import Clock
from featrec.evaluation._trials import Folds, OutOfTime, watching
from featrec.lazy import Images

__all__ = ["Rehearsal", "rehearse"]

# Images of a rehearsal.
FEW = 20
# A fit sees most images twice, to learn the words and to count them; a prediction sees them once.
PASSES = 2


@dataclass(frozen=True)
class Rehearsal:
    """Seconds that all folds are going to take, or the least that they can take where the rehearsal was ended."""

    n_images: int
    seconds: float
    ended: bool = False


def rehearse(model: Any, folds: Folds, clock: Clock, limit: float) -> Rehearsal:
    """Fit a copy of the model on a few images and ask it, which also loads what is compiled.

    What goes wrong with so few images either goes wrong later, too, or does not matter; the time it took is known then.
    """
    rows = _few(folds)
    n_folds, start = len(folds.splits), clock.now()
    with warnings.catch_warnings(), watching(folds.images, clock, limit) as watched:
        warnings.simplefilter("ignore")
        images = Images(watched)
        try:
            fitted = clone(model).fit(images[rows], folds.labels[rows])
            fit_seconds = clock.now() - start
            fitted.predict(images[rows])
        except OutOfTime:
            return Rehearsal(len(rows), n_folds * limit, ended=True)
        except Exception:
            return Rehearsal(len(rows), clock.now() - start)
    return Rehearsal(len(rows), _expected(folds, len(rows), fit_seconds, clock.now() - start - fit_seconds))


def _few(folds: Folds) -> np.ndarray:
    """The first image of each of some classes, and some more."""
    fit = folds.splits[0][0]
    _, first = np.unique(folds.labels[fit], return_index=True)
    return fit[np.union1d(first[: FEW // 2], np.arange(min(FEW // 2, len(fit))))]


def _expected(folds: Folds, n_few: int, fit_seconds: float, predict_seconds: float) -> float:
    """Describing takes as long for each image; learning words grows about as the root of the number of images.

    Both rules are under the truth where the other one rules. The larger of them was within a factor of two for every
    recipe, at 133 images of 96 to 320 pixels.
    """
    n_fit, n_images = len(folds.splits[0][0]), len(folds.labels)
    each = predict_seconds / n_few
    more = max(fit_seconds * math.sqrt(n_fit / n_few), fit_seconds + PASSES * each * (n_fit - n_few))
    return len(folds.splits) * more + each * n_images
