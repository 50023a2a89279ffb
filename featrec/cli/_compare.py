"""Put recipes and networks side by side on the same images."""

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

# Quick ones, which take images of any size, gray and colour.
USUAL = "tiny_knn,color_forest,hog_svm,lbp_svm"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The images, the models and where the result goes."""
    group = add_folder(parser)
    group.add_argument("--cv", metavar="K", type=folds, help="cross-validation in K folds instead of held-out images")
    told = f"some of those that 'featrec recipes' lists ({USUAL}, which are quick and take images of any size)"
    parser.add_argument("--recipes", metavar="A,B,...", default=USUAL, help=told)
    parser.add_argument(
        "--cnn", metavar="FILE", action="append", default=[], help=f"a network as an ONNX file, once or more: {NETWORK_FORM}"
    )
    told = "what another program predicts, once or more: a CSV with the columns path and label (or prediction), matched by path"
    parser.add_argument("--predictions", metavar=FORM, action="append", default=[], help=told)
    parser.add_argument("--json", metavar="OUT", type=Path, help="write the figures to this file, too")
    parser.add_argument("--markdown", metavar="OUT", type=Path, help="write the table to this file, too")
    add_computing(parser)


def run(arguments: argparse.Namespace) -> int:
    """Fit all, judge all, print one table; 1 where images were left out."""
    from featrec.evaluation import compare

    check_outputs(arguments.json, arguments.markdown)
    files = parse_predictions(arguments.predictions)
    _check_test_images(arguments)
    check_folder(arguments.folder)  # before a recipe is looked for, and before any image is read
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
        raise InputError("nothing to compare; name recipes (--recipes hog_svm,bovw_svm) or networks (--cnn FILE)")
    return models


def _own(files: dict[str, Path], models: dict[str, Any], train: ImageFolder, test: Any = None) -> dict[str, dict[str, str]]:
    """What other programs predict: a label for each path."""
    twice = sorted(set(files) & set(models))
    if twice:
        raise InputError(f"--predictions has the name {twice[0]!r}, which a model has already; give it another")
    judged, others = (train, None) if test is None else (test, train)
    return {name: read_predictions(name, file, judged, others) for name, file in files.items()}


def _images(arguments: argparse.Namespace) -> tuple[Any, ...]:
    """The images to learn from and those to test on; with --cv only the former."""
    if arguments.cv is not None:
        from featrec.datasets import ImageFolder

        return (readable(ImageFolder, arguments.folder, arguments.n_jobs),)
    return read_split(arguments)


def _check_test_images(arguments: argparse.Namespace) -> None:
    """Refuse options that leave nothing to test on, or two kinds of it."""
    if arguments.cv is not None and has_split(arguments.folder):
        raise InputError(f"{arguments.folder} has its own test folder; leave --cv out, or give the train folder alone")
    if arguments.holdout == 0:
        raise InputError("a comparison needs images to test on; --holdout must be more than 0")
