"""Accuracy against the size of the model file and against images per second on one core.

    python benchmarks/frontier.py fit cifar10 patches_compact FILE [OPTION=JSON ...]     fit on the training set, save
    python benchmarks/frontier.py measure cifar10 TITLE=FILE [TITLE=FILE ...]            all files in one run, on one core
    python benchmarks/frontier.py                                                        draw docs/pictures/frontier.svg

Accuracies are those of the rows with the same titles in benchmarks/results/small.jsonl. File sizes and images per second are
measured by this script and stored in benchmarks/results/frontier.jsonl. The models alternate, and the fastest round of each
model is used.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # must be set before NumPy is loaded

import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from featrec.cli._bench_results import read_results, stamp  # noqa: E402  (the repository must be on the path first)
from featrec.datasets import load_dataset  # noqa: E402
from featrec.persistence import load, save  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "frontier.jsonl"
ACCURACIES = ROOT / "benchmarks" / "results" / "small.jsonl"
PICTURE = ROOT / "docs" / "pictures" / "frontier.svg"
IMAGES, ROUNDS = 2000, 3
INK = "#2b2f36"
Point = tuple[str, float, float, float]


def fit(dataset: str, recipe: str, file: Path, options: Mapping[str, Any]) -> None:
    """Fit a recipe on the whole training set and save it."""
    from featrec import recipes

    train, _ = load_dataset(dataset)
    images = np.stack([train[i] for i in range(len(train))])
    save(recipes.make(recipe, n_jobs=2, **options).fit(images, np.asarray(train.labels)), file)


def measured(dataset: str, files: Mapping[str, Path], n_images: int = IMAGES, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Return a row for each model file. The models alternate, so other load affects all of them."""
    models = {title: on_one_core(load(file)) for title, file in files.items()}
    _, test = load_dataset(dataset)
    images = np.stack([test[i] for i in range(min(n_images, len(test)))])
    seconds: dict[str, list[float]] = {title: [] for title in models}
    for model in models.values():
        model.predict(images[:2])  # loads the compiled loops
    for _ in range(rounds):
        for title, model in models.items():
            start = time.perf_counter()
            model.predict(images)
            seconds[title].append(time.perf_counter() - start)
    about = stamp(watched=[Path(__file__)])
    return [
        {
            "dataset": dataset,
            "title": title,
            "model_bytes": file.stat().st_size,
            "images_per_second": round(len(images) / min(seconds[title]), 1),
            "n_images": len(images),
            **about,
        }
        for title, file in files.items()
    ]


def on_one_core(model: Any) -> Any:
    """Set the number of threads to one in every step of the model."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    jobs = [name for name in model.get_params() if name.rpartition("__")[2] == "n_jobs"]
    return model.set_params(**dict.fromkeys(jobs, 1))


def points(rows: Iterable[Mapping[str, Any]], judged: Iterable[Mapping[str, Any]]) -> dict[str, list[Point]]:
    """Return, for each dataset, (title, accuracy in percent, megabytes, images per second) of all models in both files."""
    shares: dict[tuple[str, str], list[float]] = {}
    for row in judged:
        if "error" not in row and row["split"]["kind"] == "standard" and row["split"]["validation"] is None:
            shares.setdefault((row["dataset"], row["title"]), []).append(row["accuracy"])
    found: dict[str, list[Point]] = {}
    for row in rows:
        accuracies = shares.get((row["dataset"], row["title"]))
        if accuracies:
            point = (row["title"], 100 * statistics.mean(accuracies), row["model_bytes"] / 1e6, row["images_per_second"])
            found.setdefault(row["dataset"], []).append(point)
    return found


def draw(found: Mapping[str, list[Point]], path: Path = PICTURE) -> None:
    """Draw two panels for each dataset; the same figures give the same bytes."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "featrec", "svg.fonttype": "path"}):
        figure = Figure(figsize=(10, 3.6 * len(found)), layout="constrained")
        FigureCanvasSVG(figure)
        panels = figure.subplots(len(found), 2, squeeze=False, sharey="row")
        for (bytes_panel, speed_panel), (dataset, models) in zip(panels, found.items(), strict=True):
            for title, accuracy, megabytes, speed in models:
                for panel, value in ((bytes_panel, megabytes), (speed_panel, speed)):
                    panel.scatter(value, accuracy, s=22)
                    panel.annotate(title, (value, accuracy), (5, 4), textcoords="offset points", fontsize=7, color=INK)
            for panel, label in ((bytes_panel, "model file, MB"), (speed_panel, "images per second on one core")):
                panel.set(xscale="log", xlabel=label)
                panel.margins(0.2)
                panel.spines[["top", "right"]].set_visible(False)
                panel.grid(axis="y", linewidth=0.4)
            bytes_panel.set_ylabel(f"{dataset}: accuracy, %", color=INK)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None, "Description": f"figures: {json.dumps(found, sort_keys=True)} end"})


def main(words: list[str]) -> None:
    """Fit, measure, or draw, which is the default."""
    if words[:1] == ["fit"]:
        options = dict(word.split("=", 1) for word in words[4:])
        fit(words[1], words[2], Path(words[3]), {name: json.loads(value) for name, value in options.items()})
    elif words[:1] == ["measure"]:
        files = dict(word.rsplit("=", 1) for word in words[2:])
        rows = measured(words[1], {title: Path(file) for title, file in files.items()})
        with RESULTS.open("a", encoding="utf-8") as out:
            out.writelines(json.dumps(row) + "\n" for row in rows)
        print("\n".join(f"{row['title']}: {row['model_bytes']:,} bytes, {row['images_per_second']} images/s" for row in rows))
    elif not RESULTS.exists():
        raise SystemExit(f"{RESULTS.relative_to(ROOT)} contains no results; run python benchmarks/frontier.py measure")
    else:
        lines = RESULTS.read_text(encoding="utf-8").splitlines()
        draw(points(map(json.loads, lines), read_results(ACCURACIES).values()))
        print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
