"""The verdict at the top of docs/comparison.md: where networks win, where they do not, and what each costs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scipy.stats import ttest_rel

from benchmarks import comparison, few_images, networks_table, robustness
from featrec.cli._bench_results import read_results
from featrec.evaluation import Table, number, p_value

ENGINEERED, TRAINED, PRETRAINED = "engineered", "trained here", "pre-trained"
HEADER = (
    "dataset, training images",
    "best engineered recipe, %",
    "best network trained on these images, %",
    "best use of a pre-trained network, %",
)
ALPHA = 0.05
NAMES = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}


class Best(NamedTuple):
    """The best model of a family; `p` compares it with the best engineered recipe."""

    title: str
    accuracy: float
    p: float


class Contest(NamedTuple):
    """The best model of each family on one dataset, and sentences about costs."""

    dataset: str
    n_train: int
    best: Mapping[str, Best]
    costs: str


def verdict(results: Path) -> str:
    """Return the sentences, the table of all contests, and the costs."""
    found = sorted(contests(results), key=lambda contest: -contest.n_train)
    told = [
        _told(found, TRAINED, "A network trained on the same images and nothing else", "the engineered recipe"),
        _told(found, PRETRAINED, "A network that others trained on more than a million photographs", "the engineered recipe"),
        _corrupted(results / "robustness.jsonl"),
    ]
    table = Table(HEADER, [_line(contest) for contest in found]).markdown()
    costs = [f"- {contest.dataset}: {contest.costs}" for contest in found if contest.costs]
    parts = [
        "\n".join(filter(None, told)),
        table,
        "What the best network and the best engineered recipe cost:",
        "\n".join(costs),
    ]
    return "\n\n".join(parts if costs else parts[:2])


def contests(results: Path) -> Iterator[Contest]:
    """Yield the contests of all results."""
    rows = list(read_results(results / "small.jsonl").values())
    rows = [row for row in rows if row["split"]["validation"] is None and "error" not in row]
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        yield _of_entries([row for row in rows if row["dataset"] == dataset])
    yield from _of_few(few_images.figures(read_results(results / "few_images.jsonl").values()))
    rows = networks_table.study_rows(results / "networks_study.jsonl")
    for dataset in dict.fromkeys(row["dataset"] for row in rows if row["family"] == ENGINEERED):
        yield _of_study([row for row in rows if row["dataset"] == dataset])


def _of_entries(rows: Sequence[Mapping[str, Any]]) -> Contest:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["title"], []).append(row)
    entries = {title: comparison.entry(runs) for title, runs in groups.items()}
    families = {title: _family(entry) for title, entry in entries.items() if not entry.undertrained}

    def p(first: str, second: str) -> float:
        return comparison.p_value(entries[first], entries[second]) or 0.0

    best = _best(families, {title: entries[title].accuracy for title in families}, p)
    network = entries[_best_network(best)]
    costs = " ".join(comparison.costs(network, entries[best[ENGINEERED].title]))
    return Contest(NAMES[rows[0]["dataset"]], rows[0]["n_train"], best, costs)


def _family(entry: comparison.Entry) -> str:
    if not entry.network:
        return ENGINEERED
    return PRETRAINED if "CNNFeatures" in entry.runs[0]["parameters"].values() else TRAINED


def _of_few(found: few_images.Figures) -> Iterator[Contest]:
    families = dict.fromkeys(found, ENGINEERED) | {few_images.FROM_SCRATCH: TRAINED, few_images.PRETRAINED: PRETRAINED}
    for n in sorted({n for by_number in found.values() for n in by_number}):
        shares = {title: by_number[n] for title, by_number in found.items() if n in by_number}

        def p(first: str, second: str, shares: Mapping[str, list[float]] = shares) -> float:
            return float(ttest_rel(shares[first], shares[second]).pvalue)

        means = {title: sum(values) / len(values) for title, values in shares.items()}
        yield Contest(NAMES["cifar10"], 10 * n, _best(families, means, p), "")


def _of_study(rows: Sequence[Mapping[str, Any]]) -> Contest:
    found = networks_table.grouped(rows)
    families = {title: _study_family(runs[0]) for title, runs in found.items() if not title.endswith(" + SIFT")}
    means = {title: networks_table.accuracy(found[title]) for title in families}
    best = _best(families, means, lambda first, second: networks_table.test(found[first], found[second])[1])
    costs = " ".join(_study_costs(title, found[title]) for title in (_best_network(best), best[ENGINEERED].title))
    return Contest(rows[0]["dataset"], rows[0]["n_train"], best, costs)


def _study_family(run: Mapping[str, Any]) -> str:
    return run["family"] if run["family"] in (ENGINEERED, TRAINED) else PRETRAINED


def _study_costs(title: str, runs: networks_table.Runs) -> str:
    fit, one, size = (networks_table.median(runs, name) for name in ("fit_cpu_seconds", "predict_cpu_ms", "n_bytes"))
    times = "" if fit is None else f", and takes {number(fit)} s of processor time to fit and {number(one)} ms per image"
    return f"{title} has {number(None if size is None else size / 1e6)} MB{times}."


def _best(families: Mapping[str, str], accuracies: Mapping[str, float], test: Callable[[str, str], float]) -> dict[str, Best]:
    """Return the best model of each family, the engineered recipe first."""
    found: dict[str, Best] = {}
    for family in (ENGINEERED, TRAINED, PRETRAINED):
        titles = [title for title in accuracies if families[title] == family]
        if titles:
            title = max(titles, key=lambda title: accuracies[title])
            p = 1.0 if family == ENGINEERED else test(title, found[ENGINEERED].title)
            found[family] = Best(title, accuracies[title], p)
    return found


def _best_network(best: Mapping[str, Best]) -> str:
    networks = [each for family, each in best.items() if family != ENGINEERED]
    return max(networks, key=lambda each: each.accuracy).title


def _line(contest: Contest) -> list[str]:
    cells = [f"{contest.dataset}, {contest.n_train:,}"]
    for family in (ENGINEERED, TRAINED, PRETRAINED):
        each = contest.best.get(family)
        shown = "–" if each is None else f"{100 * each.accuracy:.1f} ({each.title})"
        cells.append(shown if each is None or family == ENGINEERED else f"{shown}, {p_value(each.p)}")
    return cells


def _told(found: Sequence[Contest], family: str, subject: str, other: str) -> str:
    """Return sentences: where a family wins, where the engineered recipe wins, and where neither does."""
    places: dict[str, list[Contest]] = {"is better": [], "is worse": [], "is neither": []}
    for contest in found:
        if family in contest.best:
            each, engineered = contest.best[family], contest.best[ENGINEERED]
            worse = "is better" if each.accuracy > engineered.accuracy else "is worse"
            places["is neither" if each.p > ALPHA else worse].append(contest)
    told = [
        f"is better than {other} on {_listed(places['is better'])}" if places["is better"] else "",
        f"worse on {_listed(places['is worse'])}" if places["is worse"] else "",
        f"not significantly different on {_listed(places['is neither'])}" if places["is neither"] else "",
    ]
    said = ", ".join(filter(None, told))
    return f"- **{subject}** {said if said.startswith('is') else f'is {said}'}." if said else ""


def _listed(contests: Sequence[Contest]) -> str:
    """Return the datasets, each with its numbers of training images."""
    numbers: dict[str, list[str]] = {}
    for contest in contests:
        numbers.setdefault(contest.dataset, []).append(f"{contest.n_train:,}")
    return _and([f"{dataset} with {_and(found)} images" for dataset, found in numbers.items()])


def _and(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _corrupted(path: Path) -> str:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    if not rows:
        return ""
    results = robustness.joined(rows).results
    told = [f"{result.name} from {100 * result.accuracy:.1f} to {100 * result.mean_accuracy:.1f} %" for result in results]
    return f"- **On corrupted images** of CIFAR-10, accuracies fall: {', '.join(told)}."
