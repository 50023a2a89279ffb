"""The commands ``recipes``, ``demo`` and ``warm``."""

from __future__ import annotations

import argparse
import ast
import runpy
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import featrec
from featrec.cli._arguments import add_seed, add_threads, listed, make_recipe
from featrec.cli._terminal import uncollected, verbosity
from featrec.compilation import timed

if TYPE_CHECKING:
    from featrec.evaluation import Comparison

__all__ = ["add_demo_arguments", "add_warm_arguments", "run_demo", "run_recipes", "run_warm", "summaries"]

FOLDER = Path(featrec.__file__).parent / "recipes"
IN_DEMO = ("tiny_knn", "color_forest", "hog_svm", "orb_knn", "bovw_svm")
# Demo recipes that need compiled loops. Small vocabularies suffice, because the number of words does not affect compilation.
COMPILED: dict[str, dict[str, Any]] = {"bovw_svm": {"n_words": 16}, "orb_knn": {"n_words": 16}, "hog_svm": {}}
N_FEW = 16
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
    import sys
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
