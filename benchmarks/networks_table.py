"""The matrix of benchmarks/networks_study.py as a table, with tests of the gains.

One split: McNemar's exact test on the same images. Several draws: a paired t test over the draws. Holm's correction within each
group of tests.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ttest_1samp

from featrec.cli._bench_results import labels_of, read_results
from featrec.evaluation import Table, mcnemar, number, p_value
from featrec.evaluation._measures import holm

Runs = Sequence[Mapping[str, Any]]
Pairs = Sequence[tuple[str, str]]
ALPHA = 0.05
HEADER = ("model", "accuracy, %", "fit, CPU s", "predict, CPU ms per image", "model, MB", "pre-trained on")
ALONE, TOGETHER = "pooled", ("pooled + Fisher", "pooled + inner Fisher")


# Rows of benchmarks/scenes.toml that belong to the matrix of scene15.
RECIPES = ("fisher_lbp_svm, mirrored copies", "fisher_svm", "bovw_svm")


def study_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of the study, and engineered recipes on scene15 from scenes.jsonl, whose processor time is unknown."""
    rows = list(read_results(path).values())
    scenes = read_results(path.with_name("scenes.jsonl")).values()
    unknown = {"family": "engineered", "network": None, "draw": {}, "fit_cpu_seconds": None, "predict_cpu_ms": None}
    return rows + [
        {**row, **unknown, "n_bytes": row["model_bytes"], "pretrained_on": "–"}
        for row in scenes
        if row["title"] in RECIPES and row["split"]["kind"] == "standard" and row["split"]["validation"] is None
    ]


def grouped(rows: Iterable[Mapping[str, Any]]) -> dict[str, Runs]:
    """Return the runs of each title, the highest mean accuracy first."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["title"], []).append(row)
    return dict(sorted(found.items(), key=lambda item: -accuracy(item[1])))


def accuracy(runs: Runs) -> float:
    """Return the mean accuracy over the draws."""
    return statistics.mean(run["accuracy"] for run in runs)


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the table of a dataset, and the tests below it."""
    found = grouped(rows)
    lines = [[title, *_line(runs)] for title, runs in found.items()]
    return "\n\n".join([Table(HEADER, lines).markdown(), *filter(None, [_together(found), _others(found)])])


def _line(runs: Runs) -> list[str]:
    shares = [100 * run["accuracy"] for run in runs]
    if len(runs) == 1:
        low, high = runs[0]["interval"]
        shown = f"{shares[0]:.2f} ({100 * low:.2f} to {100 * high:.2f})"
    else:
        shown = f"{statistics.mean(shares):.1f} ± {statistics.stdev(shares):.1f} ({len(runs)} draws)"
    times = [median(runs, name) for name in ("fit_cpu_seconds", "predict_cpu_ms")]
    size = median(runs, "n_bytes")
    return [shown, *map(number, times), number(None if size is None else size / 1e6), runs[0]["pretrained_on"]]


def median(runs: Runs, name: str) -> float | None:
    values = [run[name] for run in runs if run[name] is not None]
    return float(statistics.median(values)) if values else None


def tested(found: Mapping[str, Runs], pairs: Pairs) -> list[tuple[str, str, float, float]]:
    """Return the titles, the difference in points, and Holm's corrected p value of each pair."""
    if not pairs:
        return []
    values = [test(found[first], found[second]) for first, second in pairs]
    corrected = holm(np.array([p for _, p in values]))
    return [(*pair, gain, float(p)) for pair, (gain, _), p in zip(pairs, values, corrected, strict=True)]


def test(first: Runs, second: Runs) -> tuple[float, float]:
    gain = 100 * (accuracy(first) - accuracy(second))
    if len(first) == len(second) == 1:
        (true, one), (same, other) = labels_of(first[0]), labels_of(second[0])
        assert np.array_equal(true, same), "both models must have the same test images"
        return gain, mcnemar(int(((one == true) & (other != true)).sum()), int(((one != true) & (other == true)).sum()))
    draws = [{run["key"].removesuffix(run["title"]): run["accuracy"] for run in runs} for runs in (first, second)]
    shared = sorted(draws[0].keys() & draws[1].keys())
    gains = np.array([draws[0][key] - draws[1][key] for key in shared])
    return gain, float(ttest_1samp(gains, 0).pvalue) if np.ptp(gains) > 1e-12 else float(abs(gain) < 1e-12)


def _together(found: Mapping[str, Runs]) -> str:
    """Return the tests of map and pooled features together against pooled features alone, and what follows."""
    pairs = [
        (title, f"{name}, {ALONE}")
        for title in found
        for name, _, kind in [title.partition(", ")]
        if kind in TOGETHER and f"{name}, {ALONE}" in found
    ]
    results = tested(found, pairs)
    if not results:
        return ""
    said = " ".join(_gained(kind, [result for result in results if result[0].endswith(f", {kind}")]) for kind in TOGETHER)
    lines = [f"- {first} against {second}: {gain:+.2f} points, {p_value(p)}" for first, second, gain, p in results]
    head = f"Map and pooled features together against pooled features alone ({_method(found)}, {len(results)} tests):"
    return "\n\n".join([said.strip(), head, "\n".join(lines)])


def _gained(kind: str, results: Sequence[tuple[str, str, float, float]]) -> str:
    """Return for which networks a kind of features is better than pooled features alone."""
    better = [first.partition(", ")[0] for first, _, gain, p in results if p <= ALPHA and gain > 0]
    other = [first.partition(", ")[0] for first, _, gain, p in results if p > ALPHA or gain <= 0]
    said = [f"**{kind} is better than pooled alone for {_and(better)}.**"] if better else []
    said += [f"{kind} shows no significant gain over pooled alone for {_and(other)}."] if other else []
    return " ".join(said)


def _others(found: Mapping[str, Runs]) -> str:
    """Return the tests that answer the other questions of the study."""
    pairs = [pair for pair in questions(found) if pair[0] != pair[1] and pair[0] in found and pair[1] in found]
    lines = [f"- {first} against {second}: {gain:+.2f} points, {p_value(p)}" for first, second, gain, p in tested(found, pairs)]
    return "\n\n".join([f"Other tests ({_method(found)}):", "\n".join(lines)]) if lines else ""


def questions(found: Mapping[str, Runs]) -> Pairs:
    """Return pairs: best engineered against best pooled network, and the network trained here; a fine-tuned network; SIFT."""
    engineered = next((title for title, runs in found.items() if runs[0]["family"] == "engineered"), "")
    pooled = next((title for title in found if title.endswith(f", {ALONE}")), "")
    scratch = next((title for title, runs in found.items() if runs[0]["family"] == "trained here"), "")
    tuned = next((title for title, runs in found.items() if runs[0]["family"] == "fine-tuned"), "")
    sift = next((title for title in found if title.endswith(" + SIFT")), "")
    alone = f"{found[tuned][0]['network']}, {ALONE}" if tuned else ""
    return [
        (pooled, engineered),
        (engineered, scratch),
        (tuned, alone),
        (sift, sift.removesuffix(" + SIFT")),
        (next(iter(found)), engineered),
    ]


def _method(found: Mapping[str, Runs]) -> str:
    several = any(len(runs) > 1 for runs in found.values())
    return "paired t test over the draws, Holm" if several else "McNemar, Holm"


def _and(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
