"""Put recipes and networks side by side on the same pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from featrec.cli._failures import readable, told
from featrec.cli._folders import add_folder, has_split, read_split
from featrec.cli._models import NETWORK_FORM, add_computing, make_network, make_recipe, parse_network
from featrec.cli._terminal import verbosity
from featrec.exceptions import InputError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The pictures, the models and where the result goes."""
    group = add_folder(parser)
    group.add_argument("--cv", metavar="K", type=int, help="cross-validation in K folds instead of held-out pictures")
    parser.add_argument("--recipes", metavar="A,B,...", default="", help="some of those that 'featrec recipes' lists")
    parser.add_argument(
        "--cnn", metavar="FILE", action="append", default=[], help=f"a network as an ONNX file, once or more: {NETWORK_FORM}"
    )
    parser.add_argument("--json", metavar="OUT", type=Path, help="write the figures to this file, too")
    parser.add_argument("--markdown", metavar="OUT", type=Path, help="write the table to this file, too")
    add_computing(parser)


def run(arguments: argparse.Namespace) -> int:
    """Fit all, judge all, print one table; 1 where pictures were left out."""
    from featrec.evaluation import compare

    for out in filter(None, (arguments.json, arguments.markdown)):
        if not out.parent.is_dir():
            raise InputError(f"there is no folder {out.parent} to write {out.name} to; make it first: mkdir -p {out.parent}")
    models = _models(arguments)
    folders = _pictures(arguments)

    train, *tests = folders
    where = {"test": (tests[0], tests[0].labels)} if tests else {"cv": arguments.cv}
    comparison = compare(models, train, train.labels, **where, verbose=verbosity())
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
    if not models:
        raise InputError("nothing to compare; name recipes (--recipes hog_svm,bovw_svm) or networks (--cnn FILE)")
    return models


def _pictures(arguments: argparse.Namespace) -> tuple[Any, ...]:
    """The pictures to learn from and those to test on; with --cv only the former."""
    if arguments.cv is not None:
        from featrec.datasets import ImageFolder

        if has_split(arguments.folder):
            raise InputError(f"{arguments.folder} has its own test folder; leave --cv out, or give the train folder alone")
        return (readable(ImageFolder, arguments.folder, arguments.n_jobs),)
    train, test = read_split(arguments)
    if test is None:
        raise InputError("a comparison needs pictures to test on; --holdout must be more than 0")
    return train, test
