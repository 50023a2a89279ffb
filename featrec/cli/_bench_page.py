"""The HTML page of benchmark results: the runs of one dataset and split, shown as a comparison."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.cli._bench_cell import parts, pool_of
from featrec.cli._bench_results import labels_of, measured_on, place, unpacked, without_seed
from featrec.exceptions import FeatrecError, InputError

if TYPE_CHECKING:
    from featrec.evaluation import Comparison, Run

__all__ = ["stored_comparison", "write_pages"]

Row = Mapping[str, Any]
# Recipes with a network, for results of versions that did not record this.
NETWORK_PREFIXES = ("cnn_", "pixels_")
STAMP = ("versions", "machine", "commit", "dirty", "date")


def write_pages(rows: Iterable[Row], path: Path) -> list[Path]:
    """Write a page for each dataset and split that has a result, and return the paths of the files."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if "error" not in row:
            groups.setdefault(place(row), []).append(row)
    if not groups:
        raise InputError("all runs failed, so there is nothing to show on a page; see the errors of the runs")
    paths = [path] if len(groups) == 1 else [path.with_stem(f"{path.stem}-{number}") for number in range(1, len(groups) + 1)]
    for file, (where, found) in zip(paths, groups.items(), strict=True):
        _write(file, where, found)
    return paths


def _write(file: Path, where: str, rows: Sequence[Row]) -> None:
    models, seeds, told = _selected(rows)
    splits = [next(iter(models.values()))[seed] for seed in seeds]
    images, places, reason = _test_images(splits)
    if reason:
        sys.stderr.write(f"the page of {where} has no images: {reason}\n")
    comparison = stored_comparison(models, seeds, told, places)
    comparison.to_html(file, title=where, images=images)


def _selected(rows: Sequence[Row]) -> tuple[dict[str, dict[int, Row]], list[int], list[str]]:
    """Return the runs of each model keyed by seed, the seeds that all models have in common, and what is left out.

    If the seed does not change the test images, the first seed is used.
    """
    models: dict[str, dict[int, Row]] = {}
    names: dict[str, str] = {}
    for row in rows:
        key = without_seed(row)
        if key not in names:
            names[key] = _unused(row["title"], names.values())
        models.setdefault(names[key], {})[row["seed"]] = row
    told, every = [], sorted({row["seed"] for row in rows})
    models, different = _same_images(models)
    told += [f"{name} was measured on other test images and is left out." for name in different]
    seeds = [seed for seed in every if all(seed in runs for runs in models.values())]
    if not seeds:
        raise InputError("the models have no seed in common; run them with the same seeds")
    if rows[0]["split"]["kind"] != "random" and rows[0]["split"]["validation"] is None:
        seeds = seeds[:1]
    if len(seeds) < len(every):
        told.append(f"This comparison uses {len(seeds)} of {len(every)} seeds: {', '.join(map(str, seeds))}.")
    return models, seeds, told


def _unused(title: str, names: Iterable[str]) -> str:
    """Return the title, with a number if another model has the same title."""
    taken, number, name = set(names), 1, title
    while name in taken:
        number += 1
        name = f"{title} ({number})"
    return name


def _same_images(models: dict[str, dict[int, Row]]) -> tuple[dict[str, dict[int, Row]], list[str]]:
    """Leave out models whose test images have other labels than those of the last model, because the dataset has changed."""
    last = {seed: labels_of(row)[0].tolist() for seed, row in models[list(models)[-1]].items()}
    same = {
        name: runs
        for name, runs in models.items()
        if all(labels_of(row)[0].tolist() == last[seed] for seed, row in runs.items() if seed in last)
    }
    return same, [name for name in models if name not in same]


def stored_comparison(
    models: Mapping[str, Mapping[int, Row]], seeds: Sequence[int], remarks: Sequence[str], places: np.ndarray | None
) -> Comparison:
    """Compare the stored runs of these seeds; several seeds count as repeated splits. `places` are the test images."""
    from featrec.evaluation import compare_runs

    runs = {name: [found[seed] for seed in seeds] for name, found in models.items()}
    first = next(iter(runs.values()))
    lines = dict.fromkeys(measured_on(row) for found in runs.values() for row in found)
    told = ["The runs were measured on different machines, versions or commits:", *lines] if len(lines) > 1 else []
    return compare_runs(
        {name: _run(found) for name, found in runs.items()},
        {name: _kind(found[0]) for name, found in runs.items()},
        [labels_of(row)[0] for row in first],
        [row["n_train"] for row in first],
        rows=places,
        remarks=[*remarks, *told],
        n_dropped=first[0].get("n_dropped", 0),
        groups=_groups(first),
        duplicates=_duplicates(first),
        stamp={name: first[0].get(name) for name in STAMP},
    )


def _kind(row: Row) -> str:
    return "network" if row.get("network", row["recipe"].startswith(NETWORK_PREFIXES)) else "engineered"


def _run(rows: Sequence[Row]) -> Run:
    """Join the runs of one model: the mean of fits, the sum of predictions and energy, the median of costs and sizes."""
    from featrec.evaluation import Calibration, Cost, Run

    cost, calibration = _medians(rows, "cost"), _medians(rows, "calibration")
    sizes = [row["model_bytes"] for row in rows if row["model_bytes"] is not None]
    kwh = [row["kwh"] for row in rows if "kwh" in row]
    bins: dict[str, Any] = dict.fromkeys(("confidence", "accuracy", "count"), np.empty(0))
    return Run(
        y_pred=np.concatenate([labels_of(row)[1] for row in rows]),
        fit_seconds=statistics.mean(row["fit_seconds"] for row in rows),
        predict_seconds=sum(row["predict_seconds"] for row in rows),
        compile_seconds=sum(sum(row.get("compile_seconds", {}).values()) for row in rows),
        n_bytes=round(statistics.median(sizes)) if sizes else None,
        estimator=_code(rows[0]),
        seeds=_seeds(rows),
        width=rows[0].get("width"),
        n_parameters=rows[0].get("n_parameters"),
        n_multiply_adds=rows[0].get("n_multiply_adds"),
        pretrained_on=tuple(rows[0].get("pretrained_on", ())),
        calibration=Calibration(**calibration, **bins) if calibration else None,
        cost=Cost(**cost) if cost else None,
        cost_remark=next((row["cost_remark"] for row in rows if "cost_remark" in row), ""),
        kwh=sum(kwh) if len(kwh) == len(rows) else None,
    )


def _medians(rows: Sequence[Row], name: str) -> dict[str, Any]:
    found = [row[name] for row in rows if name in row]
    return {key: statistics.median(each[key] for each in found) for key in (found[0] if found else ())}


def _code(row: Row) -> str:
    options = "".join(f", {name}={value!r}" for name, value in row.get("options", {}).items())
    return f"recipes.make({row['recipe']!r}{options})"


def _seeds(rows: Sequence[Row]) -> dict[str, str]:
    """Return the value of each random_state, keyed by its step."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for name, value in row["parameters"].items():
            step, is_seed, rest = name.rpartition("random_state")
            if is_seed and not rest:
                found.setdefault(step.removesuffix("__"), {})[repr(value)] = None
    return {step: ", ".join(values) for step, values in found.items()}


def _groups(rows: Sequence[Row]) -> np.ndarray | None:
    if not all("group" in row for row in rows):
        return None
    return np.concatenate([np.array(row["groups"])[unpacked(row["group"])] for row in rows])


def _duplicates(rows: Sequence[Row]) -> np.ndarray | None:
    """Return the positions of duplicates among the predictions of all splits; None if they were not counted."""
    if not all("n_duplicates" in row for row in rows):
        return None
    marks = [unpacked(row["duplicates"]) if "duplicates" in row else np.zeros(row["n_test"], int) for row in rows]
    return np.flatnonzero(np.concatenate(marks))


def _test_images(splits: Sequence[Row]) -> tuple[Any, np.ndarray | None, str]:
    """Read the test images of the splits again: all images, and the row of each; or the reason why they are unknown."""
    try:
        pool = pool_of(splits[0])
        tested = [parts(pool, row["split"])[1] for row in splits]
    except (FeatrecError, OSError) as error:
        return None, None, str(error)
    for rows, row in zip(tested, splits, strict=True):
        if not np.array_equal(pool.labels[rows], labels_of(row)[0]):
            return None, None, "the dataset has changed since the runs"
    everything = np.arange(len(pool))
    return (pool.images(everything), np.concatenate(tested), "") if len(tested) > 1 else (pool.images(tested[0]), None, "")
