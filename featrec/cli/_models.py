"""Creates models from command-line arguments: a recipe's name, or a network's file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featrec.cli._numbers import seed as number_of_seed, threads
from featrec.cli._terminal import verbosity
from featrec.exceptions import InputError

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

__all__ = ["NETWORK_FORM", "add_computing", "make_network", "make_recipe", "parse_network", "read_model"]

NETWORK_FORM = "FILE[,layer=NAME][,preprocessing=caffe|tf|torch][,size=N]"
NETWORK_OPTIONS = ("layer", "preprocessing", "size")


def add_computing(parser: argparse.ArgumentParser) -> None:
    """Add the number of threads and the seed."""
    parser.add_argument(
        "--n-jobs", metavar="N", type=threads, default=-1, help="number of threads (default: -1, all processors)"
    )
    parser.add_argument("--seed", metavar="N", type=number_of_seed, default=0, help="seed of all random choices (default: 0)")


def make_recipe(name: str, *, seed: int, verbose: int | None = None, **options: Any) -> Pipeline:
    """Create a recipe by name with `seed`; it shows its progress on a terminal."""
    if name.partition(":")[0] == "cnn_svm":
        raise InputError(f"cnn_svm needs the file of a network: --cnn {NETWORK_FORM}")
    from featrec import recipes

    return _seeded(recipes.make(name, verbose=verbosity() if verbose is None else verbose, **options), seed)


def make_network(text: str, *, seed: int, **options: Any) -> Pipeline:
    """The recipe cnn_svm for ``FILE[,option=value]...``; a missing file is reported before any training."""
    file, declared = parse_network(text)
    if not Path(file).is_file():
        raise InputError(f"there is no file {file!r}; check the path, or use --cnn {NETWORK_FORM}")
    from featrec import recipes

    return _seeded(recipes.cnn_svm(file, **declared, **options, verbose=verbosity()), seed)


def parse_network(text: str) -> tuple[str, dict[str, Any]]:
    """Split the argument into file and options; the file name may contain commas."""
    file, options = text, {}
    while "," in file:
        rest, _, last = file.rpartition(",")
        key, equals, value = last.partition("=")
        if not equals:
            break
        if key not in NETWORK_OPTIONS:
            raise InputError(f"--cnn has no option {key!r}; use {NETWORK_FORM}")
        options[key] = _size(value) if key == "size" else value
        file = rest
    return file, options


def read_model(path: str) -> Any:
    """Load the model from the file given to a command."""
    from featrec.persistence import load

    if not Path(path).exists():
        raise InputError(f"there is no file {path!r}; a model file is created by 'featrec train'")
    return load(path)


def _size(value: str) -> tuple[int, int]:
    if not value.isdecimal():
        raise InputError(f"the input size of a network must be a number of pixels, such as size=224; got {value!r}")
    return int(value), int(value)


def _seeded(model: Pipeline, seed: int) -> Pipeline:
    drawn = [name for name in model.get_params() if name.endswith("random_state")]
    return model.set_params(**dict.fromkeys(drawn, seed))
