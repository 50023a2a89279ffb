"""The sentences of a comparison: what was compared, which model is best, and whether a network wins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from featrec.evaluation._measures import largest_share
from featrec.evaluation._model_result import ModelResult, Pair
from featrec.evaluation._text import number, p_value, percent

if TYPE_CHECKING:
    from featrec.evaluation._comparison import Comparison

__all__ = ["basis", "duplicates_told", "near_the_best", "pretraining_told", "significant", "verdict"]

SIGNIFICANT = "statistically significant"
TESTS = {"mcnemar": "McNemar", "corrected t": "corrected t test"}


def basis(comparison: Comparison) -> str:
    """Describe the images and the splits."""
    n_classes, guess = len(np.unique(comparison.y_true)), percent(largest_share(comparison.y_true))
    return f"{_images(comparison)}, {n_classes} classes; always predicting the largest class gives {guess} %."


def _images(comparison: Comparison) -> str:
    n, n_folds = comparison.n, comparison.n_folds
    if n_folds is None:
        return f"{n:,} test images"
    if comparison.rows is None:
        return f"{n:,} images in {n_folds} folds"
    return f"{n_folds} splits of about {comparison.n_train:,} training and {n / n_folds:,.0f} test images"


def verdict(comparison: Comparison) -> list[str]:
    """Return sentences that state which model is best, whether its lead is significant, and whether a network wins."""
    if len(comparison.results) < 2:
        return [f"{comparison.results[0].name} is the only model; add a second model for a comparison."]
    return [_best(comparison), *_networks(comparison)]


def _best(comparison: Comparison) -> str:
    first, second = comparison.results[:2]
    if first.accuracy == second.accuracy:
        leaders = [result.name for result in comparison.results if result.accuracy == first.accuracy]
        return f"{', '.join(leaders[:-1])} and {leaders[-1]} share the highest accuracy."
    corrected = f", corrected for {len(comparison.pairs)} pairs" if len(comparison.pairs) > 1 else ""
    pair = comparison.pair(first.name, second.name)
    return (
        f"{first.name} is the most accurate; its lead of {_points(first, second)} over {second.name} is "
        f"{significant(pair, comparison.confidence)} ({TESTS[pair.test]} {p_value(pair.p_holm)}{corrected})."
    )


def near_the_best(comparison: Comparison) -> list[str]:
    """Return a sentence on the models that do not differ significantly from the best, and on the fastest of them."""
    best, *others = comparison.results
    alpha = 1 - comparison.confidence
    near = [row for row in others if comparison.pair(best.name, row.name).p_holm > alpha]
    if not near:
        return []
    told = f"Not significantly different from {best.name}: {', '.join(row.name for row in near)}"
    timed = [row for row in (best, *near) if row.images_per_second]
    if len(timed) < 2:
        return [f"{told}."]
    fastest = max(timed, key=lambda row: row.images_per_second or 0)
    return [
        f"{told}. The fastest of these {len(near) + 1} is {fastest.name}, with {number(fastest.images_per_second)} images/s."
    ]


def _networks(comparison: Comparison) -> list[str]:
    """Compare the best network with the best engineered features."""
    network = next((result for result in comparison.results if result.kind == "network"), None)
    engineered = next((result for result in comparison.results if result.kind == "engineered"), None)
    if network is None or engineered is None:
        return []
    rival = f"the best engineered features ({engineered.name})"
    if network.accuracy == engineered.accuracy:
        return [f"The network {network.name} does not win: {rival} are equally accurate."]
    pair = comparison.pair(network.name, engineered.name)
    test = f"{significant(pair, comparison.confidence)} ({p_value(pair.p_holm)})"
    if network.accuracy < engineered.accuracy:
        lead = _points(engineered, network)
        return [f"The network {network.name} does not win: {rival} are {lead} ahead; the lead is {test}."]
    verb = "wins" if pair.p_holm <= 1 - comparison.confidence else "leads"
    return [f"The network {network.name} {verb} by {_points(network, engineered)} over {rival}; the lead is {test}."]


def duplicates_told(comparison: Comparison) -> list[str]:
    """Return a sentence on test images that are identical to training images, with the best accuracy without these images."""
    found = comparison.duplicates
    if found is None or not len(found):
        return []
    images = "1 test image is" if len(found) == 1 else f"{len(found):,} test images are"
    told = f"{images} identical, pixel for pixel, to training images"
    if len(found) == comparison.n:
        return [f"{told}; this is the whole test set."]
    best = comparison.results[0]
    rest = np.delete(best.y_pred == comparison.y_true, found).mean()
    return [f"{told}; without {'it' if len(found) == 1 else 'them'}, the accuracy of {best.name} is {percent(rest)} %."]


def pretraining_told(comparison: Comparison) -> list[str]:
    """Return a sentence for each model that was pre-trained on other images."""
    rows = [row for row in comparison.results if row.pretrained_on]
    return [
        f"{row.name} was pre-trained on {' and '.join(row.pretrained_on)}; the fit time does not include pre-training."
        for row in rows
    ]


def significant(pair: Pair, confidence: float) -> str:
    """Return whether the difference of a pair is significant after the correction, in words."""
    return SIGNIFICANT if pair.p_holm <= 1 - confidence else f"not {SIGNIFICANT}"


def _points(better: ModelResult, worse: ModelResult) -> str:
    points = f"{100 * (better.accuracy - worse.accuracy):.1f}"
    return f"{points} point" if points == "1.0" else f"{points} points"
