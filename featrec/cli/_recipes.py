"""List the recipes and when to use them."""

from __future__ import annotations

import argparse

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command has none."""


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each recipe."""
    from featrec import recipes

    width = max(map(len, recipes.names()))
    for name in recipes.names():
        print(f"{name:{width}}  {recipes.describe(name)}")
    return 0
