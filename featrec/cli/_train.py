"""Train a model on a folder of images, test it, and save it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from featrec.cli._failures import told
from featrec.cli._folders import add_folder, read_split
from featrec.cli._models import NETWORK_FORM, add_computing, make_network, make_recipe
from featrec.cli._options import OPTION_HELP, parse_options
from featrec.cli._outputs import check_outputs
from featrec.cli._terminal import say
from featrec.compilation import timed
from featrec.exceptions import InputError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments: the images, the model and the output file."""
    add_folder(parser)
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--recipe", metavar="NAME", help="recipe, as listed by 'featrec recipes', such as patches_kernel:digits")
    model.add_argument("--cnn", metavar="FILE", help=f"network as an ONNX file: {NETWORK_FORM}")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], dest="options", help=OPTION_HELP)
    parser.add_argument(
        "--probability",
        choices=["calibrated", "temperature"],
        help="fit probabilities, as needed by 'featrec predict --min-confidence'; this fits the classifier six times. "
        "calibrated: one curve per class, which may change labels; temperature: one number for all classes, which keeps labels",
    )
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="model file to write")
    parser.add_argument("--force", action="store_true", help="replace an existing model file")
    add_computing(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train, evaluate and save. Returns 1 if images were left out. Arguments are checked before the training."""
    from featrec.evaluation import evaluate
    from featrec.persistence import save

    out = arguments.out
    _check_output(out, arguments.force)
    make, what = (make_recipe, arguments.recipe) if arguments.recipe else (make_network, arguments.cnn)
    options = _options(arguments)
    model = make(what, n_jobs=arguments.n_jobs, seed=arguments.seed, probability=arguments.probability, **options)
    train, test = read_split(arguments)
    classes = sorted(set(train.labels.tolist()))
    if len(classes) < 2:
        raise InputError(f"{arguments.folder} contains only one class, {classes[0]!r}; a classifier needs at least two")
    say(f"fitting {what} on {len(train)} images of {len(classes)} classes")
    with timed() as spent:
        model.fit(train, train.labels)
    save(model, out)  # before anything that may fail, or before the reader of a pipe is gone
    compiling = f", and compiled for {spent.compile_seconds:.1f} s, once on this machine" if spent.compile_seconds else ""
    print(f"fitted {what} on {len(train)} images in {spent.seconds:.1f} s{compiling}")
    if test is not None:
        print(evaluate(model, test, test.labels))
    print(f"saved {out} ({out.stat().st_size / 1e6:.1f} MB); next: featrec predict {out} FILES")
    return told(train, test)


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.options and not arguments.recipe:
        raise InputError(f"--set is for recipes; options of a network follow its file: --cnn {NETWORK_FORM}")
    if not arguments.options or arguments.recipe == "cnn_svm":
        return {}
    given = parse_options(arguments.recipe, arguments.options)
    if "probability" in given:
        raise InputError("set probability with --probability calibrated or --probability temperature")
    return given


def _check_output(out: Path, force: bool) -> None:
    check_outputs(out, example="model.featrec")
    if out.exists() and not force:
        raise InputError(f"{out} exists; use --force to replace it")
