"""Learn from a folder of images, test, and save the model."""

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
    """What to learn from, what to learn and where it goes."""
    add_folder(parser)
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument(
        "--recipe", metavar="NAME", help="one of those that 'featrec recipes' lists, such as patches_kernel:digits"
    )
    model.add_argument("--cnn", metavar="FILE", help=f"a network as an ONNX file: {NETWORK_FORM}")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], dest="options", help=OPTION_HELP)
    parser.add_argument(
        "--probability",
        choices=["calibrated", "temperature"],
        help="fit probabilities, which 'featrec predict --min-confidence' asks for; this fits the classifier six times. "
        "calibrated: a curve for each class, which may change labels; temperature: one number for all, which keeps them",
    )
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="the model file to write")
    parser.add_argument("--force", action="store_true", help="replace a model file that is there")
    add_computing(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train, report, save; 1 where images were left out. What can be refused is refused before the training."""
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
        raise InputError(f"{arguments.folder} holds one class, {classes[0]!r}; a classifier needs two or more")
    say(f"fitting {what} on {len(train)} images of {len(classes)} classes")
    with timed() as spent:
        model.fit(train, train.labels)
    save(model, out)  # before anything that may fail, or whose reader may be gone
    compiling = f", and compiled for {spent.compile_seconds:.1f} s, once on this machine" if spent.compile_seconds else ""
    print(f"fitted {what} on {len(train)} images in {spent.seconds:.1f} s{compiling}")
    if test is not None:
        print(evaluate(model, test, test.labels))
    print(f"saved {out} ({out.stat().st_size / 1e6:.1f} MB); next: featrec predict {out} FILES")
    return told(train, test)


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.options and not arguments.recipe:
        raise InputError(f"--set is for recipes; a network's options stand behind its file: --cnn {NETWORK_FORM}")
    if not arguments.options or arguments.recipe == "cnn_svm":
        return {}
    given = parse_options(arguments.recipe, arguments.options)
    if "probability" in given:
        raise InputError("probability is asked for with --probability calibrated or --probability temperature")
    return given


def _check_output(out: Path, force: bool) -> None:
    check_outputs(out, example="model.featrec")
    if out.exists() and not force:
        raise InputError(f"{out} exists; --force replaces it")
