"""The effect of class_weight="balanced" with classes of very different sizes: recipes on a generated dataset.

    python benchmarks/class_weights.py

The images are generated shapes: 5 to 500 training images per class, 100 test images per class, three seeds. Each model is
fitted with and without weights on the same images. The table shows the balanced accuracy and the recall of the smallest class.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from sklearn.metrics import balanced_accuracy_score, recall_score

from featrec import recipes
from featrec.datasets import load_dataset

SMALLEST, LARGEST, N_TEST = 5, 500, 100
RECIPES = ("patches_ridge", "hog_svm", "bovw_svm")
OPTIONS = {"patches_ridge": {"n_words": 400}}


def unequal(seed: int, smallest: int, largest: int, n_test: int) -> tuple[list, np.ndarray, list, np.ndarray]:
    """Return training images with class sizes in geometric steps, and test images with equal class sizes."""
    classes = sorted(set(load_dataset("shapes", n_train=60, n_test=10, random_state=0)[0].labels.tolist()))
    need = {name: round(size) for name, size in zip(classes, np.geomspace(smallest, largest, len(classes)), strict=True)}
    drawn, _ = load_dataset("shapes", n_train=(largest + n_test) * len(classes), n_test=len(classes), random_state=seed)
    labels = np.asarray(drawn.labels)
    train, test = [], []
    for name in classes:
        rows = np.flatnonzero(labels == name)
        test += rows[:n_test].tolist()
        train += rows[n_test : n_test + need[name]].tolist()
    return [drawn[row] for row in train], labels[train], [drawn[row] for row in test], labels[test]


def rows(seeds: int, smallest: int, largest: int, n_test: int, n_jobs: int) -> list[tuple]:
    """Return a row for each recipe and class_weight, with means over the seeds."""
    found: dict[tuple[str, str | None], list] = {}
    for seed in range(seeds):
        train, y, test, truth = unequal(seed, smallest, largest, n_test)
        names, counts = np.unique(y, return_counts=True)
        rare = names[counts.argmin()]
        for name in RECIPES:
            for weight in (None, "balanced"):
                model = recipes.make(name, class_weight=weight, random_state=seed, n_jobs=n_jobs, **OPTIONS.get(name, {}))
                start = time.perf_counter()
                predicted = model.fit(train, y).predict(test)
                seconds = time.perf_counter() - start
                recall = recall_score(truth, predicted, labels=[rare], average=None)[0]
                figures = (balanced_accuracy_score(truth, predicted), recall, seconds)
                found.setdefault((name, weight), []).append(figures)
    return [(name, weight, *np.mean(figures, axis=0)) for (name, weight), figures in found.items()]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--smallest", type=int, default=SMALLEST)
    parser.add_argument("--largest", type=int, default=LARGEST)
    parser.add_argument("--n-test", type=int, default=N_TEST)
    parser.add_argument("--n-jobs", type=int, default=2)
    options = parser.parse_args()
    print("| recipe | class_weight | balanced accuracy, % | smallest class found, % | seconds |")
    print("| :--- | :--- | ---: | ---: | ---: |")
    for name, weight, balanced, recall, seconds in rows(**vars(options)):
        print(f"| {name} | {weight} | {100 * balanced:.1f} | {100 * recall:.1f} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
