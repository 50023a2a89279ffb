"""The commands ``predict`` and ``check``, which read any number of images."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import nullcontext
from itertools import islice
from typing import Any

from featrec.cli._arguments import add_threads, count, read_model, share
from featrec.cli._terminal import each_or_error, report, uncollected, verbosity
from featrec.exceptions import ImageError, InputError

__all__ = ["add_check_arguments", "add_predict_arguments", "run_check", "run_predict"]

BATCH = 64
TOP = 5
UNSURE = "?"


def add_predict_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="model file from 'featrec train'")
    files = "images, folders, archives or manifests; use - to read paths from standard input"
    parser.add_argument("files", metavar="FILE", nargs="+", help=files)
    parser.add_argument("--json", action="store_true", help=f"print JSON lines with path, label and the {TOP} highest scores")
    parser.add_argument("--top", metavar="K", type=count, help="print the K most likely labels with their scores")
    parser.add_argument(
        "--min-confidence",
        metavar="P",
        type=share,
        help="if the probability of the label is less than P, print no label; needs a model with probabilities",
    )
    parser.add_argument(
        "--augmented",
        action="store_true",
        help="predict each image and its mirror image, and average; takes twice as long; not for models trained with --reject",
    )


def run_predict(arguments: argparse.Namespace) -> int:
    """Predict the classes of images with a saved model.

    Prints a line per image. Returns 1 if some images could not be used, 2 if no image could be used.
    """
    with uncollected() if arguments.own_process else nullcontext():
        model = read_model(arguments.model)
        from featrec.cli._images import find_images

    if arguments.augmented:
        model = _augmented(model, arguments.model)
    if arguments.min_confidence is not None and not hasattr(model, "predict_proba"):
        raise InputError(
            f"{arguments.model} has no probabilities, which --min-confidence needs; train it with "
            "--probability calibrated or --probability temperature"
        )
    items = (item for file in arguments.files for item in find_images(file))
    top = arguments.top or (TOP if arguments.json else int(arguments.min_confidence is not None))
    n_predicted = n_failed = 0
    while batch := list(islice(items, BATCH)):
        for path, found in _predictions(model, batch, top):
            if isinstance(found, ImageError):
                n_failed += 1
                report([found])
            else:
                n_predicted += 1
                print(_line(path, found, arguments))
    if not n_predicted and not n_failed:
        raise InputError("no images given; standard input contains no path")
    return 0 if not n_failed else 1 if n_predicted else 2


def _line(path: str, found: dict[str, Any], arguments: argparse.Namespace) -> str:
    """Format one line of output for an image. The label is left out if its probability is too low."""
    if arguments.min_confidence is not None and max(found["scores"].values()) < arguments.min_confidence:
        found["label"] = None
    if arguments.json:
        return json.dumps({"path": path, **found}, ensure_ascii=False)
    label = UNSURE if found["label"] is None else str(found["label"])
    if found.get("reason"):
        label += f": {found['reason']}"
    scores = [f"{name} {score:.3f}" for name, score in found.get("scores", {}).items()] if arguments.top else []
    return "\t".join([path, label, *scores])


def _augmented(model: Any, file: str) -> Any:
    """Return a model that averages over an image and its mirror image."""
    from sklearn.frozen import FrozenEstimator

    from featrec.preprocessing import PredictAugmented

    if hasattr(model, "review"):
        raise InputError(f"{file} was trained with --reject; its threshold holds for images as they are, so omit --augmented")
    return PredictAugmented(FrozenEstimator(model)).fit([], [])


def _predictions(model: Any, items: list[Any], top: int) -> list[tuple[str, dict[str, Any] | ImageError]]:
    """Return the path of each image, with its prediction or with an ImageError."""
    images = [_read(item) for item in items]
    usable = [row for row, image in enumerate(images) if not isinstance(image, ImageError)]
    found = each_or_error(lambda batch: _predict(model, batch, top), [images[row] for row in usable])
    for row, prediction in zip(usable, found, strict=True):
        is_error = isinstance(prediction, ImageError)
        images[row] = ImageError(prediction.reason, item=items[row].path) if is_error else prediction
    return [(item.path, result) for item, result in zip(items, images, strict=True)]


def _read(item: Any) -> Any:
    try:
        return item.read()
    except ImageError as error:
        return error


def _predict(model: Any, images: list, top: int) -> list[dict[str, Any]]:
    """Return the label and the scores of each image. Features are computed only once."""
    from sklearn.pipeline import Pipeline

    if hasattr(model, "review"):
        return _reviewed(model, images, top)
    if isinstance(model, Pipeline) and len(model) > 1:
        model, images = model[-1], model[:-1].transform(images)
    found = [{"label": _plain(label)} for label in model.predict(images)]
    if top:
        for prediction, scores in zip(found, _scores(model, images, top), strict=False):
            prediction["scores"] = scores
    return found


def _reviewed(model: Any, images: list, top: int) -> list[dict[str, Any]]:
    """Return labels with the reasons of a model that rejects unknown images, and its scores."""
    review = model.review(images)
    scores = _top(review.probabilities, model.classes_, top) if top else [None] * len(review)
    found = []
    for row, label in enumerate(review.labels):
        prediction = {"label": _plain(label), "accepted": bool(review.accepted[row]), "reason": review.reasons[row]}
        prediction |= {"most_likely": _plain(review.most_likely[row]), "confidence": float(review.confidences[row])}
        prediction |= {} if review.sets is None else {"set": list(review.sets[row])}
        found.append(prediction | ({} if scores[row] is None else {"scores": scores[row]}))
    return found


def _scores(model: Any, images: Any, top: int) -> list[dict[Any, float]]:
    """Return each image's highest probabilities or decision values, keyed by class; empty if the model has neither."""
    import numpy as np

    name = next((name for name in ("predict_proba", "decision_function") if hasattr(model, name)), None)
    if name is None:
        return []
    values = np.asarray(getattr(model, name)(images))
    if values.ndim == 1:
        values = np.column_stack([-values, values])
    if values.shape[1] != len(model.classes_):
        return []
    return _top(values, model.classes_, top)


def _top(values: Any, classes: Any, top: int) -> list[dict[Any, float]]:
    import numpy as np

    best = np.argsort(-values, axis=1, kind="stable")[:, :top]
    return [
        {_plain(classes[column]): float(row[column]) for column in columns} for row, columns in zip(values, best, strict=True)
    ]


def _plain(label: Any) -> Any:
    return label.item() if hasattr(label, "item") else label


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        metavar="DIR",
        nargs="+",
        help="folders of images at any depth, archives (.zip, .tar, .tar.gz), manifests (.csv) or files; "
        "use - to read paths from standard input",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object: n_images, damaged (path, reason) and skipped"
    )
    add_threads(parser)


def run_check(arguments: argparse.Namespace) -> int:
    """Read every image once and list damaged files, before a long computation.

    Prints the path of each damaged image and the reason. Returns 1 if any image is damaged.
    """
    from featrec.cli._images import ImageFiles, find_images
    from featrec.datasets import find_damaged
    from featrec.lazy import Images

    skipped: list[str] = []
    items = [item for file in arguments.files for item in find_images(file, skipped, keep_missing=True)]
    images = Images(ImageFiles(items))
    damaged = find_damaged(images, n_jobs=arguments.n_jobs, verbose=verbosity())
    if arguments.json:
        found = [{"path": failure.item, "reason": failure.reason} for failure in damaged]
        print(json.dumps({"n_images": len(images), "damaged": found, "skipped": skipped}, indent=1, ensure_ascii=False))
        return 1 if damaged else 0
    for failure in damaged:  # if there are damaged images, standard output contains only these lines
        print(f"{failure.item}\t{failure.reason}")
    sys.stdout.flush()
    if damaged:
        n_damaged = f"{len(damaged):,} of {len(images):,}"
        sys.stderr.write(f"featrec: {n_damaged} images cannot be read; train, compare and suggest leave them out\n")
    else:
        print(f"{len(images):,} of {len(images):,} images can be read")
    return 1 if damaged else 0
