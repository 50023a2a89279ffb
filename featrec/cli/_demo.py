"""Compare five recipes on built-in images. Start here."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from featrec.cli._models import make_recipe
from featrec.cli._numbers import seed
from featrec.cli._quick_start import uncollected
from featrec.cli._recipes import print_recipes
from featrec.cli._terminal import verbosity
from featrec.compilation import timed

if TYPE_CHECKING:
    from featrec.evaluation import Comparison

__all__ = ["RECIPES", "add_arguments", "run"]

RECIPES = ("tiny_knn", "color_forest", "hog_svm", "orb_knn", "bovw_svm")
# Those that need compiled loops, with as few words as compile them.
COMPILED: dict[str, dict[str, Any]] = {"bovw_svm": {"n_words": 16}, "orb_knn": {"n_words": 16}, "hog_svm": {}}
N_FEW = 16
NEXT = f"""\
Next, with images of your own, in a folder for each class:
  featrec compare DIR --recipes {",".join(RECIPES)}
  featrec train DIR --recipe bovw_svm --out my.model
  featrec predict my.model FILES"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the argument for the seed."""
    parser.add_argument("--seed", metavar="N", type=seed, default=0, help="seed of the images and the models (default: 0)")


def run(arguments: argparse.Namespace) -> int:
    """Generate the images, fit and compare the recipes, and suggest the next steps."""
    with uncollected() if arguments.own_process else nullcontext():
        from featrec.datasets import load_dataset
        from featrec.evaluation import compare

        models = {name: make_recipe(name, n_jobs=-1, seed=arguments.seed, verbose=0) for name in RECIPES}
        few, _ = load_dataset("shapes", n_train=N_FEW, n_test=1, random_state=arguments.seed)
        with timed() as spent, _compiling_for(few, few.labels):
            train, test = load_dataset("shapes", random_state=arguments.seed)
    print(f"The dataset 'shapes': {len(train)} training images and {len(test)} test images of {', '.join(train.classes)}.\n")
    print_recipes(RECIPES)
    if spent.compile_seconds:
        print(f"\nCompiled what they need, once on this machine, in {spent.compile_seconds:.1f} s.")
    print(flush=True)
    comparison = compare(models, train, train.labels, test=(test, test.labels), verbose=verbosity())
    print(f"{comparison}\n{_usual_mistake(comparison)}\n\n{NEXT}")
    return 0


@contextmanager
def _compiling_for(images: Any, labels: Any) -> Iterator[None]:
    """Compile what the recipes need in a thread, while the block generates the images; then wait for the thread.

    A failure is not reported here, because the comparison meets it again.
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
    """The most frequent confusion of the best model."""
    from collections import Counter

    best = comparison.results[0]
    pairs = zip(comparison.y_true.tolist(), best.y_pred.tolist(), strict=True)
    mistakes = Counter((true, predicted) for true, predicted in pairs if true != predicted)
    if not mistakes:
        return f"{best.name} makes no mistake."
    (true, predicted), count = mistakes.most_common(1)[0]
    return f"{best.name} makes {mistakes.total()} mistakes, most often {predicted} for {true} ({count})."
