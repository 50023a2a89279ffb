"""Further measures of a benchmark run: facts about the model, duplicates, groups, calibration and cost."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.cli._bench_results import packed

if TYPE_CHECKING:
    from featrec.cli._bench_cell import Pool

__all__ = ["fitted_facts", "requested"]

MOST_IMAGES = 64  # at most this number of test images are predicted to measure the cost


def fitted_facts(model: Any, pool: Pool, train: np.ndarray, test: np.ndarray) -> dict[str, Any]:
    """Return facts that are recorded of every run: sizes, pre-training, duplicates, and the groups of the test images."""
    from featrec.evaluation import facts_of

    facts = facts_of(model, pool.images(test[:1]))
    names = ("width", "n_parameters", "n_multiply_adds")
    return {
        "model_bytes": facts["n_bytes"],
        **{name: facts[name] for name in names},
        "pretrained_on": list(facts["pretrained_on"]),
        **_duplicates(pool, train, test),
        **_groups(pool, test),
    }


def _duplicates(pool: Pool, train: np.ndarray, test: np.ndarray) -> dict[str, Any]:
    """Count the test images that are identical to a training image, and mark them."""
    from featrec.evaluation import Part, Rows, duplicates_in

    images, n, places = pool.images(np.concatenate([train, test])), len(train), np.arange(len(test))
    found = duplicates_in([Part(Rows(images, np.arange(n)), pool.labels[train], Rows(images, n + places), places)])
    if found is None:
        return {}
    marked = np.isin(places, found)
    return {"n_duplicates": len(found), **({"duplicates": packed(marked.astype(int))} if len(found) else {})}


def _groups(pool: Pool, test: np.ndarray) -> dict[str, Any]:
    if pool.groups is None:
        return {}
    names, places = np.unique(pool.groups[test], return_inverse=True)
    return {"groups": names.tolist(), "group": packed(places)}


def requested(measures: Iterable[str], model: Any, pool: Pool, test: np.ndarray) -> dict[str, Any]:
    """Measure the cost and the calibration of a fitted model, if requested."""
    found: dict[str, Any] = {}
    if "calibration" in measures:
        found |= _calibration(model, pool, test)
    if "cost" in measures:
        found |= _cost(model, pool, test)
    return found


def _calibration(model: Any, pool: Pool, test: np.ndarray) -> dict[str, Any]:
    from featrec.evaluation import calibration_of, probabilities_of

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # predict has already shown them
        found = calibration_of([probabilities_of(model, pool.images(test), pool.labels[test])])
    if found is None:
        return {}
    return {"calibration": {name: round(getattr(found, name), 6) for name in ("ece", "brier", "log_loss")}}


def _cost(model: Any, pool: Pool, test: np.ndarray) -> dict[str, Any]:
    """Measure the cost on a few test images: paths, so that reading is measured, or arrays of images without a file."""
    from featrec.evaluation import Rows, cost_of

    few = test[:: max(1, len(test) // MOST_IMAGES)][:MOST_IMAGES]
    names = [pool.name(row) for row in few.tolist()]
    images = [name if name and os.path.isfile(name) else pool[row] for row, name in zip(few.tolist(), names, strict=True)]
    cost, remark = cost_of(model, Rows(images, np.arange(len(images))))
    return {"cost_remark": remark} if cost is None else {"cost": {name: _rounded(value) for name, value in vars(cost).items()}}


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else round(value, 6)
