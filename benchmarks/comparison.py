"""Comparisons of recipes and networks for docs/comparison.md: sentences that follow from the figures, then the table.

A network below its published accuracy is called undertrained, and no claim is based on it.
"""

from __future__ import annotations

import json
import statistics
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ttest_1samp

from featrec import recipes
from featrec.cli._bench_results import DECIDES, described, labels_of, place, without_seed
from featrec.evaluation import Table, mcnemar, wilson_interval

HEADER = ("recipe", "accuracy, %", "against the best", "training, min", "images/s", "model, MB", "peak memory, MB")
LEVELS = {("LeNet5", "mnist"): 0.989, ("SmallResNet", "cifar10"): 0.90}
NETWORKS = ("CNNFeatures", "LeNet5", "SmallResNet")
ALPHA = 0.05
WORTH_TELLING = 1.2  # minimum ratio of times or sizes for a sentence


@dataclass(frozen=True, eq=False)
class Entry:
    """The runs of one recipe on one test set."""

    title: str
    runs: Sequence[Mapping[str, Any]]
    network: bool
    level: float | None
    truth: np.ndarray
    right: np.ndarray

    @property
    def accuracy(self) -> float:
        """Mean accuracy over the runs."""
        return float(self.right.mean())

    @property
    def undertrained(self) -> bool:
        """Whether this is a network below its published accuracy."""
        return self.level is not None and self.accuracy < self.level


def entry(runs: Sequence[Mapping[str, Any]]) -> Entry:
    """Create an Entry, with the share of runs that classify each image correctly."""
    kinds = {value for name, value in runs[0]["parameters"].items() if isinstance(value, str)}
    level = next((level for (kind, dataset), level in LEVELS.items() if kind in kinds and dataset == runs[0]["dataset"]), None)
    answered = [labels_of(run) for run in runs]
    right = np.mean([true == predicted for true, predicted in answered], axis=0)
    return Entry(runs[0]["title"], runs, bool(kinds & set(NETWORKS)), level, answered[0][0], right)


def comparison(rows: Iterable[Mapping[str, Any]], config: Path | None = None) -> str:
    """Return sentences and a table for each dataset and split; `config` lists all rows, including rows not measured yet."""
    groups: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for row in rows:
        groups.setdefault(place(row), {}).setdefault(without_seed(row), []).append(row)
    return "\n\n".join(
        _part(where, list(found.values()), _titles(config, next(iter(found.values()))[0]["dataset"]))
        for where, found in groups.items()
    )


def _part(where: str, found: Sequence[Sequence[Mapping[str, Any]]], wanted: Sequence[str]) -> str:
    done = [[run for run in runs if "error" not in run] for runs in found]
    entries = sorted((entry(runs) for runs in done if runs), key=lambda entry: -entry.accuracy)
    failed = [runs[0]["title"] for runs, left in zip(found, done, strict=True) if not left]
    missing = [title for title in wanted if title not in {runs[0]["title"] for runs in found}]
    lines = [f"{where}:", " ".join(sentences(entries)), Table(HEADER, [_line(one, entries) for one in entries]).markdown()]
    lines += ["\n".join(_calls(entries))]
    lines += [f"Failed: {', '.join(failed)}."] if failed else []
    lines += [f"Not measured yet: {'; '.join(missing)}."] if missing else []
    return "\n\n".join(filter(None, lines))


def _calls(entries: Sequence[Entry]) -> list[str]:
    """Return the call for each row whose model differs from the defaults of the recipe."""
    calls = []
    for one in entries:
        run = one.runs[0]
        if run["options"]:
            calls.append(f"- {one.title} is `{call_of(run)}`")
    return calls


def call_of(run: Mapping[str, Any]) -> str:
    """Return the call that makes the model of a row, with a preset if a preset has the same parameters."""
    recipe, options = run["recipe"], run["options"]
    for preset, chosen in (recipes.presets(recipe) if recipe in recipes.names() else {}).items():
        more = {name: value for name, value in options.items() if name not in chosen}
        if agrees(recipes.make(recipe, preset=preset, **more), run["parameters"]):
            name = f"{recipe}:{preset}"
            return f"recipes.make({', '.join([repr(name), *_written(more)])})"
    return f"recipes.{recipe}({', '.join(_written(options))})"


def agrees(model: Any, parameters: Mapping[str, Any]) -> bool:
    """Return whether a model has the parameters of a row; newer parameters and seeds are ignored."""
    now = json.loads(json.dumps(described(dict.fromkeys(DECIDES), model)["parameters"]))
    return all(now.get(name, "gone") == value for name, value in parameters.items() if not name.endswith("random_state"))


def _written(options: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value!r}" for name, value in options.items()]


def sentences(entries: Sequence[Entry]) -> list[str]:
    """Return sentences: the best network against the best engineered recipe, then undertrained networks."""
    sound = [one for one in entries if not one.undertrained]
    network = next((one for one in sound if one.network), None)
    engineered = next((one for one in sound if not one.network), None)
    said = []
    if network is None:
        said.append("No network that reaches its published accuracy was measured, so nothing is claimed about networks.")
    elif engineered is not None:
        said += [_lead(network, engineered), *costs(network, engineered)]
    for one in entries:
        if one.undertrained and one.level is not None:
            level = f"{_percent(one.accuracy)} %; expected: {100 * one.level:.1f} %"
            said.append(f"{one.title} is undertrained ({level}); its row supports no claim.")
    return said


def _lead(network: Entry, engineered: Entry) -> str:
    wins = network.accuracy > engineered.accuracy
    first, second = (network, engineered) if wins else (engineered, network)
    figures = f"{_percent(first.accuracy)} % against {_percent(second.accuracy)} %"
    p = p_value(first, second)
    if p is None:
        return f"{first.title} against {second.title}: {figures}, on different test images."
    if p > ALPHA:
        return f"**No significant difference:** {first.title} against {second.title}, {figures} ({_p(p)})."
    if wins:
        return f"**The network wins:** {first.title} against {second.title}, the best engineered recipe, {figures} ({_p(p)})."
    return f"Engineered features win: {first.title} against {second.title}, the best network, {figures} ({_p(p)})."


def costs(network: Entry, engineered: Entry) -> list[str]:
    """Return sentences about time and size, first about the network.

    If there is only one run, other load may have made it slow, so no network is called slow because of a single run.
    """
    cheaper: dict[bool, list[str]] = {True: [], False: []}
    for told, name, less in (
        ("trains {} times as fast", "fit_seconds", True),
        ("predicts {} times as fast", "images_per_second", False),
        ("is {} times smaller", "model_bytes", True),
    ):
        ours, theirs = (_figure(one, name) for one in (engineered, network))
        if ours and theirs:
            ratio = ours / theirs if less else theirs / ours
            doubtful = name != "model_bytes" and ratio < 1 and len(network.runs) == 1
            if not doubtful and max(ratio, 1 / ratio) >= WORTH_TELLING:
                cheaper[ratio > 1].append(told.format(number(max(ratio, 1 / ratio))))
    subjects = ((network, f"**The network {network.title}**"), (engineered, f"{engineered.title}"))
    return [f"{told} {_and(cheaper[one.network])}." for one, told in subjects if cheaper[one.network]]


def _and(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _figure(one: Entry, name: str) -> float | None:
    """Return the median over the runs; for times, return the best run, because other load only makes runs slower."""
    found = [run[name] for run in one.runs if run[name] is not None]
    return {"fit_seconds": min, "images_per_second": max}.get(name, statistics.median)(found) if found else None


def p_value(first: Entry, second: Entry) -> float | None:
    """Use McNemar's exact test for two runs on the same images, else a t test of the shares of correct runs per image."""
    if not np.array_equal(first.truth, second.truth):
        return None
    if len(first.runs) == len(second.runs) == 1:
        return mcnemar(int((first.right > second.right).sum()), int((first.right < second.right).sum()))
    difference = first.right - second.right
    return float(ttest_1samp(difference, 0).pvalue) if difference.std() > 0 else 1.0


def _line(one: Entry, entries: Sequence[Entry]) -> list[str]:
    best = next((other for other in entries if not other.undertrained), None)
    title = f"{one.title} (*undertrained*)" if one.undertrained else one.title
    shown = []
    for name, unit in (("fit_seconds", 60), ("images_per_second", 1), ("model_bytes", 1e6), ("peak_mb", 1)):
        found = _figure(one, name)
        shown.append("–" if found is None else number(found / unit))
    return [title, _accuracy(one), _against(one, best), *shown]


def _accuracy(one: Entry) -> str:
    """Return the accuracy with its Wilson interval, and the deviation between seeds."""
    n = len(one.right)
    low, high = wilson_interval(round(one.accuracy * n), n, 0.95)
    shown = f"{_percent(one.accuracy)} ({_percent(low)} to {_percent(high)})"
    if len(one.runs) == 1:
        return shown
    deviation = statistics.stdev(100 * run["accuracy"] for run in one.runs)
    return f"{shown}, ± {deviation:.2f} over {len(one.runs)} seeds"


def _against(one: Entry, best: Entry | None) -> str:
    if best is None or one is best:
        return "–"
    p = p_value(best, one)
    return f"{100 * (one.accuracy - best.accuracy):+.2f}" + ("" if p is None else f", {_p(p)}")


def _titles(config: Path | None, dataset: str) -> list[str]:
    if config is None or not config.exists():
        return []
    recipes = tomllib.loads(config.read_text(encoding="utf-8"))["recipe"]
    return [recipe.get("title", recipe["name"]) for recipe in recipes if dataset in recipe.get("datasets", [dataset])]


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def number(value: float) -> str:
    """Format a number with three digits, or with all of them before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
