"""The command ``train``, and the folder argument shared by all commands that fit models."""

from __future__ import annotations

import argparse
import re
import tomllib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featrec.cli._arguments import (
    NETWORK_FORM,
    NETWORK_RECIPES,
    add_computing,
    check_outputs,
    check_recipe,
    make_network,
    make_recipe,
    share,
)
from featrec.cli._terminal import left_out, readable, say
from featrec.compilation import timed
from featrec.exceptions import InputError

if TYPE_CHECKING:
    from featrec.datasets import ImageFolder
    from featrec.evaluation import TrainingSummary

__all__ = ["HELD_OUT", "add_folder", "add_train_arguments", "check_folder", "parse_options", "read_split", "run_train"]

HELD_OUT = 0.2
COVERAGE = 0.95
OPTION_HELP = (
    "option of the recipe (may be repeated): a number (n_words=400), true or false (mirror=true), several numbers "
    "(size=32,32), none, or a word"
)
WORDS = {"none": None, "true": True, "false": False}


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    add_folder(parser)
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--recipe", metavar="NAME", help="recipe, as listed by 'featrec recipes', such as patches_kernel:digits")
    model.add_argument("--cnn", metavar="FILE", help=f"network as an ONNX file: {NETWORK_FORM}")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], dest="options", help=OPTION_HELP)
    parser.add_argument(
        "--probability",
        choices=["calibrated", "temperature"],
        help="compute probabilities, which 'featrec predict --min-confidence' needs; this fits the classifier six times. "
        "calibrated: fit a curve per class, which may change labels; temperature: fit one number, which does not change labels",
    )
    parser.add_argument(
        "--reject",
        choices=["confidence", "score", "distance", "conformal"],
        help="learn to reject images that show none of the classes; this holds out a fifth of the training images. "
        "confidence: low probability; score: low decision value; distance: unusual features; conformal: no possible class",
    )
    parser.add_argument(
        "--coverage",
        metavar="P",
        type=_coverage,
        help="with --reject: fraction of the images of known classes that are accepted, or for conformal, whose possible "
        f"classes contain the true one (default: {COVERAGE})",
    )
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="model file to write")
    parser.add_argument("--force", action="store_true", help="replace an existing model file")
    summary = (
        "also keep a summary of images like those of the training set in the model file, for 'featrec watch --drift training': "
        "numbers of at most 500 test images, or of training images if none are held out"
    )
    parser.add_argument("--keep-summary", action="store_true", help=summary)
    add_computing(parser)


def run_train(arguments: argparse.Namespace) -> int:
    """Train a model on a folder of images, test it, and save it.

    All arguments are checked before training. Returns 1 if images were left out.
    """
    from featrec.evaluation import evaluate
    from featrec.persistence import save

    out = arguments.out
    check_outputs(out, example="model.featrec")
    if out.exists() and not arguments.force:
        raise InputError(f"{out} exists; use --force to replace it")
    make, name = (make_recipe, arguments.recipe) if arguments.recipe else (make_network, arguments.cnn)
    options = _options(arguments)
    model = make(name, n_jobs=arguments.n_jobs, seed=arguments.seed, probability=arguments.probability, **options)
    model = _rejecting(model, arguments)
    train, test = read_split(arguments)
    classes = sorted(set(train.labels.tolist()))
    if len(classes) < 2:
        raise InputError(f"{arguments.folder} contains only one class, {classes[0]!r}; a classifier needs at least two")
    say(f"fitting {name} on {len(train)} images of {len(classes)} classes")
    with timed() as spent:
        model.fit(train, train.labels)
    save(model, out)  # save first: the evaluation may fail, and the program that reads the output may be gone
    if arguments.keep_summary:
        save(model, out, summary=_summary(model, train, test))
    compiling = (
        f"; compiling took another {spent.compile_seconds:.1f} s, which is needed only once on this machine"
        if spent.compile_seconds
        else ""
    )
    print(f"fitted {name} on {len(train)} images in {spent.seconds:.1f} s{compiling}")
    if test is not None:
        print(evaluate(model, test, test.labels))
    print(f"saved {out} ({out.stat().st_size / 1e6:.1f} MB); next: featrec predict {out} FILES")
    return left_out(train, test)


def _summary(model: Any, train: ImageFolder, test: ImageFolder | None) -> TrainingSummary:
    """Summarize the test images, which the model was not fitted on, or else the training images."""
    from featrec.evaluation import TrainingSummary

    say("computing the summary")
    if test is not None:
        return TrainingSummary.of(model, test)
    return TrainingSummary.of(model, train, train.labels)


def _rejecting(model: Any, arguments: argparse.Namespace) -> Any:
    """Return the model, or with --reject, the model inside a RejectUnknown."""
    if arguments.reject is None:
        if arguments.coverage is not None:
            raise InputError("--coverage works only with --reject confidence, score, distance or conformal")
        return model
    from featrec.classifiers import RejectUnknown

    coverage = COVERAGE if arguments.coverage is None else arguments.coverage
    return RejectUnknown(model, method=arguments.reject, coverage=coverage, random_state=arguments.seed)


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.options and not arguments.recipe:
        raise InputError(f"--set works only with --recipe; options of a network follow its file: --cnn {NETWORK_FORM}")
    if not arguments.options or arguments.recipe in NETWORK_RECIPES:
        return {}
    given = parse_options(arguments.recipe, arguments.options)
    if "probability" in given:
        raise InputError("set probability with --probability calibrated or --probability temperature")
    return given


# Options of a recipe


def parse_options(name: str, texts: Sequence[str]) -> dict[str, Any]:
    """Parse options from ``NAME=VALUE``; errors name the option whose value is invalid."""
    options = {}
    for text in texts:
        option, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set expects NAME=VALUE, such as n_words=400 or mirror=true; got {text!r}")
        options[option.strip()] = _value(value.strip())
    check_recipe(name, options)
    for option, value in options.items():
        _check_value(name, option, value)
    return options


def _value(text: str) -> Any:
    """Parse a value in the syntax of TOML, Python or a shell: ``32,32``, ``(32, 32)`` and ``[32, 32]`` are equivalent."""
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    brackets = text.replace("(", "[").replace(")", "]")
    for candidate in (text, brackets, f"[{brackets}]" if "," in text else ""):
        try:
            return tomllib.loads(f"value = {candidate}")["value"]
        except tomllib.TOMLDecodeError:
            continue
    words = [word.strip() for word in text.split(",")]
    return words if len(words) > 1 and all(map(str.isidentifier, words)) else text


def _check_value(name: str, option: str, value: Any) -> None:
    """Check a value by creating the recipe with only this option, so any error is caused by this value."""
    from featrec import recipes
    from featrec.base import check_all_parameters

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # former names of options cause a warning later, when the model is created
            check_all_parameters(recipes.make(name, **{option: value}))
    except ImportError:
        raise
    except Exception as error:
        rule = "" if isinstance(value, str) else _rule(str(error))
        raise InputError(f"--set {option}={_shown(value)}: {_expected(name, option)}{rule}; got {value!r}") from error


def _expected(name: str, option: str) -> str:
    """Describe an option as in the recipe's docstring: ``n_words of bovw_svm is int, default=200``."""
    from featrec import recipes

    recipe = name.partition(":")[0]
    found = re.search(rf"^ *(?:\w+, )*{option}(?:, \w+)* : (.+)$", getattr(recipes, recipe).__doc__ or "", flags=re.M)
    return f"{option} of {recipe} is {found[1]}" if found else f"{recipe} does not accept this value of {option}"


def _rule(message: str) -> str:
    """Return only the range from a scikit-learn error message, because Python types do not help on a command line."""
    found = re.search(r"in the range [\[(][^\])]+[\])]", message)
    return f", {found[0]}" if found else ""


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value).replace(" ", "")


# The folder of images


def add_folder(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    parser.add_argument(
        "folder",
        metavar="DIR",
        type=Path,
        help="folder that contains one folder per class, or train/ and test/, each with one folder per class; "
        "or the same in an archive (.zip, .tar, .tar.gz); or a .csv file with the columns path and label",
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--test", metavar="DIR", type=Path, help="test on the images in this folder, one folder per class")
    group.add_argument(
        "--holdout", metavar="SHARE", type=_holdout, help=f"test on this share of each class (default: {HELD_OUT})"
    )
    return group


def check_folder(folder: Path) -> None:
    """Raise an error if a path contains no class folders. No image is decoded."""
    from featrec.datasets import ImageFolder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the warnings are shown later, when the images are read
        ImageFolder.split(folder) if ImageFolder.is_split(folder) else ImageFolder(folder)


def read_split(arguments: argparse.Namespace) -> tuple[ImageFolder, ImageFolder | None]:
    """Read the training and test images (None for ``--holdout 0``). Damaged files are reported and left out."""
    from featrec.datasets import ImageFolder

    folder, n_jobs = arguments.folder, arguments.n_jobs
    if ImageFolder.is_split(folder):
        if arguments.test is not None or arguments.holdout is not None:
            raise InputError(
                f"{folder} has its own train and test folders; omit --test and --holdout, or use only the train folder"
            )
        return readable(ImageFolder.split, folder, n_jobs)
    images = readable(ImageFolder, folder, n_jobs)
    if arguments.test is not None:
        return images, readable(ImageFolder, arguments.test, n_jobs)
    train, test = _hold_out(images, HELD_OUT if arguments.holdout is None else arguments.holdout, arguments.seed)
    for half in filter(None, (train, test)):
        half.dropped = images.dropped  # both parts share the list of damaged files, and left_out counts it once
    return train, test


def _hold_out(images: ImageFolder, share: float, seed: int) -> tuple[ImageFolder, ImageFolder | None]:
    """Hold out a fraction of each class, but at least one image. If a class has a single image, it is used for training."""
    import numpy as np

    if share == 0:
        return images, None
    random = np.random.default_rng(seed)
    held_out: list[Any] = []
    for name in images.classes:
        rows = random.permutation(np.flatnonzero(images.labels == name))
        held_out.extend(rows[: min(len(rows) - 1, max(1, round(share * len(rows))))])
    if not held_out:
        raise InputError("no class has a second image for testing; --holdout 0 trains on all images without a test")
    rest = np.setdiff1d(np.arange(len(images)), held_out)
    return images[rest], images[np.sort(held_out)]


def _coverage(text: str) -> float:
    value = share(text)
    if value in (0, 1):
        raise argparse.ArgumentTypeError(f"it must be between 0 and 1, such as 0.9; got {text}")
    return value


def _holdout(text: str) -> float:
    value = share(text)
    if value == 1:
        raise argparse.ArgumentTypeError(f"a share must be less than 1, because the other images are for training; got {text}")
    return value
