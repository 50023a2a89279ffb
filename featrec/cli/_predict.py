"""Say what is on pictures, with a saved model."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from featrec.exceptions import ImageError

__all__ = ["add_arguments", "run"]

BATCH = 64
TOP = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the pictures and the form of the answer."""
    parser.add_argument("model", metavar="MODEL", help="a file that 'featrec train' has written")
    parser.add_argument("files", metavar="FILE", nargs="+", help="pictures; - reads their paths from the standard input")
    parser.add_argument(
        "--json",
        action="store_true",
        help=f"JSON lines with path, label and the {TOP} highest scores, where the model has them",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each picture; 1 where some could not be used, after the others have been answered."""
    from featrec.persistence import load

    model = load(arguments.model)
    paths = _paths(arguments.files)
    failures = 0
    while batch := list(islice(paths, BATCH)):
        for path, answer in _answer(model, batch, scored=arguments.json):
            if isinstance(answer, ImageError):
                failures += 1
                sys.stdout.flush()
                sys.stderr.write(f"featrec: error: {answer}\n")
            else:
                print(
                    json.dumps({"path": path, **answer}, ensure_ascii=False) if arguments.json else f"{path}\t{answer['label']}"
                )
    return 1 if failures else 0


def _paths(files: Iterable[str]) -> Iterator[str]:
    for file in files:
        if file == "-":
            yield from filter(None, map(str.strip, sys.stdin))
        else:
            yield file


def _answer(model: Any, paths: list[str], *, scored: bool) -> list[tuple[str, dict[str, Any] | ImageError]]:
    """The answer to each path, in order; an error where its picture cannot be used."""
    from featrec.images import read_image

    answers: dict[int, dict[str, Any] | ImageError] = {}
    pictures = {}
    for position, path in enumerate(paths):
        try:
            pictures[position] = read_image(path)
        except ImageError as error:
            answers[position] = error
    try:
        answers.update(zip(pictures, _predict(model, list(pictures.values()), scored=scored), strict=True))
    except ImageError:
        answers.update(
            {position: _predict_one(model, paths[position], picture, scored) for position, picture in pictures.items()}
        )
    return [(path, answers[position]) for position, path in enumerate(paths)]


def _predict_one(model: Any, path: str, picture: Any, scored: bool) -> dict[str, Any] | ImageError:
    """Where one of several pictures is refused, each is asked about by itself."""
    try:
        return _predict(model, [picture], scored=scored)[0]
    except ImageError as error:
        return ImageError(error.reason, item=path)


def _predict(model: Any, pictures: list, *, scored: bool) -> list[dict[str, Any]]:
    """A label for each picture, and its scores; the pictures are described once for both."""
    from sklearn.pipeline import Pipeline

    if not pictures:
        return []
    if isinstance(model, Pipeline) and len(model) > 1:
        model, pictures = model[-1], model[:-1].transform(pictures)
    answers = [{"label": _plain(label)} for label in model.predict(pictures)]
    if scored:
        for answer, scores in zip(answers, _scores(model, pictures), strict=False):
            answer["scores"] = scores
    return answers


def _scores(model: Any, pictures: Any) -> list[dict[Any, float]]:
    """The highest probabilities or decision values of each picture, by class; none where the model has neither."""
    import numpy as np

    name = next((name for name in ("predict_proba", "decision_function") if hasattr(model, name)), None)
    if name is None:
        return []
    values = np.asarray(getattr(model, name)(pictures))
    if values.ndim == 1:
        values = np.column_stack([-values, values])
    if values.shape[1] != len(model.classes_):
        return []
    best = np.argsort(-values, axis=1, kind="stable")[:, :TOP]
    return [
        {_plain(model.classes_[column]): float(row[column]) for column in columns}
        for row, columns in zip(values, best, strict=True)
    ]


def _plain(label: Any) -> Any:
    """A label as Python's own type, which JSON can write."""
    return label.item() if hasattr(label, "item") else label
