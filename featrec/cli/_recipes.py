"""The commands ``recipes``, ``suggest``, ``demo``, ``warm`` and ``network``."""

from __future__ import annotations

import argparse
import ast
import json
import runpy
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import featrec
from featrec.cli._arguments import (
    NETWORK_RECIPES,
    add_computing,
    add_networks,
    add_results,
    add_seed,
    add_threads,
    check_outputs,
    count,
    folds,
    listed,
    make_network,
    make_recipe,
    parse_network,
    seconds,
)
from featrec.cli._terminal import left_out, readable, uncollected, verbosity
from featrec.compilation import timed
from featrec.exceptions import ImageError, InputError

if TYPE_CHECKING:
    from featrec.datasets import ImageFolder
    from featrec.evaluation import Comparison, Trial

__all__ = [
    "add_demo_arguments",
    "add_network_arguments",
    "add_suggest_arguments",
    "add_warm_arguments",
    "run_demo",
    "run_network",
    "run_recipes",
    "run_suggest",
    "run_warm",
    "summaries",
]

FOLDER = Path(featrec.__file__).parent / "recipes"
IN_DEMO = ("tiny_knn", "color_forest", "hog_svm", "orb_knn", "bovw_svm")
# Demo recipes that need compiled loops. Small vocabularies suffice, because the number of words does not affect compilation.
COMPILED: dict[str, dict[str, Any]] = {"bovw_svm": {"n_words": 16}, "orb_knn": {"n_words": 16}, "hog_svm": {}}
N_FEW = 16
# Columns of ``featrec network show``.
LAYER_COLUMNS = ("layer", "operation", "shape", "parameters", "multiply-adds")
NEXT = f"""\
Next, with your own images, in one folder per class:
  featrec compare DIR --recipes {",".join(IN_DEMO)}
  featrec train DIR --recipe bovw_svm --out my.model
  featrec predict my.model FILES"""


def run_recipes(arguments: argparse.Namespace) -> int:
    """List the recipes and presets, and when to use them."""
    _print_recipes(list(summaries()))
    return 0


def _print_recipes(names: Sequence[str]) -> None:
    """Print one line per recipe, wrapped to the width of the terminal."""
    import shutil
    import textwrap

    described = summaries()
    margin = max(map(len, names)) + 2
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    for name in names:
        print(textwrap.fill(f"{name:{margin}}{described[name]}", max(width, 40), subsequent_indent=" " * margin))


def summaries() -> dict[str, str]:
    """Return the lines of `recipes.describe`. They are read from the source, because importing scikit-learn takes seconds."""
    lines: dict[str, str] = {}
    order: list[str] = []
    for path in FOLDER.glob("_[a-z]*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                lines[node.name] = (ast.get_docstring(node) or "").strip().partition("\n")[0]
            elif isinstance(node, ast.AnnAssign) and node.value and getattr(node.target, "id", None) == "RECIPES":
                functions = next(part for part in ast.walk(node.value) if isinstance(part, ast.Tuple))
                order = [ast.unparse(function) for function in functions.elts]
    presets = _presets()
    return {name: line for recipe in order for name, line in ((recipe, lines[recipe]), *presets.get(recipe, {}).items())}


def _presets() -> dict[str, dict[str, str]]:
    """Return a one-line description of each preset, keyed by recipe and name, without importing the recipes."""
    path = FOLDER / "_presets.py"
    presets = runpy.run_path(str(path))["PRESETS"] if path.exists() else {}
    return {
        recipe: {f"{recipe}:{name}": f"For {one.suits}: {one.accuracy:g} % on {one.dataset}." for name, one in known.items()}
        for recipe, known in presets.items()
    }


def add_suggest_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", metavar="DIR", type=Path, help="one folder per class; if it contains train/ and test/, only train/ is used"
    )
    parser.add_argument("--images", metavar="N", type=count, default=300, help="number of images to draw (default: 300)")
    parser.add_argument("--cv", metavar="K", type=folds, default=3, help="number of folds (default: 3)")
    parser.add_argument("--seconds", metavar="S", type=seconds, default=30.0, help="time limit per recipe (default: 30)")
    limit = "time limit for all recipes; recipes that would exceed it are skipped (default: 50)"
    parser.add_argument("--total-seconds", metavar="S", type=seconds, default=50.0, help=limit)
    parser.add_argument(
        "--recipes", metavar="A,B,...", default="", help="recipes, as listed by 'featrec recipes' (default: all)"
    )
    add_networks(parser)
    add_results(parser)
    add_computing(parser)


def run_suggest(arguments: argparse.Namespace) -> int:
    """Try recipes on a few images of a folder and suggest where to start.

    Returns 1 if images were left out.
    """
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
    except ImageError:  # one of the drawn images is damaged, so all images are read and damaged ones are left out
        folder = readable(read, arguments.folder, arguments.n_jobs)
        found = recipes.suggest(folder, folder.labels, **options)
    found = replace(found, trials=tuple(replace(trial, remark=_remark(trial)) for trial in found.trials))
    print(found)
    if found.first is not None:
        print(f"next: featrec train {arguments.folder} {_words(arguments, found.first)} --out my.model")
    found.to_json(arguments.json)
    found.to_markdown(arguments.markdown)
    return left_out(folder)


def _remark(trial: Trial) -> str:
    """Return why a recipe was skipped. The text names a command-line option instead of Python code."""
    if trial.state != "left out":
        return trial.remark
    reason, _, way_out = trial.remark.partition("; give ")
    if way_out and trial.name in NETWORK_RECIPES:
        return "it needs a network file; use --cnn FILE"
    return reason


def _train_half(folder: Path, **options: Any) -> ImageFolder:
    from featrec.datasets import ImageFolder

    return ImageFolder.split(folder, **options)[0]


def _wanted(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the recipes (by default all recipes and presets) and the networks, keyed by name."""
    from featrec.recipes import variants

    names = listed(arguments.recipes)
    candidates: dict[str, Any] = {name: {} for name in names or variants()}
    networks = {
        name: make_network(text, seed=arguments.seed, n_jobs=arguments.n_jobs) for name, text in _networks_of(arguments).items()
    }
    if arguments.cnn and not names:
        candidates = {name: options for name, options in candidates.items() if name not in NETWORK_RECIPES}
    return candidates | networks


def _networks_of(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the argument of --cnn for each network, keyed by the name of its row."""
    parsed = {text: parse_network(text) for text in arguments.cnn}
    return {f"{options.get('recipe', 'cnn_svm')} {Path(file).stem}": text for text, (file, options) in parsed.items()}


def _words(arguments: argparse.Namespace, name: str) -> str:
    """Return the arguments of ``featrec train`` for the model of a row."""
    text = _networks_of(arguments).get(name)
    return f"--recipe {name}" if text is None else f"--cnn {text}"


def add_demo_arguments(parser: argparse.ArgumentParser) -> None:
    add_seed(parser, "the images and the models")


def run_demo(arguments: argparse.Namespace) -> int:
    """Compare five recipes on built-in images. Start here."""
    with uncollected() if arguments.own_process else nullcontext():
        from featrec.datasets import load_dataset
        from featrec.evaluation import compare

        models = {name: make_recipe(name, n_jobs=-1, seed=arguments.seed, verbose=0) for name in IN_DEMO}
        few, _ = load_dataset("shapes", n_train=N_FEW, n_test=1, random_state=arguments.seed)
        with timed() as spent, _compiling_for(few, few.labels):
            train, test = load_dataset("shapes", random_state=arguments.seed)
    print(f"The dataset 'shapes': {len(train)} training images and {len(test)} test images of {', '.join(train.classes)}.\n")
    _print_recipes(IN_DEMO)
    if spent.compile_seconds:
        print(f"\nCompiled the loops of the recipes in {spent.compile_seconds:.1f} s, once on this machine.")
    print(flush=True)
    comparison = compare(models, train, train.labels, test=(test, test.labels), verbose=verbosity())
    print(f"{comparison}\n{_usual_mistake(comparison)}\n\n{NEXT}")
    return 0


@contextmanager
def _compiling_for(images: Any, labels: Any) -> Iterator[None]:
    """Compile the loops of the recipes in a thread while the block runs; at the end of the block, wait for the thread.

    Errors are ignored here, because they occur again in the comparison.
    """

    def fit() -> None:
        with suppress(Exception):
            for name, options in COMPILED.items():
                make_recipe(name, seed=0, verbose=0, **options).fit(images, labels).predict(images)

    thread = threading.Thread(target=fit, daemon=True)
    thread.start()
    yield
    thread.join()


def _usual_mistake(comparison: Comparison) -> str:
    from collections import Counter

    best = comparison.results[0]
    pairs = zip(comparison.y_true.tolist(), best.y_pred.tolist(), strict=True)
    mistakes = Counter((true, predicted) for true, predicted in pairs if true != predicted)
    if not mistakes:
        return f"{best.name} makes no mistake."
    (true, predicted), count = mistakes.most_common(1)[0]
    return f"{best.name} makes {mistakes.total()} mistakes, most often {predicted} for {true} ({count})."


def add_warm_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipes", metavar="RECIPE", nargs="*", help="recipe, as listed by 'featrec recipes' (default: all)")
    parser.add_argument("--demo", action="store_true", help="compile only the loops that 'featrec demo' needs")
    add_threads(parser, "processes")


def run_warm(arguments: argparse.Namespace) -> int:
    """Compile the loops of recipes in advance, so that the first fit is fast.

    Prints the folder in which the compiled loops are stored. Returns 1 if a recipe failed.
    """
    from featrec import recipes

    names = [name for text in arguments.recipes for name in listed(text)] + list(IN_DEMO if arguments.demo else ())
    warmed = recipes.warm(names or None, n_jobs=arguments.n_jobs, verbose=verbosity())
    print(warmed)
    return 1 if warmed.failed else 0


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``featrec network``."""
    parser.add_argument("action", choices=["show"], help="show: list the layers, with their shapes and costs for one image")
    parser.add_argument("model", metavar="FILE|NAME", help="ONNX file, ExportedProgram (.pt2), or timm:NAME")
    parser.add_argument("--size", type=int, metavar="N", help="side of the input in pixels (default: from the file, or 224)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per layer")


def run_network(arguments: argparse.Namespace) -> int:
    """List the layers of a network: name, operation, output shape, parameters and multiply-adds."""
    from featrec.networks import list_layers

    if arguments.size is not None and arguments.size < 1:
        raise InputError(f"--size must be at least 1; got {arguments.size}")
    layers = list_layers(arguments.model, size=arguments.size)
    if arguments.json:
        for layer in layers:
            print(json.dumps(vars(layer)))
        return 0
    from featrec.evaluation import Table

    rows = [
        (
            layer.name,
            layer.kind,
            "unknown" if layer.shape is None else " × ".join(map(str, layer.shape)),
            f"{layer.n_parameters:,}",
            f"{layer.n_multiply_adds:,}",
        )
        for layer in layers
    ]
    print(Table(LAYER_COLUMNS, rows).plain())
    total = sum(layer.n_parameters for layer in layers), sum(layer.n_multiply_adds for layer in layers)
    print(f"\n{len(layers)} layers, {total[0]:,} parameters, {total[1]:,} multiply-adds per image")
    if arguments.model.startswith("timm:"):
        sys.stderr.write("shapes and costs only: no weights are needed, and none were loaded\n")
    return 0
