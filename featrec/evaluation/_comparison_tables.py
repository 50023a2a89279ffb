"""The tables of a comparison: results, cost, calibration, pairs, classes and groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.evaluation._model_result import ModelResult
from featrec.evaluation._text import Table, data_size, number, p_value, percent, percent_range

if TYPE_CHECKING:
    from featrec.evaluation._comparison import Comparison

__all__ = [
    "calibration_table",
    "class_recalls",
    "compiled",
    "cost_table",
    "energy_table",
    "group_accuracies",
    "group_table",
    "network_table",
    "pair_table",
    "result_table",
    "share_table",
]


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


def class_recalls(comparison: Comparison) -> np.ndarray:
    """Return an array of recalls with one row per class (nan if it has no images) and one column per model."""
    return _shares_by(comparison, comparison.y_true, comparison.classes)


def group_accuracies(comparison: Comparison, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the names of the groups, and an array of accuracies with one row per group and one column per model."""
    names = np.unique(groups)
    return names, _shares_by(comparison, groups, names)


def _shares_by(comparison: Comparison, keys: np.ndarray, names: np.ndarray) -> np.ndarray:
    correct = np.stack([result.y_pred == comparison.y_true for result in comparison.results], axis=1).astype(float)
    return np.stack([correct[keys == name].mean(axis=0) if (keys == name).any() else np.full(correct.shape[1], np.nan)
                     for name in names])  # fmt: skip


def share_table(what: str, names: Sequence[Any], counts: Sequence[int], shares: np.ndarray, models: Sequence[str]) -> Table:
    """Return shares in percent, one row per class or group, one column per model."""
    rows = [
        [str(name), f"{count:,}", *("–" if np.isnan(share) else percent(share) for share in row)]
        for name, count, row in zip(names, counts, shares, strict=True)
    ]
    return Table([what, "images", *models], rows)


def group_table(comparison: Comparison) -> Table | None:
    """Return the accuracy on each group; None without groups."""
    if comparison.groups is None:
        return None
    names, shares = group_accuracies(comparison, comparison.groups)
    counts = [int(np.count_nonzero(comparison.groups == name)) for name in names]
    return share_table("group", names.tolist(), counts, shares, [result.name for result in comparison.results])
