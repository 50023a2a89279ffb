"""Try recipes on a few images of a folder, and say which to take up first."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featrec.cli._failures import readable, told
from featrec.cli._models import NETWORK_FORM, add_computing, make_network, parse_network
from featrec.cli._numbers import count, folds, seconds
from featrec.cli._outputs import check_outputs
from featrec.cli._terminal import verbosity
from featrec.exceptions import ImageError

if TYPE_CHECKING:
    from featrec.datasets import ImageFolder
    from featrec.evaluation import Suggestion, Trial

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The images, how many of them and for how long, and where the result goes."""
    parser.add_argument(
        "folder", metavar="DIR", type=Path, help="a folder for each class; where it has train/ and test/, train is taken"
    )
    parser.add_argument("--images", metavar="N", type=count, default=300, help="how many images to draw (300)")
    parser.add_argument("--cv", metavar="K", type=folds, default=3, help="folds (3)")
    parser.add_argument("--seconds", metavar="S", type=seconds, default=30.0, help="for each recipe (30)")
    told = "for all recipes; those that would not end in it are left out with their time (50)"
    parser.add_argument("--total-seconds", metavar="S", type=seconds, default=50.0, help=told)
    parser.add_argument("--recipes", metavar="A,B,...", default="", help="some of those that 'featrec recipes' lists (all)")
    parser.add_argument(
        "--cnn", metavar="FILE", action="append", default=[], help=f"a network as an ONNX file, once or more: {NETWORK_FORM}"
    )
    parser.add_argument("--json", metavar="OUT", type=Path, help="write the figures to this file, too")
    parser.add_argument("--markdown", metavar="OUT", type=Path, help="write the table to this file, too")
    add_computing(parser)


def run(arguments: argparse.Namespace) -> int:
    """Try all, print one table; 1 where images were left out."""
    from featrec import recipes
    from featrec.datasets import ImageFolder

    check_outputs(arguments.json, arguments.markdown)
    split = ImageFolder.is_split(arguments.folder)
    read = _train_half if split else ImageFolder
    folder = read(arguments.folder)
    options = {"n_images": arguments.images, "cv": arguments.cv, "seconds": arguments.seconds}
    options |= {"total_seconds": arguments.total_seconds, "verbose": verbosity()}
    options |= {"recipes": _wanted(arguments), "n_jobs": arguments.n_jobs, "random_state": arguments.seed}
    try:
        found = recipes.suggest(folder, folder.labels, **options)
    except ImageError:  # a few images are drawn of perhaps many, so all are read only where one of the few is damaged
        folder = readable(read, arguments.folder, arguments.n_jobs)
        found = recipes.suggest(folder, folder.labels, **options)
    found = _in_shell_words(found)
    print(found)
    if found.first is not None:
        print(f"next: featrec train {arguments.folder} {_words(arguments, found.first)} --out my.model")
    if arguments.json:
        found.to_json(arguments.json)
    if arguments.markdown:
        found.to_markdown(arguments.markdown)
    return told(folder)


def _in_shell_words(found: Suggestion) -> Suggestion:
    """Why a recipe was left out, without a way out that is a call of Python; the shell has its own for networks."""
    return replace(found, trials=tuple(replace(trial, remark=_remark(trial)) for trial in found.trials))


def _remark(trial: Trial) -> str:
    if trial.state != "left out":
        return trial.remark
    reason, _, way_out = trial.remark.partition("; give ")
    if way_out and trial.name == "cnn_svm":
        return "it needs the file of a network; give --cnn FILE"
    return reason


def _train_half(folder: Path, **options: Any) -> ImageFolder:
    from featrec.datasets import ImageFolder

    return ImageFolder.split(folder, **options)[0]


def _wanted(arguments: argparse.Namespace) -> dict[str, Any]:
    """The recipes by name, all and their presets where none is named, and the networks."""
    from featrec.recipes._names import variants

    names = [name.strip() for name in arguments.recipes.split(",") if name.strip()]
    candidates: dict[str, Any] = {name: {} for name in names or variants()}
    networks = {
        name: make_network(text, seed=arguments.seed, n_jobs=arguments.n_jobs) for name, text in _networks(arguments).items()
    }
    if arguments.cnn and not names:
        del candidates["cnn_svm"]
    return candidates | networks


def _networks(arguments: argparse.Namespace) -> dict[str, str]:
    """What was said of each network, by the name of its row."""
    return {f"cnn_svm {Path(parse_network(text)[0]).stem}": text for text in arguments.cnn}


def _words(arguments: argparse.Namespace, name: str) -> str:
    """How ``featrec train`` is told to take the model of a row."""
    text = _networks(arguments).get(name)
    return f"--recipe {name}" if text is None else f"--cnn {text}"
