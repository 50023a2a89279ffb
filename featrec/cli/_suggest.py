"""Try recipes on a few images of a folder and suggest where to start."""

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
    """Add the arguments: the images, limits of number and time, and output files."""
    parser.add_argument(
        "folder", metavar="DIR", type=Path, help="one folder per class; train/ is used if there are train/ and test/"
    )
    parser.add_argument("--images", metavar="N", type=count, default=300, help="number of images to draw (default: 300)")
    parser.add_argument("--cv", metavar="K", type=folds, default=3, help="number of folds (default: 3)")
    parser.add_argument("--seconds", metavar="S", type=seconds, default=30.0, help="time limit per recipe (default: 30)")
    told = "time limit for all recipes; recipes that would exceed it are skipped (default: 50)"
    parser.add_argument("--total-seconds", metavar="S", type=seconds, default=50.0, help=told)
    parser.add_argument(
        "--recipes", metavar="A,B,...", default="", help="recipes, as listed by 'featrec recipes' (default: all)"
    )
    parser.add_argument(
        "--cnn", metavar="FILE", action="append", default=[], help=f"network as an ONNX file (may be repeated): {NETWORK_FORM}"
    )
    parser.add_argument("--json", metavar="OUT", type=Path, help="also write the results to this file")
    parser.add_argument("--markdown", metavar="OUT", type=Path, help="also write the table to this file")
    add_computing(parser)


def run(arguments: argparse.Namespace) -> int:
    """Try all recipes and print one table. Returns 1 if images were left out."""
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
    except ImageError:  # only a few images are drawn, so all images are read only if one of the few is damaged
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
    """Why a recipe was skipped, with command-line hints instead of Python calls."""
    return replace(found, trials=tuple(replace(trial, remark=_remark(trial)) for trial in found.trials))


def _remark(trial: Trial) -> str:
    if trial.state != "left out":
        return trial.remark
    reason, _, way_out = trial.remark.partition("; give ")
    if way_out and trial.name == "cnn_svm":
        return "it needs the file of a network; use --cnn FILE"
    return reason


def _train_half(folder: Path, **options: Any) -> ImageFolder:
    from featrec.datasets import ImageFolder

    return ImageFolder.split(folder, **options)[0]


def _wanted(arguments: argparse.Namespace) -> dict[str, Any]:
    """The recipes by name, or all recipes and presets, and the networks."""
    from featrec.recipes import variants

    names = [name.strip() for name in arguments.recipes.split(",") if name.strip()]
    candidates: dict[str, Any] = {name: {} for name in names or variants()}
    networks = {
        name: make_network(text, seed=arguments.seed, n_jobs=arguments.n_jobs) for name, text in _networks(arguments).items()
    }
    if arguments.cnn and not names:
        del candidates["cnn_svm"]
    return candidates | networks


def _networks(arguments: argparse.Namespace) -> dict[str, str]:
    """The arguments of each network, by the name of its row."""
    return {f"cnn_svm {Path(parse_network(text)[0]).stem}": text for text in arguments.cnn}


def _words(arguments: argparse.Namespace, name: str) -> str:
    """The arguments of ``featrec train`` for the model of a row."""
    text = _networks(arguments).get(name)
    return f"--recipe {name}" if text is None else f"--cnn {text}"
