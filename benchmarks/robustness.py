"""How much accuracy recipes and networks lose on corrupted images of CIFAR-10.

    FEATREC_DATA=... python benchmarks/robustness.py --out benchmarks/results/robustness.jsonl

All models are fitted on the same 10,000 training images, the same number of each class, and see the same 1,000 corrupted test
images. Each model is a row, written when it is finished; a row that the file already has is not measured again. At the end, the
table and the sentences of all rows are printed. The networks need the ONNX files of FEATREC_DATA, or PyTorch.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from featrec import recipes
from featrec.cli._bench_results import stamp
from featrec.datasets import load_dataset
from featrec.evaluation import CorruptedAccuracy, ModelRobustness, Robustness, robustness

SEVERITIES = (1, 3, 5)
N_TRAIN, N_TEST = 10_000, 1_000
SEED = 0
WEIGHTS = "$FEATREC_DATA/weights/"

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "hog_svm": ("hog_svm", {}),
    "fisher_svm": ("fisher_svm", {"n_words": 32, "levels": 1, "step": 2, "bin_sizes": [2, 3, 4], "n_dimensions": 64}),
    "patches_compact": ("patches_compact", {}),
    "SqueezeNet features": (
        "cnn_svm",
        {"model": WEIGHTS + "squeezenet1_1.onnx", "layer": "feat", "preprocessing": "caffe", "size": 227},
    ),
    "MobileNetV2 features": (
        "cnn_svm",
        {"model": WEIGHTS + "mobilenet_v2.onnx", "layer": "feat", "preprocessing": "tf", "size": 224},
    ),
    "small ResNet": ("pixels_resnet", {}),
}


def model(title: str, n_jobs: int) -> Any:
    """Return the model of a row, not fitted."""
    recipe, options = MODELS[title]
    given = {name: os.path.expandvars(value) if isinstance(value, str) else value for name, value in options.items()}
    return recipes.make(recipe, **given, random_state=SEED, n_jobs=n_jobs)


def drawn(labels: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Draw rows with the same number of each class, in the order of the images."""
    random, classes = np.random.default_rng(seed), np.unique(labels)
    each = [random.permutation(np.flatnonzero(labels == label))[: n // len(classes)] for label in classes]
    return np.sort(np.concatenate(each))


def measured(title: str, *, n_train: int, n_test: int, corruptions: Iterable[str] | None, n_jobs: int) -> dict[str, Any]:
    """Fit one model and measure it; return its row."""
    train, test = load_dataset("cifar10")
    train, test = train[drawn(train.labels, n_train, SEED)], test[drawn(test.labels, n_test, SEED)]
    start = time.perf_counter()
    fitted = model(title, n_jobs).fit(train, train.labels)
    fit_seconds, start = time.perf_counter() - start, time.perf_counter()
    found = robustness(
        {title: fitted},
        test,
        test.labels,
        corruptions=None if corruptions is None else list(corruptions),
        severities=SEVERITIES,
        random_state=SEED,
        verbose=1,
    )
    recipe, options = MODELS[title]
    return {
        **key(title, n_train, n_test),
        "recipe": recipe,
        "options": options,
        "fit_seconds": round(fit_seconds, 1),
        "measure_seconds": round(time.perf_counter() - start, 1),
        "n_jobs": n_jobs,
        "robustness": json.loads(found.to_json()),
        **stamp(watched=[Path(__file__)]),
    }


def key(title: str, n_train: int, n_test: int) -> dict[str, Any]:
    """Return what identifies a row."""
    return {"title": title, "dataset": "cifar10", "n_train": n_train, "n_test": n_test, "severities": list(SEVERITIES)}


def joined(rows: Iterable[Mapping[str, Any]]) -> Robustness:
    """Combine the rows of one set of images into one result; all rows have the same corrupted images."""
    parts = [row["robustness"] for row in rows]
    results = [
        ModelRobustness(**{**result, "image_accuracies": np.array(result["image_accuracies"])})
        for part in parts
        for result in part["results"]
    ]
    results.sort(key=lambda result: -result.mean_accuracy)
    cells = [CorruptedAccuracy(**cell) for part in parts for cell in part["cells"]]
    first = parts[0]
    kinds, levels = tuple(first["corruptions"]), tuple(first["severities"])
    return Robustness(tuple(results), tuple(cells), kinds, levels, first["n"], first["confidence"], first["seed"])


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file; none if it does not exist."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", action="append", choices=list(MODELS), help="default: all models")
    parser.add_argument("--corruption", action="append", help="default: all corruptions")
    parser.add_argument("--n-train", type=int, default=N_TRAIN)
    parser.add_argument("--n-test", type=int, default=N_TEST)
    parser.add_argument("--n-jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    for title in options.only or list(MODELS):
        wanted = key(title, options.n_train, options.n_test)
        if any(all(row[name] == value for name, value in wanted.items()) for row in read(options.out)):
            continue
        limits = {"n_train": options.n_train, "n_test": options.n_test, "corruptions": options.corruption}
        row = measured(title, **limits, n_jobs=options.n_jobs)
        with options.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{title}: fitted in {row['fit_seconds']} s, measured in {row['measure_seconds']} s", flush=True)
    same = [row for row in read(options.out) if (row["n_train"], row["n_test"]) == (options.n_train, options.n_test)]
    print(joined(same))


if __name__ == "__main__":
    main()
