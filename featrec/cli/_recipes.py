"""List the recipes and presets, and when to use them."""

from __future__ import annotations

import argparse
import ast
import runpy
from collections.abc import Iterator, Sequence
from pathlib import Path

import featrec

__all__ = ["add_arguments", "print_recipes", "run", "summaries"]

FOLDER = Path(featrec.__file__).parent / "recipes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command has no arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Print one line per recipe."""
    print_recipes(list(summaries()))
    return 0


def print_recipes(names: Sequence[str]) -> None:
    """One line per recipe, wrapped to the width of a terminal."""
    import shutil
    import sys
    import textwrap

    told = summaries()
    margin = max(map(len, names)) + 2
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    for name in names:
        print(textwrap.fill(f"{name:{margin}}{told[name]}", max(width, 40), subsequent_indent=" " * margin))


def summaries() -> dict[str, str]:
    """Read `recipes.names` and `recipes.describe` from the source, because importing scikit-learn takes seconds."""
    found: dict[str, str] = {}
    order: list[str] = []
    for tree in _modules():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                found[node.name] = (ast.get_docstring(node) or "").strip().partition("\n")[0]
            elif isinstance(node, ast.AnnAssign) and getattr(node.target, "id", None) == "RECIPES":
                order = [part.id for part in ast.walk(node) if isinstance(part, ast.Name) and part.id in _imported(tree)]
    presets = _presets()
    return {name: line for recipe in order for name, line in ((recipe, found[recipe]), *presets.get(recipe, {}).items())}


def _presets() -> dict[str, dict[str, str]]:
    """The line of each preset by recipe and name. Their module has no imports and is run separately from its package."""
    path = FOLDER / "_presets.py"
    presets = runpy.run_path(str(path))["PRESETS"] if path.exists() else {}
    return {
        recipe: {f"{recipe}:{name}": f"For {one.suits}: {one.accuracy:g} % on {one.dataset}." for name, one in known.items()}
        for recipe, known in presets.items()
    }


def _modules() -> Iterator[ast.Module]:
    for path in sorted(FOLDER.glob("_[a-z]*.py")):
        yield ast.parse(path.read_text(encoding="utf-8"))


def _imported(tree: ast.Module) -> set[str]:
    """The names that a module imports from other modules of the recipes."""
    imports = [
        node for node in tree.body if isinstance(node, ast.ImportFrom) and str(node.module).startswith("featrec.recipes.")
    ]
    return {alias.name for node in imports for alias in node.names}
