"""The table of benchmark results: one row per recipe and split, over all seeds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from featrec.cli._bench_answers import answers

__all__ = ["aligned", "draws", "markdown", "place", "summary", "told", "without_seed"]

HEADER = ("recipe", "accuracy, %", "against the row above", "fit, s", "images/s", "peak, MB", "model, MB")
FIGURES = ("fit_seconds", "images_per_second", "peak_mb")


def summary(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[list[str]]]:
    """For each dataset and split, the lines of a table, with recipes in the order of their first run."""
    groups: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for row in rows:
        groups.setdefault(place(row), {}).setdefault(without_seed(row), []).append(row)
    found: dict[str, list[list[str]]] = {}
    for split, recipes in groups.items():
        above: Sequence[Mapping[str, Any]] = ()
        for runs in recipes.values():
            found.setdefault(split, []).append(_line(runs, above))
            above = runs
    return found


def place(row: Mapping[str, Any]) -> str:
    """The images of a run, for any seed: ``scene15, random splits, n_train 100 a class``."""
    split = row["split"]
    words = [row["dataset"], *(f"{name}={value}" for name, value in row["dataset_options"].items())]
    words.append("the standard split" if split["kind"] == "standard" else "random splits")
    if split["kind"] == "random" and split["n_train"] is None:
        words.append("a fifth of each class held out")
    words += [f"{name} {split[name]} a class" for name in ("n_train", "n_test") if split[name] is not None]
    if split["validation"]:
        words.append(f"judged on {100 * split['validation']:g} % of the training images")
    return ", ".join(words)


def told(row: Mapping[str, Any]) -> str:
    """One line about the machine, the versions, the commit and the date of a run."""
    machine, versions = row["machine"], dict(row["versions"])
    memory = f", {machine['memory_gb']:.0f} GB" if machine.get("memory_gb") else ""
    commit = (row.get("commit") or "no commit")[:10] + (" and changes" if row.get("dirty") else "")
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    chip = f"{machine['processor']}{_with(machine.get('instructions', []))}"
    return f"{chip}, {machine['cores']} cores{memory}; {names}; {commit}; {row['date']}."


def _with(instructions: Sequence[str]) -> str:
    return f" ({', '.join(instructions)})" if instructions else ""


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in GitHub's Markdown; the first column is left-aligned, the others right-aligned."""
    lines = [header, [":---", *["---:"] * (len(header) - 1)], *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same table for a terminal."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join("  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines)


def draws(row: Mapping[str, Any]) -> bool:
    """Whether the seed matters: for the split, or for a random model."""
    return row["split"]["seed"] is not None or any(name.rpartition("__")[2] == "random_state" for name in row["parameters"])


def without_seed(row: Mapping[str, Any]) -> str:
    """The properties that all runs of one line share."""
    parameters = {name: value for name, value in row["parameters"].items() if name.rpartition("__")[2] != "random_state"}
    return json.dumps([row["recipe"], row["title"], parameters, row["n_jobs"]], sort_keys=True)


def _line(runs: Sequence[Mapping[str, Any]], above: Sequence[Mapping[str, Any]]) -> list[str]:
    done = [run for run in runs if "error" not in run]
    if not done:
        return [runs[0]["title"], "failed", *["–"] * (len(HEADER) - 2)]
    middle = {name: statistics.median(run[name] for run in done) for name in FIGURES}
    sizes = [run["model_bytes"] for run in done if run["model_bytes"] is not None]
    weight = _number(statistics.median(sizes) / 1e6) if sizes else "–"
    figures = [*(_number(middle[name]) for name in FIGURES), weight]
    return [runs[0]["title"], _accuracy(done), _gain(done, [run for run in above if "error" not in run]), *figures]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _accuracy(runs: Sequence[Mapping[str, Any]]) -> str:
    """With Wilson's interval for one run, or the standard deviation over several seeds."""
    shares = [100 * run["accuracy"] for run in runs]
    if _one_answer(runs):
        low, high = runs[0]["interval"]
        return f"{shares[0]:.1f} ({100 * low:.1f} to {100 * high:.1f})"
    return f"{statistics.mean(shares):.1f} ± {statistics.stdev(shares):.1f} ({len(runs)} seeds)"


def _one_answer(runs: Sequence[Mapping[str, Any]]) -> bool:
    """One run, or several runs with the same images and predictions, because the model does not depend on seeds."""
    drawn = any(run["split"]["seed"] is not None for run in runs)
    return len(runs) == 1 or (not drawn and len({json.dumps(run["predicted"]) for run in runs}) == 1)


def _gain(runs: Sequence[Mapping[str, Any]], above: Sequence[Mapping[str, Any]]) -> str:
    """Percentage points above the previous row on the same images, per seed; McNemar's exact p for a single seed."""
    before = {run["seed"]: run for run in above}
    pairs = [(run, before[run["seed"]]) for run in runs if run["seed"] in before]
    pairs = [(run, other) for run, other in pairs if answers(run)[0].tolist() == answers(other)[0].tolist()]
    if not pairs:
        return "–"
    gain = statistics.mean(100 * (run["accuracy"] - other["accuracy"]) for run, other in pairs)
    return f"{gain:+.1f}, {_mcnemar(*pairs[0])}" if len(pairs) == 1 else f"{gain:+.1f}"


def _mcnemar(run: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Compare stored labels and predictions."""
    from featrec.evaluation import compare

    (true, first), (_, second) = answers(run), answers(other)
    predictions = {"a": first, "b": second}
    p = compare(predictions, true, true, test=(true, true)).pair("a", "b").p
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
