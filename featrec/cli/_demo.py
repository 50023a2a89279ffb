"""Compare five recipes on built-in images. Start here."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from typing import TYPE_CHECKING

from featrec.cli._models import make_recipe
from featrec.cli._numbers import seed
from featrec.cli._quick_start import uncollected
from featrec.cli._recipes import print_recipes
from featrec.cli._terminal import verbosity

if TYPE_CHECKING:
    from featrec.evaluation import Comparison

__all__ = ["RECIPES", "add_arguments", "run"]

RECIPES = ("tiny_knn", "color_forest", "hog_svm", "orb_knn", "bovw_svm")
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
        train, test = load_dataset("shapes", random_state=arguments.seed)
    print(f"The dataset 'shapes': {len(train)} training images and {len(test)} test images of {', '.join(train.classes)}.\n")
    print_recipes(RECIPES)
    print(flush=True)
    comparison = compare(models, train, train.labels, test=(test, test.labels), verbose=verbosity())
    print(f"{comparison}\n{_usual_mistake(comparison)}\n\n{NEXT}")
    return 0


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
