"""warm: compile the loops of recipes in advance."""

from __future__ import annotations

import inspect
import pickle
import sys
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featrec.compilation import can_share_cache, compiled_so_far, look_at_cache, warming
from featrec.evaluation import is_network
from featrec.exceptions import InputError
from featrec.parallel import each_in_processes
from featrec.recipes._names import RECIPES, make, resolve, variants

__all__ = ["Warmed", "warm"]

SIDE = 64
# Number of generated images; each of the two classes has half of them.
N_IMAGES = 24
# The number of words affects the time of a fit, but not the code that is compiled.
SMALL: dict[str, Any] = {"n_words": 32, "image_size": None}


class Row(NamedTuple):
    """Result of one recipe: the number of compiled loops and the time, or the error."""

    name: str
    n_loops: int = 0
    seconds: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class Warmed:
    """Result of :func:`warm`.

    Attributes
    ----------
    n_loops : int
        Number of loops that were compiled. Loops that were already in the cache are not counted.
    seconds : float
        Total time.
    folder : Path
        Folder of the cache.
    n_bytes : int
        Size of the cache.
    left_out : dict of str to str
        Recipes that cannot be compiled in advance, and why.
    failed : dict of str to str
        Recipes that could not be fitted, and why.
    """

    n_loops: int
    seconds: float
    folder: Path
    n_bytes: int
    left_out: dict[str, str]
    failed: dict[str, str]

    def __str__(self) -> str:
        lines = [f"{name} is left out: {reason}" for name, reason in self.left_out.items()]
        lines += [f"{name} failed: {reason}" for name, reason in self.failed.items()]
        done = f"{self.n_loops} loops compiled in {self.seconds:.1f} s" if self.n_loops else "nothing was left to compile"
        return "\n".join([*lines, f"{done}; the cache is {self.folder}, {self.n_bytes / 1e6:.1f} MB"])


def warm(recipes: Iterable[str] | None = None, *, n_jobs: int = -1, verbose: int = 0) -> Warmed:
    """Compile the loops of recipes, so that the first fit on this machine is as fast as later fits.

    Each recipe is fitted on a few generated images of every type: gray and colour, 8 bits, 16 bits and floats, writable and
    read-only. Loops that are already compiled are not compiled again, even by two simultaneous calls.

    Parameters
    ----------
    recipes : list of names, optional
        Names as for :func:`make`; default: all recipes and presets.
    n_jobs : int, default=-1
        Number of recipes that are compiled at the same time, each in its own process. -1 uses all processors.
    verbose : int, default=0
        If 1, show each recipe on standard error.

    Returns
    -------
    Warmed

    Raises
    ------
    InputError
        If a recipe does not exist, or if NUMBA_DISABLE_JIT is set.

    Examples
    --------
    >>> from featrec import recipes
    >>> recipes.warm(["tiny_knn"], n_jobs=1).n_loops
    0
    """
    wanted = _wanted(recipes)
    cache = look_at_cache()
    if cache.folder is None:
        raise InputError("numba compiles nothing while NUMBA_DISABLE_JIT is set; unset it first")
    start = time.perf_counter()
    left_out = {name: reason for name in wanted if (reason := reason_against(name))}
    rows: list[Row] = []
    todo = _in_order([name for name in wanted if name not in left_out])
    count = "1 recipe" if len(todo) == 1 else f"{len(todo)} recipes"
    _report(verbose, f"compiling the loops of {count} into {cache.folder}")
    # There is one more process than processors, because processes sometimes wait for each other.
    for row in each_in_processes(_warm_one, todo, n_jobs=n_jobs if can_share_cache() else 1, idle=1):
        rows.append(row)
        _report(verbose, f"{len(rows):>3} of {len(todo)}  {row.name}: {_result(row)}")
    failed = {row.name: row.problem for row in rows if row.problem}
    seconds, n_loops = time.perf_counter() - start, sum(row.n_loops for row in rows)
    return Warmed(n_loops, seconds, cache.folder, look_at_cache().n_bytes, left_out, failed)


def _wanted(recipes: Iterable[str] | None) -> list[str]:
    if isinstance(recipes, str):
        raise InputError(f"recipes must be a list of names; use [{recipes!r}]")
    return list(variants()) if recipes is None else list(dict.fromkeys(recipes))


def reason_against(name: str) -> str:
    """Return the reason why a recipe cannot be compiled in advance, or an empty string if it can."""
    recipe, options = resolve(name)
    for parameter in inspect.signature(RECIPES[recipe]).parameters.values():
        if parameter.default is inspect.Parameter.empty and parameter.name not in options:
            return f"it needs {parameter.name}=..."
    return "it is a network, which has no compiled loops" if is_network(make(name)) else ""


def _in_order(todo: Sequence[str]) -> list[str]:
    """Order the recipes. Consecutive recipes have different first steps, so their processes do not wait for the same loops."""
    groups: dict[str, list[str]] = {}
    for name in todo:
        model = make(name)
        first = [step for step in model.get_params(deep=True).values() if hasattr(step, "extract")]
        groups.setdefault(type(first[0]).__name__ if first else "", []).append(name)
    turns = zip_longest(*sorted(groups.values(), key=len, reverse=True))
    return [name for name in chain.from_iterable(turns) if name is not None]


def _warm_one(name: str) -> Row:
    before = compiled_so_far()
    try:
        with warming(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            use(small(name))
        problem = ""
    except Exception as error:  # the other recipes are still compiled
        problem = " ".join(f"{type(error).__name__}: {error}".split())
    after = compiled_so_far()
    return Row(name, after.n_loops - before.n_loops, after.seconds - before.seconds, problem)


def small(name: str) -> Any:
    """Make a recipe with few words and without resizing. Resizing would make all images writable."""
    recipe, _ = resolve(name)
    parameters = inspect.signature(RECIPES[recipe]).parameters
    return make(name, **{option: value for option, value in SMALL.items() if option in parameters})


def use(model: Any) -> None:
    """Fit the model and predict. Then predict with a copy whose arrays are read-only, like arrays in a memory map."""
    images = _images()
    model.fit(images, np.arange(len(images)) % 2)
    model.predict(images)
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(model, protocol=5, buffer_callback=buffers.append)
    pickle.loads(pickled, buffers=[bytes(buffer) for buffer in buffers]).predict(images)


def _images() -> list[np.ndarray]:
    """Make images in every array type that numba compiles separately. The images show squares, whose corners are keypoints.

    All images have the same size, because HOG without Resize requires this.
    """
    random = np.random.default_rng(0)
    found = []
    for index in range(N_IMAGES):
        channels = 3 if index % 4 < 2 else 1
        squares = random.integers(0, 256, (SIDE // 4, SIDE // 4, channels), dtype=np.uint8)
        image = np.kron(squares, np.ones((4, 4, 1), np.uint8))
        found.append(_kinds(image if channels == 3 else image[:, :, 0])[index // 4])
    return found


def _kinds(image: np.ndarray) -> list[np.ndarray]:
    read_only = image.copy()
    read_only.setflags(write=False)
    deep = image.astype(np.uint16) * 257
    return [image, image, read_only, deep, (image / 255).astype(np.float32), image / 255]


def _result(row: Row) -> str:
    if row.problem:
        return f"failed, {row.problem}"
    return f"{row.n_loops} loops compiled in {row.seconds:.1f} s" if row.n_loops else "ready"


def _report(verbose: int, line: str) -> None:
    if verbose:
        sys.stderr.write(f"{line}\n")
