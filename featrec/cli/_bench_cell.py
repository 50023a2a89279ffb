"""One cell of a benchmark: one recipe and one split of a dataset, run in its own process."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featrec.cli._arguments import seeded
from featrec.cli._bench_measures import fitted_facts, requested
from featrec.cli._bench_results import packed, peak_megabytes
from featrec.compilation import Spent, timed
from featrec.exceptions import DroppedImageWarning, InputError, SkippedFileWarning
from featrec.lazy import Images
from featrec.parallel import worker_count

__all__ = ["Pool", "expanded", "main", "make_model", "parts", "pool_of", "read_halves", "run_cell"]

HELD_OUT = 0.2  # fraction of each class that is held out if n_train is not set

WARM_UP = 2  # before timing, a copy of the model is fitted on this many classes, with this many images each


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
    """Create the recipe of a cell with its seed. Environment variables in paths are expanded."""
    from featrec import recipes

    return seeded(recipes.make(cell["recipe"], n_jobs=cell["n_jobs"], **expanded(cell["options"])), cell["seed"])


def expanded(value: Any) -> Any:
    """Replace ``$NAME`` in all strings. Unknown variables raise an InputError."""
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
    from featrec.evaluation import EnergyMeter, is_network

    pool = pool_of(cell)
    train, test = parts(pool, cell["split"])
    model = make_model(cell)
    _warm_up(model, pool, train)
    labels, measures = pool.labels[train], cell.get("measures", ())
    meter = EnergyMeter("energy" in measures)
    with warnings.catch_warnings(record=True) as shown, meter.measuring() as used:
        warnings.simplefilter("default")
        fit = _timed(model, pool, train, lambda step, X: step.fit_transform(X, labels), lambda step, X: step.fit(X, labels))
        predict = _timed(model, pool, test, lambda step, X: step.transform(X), lambda step, X: step.predict(X))
    compiling = {"fit": round(fit.spent.compile_seconds, 4), "predict": round(predict.spent.compile_seconds, 4)}
    return {
        "threads": worker_count(cell["n_jobs"]),
        "n_train": len(train),
        "n_test": len(test),
        **_left_out(pool),
        **_accuracies(pool.labels[test], np.asarray(predict.result), np.unique(pool.labels)),
        "fit_seconds": round(fit.spent.seconds, 4),
        "fit_steps": fit.steps,
        "predict_seconds": round(predict.spent.seconds, 4),
        "predict_steps": predict.steps,
        "reading_cpu_seconds": {"fit": fit.reading, "predict": predict.reading},
        # Compilation time is not part of any other time. Most loops have already been compiled by fitting a copy of the model.
        **({"compile_seconds": compiling} if any(compiling.values()) else {}),
        "images_per_second": round(len(test) / max(predict.spent.seconds, 1e-9), 2),
        "peak_mb": round(peak_megabytes(), 1),  # before the further measures, which need memory of their own
        **({} if used.kwh is None else {"kwh": used.kwh}),
        "warnings": sorted({f"{warning.category.__name__}: {warning.message}" for warning in shown}),
        "network": is_network(model),
        **fitted_facts(model, pool, train, test),
        **requested(measures, model, pool, test),
    }


def pool_of(cell: Mapping[str, Any]) -> Pool:
    """Load the images without warnings about skipped and dropped files, which were reported before the first cell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkippedFileWarning)
        warnings.simplefilter("ignore", DroppedImageWarning)
        halves = read_halves(cell["dataset"], expanded(cell["dataset_options"]))
    return Pool(halves, groups=cell["split"].get("groups"))


def _left_out(pool: Pool) -> dict[str, int]:
    """Return the number of damaged files as an entry of the result. If no file is damaged, return an empty dict."""
    from featrec.evaluation import count_dropped

    dropped = count_dropped(*pool.halves)
    return {"n_dropped": dropped} if dropped else {}


class _Timed(NamedTuple):
    """Result of the last step, seconds of each step, CPU seconds for reading images, and total time."""

    result: Any
    steps: dict[str, float]
    reading: float
    spent: Spent


def _timed(
    model: Any, pool: Pool, rows: np.ndarray, transform: Callable[[Any, Any], Any], finish: Callable[[Any, Any], Any]
) -> _Timed:
    """Run the steps like Pipeline.fit or predict. The time of a lazy step is counted in the step that uses its results."""
    pool.reading.clear()
    seconds: dict[str, float] = {}
    *steps, last = _steps(model)
    with timed() as spent:
        result: Any = pool.images(rows)
        for (name, step), call in [*((step, transform) for step in steps), (last, finish)]:
            with timed() as part:
                result = call(step, result)
            seconds[name] = round(part.seconds, 4)
    return _Timed(result, seconds, round(sum(pool.reading), 4), spent)


def _steps(model: Any) -> list[tuple[str, Any]]:
    """Return the steps of a Pipeline without "passthrough" steps. Any other model is a single step."""
    if not hasattr(model, "steps"):
        return [(type(model).__name__.lower(), model)]
    return [(name, step) for name, step in model.steps if step is not None and step != "passthrough"]


def _warm_up(model: Any, pool: Pool, train: np.ndarray) -> None:
    """Fit a copy of the model on a few images to compile its loops.

    Errors are ignored: either they occur again in the real fit, or the small number of images causes them.
    """
    from sklearn.base import clone

    labels = pool.labels[train]
    rows = np.concatenate([train[labels == name][:WARM_UP] for name in np.unique(labels)[:WARM_UP]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            clone(model).fit(pool.images(rows), pool.labels[rows]).predict(pool.images(rows[:1]))
        except Exception:
            return


def _accuracies(labels: np.ndarray, predicted: np.ndarray, known: np.ndarray) -> dict[str, Any]:
    """Return the accuracies, and the label and prediction of each image."""
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


# The training images and the test images


class Pool:
    """Training set and test set as one sequence that measures the time for reading images.

    `groups` is the column of a manifest that contains the group of each image.
    """

    def __init__(self, halves: Iterable[Any], *, groups: str | None = None):
        self.halves = tuple(halves)
        self.groups = None if groups is None else np.concatenate([half.column(groups) for half in self.halves])
        self.places = [(half, position) for half in self.halves for position in range(len(half))]
        self.labels = np.concatenate([half.labels for half in self.halves])
        self.reading: list[float] = []  # CPU seconds of each image; threads may append at the same time

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, position: int) -> np.ndarray:
        half, position = self.places[position]
        start = time.thread_time()
        image: np.ndarray = half[position]
        self.reading.append(time.thread_time() - start)
        return image

    def name(self, position: int) -> str | None:
        """Return the path of an image, or None if it has no path."""
        half, position = self.places[position]
        return half.name(position) if hasattr(half, "name") else None

    def images(self, rows: np.ndarray) -> Images:
        """Return the images of these rows. Each image is read when it is used."""
        return Images(self)[rows]

    def contents(self) -> list[bytes]:
        """Return a digest of each image, computed from the bytes of its file or, if it has no file, from its pixels.

        The time for reading these images is not counted.
        """
        return [self._digest(position) for position in range(len(self))]

    def _digest(self, position: int) -> bytes:
        name = self.name(position)
        if name is not None and os.path.isfile(name):
            return hashlib.sha256(Path(name).read_bytes()).digest()
        half, position = self.places[position]
        image = half[position]
        return hashlib.sha256(repr((image.shape, image.dtype.str)).encode() + image.tobytes()).digest()


def read_halves(name: str, options: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the training set and the test set of ``load_dataset`` or, if the options contain a path, of this folder.

    For a folder without train/ and test/, the test set is empty, because all splits are drawn at random. Damaged files are left
    out.
    """
    from featrec.datasets import ImageFolder, load_dataset

    if "path" not in options:
        train, test = load_dataset(name, **options)
        return train, test
    if ImageFolder.is_split(options["path"]):
        return ImageFolder.split(options["path"], on_error="drop", n_jobs=-1)
    folder = ImageFolder(options["path"], on_error="drop", n_jobs=-1)
    return folder, folder[:0]


def parts(pool: Pool, split: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the training images and of the test images, in ascending order.

    Images with identical bytes, and images of the same group, are always in the same part of a random split.
    """
    seed, labels = split["seed"], pool.labels
    rows = np.arange(len(pool))
    first = len(pool.halves[0])
    train, test = rows[:first], rows[first:]
    is_random = split["kind"] == "random" or split["validation"]
    groups = _groups(pool) if is_random else rows
    if split["kind"] == "random":
        chosen = _draw(groups, labels, _quota(labels, split["n_train"]), seed)
        train, test = rows[chosen], rows[~chosen]
    elif split["n_train"] is not None:
        train = _few(train, labels, split["n_train"], seed)
    if split["validation"]:
        quota = _all_but(labels[train], split["validation"])
        chosen = _draw(groups[train], labels[train], quota, seed)
        train, test = train[chosen], train[~chosen]
    if split["n_test"] is not None:
        test = _few(test, labels, split["n_test"], seed)
    if pool.groups is not None:
        _check_groups(split["groups"], labels[train], labels[test])
    if not len(train) or not len(test):
        raise InputError(f"the split leaves {len(train)} images for training and {len(test)} for testing; use smaller shares")
    return train, test


def _groups(pool: Pool) -> np.ndarray:
    """Return the group of each image: images with identical bytes, or of the same group of the manifest, are together."""
    first = np.unique(pool.contents(), return_inverse=True)[1]
    if pool.groups is None:
        return first
    second = np.unique(pool.groups, return_inverse=True)[1]
    found = np.arange(len(pool))
    while True:  # give all images of a group the lowest number among them, until no number changes
        before = found
        for names in (first, second):
            lowest = np.full(names.max() + 1, len(found))
            np.minimum.at(lowest, names, found)
            found = lowest[names]
        if np.array_equal(found, before):
            return np.unique(found, return_inverse=True)[1]


def _check_groups(column: str, train: np.ndarray, test: np.ndarray) -> None:
    """Check that each class is on both sides of the split. It is not if its groups are too large or too few."""
    for name in np.union1d(train, test).tolist():
        for where, labels in (("training", train), ("test", test)):
            if name not in labels:
                raise InputError(
                    f"the class {name!r} has no {where} images, because the images of each group of {column!r} stay together; "
                    "each class needs several groups that are small enough"
                )


def _quota(labels: np.ndarray, n_train: int | None) -> dict[str, int]:
    if n_train is None:
        return _all_but(labels, HELD_OUT)
    smallest, n = min(Counter(labels.tolist()).items(), key=lambda pair: pair[1])
    if n <= n_train:
        raise InputError(f"n_train = {n_train} leaves no test images: the class {smallest!r} has {n} images")
    return dict.fromkeys(labels.tolist(), n_train)


def _all_but(labels: np.ndarray, share: float) -> dict[str, int]:
    """Return the number of training images of each class. The rest, but at least one image, is held out."""
    return {name: n - max(1, round(share * n)) for name, n in Counter(labels.tolist()).items()}


def _draw(groups: np.ndarray, labels: np.ndarray, quota: Mapping[str, int], seed: int) -> np.ndarray:
    """Select whole groups in random order, skipping groups that would exceed a class quota.

    A class may stay below its quota if all remaining groups are too large.
    """
    order = np.argsort(groups, kind="stable")
    _, starts = np.unique(groups[order], return_index=True)
    members = np.split(order, starts[1:])
    taken: Counter[str] = Counter()
    chosen = np.zeros(len(labels), bool)
    for group in np.random.default_rng(seed).permutation(len(members)):
        wanted = Counter(labels[members[group]].tolist())
        if all(taken[name] + n <= quota[name] for name, n in wanted.items()):
            taken += wanted
            chosen[members[group]] = True
    return chosen


def _few(rows: np.ndarray, labels: np.ndarray, n: int, seed: int) -> np.ndarray:
    random = np.random.default_rng((seed, n))
    found = [random.permutation(rows[labels[rows] == name])[:n] for name in np.unique(labels[rows])]
    return np.sort(np.concatenate(found)) if found else rows
