"""The tables and the sentences of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from featrec.evaluation._measures import largest_share
from featrec.evaluation._model_result import ModelResult, Pair
from featrec.evaluation._result import Table, data_size, number, p_value, percent, percent_range

if TYPE_CHECKING:
    from featrec.evaluation._comparison import Comparison

__all__ = [
    "Shares",
    "basis",
    "calibration_table",
    "class_recalls",
    "compiled",
    "cost_table",
    "duplicates_told",
    "energy_table",
    "group_accuracies",
    "group_table",
    "near_the_best",
    "network_table",
    "pair_table",
    "pretraining_told",
    "result_table",
    "verdict",
]

SIGNIFICANT = "statistically significant"
TESTS = {"mcnemar": "McNemar", "corrected t": "corrected t test"}


def result_table(comparison: Comparison) -> Table:
    """Return the main table: accuracies, times and sizes."""
    interval = f"{100 * comparison.confidence:g} % interval"
    folds = ["folds" if comparison.rows is None else "splits"] if comparison.n_folds else []
    compiling = ["compile s"] if compiled(comparison) else []
    figures = ["balanced", "fit s", *compiling, "predict s", "images/s", "features", "size"]
    rows = [_result_row(comparison, result) for result in comparison.results]
    return Table(["model", "accuracy", interval, *folds, *figures], rows)


def _result_row(comparison: Comparison, result: ModelResult) -> list[str]:
    shares = 100 * np.array(result.fold_accuracies)
    folds = [f"{shares.mean():.1f} ± {shares.std(ddof=1):.1f}"] if comparison.n_folds else []
    compiling = [result.compile_seconds or None] if compiled(comparison) else []
    return [
        result.name,
        percent(result.accuracy),
        percent_range(result.interval),
        *folds,
        percent(result.balanced_accuracy),
        *map(number, (result.fit_seconds, *compiling, result.predict_seconds, result.images_per_second, result.width)),
        data_size(result.n_bytes),
    ]


def compiled(comparison: Comparison) -> bool:
    """Whether any model compiled anything."""
    return any(result.compile_seconds for result in comparison.results)


def cost_table(comparison: Comparison) -> Table | None:
    """Return the costs in a fresh process; None if they were not measured."""
    if not any(result.cost for result in comparison.results):
        return None
    header = ["model", "start s", "first image s", "one image ms, median", "95th percentile", "in batches ms", "peak memory"]
    return Table(header, [_cost_row(result) for result in comparison.results])


def _cost_row(result: ModelResult) -> list[str]:
    cost = result.cost
    if cost is None:
        return [result.name, *["–"] * 6]
    milliseconds = (1000 * seconds for seconds in (cost.p50_seconds, cost.p95_seconds, cost.batch_seconds))
    times = map(number, (cost.start_seconds, cost.first_seconds, *milliseconds))
    return [result.name, *times, data_size(cost.peak_bytes)]


def network_table(comparison: Comparison) -> Table | None:
    """Return parameters, multiply-adds and pre-training of the models that report them; None if no model does."""
    told = [row for row in comparison.results if row.n_parameters or row.n_multiply_adds or row.pretrained_on]
    rows = [
        [row.name, number(row.n_parameters), number(row.n_multiply_adds), ", ".join(row.pretrained_on) or "–"] for row in told
    ]
    return Table(["model", "parameters", "multiply-adds per image", "pre-trained on"], rows) if rows else None


def energy_table(comparison: Comparison) -> Table | None:
    """Return the estimated energy; None if it was not requested."""
    given = [(result.name, result.kwh) for result in comparison.results if result.kwh is not None]
    return Table(["model", "Wh, estimate"], [[name, number(1000 * kwh)] for name, kwh in given]) if given else None


def calibration_table(comparison: Comparison) -> Table | None:
    """Return the quality of the probabilities of the models that have any; None if no model does."""
    given = [(result.name, result.calibration) for result in comparison.results if result.calibration]
    rows = [[name, percent(found.ece), f"{found.brier:.3f}", f"{found.log_loss:.3f}"] for name, found in given]
    return Table(["model", "calibration error, %", "Brier score", "log loss"], rows) if rows else None


def pair_table(comparison: Comparison) -> Table:
    """Return the tests between all pairs of models."""
    header = [
        "models",
        "difference",
        f"{100 * comparison.confidence:g} % interval",
        "only first",
        "only second",
        "p",
        "p, Holm",
    ]
    rows = []
    for pair in comparison.pairs:
        ends = "–" if pair.interval is None else " to ".join(_signed(end) for end in pair.interval)
        p_values = (p_value(p).removeprefix("p ").removeprefix("= ") for p in (pair.p, pair.p_holm))
        counts = f"{pair.first_only:,}", f"{pair.second_only:,}"
        rows.append([f"{pair.first} – {pair.second}", _signed(pair.difference), ends, *counts, *p_values])
    return Table(header, rows)


def _signed(share: float) -> str:
    """Format a difference in percentage points with its sign; use the typographic minus sign."""
    return f"{100 * share:+.1f}".replace("-", "−")


class Shares(NamedTuple):
    """The accuracy of each model (columns) on the images of each class or group (rows); nan if there are no images."""

    names: np.ndarray
    counts: list[int]
    accuracies: np.ndarray
    models: list[str]


def class_recalls(comparison: Comparison) -> Shares:
    """Return the accuracies by class, which are recalls."""
    return _shares_by(comparison, comparison.y_true, comparison.classes)


def group_accuracies(comparison: Comparison) -> Shares | None:
    """Return the accuracies by group; None without groups."""
    return None if comparison.groups is None else _shares_by(comparison, comparison.groups, np.unique(comparison.groups))


def _shares_by(comparison: Comparison, keys: np.ndarray, names: np.ndarray) -> Shares:
    correct = np.stack([result.y_pred == comparison.y_true for result in comparison.results], axis=1)
    parts = [correct[keys == name] for name in names]
    accuracies = [part.mean(axis=0) if len(part) else np.full(correct.shape[1], np.nan) for part in parts]
    return Shares(names, list(map(len, parts)), np.stack(accuracies), comparison._names())


def group_table(comparison: Comparison) -> Table | None:
    """Return the accuracy on each group; None without groups."""
    found = group_accuracies(comparison)
    if found is None:
        return None
    rows = [
        [str(name), f"{count:,}", *map(percent, row)]
        for name, count, row in zip(found.names, found.counts, found.accuracies, strict=True)
    ]
    return Table(["group", "images", *found.models], rows)


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
