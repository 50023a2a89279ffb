"""warm: compile beforehand what recipes need."""

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
N_IMAGES = 24  # of two classes
# The number of words decides how long a fit takes, not what is compiled.
SMALL: dict[str, Any] = {"n_words": 32, "image_size": None}


class Row(NamedTuple):
    """What became of one recipe: so many loops compiled in so many seconds, or why there are none."""

    name: str
    n_loops: int = 0
    seconds: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class Warmed:
    """What was compiled, and where it is kept.

    Attributes
    ----------
    n_loops : int
        Loops that were compiled; those that were in the cache before are not counted.
    seconds : float
        All in all.
    folder : Path
        Of the cache.
    n_bytes : int
        Of all its files.
    left_out : dict of str to str
        Recipes with nothing to compile beforehand, and why.
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
        what = f"{self.n_loops} loops compiled in {self.seconds:.1f} s" if self.n_loops else "nothing was left to compile"
        return "\n".join([*lines, f"{what}; the cache is {self.folder}, {self.n_bytes / 1e6:.1f} MB"])


def warm(recipes: Iterable[str] | None = None, *, n_jobs: int = -1, verbose: int = 0) -> Warmed:
    """Compile what recipes need, so that the first fit on this machine is as quick as all others.

    Each recipe is fitted to a few made images of every kind: gray and colour, 8 bits, 16 bits and floats, writable and not.
    What is compiled already is not compiled again, also by two calls at the same time.

    Parameters
    ----------
    recipes : list of names, optional
        As :func:`make` takes them; all recipes and presets by default.
    n_jobs : int, default=-1
        How many recipes at a time, each in a process of its own; -1 means as many as there are processors.
    verbose : int, default=0
        1 tells of each recipe on the standard error.

    Returns
    -------
    Warmed

    Raises
    ------
    InputError
        Where there is no such recipe, or numba is told not to compile.

    Examples
    --------
    >>> from featrec import recipes
    >>> recipes.warm(["tiny_knn"], n_jobs=1).n_loops
    0
    """
    wanted = _wanted(recipes)
    cache = look_at_cache()
    if cache.folder is None:
        raise InputError("nothing is compiled where NUMBA_DISABLE_JIT is set; unset it first")
    start = time.perf_counter()
    left_out = {name: reason for name in wanted if (reason := reason_against(name))}
    rows: list[Row] = []
    todo = _in_order([name for name in wanted if name not in left_out])
    need = "1 recipe needs" if len(todo) == 1 else f"{len(todo)} recipes need"
    _tell(verbose, f"compiling what {need} into {cache.folder}")
    # One process more than processors, because now and then one waits for a loop that another compiles.
    for row in each_in_processes(_warm_one, todo, n_jobs=n_jobs if can_share_cache() else 1, idle=1):
        rows.append(row)
        _tell(verbose, f"{len(rows):>3} of {len(todo)}  {row.name}: {_told(row)}")
    failed = {row.name: row.problem for row in rows if row.problem}
    seconds, n_loops = time.perf_counter() - start, sum(row.n_loops for row in rows)
    return Warmed(n_loops, seconds, cache.folder, look_at_cache().n_bytes, left_out, failed)


def _wanted(recipes: Iterable[str] | None) -> list[str]:
    if isinstance(recipes, str):
        raise InputError(f"recipes is a list of names; write [{recipes!r}]")
    return list(variants()) if recipes is None else list(dict.fromkeys(recipes))


def reason_against(name: str) -> str:
    """Why nothing of a recipe can be compiled here; empty where it can. An unknown name is refused."""
    recipe, options = resolve(name)
    for parameter in inspect.signature(RECIPES[recipe]).parameters.values():
        if parameter.default is inspect.Parameter.empty and parameter.name not in options:
            return f"it needs {parameter.name}=..., which is not here"
    return "it is a network, of which featrec compiles nothing" if is_network(make(name)) else ""


def _in_order(todo: Sequence[str]) -> list[str]:
    """Recipes that begin with the same kind of step stand apart, since what both compile only one can compile at a time."""
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
    except Exception as error:  # one recipe that fails must not cost what the others need
        problem = " ".join(f"{type(error).__name__}: {error}".split())
    after = compiled_so_far()
    return Row(name, after.n_loops - before.n_loops, after.seconds - before.seconds, problem)


def small(name: str) -> Any:
    """The model of a recipe, with few words where it has words, and images as they are: resized ones can all be written."""
    recipe, _ = resolve(name)
    parameters = inspect.signature(RECIPES[recipe]).parameters
    return make(name, **{option: value for option, value in SMALL.items() if option in parameters})


def use(model: Any) -> None:
    """Fit and ask the model, and ask a copy whose arrays cannot be written, as on a cluster or in a memory map."""
    images = _images()
    model.fit(images, np.arange(len(images)) % 2)
    model.predict(images)
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(model, protocol=5, buffer_callback=buffers.append)
    pickle.loads(pickled, buffers=[bytes(buffer) for buffer in buffers]).predict(images)


def _images() -> list[np.ndarray]:
    """Squares of chance, whose corners are keypoints; some of each kind that is a type of its own for the compiler.

    All of one size, which HOG without Resize asks for.
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


def _told(row: Row) -> str:
    if row.problem:
        return f"failed, {row.problem}"
    return f"{row.n_loops} loops compiled in {row.seconds:.1f} s" if row.n_loops else "ready"


def _tell(verbose: int, line: str) -> None:
    if verbose:
        sys.stderr.write(f"{line}\n")
