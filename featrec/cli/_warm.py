"""Compile in advance what recipes need, so that the first fit is fast."""

from __future__ import annotations

import argparse

from featrec.cli._numbers import processes
from featrec.cli._terminal import verbosity

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments: the recipes and the number of processes."""
    parser.add_argument("recipes", metavar="RECIPE", nargs="*", help="recipe, as listed by 'featrec recipes' (default: all)")
    parser.add_argument("--demo", action="store_true", help="compile what 'featrec demo' needs")
    parser.add_argument(
        "--n-jobs", metavar="N", type=processes, default=-1, help="number of processes (default: -1, all processors)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Compile, and print where the results are stored. Returns 1 if a recipe failed."""
    from featrec import recipes
    from featrec.cli._demo import RECIPES

    names = [name.strip() for text in arguments.recipes for name in text.split(",") if name.strip()]
    names += RECIPES if arguments.demo else ()
    warmed = recipes.warm(names or None, n_jobs=arguments.n_jobs, verbose=verbosity())
    print(warmed)
    return 1 if warmed.failed else 0
