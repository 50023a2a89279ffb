"""How long do short commands take? Time of whole processes: the help, the list of recipes, and a prediction of one image.

    python benchmarks/start_up.py [RECIPE ...]                 the help, the list, and a model of each recipe
    python benchmarks/start_up.py --against CHECKOUT --repeats 5

First, each checkout fits its models on a few small generated images and predicts once, so the compiled loops are cached.
Figures are wall-clock seconds and CPU seconds (user and system), medians over the repeats. With `--against`, runs of this
checkout alternate with runs of another checkout of featrec, so both are affected equally by other load.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ("tiny_knn", "color_forest", "hog_svm", "bovw_svm")
WITHOUT_MODEL = {"--help": ["--help"], "recipes": ["recipes"]}
CLASSES = ("dark", "light")
SIDE, IMAGES = 96, 12


class Took(NamedTuple):
    """Seconds of one process, or medians of several."""

    wall: float
    cpu: float


def write_images(folder: Path) -> Path:
    """Write class folders with images of coloured squares; return the path of one image."""
    random = np.random.default_rng(0)
    for level, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(IMAGES):
            squares = random.integers(100 * level, 100 * level + 150, (SIDE // 6, SIDE // 6, 3), dtype=np.uint8)
            Image.fromarray(squares.repeat(6, axis=0).repeat(6, axis=1)).save(folder / name / f"{number}.png")
    return folder / CLASSES[0] / "0.png"


def run(checkout: Path, words: Sequence[str]) -> Took:
    """Run a command of a checkout in a new process."""
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    before, start = _children(), time.perf_counter()
    command = [sys.executable, "-P", "-m", "featrec", *words]
    subprocess.run(command, check=True, capture_output=True, env=environment, cwd=checkout)
    return Took(time.perf_counter() - start, _children() - before)


def _children() -> float:
    """Return the CPU seconds of child processes that have ended; 0 if the system does not measure them."""
    if resource is None:
        return float("nan")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def commands(recipes: Sequence[str], checkout: Path, images: Path, image: Path, models: Path) -> dict[str, list[str]]:
    """Fit the models and predict once; return the arguments of each command."""
    found = dict(WITHOUT_MODEL)
    models.mkdir()
    for recipe in recipes:
        model = str(models / f"{recipe}.featrec")
        run(checkout, ["train", str(images), "--recipe", recipe, "--out", model, "--holdout", "0", "--n-jobs", "1"])
        found[f"predict {recipe}"] = ["predict", model, str(image)]
        run(checkout, found[f"predict {recipe}"])
    return found


def measure(recipes: Sequence[str], checkouts: Sequence[Path], repeats: int) -> dict[str, list[Took]]:
    """Return the medians of each checkout for each command; the checkouts alternate."""
    with tempfile.TemporaryDirectory() as place:
        image = write_images(Path(place, "images"))
        words = [
            commands(recipes, checkout, Path(place, "images"), image, Path(place, f"models{number}"))
            for number, checkout in enumerate(checkouts)
        ]
        found = {}
        for name in words[0]:
            turns = [[run(checkout, own[name]) for checkout, own in zip(checkouts, words, strict=True)] for _ in range(repeats)]
            found[name] = [_medians(side) for side in zip(*turns, strict=True)]
            print(line(name, found[name]), flush=True)
    return found


def _medians(side: Sequence[Took]) -> Took:
    return Took(*(statistics.median(seconds) for seconds in zip(*side, strict=True)))


def line(name: str, sides: Sequence[Took]) -> str:
    """Return a line of output: this checkout, then the other checkout if there is one."""
    told = "   against ".join(f"{side.wall:5.2f} s ({side.cpu:5.2f} of the processor)" for side in sides)
    here, *others = sides
    ratios = "".join(f"  {here.wall / other.wall:.2f} ({here.cpu / other.cpu:.2f}) of it" for other in others)
    return f"{name:<24}{told}{ratios}"


def main(arguments: list[str] | None = None) -> int:
    """Measure the commands without a model, and a prediction for each named recipe."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help=f"recipes to predict with (default: {', '.join(RECIPES)})")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another checkout to run alternately")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="number of runs (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    options = parser.parse_args(arguments)
    checkouts = [ROOT] + ([options.against.resolve()] if options.against else [])
    found = measure(options.recipes or RECIPES, checkouts, options.repeats)
    if options.json:
        rows = {name: [side._asdict() for side in sides] for name, sides in found.items()}
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
