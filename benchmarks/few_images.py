"""Accuracy against the number of training images, as a table and a plot.

    python benchmarks/few_images.py            draw docs/pictures/few_images.svg from benchmarks/results/few_images.jsonl

The SVG contains its figures, so a test can compare them with the results.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Iterable, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

from scipy.stats import ttest_rel

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from featrec.cli._bench_results import read_results  # noqa: E402  (the repository must be on the path first)
from featrec.evaluation import Table  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "few_images.jsonl"
PICTURE = ROOT / "docs" / "pictures" / "few_images.svg"
KEPT = re.compile(r"figures: (\{.*?\}) end", re.S)
CLAIM, PER_CLASS = 0.80, 100  # "100 pictures of each class already give 80 %"
INK = "#2b2f36"
CHANCE = 0.05
FROM_SCRATCH, PRETRAINED = "small ResNet", "MobileNetV2 features"
Figures = dict[str, dict[int, list[float]]]


def figures(rows: Iterable[Mapping[str, Any]]) -> Figures:
    """Return the accuracies of the draws, in order of their seeds, by recipe and number of training images per class."""
    found: Figures = {}
    options: dict[str, Any] = {}
    for row in sorted(rows, key=itemgetter("seed")):
        n = row["split"]["n_train"]
        if "error" not in row and n is not None:
            if options.setdefault(row["title"], row["options"]) != row["options"]:
                both = f"{options[row['title']]} and {row['options']}"
                raise ValueError(f"draws of {row['title']} with different options cannot form one row: {both}")
            found.setdefault(row["title"], {}).setdefault(n, []).append(row["accuracy"])
    return found


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a table with mean and deviation over the draws, and a sentence about the claim."""
    found = figures(rows)
    numbers = sorted({n for by_number in found.values() for n in by_number})
    header = ["accuracy, %, by number of training images per class", *map(str, numbers)]
    lines = [[title, *(_cell(by_number.get(n, [])) for n in numbers)] for title, by_number in found.items()]
    remarks = " ".join(filter(None, [_claim(found), _from_scratch(found)]))
    return "\n\n".join(filter(None, [Table(header, lines).markdown(), remarks]))


def _cell(shares: list[float]) -> str:
    if not shares:
        return "–"
    mean = f"{100 * statistics.mean(shares):.1f}"
    return f"{mean} (1 draw)" if len(shares) == 1 else f"{mean} ± {100 * statistics.stdev(shares):.1f} ({len(shares)} draws)"


def _claim(found: Figures) -> str:
    means = {title: statistics.mean(by_number[PER_CLASS]) for title, by_number in found.items() if PER_CLASS in by_number}
    if not means:
        return ""
    best = max(means, key=lambda title: means[title])
    reach = [title for title, mean in means.items() if mean >= CLAIM]
    answer = f"{100 * CLAIM:g} % are reached by {', '.join(reach)}" if reach else f"no recipe reaches {100 * CLAIM:g} %"
    return f"With {PER_CLASS} images per class, {answer}; the best, {best}, reaches {100 * means[best]:.1f} %."


def _from_scratch(found: Figures) -> str:
    """Return a sentence: for each number of images, whether the network without pretraining or a recipe is better."""
    network = found.get(FROM_SCRATCH, {})
    engineered = {title: by_number for title, by_number in found.items() if title not in (FROM_SCRATCH, PRETRAINED)}
    ahead: dict[str, list[str]] = {}
    for n in sorted(network):
        means = {title: statistics.mean(by_number[n]) for title, by_number in engineered.items() if n in by_number}
        if means:
            best = max(means, key=lambda title: means[title])
            ahead.setdefault(_leader(network[n], engineered[best][n], best), []).append(str(n))
    if not ahead:
        return ""
    parts = [f"{title} with {' and '.join(numbers)}" for title, numbers in ahead.items()]
    return f"Best model trained on these images alone (paired t test over the draws): {', '.join(parts)}."


def _leader(network: list[float], engineered: list[float], title: str) -> str:
    """Return the better of the two, by a paired test, because draws with the same seed have the same training images."""
    paired = len(network) == len(engineered) > 1
    if not paired or not ttest_rel(network, engineered).pvalue <= CHANCE:
        return "no significant difference"
    return FROM_SCRATCH if statistics.mean(network) > statistics.mean(engineered) else title


def draw(found: Figures, path: Path = PICTURE) -> None:
    """Draw a line for each recipe, with the draws as points; the same figures give the same bytes."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "featrec", "svg.fonttype": "path"}):
        figure = Figure(figsize=(7, 4.4))
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        for title, by_number in found.items():
            numbers = sorted(by_number)
            means = [100 * statistics.mean(by_number[n]) for n in numbers]
            (line,) = axes.plot(numbers, means, linewidth=1.8, label=title)
            points = [(n, 100 * share) for n in numbers for share in by_number[n]]
            axes.scatter(*zip(*points, strict=True), s=14, color=line.get_color(), linewidths=0)
        axes.set_xscale("log")
        numbers = sorted({n for by_number in found.values() for n in by_number})
        axes.set_xticks(numbers, map(str, numbers))
        axes.minorticks_off()
        axes.set_xlabel("training images per class", color=INK)
        axes.set_ylabel("accuracy on all test images, %", color=INK)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", linewidth=0.4)
        axes.legend(frameon=False)
        description = f"figures: {json.dumps(found, sort_keys=True)} end"
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None, "Description": description}, bbox_inches="tight")


def drawn(path: Path = PICTURE) -> Figures:
    """Return the figures that an SVG contains."""
    import html

    kept = KEPT.search(html.unescape(path.read_text(encoding="utf-8")))
    if kept is None:
        raise ValueError(f"{path} contains no figures; draw it with python benchmarks/few_images.py")
    return {title: {int(n): shares for n, shares in found.items()} for title, found in json.loads(kept[1]).items()}


def main() -> None:
    """Draw the plot of the results."""
    found = figures(read_results(RESULTS).values())
    if not found:
        raise SystemExit(f"{RESULTS.relative_to(ROOT)} contains no results; run featrec bench benchmarks/few_images.toml")
    draw(found)
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
