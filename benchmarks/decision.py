"""Which features for which images: the best models of each kind on each dataset, as a table and a plot.

    python benchmarks/decision.py            draw docs/pictures/decision.svg from benchmarks/results

The SVG contains its figures, so a test can compare them with the results.
"""

from __future__ import annotations

import html
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks import comparison  # noqa: E402  (the repository must be on the path first)
from featrec.cli._bench_results import read_results, without_seed  # noqa: E402
from featrec.evaluation import Table, wilson_interval  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
FILES = ("small.jsonl", "scenes.jsonl")
PICTURE = ROOT / "docs" / "pictures" / "decision.svg"
KEPT = re.compile(r"figures: (\[.*?\]) end", re.S)
INK = "#2b2f36"
# The images of each dataset in words, in the order of the page.
IMAGES = {
    "mnist": "digits and letters",
    "fashion-mnist": "products on a plain ground",
    "cifar10": "small photographs of objects",
    "scene15": "scenes, 100 images per class",
}
ENGINEERED, TRAINED, PRETRAINED = "engineered features", "network trained on these images", "features of a pretrained network"
COLORS = {ENGINEERED: "#0072B2", TRAINED: "#D55E00", PRETRAINED: "#009E73"}
Figure = dict[str, Any]


def figures(rows: Iterable[Mapping[str, Any]]) -> list[Figure]:
    """Return one figure for each model and dataset, the most accurate first within each dataset."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        split = row["split"]
        if "error" not in row and split["kind"] == "standard" and split["validation"] is None and row["dataset"] in IMAGES:
            groups.setdefault((row["dataset"], without_seed(row)), []).append(row)
    found = [_figure(dataset, comparison.entry(runs)) for (dataset, _), runs in groups.items()]
    names = list(IMAGES)
    return sorted(found, key=lambda one: (names.index(one["dataset"]), -one["accuracy"], one["title"]))


def _figure(dataset: str, one: comparison.Entry) -> Figure:
    n = len(one.right)
    interval = wilson_interval(round(one.accuracy * n), n, 0.95)
    kinds = {value for value in one.runs[0]["parameters"].values() if isinstance(value, str)}
    kind = PRETRAINED if "CNNFeatures" in kinds else TRAINED if one.network else ENGINEERED
    speed = max(run["images_per_second"] for run in one.runs)
    size = max(run["model_bytes"] for run in one.runs)
    return {
        "dataset": dataset,
        "title": one.title,
        "kind": kind,
        "accuracy": round(100 * one.accuracy, 2),
        "interval": [round(100 * limit, 2) for limit in interval],
        "images_per_second": round(speed, 1),
        "megabytes": round(size / 1e6, 3),
    }


def table(found: Iterable[Figure]) -> str:
    """Return a table with one row per dataset and one column per question."""
    header = ["images", "most accurate engineered features", "fastest within five points of it", TRAINED, PRETRAINED]
    lines = []
    for dataset, images in IMAGES.items():
        here = [one for one in found if one["dataset"] == dataset]
        engineered = [one for one in here if one["kind"] == ENGINEERED]
        if engineered:
            near = [one for one in engineered if one["accuracy"] >= engineered[0]["accuracy"] - 5]
            fast = max(near, key=lambda one: one["images_per_second"])
            others = [next((one for one in here if one["kind"] == kind), None) for kind in (TRAINED, PRETRAINED)]
            lines.append([f"{images} ({dataset})", *map(_cell, [engineered[0], fast, *others])])
    return Table(header, lines).markdown().replace("---:", ":---")  # sentences are aligned to the left


def _cell(one: Figure | None) -> str:
    if one is None:
        return "not measured"
    low, high = one["interval"]
    cost = f"{one['images_per_second']:,.0f} images/s, {comparison.number(one['megabytes'])} MB"
    return f"{one['title']}: {one['accuracy']:.1f} % ({low:.1f} to {high:.1f}); {cost}"


def draw(found: list[Figure], path: Path = PICTURE) -> None:
    """Draw one panel per dataset, with a dot and an interval for each model; the same figures give the same bytes."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    shown = [dataset for dataset in IMAGES if any(one["dataset"] == dataset for one in found)]
    numbers = [sum(one["dataset"] == dataset for one in found) for dataset in shown]
    with mpl.rc_context({"svg.hashsalt": "featrec", "svg.fonttype": "path"}):
        canvas = Canvas(figsize=(8, 0.24 * sum(numbers) + 0.75 * len(shown)), layout="constrained")
        FigureCanvasSVG(canvas)
        panels = canvas.subplots(len(shown), 1, height_ratios=numbers, squeeze=False)[:, 0]
        for panel, dataset in zip(panels, shown, strict=True):
            _draw_dataset(panel, dataset, [one for one in found if one["dataset"] == dataset])
        panels[-1].set_xlabel("accuracy on the test set with 95 % interval, %", color=INK)
        handles = [panels[0].plot([], [], "o", color=color, label=kind)[0] for kind, color in COLORS.items()]
        canvas.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
        path.parent.mkdir(parents=True, exist_ok=True)
        description = f"figures: {json.dumps(found, sort_keys=True)} end"
        canvas.savefig(path, metadata={"Date": None, "Description": description})


def _draw_dataset(panel: Any, dataset: str, found: list[Figure]) -> None:
    for place, one in enumerate(found):
        color = COLORS[one["kind"]]
        panel.plot(one["interval"], [place, place], color=color, linewidth=1.6)
        panel.plot(one["accuracy"], place, "o", color=color, markersize=4)
    panel.set_yticks(range(len(found)), [one["title"] for one in found], fontsize=8)
    panel.invert_yaxis()
    panel.set_title(f"{IMAGES[dataset]} ({dataset})", fontsize=9, loc="left", color=INK)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="x", linewidth=0.4)
    panel.tick_params(labelsize=8)


def drawn(path: Path = PICTURE) -> list[Figure]:
    """Return the figures that an SVG contains."""
    kept = KEPT.search(html.unescape(path.read_text(encoding="utf-8")))
    if kept is None:
        raise ValueError(f"{path} contains no figures; draw it with python benchmarks/decision.py")
    found: list[Figure] = json.loads(kept[1])
    return found


def measured(results: Path = RESULTS) -> list[Figure]:
    """Return the figures of all stored results."""
    return figures(row for name in FILES if (results / name).exists() for row in read_results(results / name).values())


def main() -> None:
    """Draw the plot of the results."""
    draw(measured())
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
