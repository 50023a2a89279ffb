"""The command ``compare``, and prediction files of other programs."""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featrec.cli._arguments import (
    add_computing,
    add_networks,
    add_results,
    check_outputs,
    folds,
    listed,
    make_network,
    make_recipe,
    parse_network,
)
from featrec.cli._terminal import left_out, readable, verbosity, warn
from featrec.cli._train import HELD_OUT, add_folder, check_folder, read_split
from featrec.exceptions import InputError

if TYPE_CHECKING:
    from featrec.datasets import ImageFolder

__all__ = ["add_compare_arguments", "run_compare"]

# Fast recipes for gray and colour images of any size.
USUAL = "tiny_knn,color_forest,hog_svm,lbp_svm"
PREDICTIONS_FORM = "NAME=FILE.csv"
LABELS = ("prediction", "label")


def add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    group = add_folder(parser)
    more = "more datasets of this form; the models are then compared on each dataset, and ranked over all datasets"
    parser.add_argument("more", metavar="DIR", type=Path, nargs="*", help=more)
    group.add_argument("--cv", metavar="K", type=folds, help="use cross-validation with K folds instead of held-out images")
    repeats = "repeat the random split, or the folds of --cv, N times; intervals and tests account for shared training images"
    parser.add_argument("--repeats", metavar="N", type=folds, help=repeats)
    recipes = f"recipes, as listed by 'featrec recipes' (default: {USUAL}; all are fast and accept images of any size)"
    parser.add_argument("--recipes", metavar="A,B,...", default=USUAL, help=recipes)
    add_networks(parser)
    predictions = "predictions of another program (may be repeated): a CSV with the columns path and label (or prediction)"
    parser.add_argument("--predictions", metavar=PREDICTIONS_FORM, action="append", default=[], help=predictions)
    add_results(parser)
    page = "also write one HTML page with tables, figures, confusion matrices and the images on which the models disagree"
    parser.add_argument("--html", metavar="OUT", type=Path, help=page)
    cost = "also measure the startup time, latency and memory of each model in a fresh process (a few seconds per model)"
    parser.add_argument("--cost", action="store_true", help=cost)
    energy = "also estimate the energy that fits and predictions use; needs the extra 'energy'"
    parser.add_argument("--energy", action="store_true", help=energy)
    calibration = "also measure how good probabilities are, for models that predict them"
    parser.add_argument("--calibration", action="store_true", help=calibration)
    add_computing(parser)


def run_compare(arguments: argparse.Namespace) -> int:
    """Compare recipes and networks on the same images.

    Returns 1 if images were left out.
    """
    from featrec.evaluation import compare

    check_outputs(arguments.json, arguments.markdown, arguments.html)
    files = _parse_predictions(arguments.predictions)
    if arguments.more:
        return _compare_datasets(arguments)
    _check_test_images(arguments)
    check_folder(arguments.folder)  # check this before creating recipes or reading images
    models = _models(arguments, files)
    folders = _images(arguments)
    models |= {name: _read_predictions(name, file, folders) for name, file in files.items()}
    train, *tests = folders
    split = {"test": (tests[0], tests[0].labels)} if tests else {"cv": _splitter(arguments)}
    comparison = compare(models, train, train.labels, **split, **_requests(arguments))
    print(comparison)
    comparison.to_json(arguments.json)
    comparison.to_markdown(arguments.markdown)
    if arguments.html is not None:
        comparison.to_html(arguments.html, images=folders[-1])
    return left_out(*folders)


def _compare_datasets(arguments: argparse.Namespace) -> int:
    """Compare the models on each of several folders, and rank them over all folders."""
    from featrec.evaluation import compare_datasets

    if arguments.predictions or arguments.test is not None:
        option = "--predictions" if arguments.predictions else "--test"
        raise InputError(f"{option} works only with one dataset; give one DIR, or omit {option}")
    each = [argparse.Namespace(**{**vars(arguments), "folder": folder}) for folder in (arguments.folder, *arguments.more)]
    names = _dataset_names([one.folder for one in each])
    for one in each:
        _check_test_images(one)
        check_folder(one.folder)
    models = _models(arguments, ())
    if len(models) < 2:
        raise InputError("a comparison over several datasets needs at least two models; add recipes (--recipes A,B)")
    folders = [_images(one) for one in each]
    data = {name: found if len(found) == 2 else found[0] for name, found in zip(names, folders, strict=True)}
    result = compare_datasets(models, data, cv=_splitter(arguments), **_requests(arguments))
    for name, comparison in result.comparisons.items():
        print(f"{name}\n{comparison}\n")
    print(result)
    result.to_json(arguments.json)
    result.to_markdown(arguments.markdown)
    if arguments.html is not None:
        result.to_html(arguments.html)
    return left_out(*(folder for found in folders for folder in found))


def _dataset_names(folders: Sequence[Path]) -> list[str]:
    """Return the name of each folder, or its path if two folders have the same name."""
    names = [folder.resolve().stem for folder in folders]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError("the same DIR is given twice; give each dataset once")
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _requests(arguments: argparse.Namespace) -> dict[str, Any]:
    names = ("cost", "energy", "calibration")
    return {**{name: getattr(arguments, name) for name in names}, "verbose": verbosity()}


def _splitter(arguments: argparse.Namespace) -> Any:
    """Return the number of folds, or a splitter that repeats folds or random splits."""
    if arguments.repeats is None:
        return arguments.cv
    from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedShuffleSplit

    if arguments.cv is not None:
        return RepeatedStratifiedKFold(n_splits=arguments.cv, n_repeats=arguments.repeats, random_state=arguments.seed)
    share = HELD_OUT if arguments.holdout is None else arguments.holdout
    return StratifiedShuffleSplit(arguments.repeats, test_size=share, random_state=arguments.seed)


def _models(arguments: argparse.Namespace, files: Iterable[str]) -> dict[str, Any]:
    """Create the recipes and networks, keyed by name. A prediction file must not have the same name as a model."""
    options = {"n_jobs": arguments.n_jobs, "seed": arguments.seed}
    models: dict[str, Any] = {name: make_recipe(name, **options) for name in listed(arguments.recipes)}
    for text in arguments.cnn:
        file, declared = parse_network(text)
        recipe = declared.get("recipe", "cnn_svm")
        name = f"{recipe} {Path(file).stem}"
        models[f"{recipe} {text}" if name in models else name] = make_network(text, **options)
    if not models and not files:
        raise InputError("nothing to compare; set recipes (--recipes hog_svm,bovw_svm) or networks (--cnn FILE)")
    for name in models.keys() & set(files):
        raise InputError(f"the name {name!r} of --predictions is already used by a model; use another name")
    return models


def _images(arguments: argparse.Namespace) -> tuple[Any, ...]:
    """Read the training images and the test images; with --cv or --repeats, all images."""
    if arguments.cv is not None or arguments.repeats is not None:
        from featrec.datasets import ImageFolder

        return (readable(ImageFolder, arguments.folder, arguments.n_jobs),)
    return read_split(arguments)


def _check_test_images(arguments: argparse.Namespace) -> None:
    """Raise an error for options that leave no test images, or that select test images twice."""
    from featrec.datasets import ImageFolder

    drawn = "--cv" if arguments.cv is not None else "--repeats" if arguments.repeats is not None else None
    if drawn and ImageFolder.is_split(arguments.folder):
        raise InputError(f"{arguments.folder} has its own test folder; omit {drawn}, or use only the train folder")
    if arguments.repeats is not None and arguments.test is not None:
        raise InputError("--repeats draws test images from the folder; omit --test")
    if arguments.holdout == 0:
        raise InputError("a comparison needs test images; --holdout must be more than 0")


# Prediction files


def _parse_predictions(texts: Sequence[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for text in texts:
        name, equals, file = text.partition("=")
        if not equals or not name.strip() or not file.strip():
            raise InputError(f"--predictions expects {PREDICTIONS_FORM}, such as mine=predictions.csv; got {text!r}")
        if name.strip() in files:
            raise InputError(f"two --predictions have the same name {name.strip()!r}; use different names")
        files[name.strip()] = Path(file.strip())
    return files


def _read_predictions(name: str, file: Path, folders: Sequence[ImageFolder]) -> list[str]:
    """Read the predicted labels of the evaluated images (those in the last folder). Rows of other images are ignored."""
    from featrec.evaluation import named_among, predictions_of

    rows = _rows(file)
    *others, evaluated = folders
    damaged = list({failure.item for folder in folders for failure in folder.dropped})
    if found := named_among(rows, damaged, evaluated.paths):
        images = f"{found[0]!r}, which cannot be read" if len(found) == 1 else f"{len(found)} images that cannot be read"
        warn(f"the predictions {name!r} include {images}; these rows are ignored")
    ignored = [*damaged, *(path for folder in others for path in folder.paths), *_left_out_files(rows, evaluated)]
    labels: list[str] = predictions_of(name, rows, evaluated.paths, ignored, len(evaluated)).tolist()
    return labels


def _left_out_files(paths: Iterable[str], folder: ImageFolder) -> list[str]:
    """Select the paths of files that exist in the folder but are not among its images."""
    root = os.path.join(os.path.abspath(folder.path), "")
    images = set(map(os.path.abspath, folder.paths))
    places = {path: os.path.abspath(os.path.join(folder.path, path)) for path in paths}
    return [path for path, place in places.items() if place.startswith(root) and place not in images and os.path.isfile(place)]


def _rows(file: Path) -> dict[str, str]:
    """Read a prediction file, and return the labels keyed by path."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"the predictions in {str(file)!r} cannot be read: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{str(file)!r} is not UTF-8 text; save it as CSV in UTF-8") from error
    lines = text.splitlines()
    delimiter = max(",;\t", key=lines[0].count) if lines else ","
    cells = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    path, label, start = _columns(file, cells, delimiter)
    found: dict[str, str] = {}
    for number, row in enumerate(cells[start:], start=start + 1):
        if not any(row):
            continue
        if len(row) <= max(path, label) or not row[path] or not row[label]:
            raise InputError(f"row {number} of {str(file)!r} lacks a path or a label; it contains {row}")
        if row[path] in found:
            raise InputError(
                f"{str(file)!r} lists {row[path]!r} twice, the second time in row {number}; keep one of the two rows"
            )
        found[row[path]] = row[label]
    return found


def _columns(file: Path, cells: list[list[str]], delimiter: str) -> tuple[int, int, int]:
    """Return the columns of paths and labels, and the index of the first data row. ``featrec predict`` writes no header."""
    header = cells[0] if cells else []
    named = next((name for name in LABELS if name in header), None)
    if "path" in header and named is not None:
        return header.index("path"), header.index(named), 1
    if delimiter == "\t" and len(header) == 2:
        return 0, 1, 0
    raise InputError(f"{str(file)!r} needs the columns path and label (or prediction) in its first row; it has {header}")
