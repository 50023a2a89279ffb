"""Predict the classes of images with a saved model."""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from itertools import islice
from typing import Any

from featrec.cli._failures import report
from featrec.cli._models import read_model
from featrec.cli._numbers import count, share
from featrec.cli._pictures import image_of, name_of, named
from featrec.cli._quick_start import uncollected
from featrec.exceptions import ImageError, InputError

__all__ = ["add_arguments", "run"]

BATCH = 64
TOP = 5
UNSURE = "?"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments: the model, the images and the output format."""
    parser.add_argument("model", metavar="MODEL", help="model file of 'featrec train'")
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="images, folders, archives or manifests; - reads paths from standard input",
    )
    parser.add_argument("--json", action="store_true", help=f"print JSON lines with path, label and the {TOP} highest scores")
    parser.add_argument("--top", metavar="K", type=count, help="print the K most likely labels with their scores")
    parser.add_argument(
        "--min-confidence",
        metavar="P",
        type=share,
        help="print no label if the probability is lower; needs a model with probabilities",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print a line per image. Returns 1 if some images could not be used, 2 if none could."""
    with uncollected() if arguments.own_process else nullcontext():
        model = read_model(arguments.model)
    _check_confidence(model, arguments)
    items = (item for file in arguments.files for item in named(file))
    top = arguments.top or (TOP if arguments.json else int(arguments.min_confidence is not None))
    answered = failures = 0
    while batch := list(islice(items, BATCH)):
        for path, answer in _answer(model, batch, top):
            if isinstance(answer, ImageError):
                failures += 1
                report([answer])
            else:
                answered += 1
                _doubt(answer, arguments.min_confidence)
                print(_line(path, answer, arguments))
    if not answered and not failures:
        raise InputError("no images given; standard input contains no path")
    return 0 if not failures else 1 if answered else 2


def _check_confidence(model: Any, arguments: argparse.Namespace) -> None:
    if arguments.min_confidence is not None and not hasattr(model, "predict_proba"):
        raise InputError(
            f"{arguments.model} has no probabilities, which --min-confidence needs; train it with "
            "--probability calibrated or --probability temperature"
        )


def _doubt(answer: dict[str, Any], least: float | None) -> None:
    """Remove the label if its probability is too low."""
    if least is not None and max(answer["scores"].values()) < least:
        answer["label"] = None


def _line(path: str, answer: dict[str, Any], arguments: argparse.Namespace) -> str:
    if arguments.json:
        return json.dumps({"path": path, **answer}, ensure_ascii=False)
    label = UNSURE if answer["label"] is None else str(answer["label"])
    scores = [f"{name} {score:.3f}" for name, score in answer.get("scores", {}).items()] if arguments.top else []
    return "\t".join([path, label, *scores])


def _answer(model: Any, items: list[Any], top: int) -> list[tuple[str, dict[str, Any] | ImageError]]:
    """The prediction for each image, in order, with its path; an error if the image cannot be used."""
    answers: dict[int, dict[str, Any] | ImageError] = {}
    images = {}
    for position, item in enumerate(items):
        try:
            images[position] = image_of(item)
        except ImageError as error:
            answers[position] = error
    try:
        answers.update(zip(images, _predict(model, list(images.values()), top), strict=True))
    except ImageError:
        alone = {place: _predict_one(model, name_of(items[place]), image, top) for place, image in images.items()}
        answers.update(alone)
    return [(name_of(item), answers[position]) for position, item in enumerate(items)]


def _predict_one(model: Any, path: str, image: Any, top: int) -> dict[str, Any] | ImageError:
    """If one of several images fails, predict each separately."""
    try:
        return _predict(model, [image], top)[0]
    except ImageError as error:
        return ImageError(error.reason, item=path)


def _predict(model: Any, images: list, top: int) -> list[dict[str, Any]]:
    """The label of each image, and its scores; images are described once for both."""
    from sklearn.pipeline import Pipeline

    if not images:
        return []
    if isinstance(model, Pipeline) and len(model) > 1:
        model, images = model[-1], model[:-1].transform(images)
    answers = [{"label": _plain(label)} for label in model.predict(images)]
    if top:
        for answer, scores in zip(answers, _scores(model, images, top), strict=False):
            answer["scores"] = scores
    return answers


def _scores(model: Any, images: Any, top: int) -> list[dict[Any, float]]:
    """The highest probabilities or decision values of each image, by class; empty if the model has neither."""
    import numpy as np

    name = next((name for name in ("predict_proba", "decision_function") if hasattr(model, name)), None)
    if name is None:
        return []
    values = np.asarray(getattr(model, name)(images))
    if values.ndim == 1:
        values = np.column_stack([-values, values])
    if values.shape[1] != len(model.classes_):
        return []
    best = np.argsort(-values, axis=1, kind="stable")[:, :top]
    return [
        {_plain(model.classes_[column]): float(row[column]) for column in columns}
        for row, columns in zip(values, best, strict=True)
    ]


def _plain(label: Any) -> Any:
    """Convert a label to a Python type that JSON supports."""
    return label.item() if hasattr(label, "item") else label
