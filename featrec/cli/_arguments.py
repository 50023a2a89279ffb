"""Arguments that several commands share: numbers, output files, recipes, networks and model files."""

from __future__ import annotations

import argparse
import difflib
import inspect
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featrec.cli._terminal import verbosity
from featrec.exceptions import InputError

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

__all__ = [
    "NETWORK_FORM",
    "NETWORK_RECIPES",
    "add_computing",
    "add_networks",
    "add_results",
    "add_seed",
    "add_threads",
    "check_outputs",
    "check_recipe",
    "count",
    "folds",
    "listed",
    "make_network",
    "make_recipe",
    "near",
    "parse_network",
    "read_model",
    "reference_of",
    "seconds",
    "seeded",
    "share",
]

NETWORK_FORM = (
    "FILE|timm:NAME[,layer=NAME][,preprocessing=caffe|tf|torch][,size=N][,recipe=cnn_fisher_svm|cnn_vlad_svm]"
    "[,weights=FILE][,sha256=HEX][,key_map=order]"
)
NETWORK_OPTIONS = ("layer", "preprocessing", "size", "recipe", "weights", "sha256", "key_map")
NETWORK_RECIPES = ("cnn_svm", "cnn_fisher_svm", "cnn_vlad_svm")
SET_ELSEWHERE = ("n_jobs", "random_state", "verbose")


# Numbers. argparse adds the name of the option to each error message.


def _integer(what: str, least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{what} must be an integer of at least {least}; got {text}")
        return int(text)

    return parse


count = _integer("a count", 1)
folds = _integer("a number of folds", 2)


def _workers(what: str) -> Callable[[str], int]:
    """Return a parser for the number of threads or processes. -1 means all processors, -2 all except one, and so on."""

    def parse(text: str) -> int:
        value = _number(int, text)
        if not value:
            raise argparse.ArgumentTypeError(f"the number of {what} must be at least 1, or -1 for all processors; got {text}")
        return value

    return parse


def share(text: str) -> float:
    """Parse a fraction between 0 and 1."""
    value = _number(float, text)
    if value is None or not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"it must be between 0 and 1, such as 0.2; got {text}")
    return value


def seconds(text: str) -> float:
    """Parse a time limit in seconds."""
    value = _number(float, text)
    if value is None or not value > 0:
        raise argparse.ArgumentTypeError(f"a time must be a positive number of seconds; got {text}")
    return value


def _number(kind: type, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        return None


def add_threads(parser: argparse.ArgumentParser, what: str = "threads") -> None:
    parser.add_argument(
        "--n-jobs", metavar="N", type=_workers(what), default=-1, help=f"number of {what} (default: -1, all processors)"
    )


def add_computing(parser: argparse.ArgumentParser) -> None:
    add_threads(parser)
    add_seed(parser, "all random choices")


def add_seed(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--seed", metavar="N", type=_integer("a seed", 0), default=0, help=f"seed of {what} (default: 0)")


# Output files


def add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", metavar="OUT", type=Path, help="also write the results to this file")
    parser.add_argument("--markdown", metavar="OUT", type=Path, help="also write the table to this file")


def check_outputs(*outs: Path | None, example: str = "result.json") -> None:
    """Check that each given path is writable; existing files are replaced."""
    given = [out for out in outs if out is not None]
    for out in given:
        if out.is_dir():
            raise InputError(f"{out} is a folder; use a file name, such as {out / example}")
        if not out.parent.is_dir():
            raise InputError(f"cannot write {out}: the folder {out.parent} does not exist; create it: mkdir -p {out.parent}")
        if not _can_write(out):
            raise InputError(f"{out} cannot be written because of its permissions. Use a file in a writable folder")
    if len({out.absolute() for out in given}) < len(given):
        raise InputError(f"{given[0].absolute()} is used for two outputs; use two files")


def _can_write(out: Path) -> bool:
    """Try to create a temporary file in the same folder, because permissions do not reveal read-only disks."""
    try:
        with tempfile.TemporaryFile(dir=out.parent):
            return not out.exists() or os.access(out, os.W_OK)
    except OSError:
        return False


# Recipes, networks and model files


def listed(text: str) -> list[str]:
    """Split a comma-separated list into names."""
    return [name.strip() for name in text.split(",") if name.strip()]


def make_recipe(name: str, *, seed: int, verbose: int | None = None, **options: Any) -> Pipeline:
    """Create a recipe by name. By default, it shows progress if standard error is a terminal."""
    if (kind := name.partition(":")[0]) in NETWORK_RECIPES:
        raise InputError(f"{kind} needs a network file: --cnn {NETWORK_FORM}")
    from featrec import recipes

    return seeded(recipes.make(name, verbose=verbosity() if verbose is None else verbose, **options), seed)


def add_networks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cnn", metavar="FILE", action="append", default=[], help=f"network as an ONNX file (may be repeated): {NETWORK_FORM}"
    )


def make_network(text: str, *, seed: int, **options: Any) -> Pipeline:
    """Create a network recipe for ``FILE[,option=value]...``. A missing file raises an error before any training."""
    file, declared = parse_network(text)
    if not file.startswith("timm:") and not Path(file).is_file():
        raise InputError(f"there is no file {file!r}; check the path, or use --cnn {NETWORK_FORM}")
    from featrec import recipes

    name = declared.pop("recipe", "cnn_svm")
    if name not in NETWORK_RECIPES:
        raise InputError(f"recipe={name} is not a recipe for networks; use one of {', '.join(NETWORK_RECIPES)}")
    return seeded(recipes.make(name, model=file, **declared, **options, verbose=verbosity()), seed)


def seeded(model: Pipeline, seed: int) -> Pipeline:
    """Set the seed of all random steps."""
    random = [name for name in model.get_params() if name.rpartition("__")[2] == "random_state"]
    return model.set_params(**dict.fromkeys(random, seed))


def parse_network(text: str) -> tuple[str, dict[str, Any]]:
    """Split the argument of --cnn into file and options. The file name may contain commas."""
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


def _size(value: str) -> tuple[int, int]:
    if not value.isdecimal():
        raise InputError(f"the input size of a network must be an integer in pixels, such as size=224; got {value!r}")
    return int(value), int(value)


def check_recipe(name: str, options: Iterable[str]) -> None:
    """Raise an error if an option is unknown, missing or set elsewhere."""
    from featrec import recipes

    recipe = getattr(recipes, recipes.resolve(name)[0])
    parameters = inspect.signature(recipe).parameters
    known = [option for option in (*parameters, *getattr(recipe, "renamed_options", ())) if option not in SET_ELSEWHERE]
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for option in options:
        if option in SET_ELSEWHERE:
            raise InputError(
                f"{option} cannot be set as an option of {name!r}; the seed and the number of threads have their own keys"
            )
        if option not in known:
            raise InputError(
                f"the recipe {name!r} has no option {option!r}{near(option, known)}; its options are {', '.join(known)}"
            )
    for option, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and option not in options:
            raise InputError(f"the recipe {name!r} needs the option {option!r}")


def near(name: str, names: Iterable[str]) -> str:
    """Return a hint that contains the most similar name, or an empty string."""
    found = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {found[0]!r}?)" if found else ""


def read_model(path: str) -> Any:
    """Load the model file that was passed to a command."""
    from featrec.persistence import load

    if not Path(path).exists():
        raise InputError(f"there is no file {path!r}; a model file is created by 'featrec train'")
    return load(path)


def reference_of(drift: str | None) -> int | str | None:
    """Parse ``--drift``: "training", or N of ``first:N``."""
    if drift is None or drift == "training":
        return drift
    number = drift.removeprefix("first:")
    if number == drift or not number.isdecimal():
        raise InputError(f"--drift must be training or first:N, such as first:200; got {drift}")
    return int(number)
