"""One cell of a benchmark: a recipe on a split, in its own process."""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.cli._bench_answers import packed
from featrec.cli._bench_splits import Pool, parts, read_halves
from featrec.cli._stamp import peak_megabytes
from featrec.compilation import Spent, timed
from featrec.exceptions import DroppedImageWarning, InputError, SkippedFileWarning
from featrec.parallel import worker_count

if TYPE_CHECKING:
    from featrec.lazy import Images

__all__ = ["main", "make_model", "run_cell"]

WARM_UP = 2  # Number of classes, and of images per class, used to warm up a copy of the model before timing.


def main() -> None:
    """Read a cell from standard input and write the result to the file named on the command line."""
    cell = json.load(sys.stdin)
    try:
        found = run_cell(cell)
    except Exception as error:
        notes = "; ".join(getattr(error, "__notes__", ()))
        text = " ".join(f"{type(error).__name__}: {error}".split())
        found = {"error": f"{text} ({notes})" if notes else text}
    Path(sys.argv[1]).write_text(json.dumps(found), encoding="utf-8")


def make_model(cell: Mapping[str, Any]) -> Any:
    """Create the recipe of a cell, with its seed; environment variables in paths are expanded."""
    from featrec import recipes

    model = recipes.make(cell["recipe"], n_jobs=cell["n_jobs"], **expanded(cell["options"]))
    drawn = [name for name in model.get_params() if name.rpartition("__")[2] == "random_state"]
    return model.set_params(**dict.fromkeys(drawn, cell["seed"]))


def expanded(value: Any) -> Any:
    """Replace ``$NAME`` in all strings; raises InputError for unknown variables."""
    if isinstance(value, str):
        found = os.path.expandvars(value)
        if unset := re.search(r"\$\{?[A-Za-z_]\w*", found):
            raise InputError(
                f"{value!r} contains the variable {unset[0].lstrip('${')}, which is not set; set it in the shell first"
            )
        return found
    if isinstance(value, dict):
        return {name: expanded(item) for name, item in value.items()}
    return [expanded(item) for item in value] if isinstance(value, list) else value


def run_cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Fit, predict and evaluate, and measure time and memory of this process."""
    pool = _pool(cell)
    train, test = parts(pool, cell["split"])
    model = make_model(cell)
    _warm_up(model, pool, train)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        fitted = _timed(pool, lambda: _fit(model, pool.images(train), pool.labels[train]))
        asked = _timed(pool, lambda: _predict(model, pool.images(test)))
    _, fit_steps, fit_reading, fit = fitted
    predicted, predict_steps, predict_reading, ask = asked
    compiling = {"fit": round(fit.compile_seconds, 4), "predict": round(ask.compile_seconds, 4)}
    return {
        "threads": worker_count(cell["n_jobs"]),
        "n_train": len(train),
        "n_test": len(test),
        **_left_out(pool),
        **_judged(pool.labels[test], np.asarray(predicted), np.unique(pool.labels)),
        "fit_seconds": round(fit.seconds, 4),
        "fit_steps": fit_steps,
        "predict_seconds": round(ask.seconds, 4),
        "predict_steps": predict_steps,
        "reading_cpu_seconds": {"fit": fit_reading, "predict": predict_reading},
        # Not part of any other time. A copy of the model was fitted before, so little is left to compile.
        **({"compile_seconds": compiling} if any(compiling.values()) else {}),
        "images_per_second": round(len(test) / max(ask.seconds, 1e-9), 2),
        "peak_mb": round(peak_megabytes(), 1),
        "model_bytes": _weight(model),
        "warnings": sorted({f"{warning.category.__name__}: {warning.message}" for warning in told}),
    }


def _pool(cell: Mapping[str, Any]) -> Pool:
    """Load the images; skipped and dropped files were reported before the first cell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkippedFileWarning)
        warnings.simplefilter("ignore", DroppedImageWarning)
        return Pool(read_halves(cell["dataset"], expanded(cell["dataset_options"])))


def _left_out(pool: Pool) -> dict[str, int]:
    """Number of damaged files, if any."""
    from featrec.evaluation import count_dropped

    dropped = count_dropped(*pool.halves)
    return {"n_dropped": dropped} if dropped else {}


def _timed(pool: Pool, work: Callable[[], tuple[Any, dict[str, float]]]) -> tuple[Any, dict[str, float], float, Spent]:
    """The result of a call, the seconds of its steps, the CPU seconds for reading, and the total."""
    pool.seconds = 0.0
    with timed() as spent:
        found, steps = work()
    return found, steps, round(pool.seconds, 4), spent


def _fit(model: Any, images: Images, labels: np.ndarray) -> tuple[Any, dict[str, float]]:
    """Like Pipeline.fit without a cache, timing each step; a lazy step is timed in the step that uses its results."""
    seconds: dict[str, float] = {}
    codes: Any = images
    *steps, (name, last) = _steps(model)
    for step, transformer in steps:
        with timed() as spent:
            codes = transformer.fit_transform(codes, labels)
        seconds[step] = round(spent.seconds, 4)
    with timed() as spent:
        last.fit(codes, labels)
    seconds[name] = round(spent.seconds, 4)
    return model, seconds


def _predict(model: Any, images: Images) -> tuple[Any, dict[str, float]]:
    seconds: dict[str, float] = {}
    codes: Any = images
    *steps, (name, last) = _steps(model)
    for step, transformer in steps:
        with timed() as spent:
            codes = transformer.transform(codes)
        seconds[step] = round(spent.seconds, 4)
    with timed() as spent:
        predicted = last.predict(codes)
    seconds[name] = round(spent.seconds, 4)
    return predicted, seconds


def _steps(model: Any) -> list[tuple[str, Any]]:
    """The steps of a Pipeline, except those that do nothing; other models are a single step."""
    if not hasattr(model, "steps"):
        return [(type(model).__name__.lower(), model)]
    return [(name, step) for name, step in model.steps if step is not None and step != "passthrough"]


def _warm_up(model: Any, pool: Pool, train: np.ndarray) -> None:
    """Compile what the model needs. Errors are ignored, because with so few images they are irrelevant or will recur."""
    from sklearn.base import clone

    labels = pool.labels[train]
    rows = np.concatenate([train[labels == name][:WARM_UP] for name in np.unique(labels)[:WARM_UP]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            clone(model).fit(pool.images(rows), pool.labels[rows]).predict(pool.images(rows[:1]))
        except Exception:
            return


def _judged(labels: np.ndarray, predicted: np.ndarray, known: np.ndarray) -> dict[str, Any]:
    """Accuracies, and the label and prediction of each image."""
    from featrec.evaluation import compare

    result = compare({"model": predicted}, labels, labels, test=(labels, labels)).results[0]
    classes = np.union1d(known, predicted)
    return {
        "accuracy": round(result.accuracy, 6),
        "interval": [round(end, 6) for end in result.interval],
        "balanced_accuracy": round(result.balanced_accuracy, 6),
        "classes": classes.tolist(),
        "labels": packed(np.searchsorted(classes, labels)),
        "predicted": packed(np.searchsorted(classes, predicted)),
    }


def _weight(model: Any) -> int | None:
    """The size of the model file; None if the model cannot be saved."""
    from featrec.exceptions import FeatrecError
    from featrec.persistence import model_bytes

    try:
        return model_bytes(model)
    except FeatrecError:
        return None
