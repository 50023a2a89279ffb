"""Try recipes on a few pictures of a folder, and say which to take up first."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featrec.cli._failures import readable, told
from featrec.cli._models import NETWORK_FORM, add_computing, make_network, parse_network
from featrec.cli._terminal import verbosity
from featrec.exceptions import ImageError, InputError

if TYPE_CHECKING:
    from featrec.datasets import ImageFolder

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The pictures, how many of them and for how long, and where the result goes."""
    parser.add_argument(
        "folder", metavar="DIR", type=Path, help="a folder for each class; where it has train/ and test/, train is taken"
    )
    parser.add_argument("--images", metavar="N", type=int, default=300, help="how many pictures to draw (300)")
    parser.add_argument("--cv", metavar="K", type=int, default=3, help="folds (3)")
    parser.add_argument("--seconds", metavar="S", type=float, default=30.0, help="for each recipe (30)")
    parser.add_argument("--recipes", metavar="A,B,...", default="", help="some of those that 'featrec recipes' lists (all)")
    parser.add_argument(
        "--cnn", metavar="FILE", action="append", default=[], help=f"a network as an ONNX file, once or more: {NETWORK_FORM}"
    )
    parser.add_argument("--json", metavar="OUT", type=Path, help="write the figures to this file, too")
    parser.add_argument("--markdown", metavar="OUT", type=Path, help="write the table to this file, too")
    add_computing(parser)


def run(arguments: argparse.Namespace) -> int:
    """Try all, print one table; 1 where pictures were left out."""
    from featrec import recipes
    from featrec.datasets import ImageFolder

    for out in filter(None, (arguments.json, arguments.markdown)):
        if not out.parent.is_dir():
            raise InputError(f"there is no folder {out.parent} to write {out.name} to; make it first: mkdir -p {out.parent}")
    split = ImageFolder.is_split(arguments.folder)
    read = _train_half if split else ImageFolder
    folder = read(arguments.folder)
    options = {"n_images": arguments.images, "cv": arguments.cv, "seconds": arguments.seconds, "verbose": verbosity()}
    options |= {"recipes": _wanted(arguments), "n_jobs": arguments.n_jobs, "random_state": arguments.seed}
    try:
        found = recipes.suggest(folder, folder.labels, **options)
    except ImageError:  # a few images are drawn of perhaps many, so all are read only where one of the few is damaged
        folder = readable(read, arguments.folder, arguments.n_jobs)
        found = recipes.suggest(folder, folder.labels, **options)
    print(found)
    if arguments.json:
        found.to_json(arguments.json)
    if arguments.markdown:
        found.to_markdown(arguments.markdown)
    return told(folder)


def _train_half(folder: Path, **options: Any) -> ImageFolder:
    from featrec.datasets import ImageFolder

    return ImageFolder.split(folder, **options)[0]


def _wanted(arguments: argparse.Namespace) -> dict[str, Any]:
    """The recipes by name, all and their variants where none is named, and the networks."""
    from featrec import recipes
    from featrec.recipes._suggest import usual_candidates

    names = [name.strip() for name in arguments.recipes.split(",") if name.strip()]
    candidates: dict[str, Any] = {name: {} for name in names} or usual_candidates(recipes.names())
    networks = {
        f"cnn_svm {Path(parse_network(text)[0]).stem}": make_network(text, seed=arguments.seed, n_jobs=arguments.n_jobs)
        for text in arguments.cnn
    }
    if arguments.cnn and not names:
        del candidates["cnn_svm"]
    return candidates | networks
