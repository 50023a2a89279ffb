"""Does a model give the same predictions in another installation, with other versions of all packages?

    ONE/bin/python benchmarks/cross_version.py write FOLDER [--network FILE.onnx]
    OTHER/bin/python benchmarks/cross_version.py check FOLDER

`write` fits every recipe on a few generated shapes and stores models, images, codes and predictions. `check` loads the models
and compares codes and predictions; the exit code is 1 if a prediction differs, or a code by more than the tolerance. "fitted
anew" counts the predictions that differ if the model is also fitted in the other installation. Without `--network`, `cnn_svm`
uses the network with random weights from the tests.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SEED = 7
# Tolerance: maximum difference of a value, relative to the largest value in all codes of the model.
TOLERANCE = 1e-5
# Tolerance for images: shapes are rounded after sines and powers, whose last bit depends on the version of numpy.
ONE_GRAY = 1.01 / 255
# Recipes that are left out: they need torch, whose convolutions differ in the last bits between versions.
NETWORKS = ("pixels_lenet5", "pixels_resnet")
HEADINGS = ("model", "codes", "moved", "predictions", "fitted anew")


def models(network: str) -> dict[str, Any]:
    """Return all recipes, and a model with SIFT, which no recipe uses."""
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    from featrec import recipes
    from featrec.descriptors import SIFT
    from featrec.encoders import BagOfWords

    options = {name: {"model": network} for name in ("cnn_svm", "cnn_fisher_svm", "cnn_vlad_svm")}
    made = {name: recipes.make(name, **options.get(name, {})) for name in recipes.names() if name not in NETWORKS}
    words = BagOfWords(100, norm="hellinger", random_state=SEED)
    return made | {"sift_svm": make_pipeline(SIFT(), words, LinearSVC(random_state=SEED))}


def write(folder: Path, network: str | None, n_train: int, n_test: int, wanted: list[str] | None = None) -> None:
    """Fit and save the models, with codes and predictions in this installation."""
    from featrec.datasets import load_dataset
    from featrec.persistence import save

    folder.mkdir(parents=True, exist_ok=True)
    train, test = load_dataset("shapes", n_train=n_train, n_test=n_test, random_state=SEED)
    expected = {"train": np.stack(train), "labels": train.labels, "test": np.stack(test)}
    for suffix in ("jpeg", "png"):
        _encode(expected["test"][0], folder / f"picture.{suffix}")
        expected[f"{suffix} read"] = _read(folder, suffix)
    made = models(network or _random_network(folder))
    for name in wanted or made:
        model = made[name]
        with _quiet():
            model.fit(expected["train"], train.labels)
            expected[f"{name} codes"] = model[:-1].transform(expected["test"])
            expected[f"{name} predictions"] = model.predict(expected["test"])
        save(model, folder / f"{name}.featrec")
    np.savez_compressed(folder / "expected.npz", **expected)
    (folder / "versions.json").write_text(json.dumps({"network": network, **versions()}))


def check(folder: Path) -> list[dict[str, Any]]:
    """Return a row for each model: the largest difference of codes and the number of different predictions."""
    with np.load(folder / "expected.npz") as kept:
        expected = dict(kept)
    return [*_check_pictures(folder, expected), *_check_models(folder, expected)]


def _check_pictures(folder: Path, expected: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    """Compare the generated images and the decoded files, which are the inputs of the models."""
    from featrec.datasets import load_dataset

    test = load_dataset("shapes", n_train=1, n_test=len(expected["test"]), random_state=SEED).test
    yield _row("shapes drawn", np.stack(test) / 255, expected["test"] / 255, ONE_GRAY)
    for suffix in ("jpeg", "png"):
        yield _row(f"{suffix} read", _read(folder, suffix)[None] / 255, expected[f"{suffix} read"][None] / 255, ONE_GRAY)


def _check_models(folder: Path, expected: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    from featrec.exceptions import VersionWarning
    from featrec.persistence import load

    network = json.loads((folder / "versions.json").read_text())["network"]
    for name, fresh in models(network or _random_network(folder)).items():
        if not (folder / f"{name}.featrec").exists():
            continue
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", VersionWarning)
            model = load(folder / f"{name}.featrec")
        with _quiet():
            codes, predictions = model[:-1].transform(expected["test"]), model.predict(expected["test"])
            anew = fresh.fit(expected["train"], expected["labels"]).predict(expected["test"])
        kept = expected[f"{name} predictions"]
        row = _row(name, codes, expected[f"{name} codes"])
        row |= {"predictions": int(np.sum(predictions != kept)), "fitted anew": int(np.sum(anew != kept))}
        yield row | {"told": [str(warning.message) for warning in told]}


def _row(name: str, found: np.ndarray, kept: np.ndarray, tolerance: float = TOLERANCE) -> dict[str, Any]:
    """Return the largest relative difference, and the number of images beyond the tolerance."""
    difference = np.abs(found - kept).reshape(len(kept), -1).max(axis=1) / max(np.abs(kept).max(), np.finfo(float).tiny)
    return {"model": name, "codes": float(difference.max()), "moved": int(np.sum(difference > tolerance)), "of": len(kept)}


def versions() -> dict[str, str]:
    """Return the installed versions, and the name of the OpenCV wheel."""
    import platform
    from importlib.metadata import distributions

    wanted = ("numpy", "scipy", "scikit-learn", "scikit-image", "numba", "joblib", "skops", "pillow")
    installed = {found.metadata["Name"].lower(): found.version for found in distributions()}
    wheels = [name for name in sorted(installed) if name.startswith("opencv-")]
    return {"python": platform.python_version()} | {name: installed[name] for name in (*wheels, *wanted) if name in installed}


def _encode(picture: np.ndarray, path: Path) -> None:
    from PIL import Image

    Image.fromarray(picture).save(path)


def _read(folder: Path, suffix: str) -> np.ndarray:
    from featrec.images import read_image

    return read_image(folder / f"picture.{suffix}")


def _random_network(folder: Path) -> str:
    sys.path.insert(0, str(ROOT))
    from tests.tiny_network import write_tiny_network

    return str(write_tiny_network(folder / "network.onnx"))


def _quiet() -> warnings.catch_warnings:
    """Ignore warnings about other versions and about images without keypoints; both are expected."""
    return warnings.catch_warnings(action="ignore")


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    out = io.StringIO()
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}", file=out)
    for row in rows:
        cells = [row["model"], f"{row['codes']:.1e}" if row["codes"] else "0", f"{row['moved']} of {row['of']}"]
        cells += [f"{row[key]} of {row['of']}" if key in row else "" for key in HEADINGS[3:]]
        print(f"| {' | '.join(cells)} |", file=out)
    return out.getvalue()


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if everything agrees within the tolerance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["write", "check"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--network", help="ONNX file for cnn_svm, with its preprocessing in a JSON file next to it")
    parser.add_argument("--models", help="names of models, separated by commas; default: all")
    parser.add_argument("--train", type=int, default=160, help="number of training images")
    parser.add_argument("--test", type=int, default=80, help="number of test images")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args(arguments)
    if options.action == "write":
        wanted = options.models.split(",") if options.models else None
        write(options.folder, options.network, options.train, options.test, wanted)
        return 0
    rows = check(options.folder)
    written = json.loads((options.folder / "versions.json").read_text())
    if options.json:
        print(json.dumps({"written": written, "here": versions(), "rows": rows}))
    else:
        print(f"written: {written}\nhere:    {versions()}\n\n{table(rows)}")
        print("\n".join(sorted({message for row in rows for message in row.get("told", [])})))
    return int(any(row["moved"] or row.get("predictions") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
