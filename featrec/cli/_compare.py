"""Compare recipes and networks on the same images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featrec.cli._failures import readable, told
from featrec.cli._folders import add_folder, check_folder, has_split, read_split
from featrec.cli._models import NETWORK_FORM, add_computing, make_network, make_recipe, parse_network
from featrec.cli._numbers import folds
from featrec.cli._outputs import check_outputs
from featrec.cli._own_predictions import FORM, parse_predictions, read_predictions
from featrec.cli._terminal import verbosity
from featrec.exceptions import InputError

if TYPE_CHECKING:
    from featrec.datasets import ImageFolder

__all__ = ["add_arguments", "run"]

# Fast recipes for images of any size, gray and colour.
USUAL = "tiny_knn,color_forest,hog_svm,lbp_svm"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments: the images, the models and the output files."""
    group = add_folder(parser)
    group.add_argument("--cv", metavar="K", type=folds, help="use cross-validation in K folds instead of held-out images")
    told = f"recipes, as listed by 'featrec recipes' (default: {USUAL}; all are fast and accept images of any size)"
    parser.add_argument("--recipes", metavar="A,B,...", default=USUAL, help=told)
    parser.add_argument(
        "--cnn", metavar="FILE", action="append", default=[], help=f"network as an ONNX file (may be repeated): {NETWORK_FORM}"
    )
    told = "predictions of another program (may be repeated): a CSV with the columns path and label (or prediction)"
    parser.add_argument("--predictions", metavar=FORM, action="append", default=[], help=told)
    parser.add_argument("--json", metavar="OUT", type=Path, help="also write the results to this file")
    parser.add_argument("--markdown", metavar="OUT", type=Path, help="also write the table to this file")
    add_computing(parser)


def run(arguments: argparse.Namespace) -> int:
    """Fit and evaluate all models and print one table. Returns 1 if images were left out."""
    from featrec.evaluation import compare

    check_outputs(arguments.json, arguments.markdown)
    files = parse_predictions(arguments.predictions)
    _check_test_images(arguments)
    check_folder(arguments.folder)  # check this before creating recipes or reading images
    models = _models(arguments)
    folders = _images(arguments)
    own = _own(files, models, *folders)
    train, *tests = folders
    where = {"test": (tests[0], tests[0].labels)} if tests else {"cv": arguments.cv}
    rows = {name: [labels[path] for path in folders[-1].paths] for name, labels in own.items()}
    comparison = compare(models | rows, train, train.labels, **where, verbose=verbosity())
    print(comparison)
    if arguments.json:
        comparison.to_json(arguments.json)
    if arguments.markdown:
        comparison.to_markdown(arguments.markdown)
    return told(*folders)


def _models(arguments: argparse.Namespace) -> dict[str, Any]:
    names = [name.strip() for name in arguments.recipes.split(",") if name.strip()]
    options = {"n_jobs": arguments.n_jobs, "seed": arguments.seed}
    models: dict[str, Any] = {name: make_recipe(name, **options) for name in names}
    for text in arguments.cnn:
        row = f"cnn_svm {Path(parse_network(text)[0]).stem}"
        if row in models:
            row = f"cnn_svm {text}"
        models[row] = make_network(text, **options)
    if not models and not arguments.predictions:
        raise InputError("nothing to compare; set recipes (--recipes hog_svm,bovw_svm) or networks (--cnn FILE)")
    return models


def _own(files: dict[str, Path], models: dict[str, Any], train: ImageFolder, test: Any = None) -> dict[str, dict[str, str]]:
    """Predictions of other programs: a label for each path."""
    twice = sorted(set(files) & set(models))
    if twice:
        raise InputError(f"the name {twice[0]!r} of --predictions is already used by a model; use another name")
    judged, others = (train, None) if test is None else (test, train)
    return {name: read_predictions(name, file, judged, others) for name, file in files.items()}


def _images(arguments: argparse.Namespace) -> tuple[Any, ...]:
    """The training images and the test images; with --cv only the former."""
    if arguments.cv is not None:
        from featrec.datasets import ImageFolder

        return (readable(ImageFolder, arguments.folder, arguments.n_jobs),)
    return read_split(arguments)


def _check_test_images(arguments: argparse.Namespace) -> None:
    """Refuse options that leave no test images, or that select them twice."""
    if arguments.cv is not None and has_split(arguments.folder):
        raise InputError(f"{arguments.folder} has its own test folder; omit --cv, or use only the train folder")
    if arguments.holdout == 0:
        raise InputError("a comparison needs test images; --holdout must be more than 0")
