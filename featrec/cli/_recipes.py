"""List the recipes with their presets, and when to use them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

__all__ = ["add_arguments", "print_recipes", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command has none."""


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each recipe."""
    from featrec import recipes

    print_recipes(
        [name for recipe in recipes.names() for name in (recipe, *(f"{recipe}:{one}" for one in recipes.presets(recipe)))]
    )
    return 0


def print_recipes(names: Sequence[str]) -> None:
    """A line for each recipe; on a terminal it is broken between words."""
    import shutil
    import sys
    import textwrap

    from featrec import recipes

    margin = max(map(len, names)) + 2
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    for name in names:
        print(textwrap.fill(f"{name:{margin}}{recipes.describe(name)}", max(width, 40), subsequent_indent=" " * margin))
