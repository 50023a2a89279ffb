"""Does augmentation help with few training images? Recipes with and without Augmented on generated shapes.

    python benchmarks/augmentation.py --choose       compare settings on images that the second step does not use
    python benchmarks/augmentation.py                compare the chosen setting with the plain recipe, five seeds

Each seed gives different training and test images; the settings were chosen with other seeds. ``hog_svm`` is judged as an exact
kernel SVM (`C` is given). Its default, kernel ridge, gains less from copies.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from scipy import stats
from sklearn.base import ClassifierMixin
from sklearn.pipeline import Pipeline

from featrec import recipes
from featrec.datasets import load_dataset
from featrec.evaluation import compare
from featrec.preprocessing import Augmented

CHOOSING_SEEDS = (100, 101)
JUDGING_SEEDS = (30, 31, 32, 33, 34)  # seeds 0 to 2 were used to choose the number of copies, 20 to 22 for former recipes
KINDS = 8
PER_CLASS = (10, 20)
N_TEST = 400

SETTINGS: dict[str, dict[str, Any]] = {
    "none": {"copies": 0},
    "mirrored": {"flip": "horizontal"},
    "turned": {"rotate": 20},
    "shifted": {"translate": 0.05},
    "scaled": {"scale": 0.2},
    "cropped": {"crop": 0.2},
    "relit": {"light": 0.3},
    "noisy": {"noise": 0.05},
    "turned and shifted": {"rotate": 20, "translate": 0.05},
    "turned, shifted and scaled": {"rotate": 20, "translate": 0.05, "scale": 0.2},
}
CHOSEN = "turned, shifted and scaled"
COPIES = {"hog_svm": 9, "bovw_svm": 4}
OPTIONS: dict[str, dict[str, Any]] = {"hog_svm": {"C": 10.0}}


def plain(recipe: str) -> Pipeline:
    """Return the recipe without copies."""
    return recipes.make(recipe, **OPTIONS.get(recipe, {}))


def model(recipe: str, setting: str, copies: int) -> ClassifierMixin:
    """Return a recipe that learns from each image and `copies` changed copies."""
    return Augmented(plain(recipe), **{"copies": copies, "random_state": 0, **SETTINGS[setting]})


def choose(recipe: str, settings: Iterable[str] = tuple(SETTINGS), seeds: Iterable[int] = CHOOSING_SEEDS) -> dict[str, float]:
    """Return the mean accuracy of each setting over seeds, with ten images per class."""
    found = {}
    for setting in settings:
        scores = []
        for seed in seeds:
            train, held_out = load_dataset("shapes", n_train=10 * KINDS, n_test=N_TEST, random_state=seed)
            fitted = model(recipe, setting, copies=4).fit(train, train.labels)
            scores.append(float(fitted.score(held_out, held_out.labels)))
        found[setting] = float(np.mean(scores))
        print(
            f"{recipe} {setting:<28} {100 * found[setting]:.1f} %  ({', '.join(f'{100 * s:.1f}' for s in scores)})", flush=True
        )
    return found


def judge(
    recipe: str, per_class: int, *, copies: int, seeds: Iterable[int] = JUDGING_SEEDS, n_test: int = N_TEST
) -> Mapping[str, Any]:
    """Compare plain and augmented recipes on the same images: the gain for each seed, and a test over all test images."""
    pooled: dict[str, list[np.ndarray]] = {"plain": [], "augmented": []}
    labels, gains, seconds = [], [], []
    for seed in seeds:
        train, test = load_dataset("shapes", n_train=per_class * KINDS, n_test=n_test, random_state=seed)
        models = {"plain": plain(recipe), "augmented": model(recipe, CHOSEN, copies)}
        found = compare(models, train, train.labels, test=(test, test.labels))
        for name in pooled:
            pooled[name].append(found[name].y_pred)
        labels.append(test.labels)
        gains.append(found["augmented"].accuracy - found["plain"].accuracy)
        seconds.append((found["plain"].fit_seconds, found["augmented"].fit_seconds))
    everything = np.concatenate(labels)
    predictions = {name: np.concatenate(parts) for name, parts in pooled.items()}
    comparison = compare(predictions, everything, everything, test=(everything, everything))
    return {"gains": gains, "interval": _interval(gains), "comparison": comparison, "fit_seconds": seconds}


def _interval(gains: list[float]) -> tuple[float, float]:
    """Return Student's 95 % confidence interval of the mean gain over seeds."""
    half = stats.t.ppf(0.975, len(gains) - 1) * np.std(gains, ddof=1) / np.sqrt(len(gains))
    return float(np.mean(gains) - half), float(np.mean(gains) + half)


def tell(recipe: str, per_class: int, found: Mapping[str, Any]) -> None:
    """Print the results of `judge`."""
    comparison = found["comparison"]
    pair = comparison.pair("plain", "augmented")
    print(f"{recipe}, {per_class} images per class, {len(found['gains'])} seeds, {comparison.n} test images in all")
    for name in ("plain", "augmented"):
        row = comparison[name]
        print(f"  {name:<10} {100 * row.accuracy:.1f} %  [{100 * row.interval[0]:.1f}, {100 * row.interval[1]:.1f}]")
    each = ", ".join(f"{100 * gain:+.1f}" for gain in found["gains"])
    low, high = (100 * end for end in found["interval"])
    print(f"  gain {100 * np.mean(found['gains']):+.1f} points ({each}), over seeds [{low:+.1f}, {high:+.1f}]")
    print(
        f"  McNemar p = {pair.p:.1e}; images that are correct only with {pair.first}: {pair.first_only}, "
        f"only with {pair.second}: {pair.second_only}"
    )
    times = ", ".join(f"{alone:.1f} / {augmented:.1f}" for alone, augmented in found["fit_seconds"])
    print(f"  seconds to fit, plain / augmented: {times}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Compare settings, or evaluate the chosen setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--recipe", action="append", choices=sorted(COPIES))
    parser.add_argument("--per-class", type=int, action="append")
    options = parser.parse_args(arguments)
    for recipe in options.recipe or list(COPIES):
        if options.choose:
            choose(recipe)
            continue
        for per_class in options.per_class or PER_CLASS:
            tell(recipe, per_class, judge(recipe, per_class, copies=COPIES[recipe]))


if __name__ == "__main__":
    main()
