"""How long does the first fit on a machine take? Each recipe runs with an empty cache of compiled loops, then with a full one.

    python benchmarks/cold_start.py [RECIPE ...]            every recipe without a network
    python benchmarks/cold_start.py bovw_svm --functions    also the seconds of every compiled function
    python benchmarks/cold_start.py --against CHECKOUT --repeats 3

Each run is a new process with one thread, which fits and predicts a few small generated images. Figures are CPU seconds,
medians over the repeats; cold minus warm is the time of compilation. With `--against`, runs of this checkout alternate with
runs of another checkout of featrec, so both are affected equally by other load.
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
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
# Recipes without compiled loops: they run networks.
NETWORKS = ("cnn_svm", "cnn_fisher_svm", "cnn_vlad_svm", "pixels_lenet5", "pixels_resnet")
CLASSES = ("coarse", "fine", "striped")
SIDE, IMAGES = 120, 24


def images(n: int, seed: int) -> tuple[list[np.ndarray], list[str]]:
    """Return colour images of noise in squares and stripes; each class has different side lengths."""
    random = np.random.default_rng(seed)
    labels = [CLASSES[i % len(CLASSES)] for i in range(n)]
    sides = {"coarse": (12, 12), "fine": (6, 6), "striped": (12, 4)}
    made = []
    for label in labels:
        height, width = sides[label]
        coarse = random.integers(0, 256, (SIDE // height, SIDE // width, 3), dtype=np.uint8)
        made.append(np.ascontiguousarray(coarse.repeat(height, axis=0).repeat(width, axis=1)))
    return made, labels


def measure(name: str) -> dict[str, Any]:
    """Fit and predict in this process; return the CPU seconds and the compilations."""
    from featrec import recipes

    options = {"code": "triangle"} if name.endswith(":triangle") else {}
    model = recipes.make(name.partition(":")[0], **options)
    (train, labels), (test, _) = images(IMAGES, 0), images(6, 1)
    with Compilations() as compiled:
        start = time.process_time()
        model.fit(train, labels)
        answers = model.predict(test)
        seconds = time.process_time() - start
    return {"seconds": seconds, "compiled": compiled.seconds, "answers": list(map(str, answers))}


class Compilations:
    """Seconds of compilation by function, without nested compilations."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.running: list[list[float]] = []

    def __enter__(self) -> Compilations:
        from numba.core import event

        outer = self

        class Listener(event.Listener):
            def on_start(self, event: Any) -> None:
                outer.running.append([time.process_time(), 0.0])

            def on_end(self, event: Any) -> None:
                start, inner = outer.running.pop()
                whole = time.process_time() - start
                function = event.data["dispatcher"].py_func
                if outer.running:
                    outer.running[-1][1] += whole
                outer.seconds[f"{function.__module__.rpartition('.')[2]}.{function.__name__}"].append(whole - inner)

        self.listener = Listener()
        event.register("numba:compile", self.listener)
        return self

    def __exit__(self, *_: object) -> None:
        from numba.core import event

        event.unregister("numba:compile", self.listener)


def in_fresh_process(name: str, checkout: Path, cache: str) -> dict[str, Any]:
    """Run `measure` in a new process with the code of a checkout and a cache folder."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "NUMBA_CACHE_DIR": cache} | dict.fromkeys(ONE_THREAD, "1")
    command = [sys.executable, "-P", str(Path(__file__).resolve()), "--measure", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=checkout)
    return json.loads(done.stdout)


def cold_and_warm(name: str, checkout: Path) -> dict[str, Any]:
    """Run twice with the same cache, which is empty for the first run."""
    with tempfile.TemporaryDirectory() as cache:
        cold, warm = (in_fresh_process(name, checkout, cache) for _ in range(2))
    own = cold["compiled"]
    return {
        "cold": cold["seconds"],
        "warm": warm["seconds"],
        "extra": cold["seconds"] - warm["seconds"],
        "times": {name: len(seconds) for name, seconds in own.items()},
        "functions": {name: sum(seconds) for name, seconds in own.items()},
        "again": sorted(warm["compiled"]),
        "answers": warm["answers"],
    }


def rows(names: list[str], checkouts: list[Path], repeats: int, functions: bool) -> list[dict[str, Any]]:
    """Print and return a row for each recipe; the checkouts alternate."""
    found = []
    for name in names:
        runs = [[cold_and_warm(name, checkout) for checkout in checkouts] for _ in range(repeats)]
        sides = [summary(list(side)) for side in zip(*runs, strict=True)]
        found.append({"recipe": name, "sides": sides})
        tell(name, sides, functions)
    return found


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return medians over the repeats."""
    middle = {key: statistics.median(run[key] for run in runs) for key in ("cold", "warm", "extra")}
    each = {name: statistics.median(run["functions"].get(name, 0.0) for run in runs) for name in runs[0]["functions"]}
    return runs[0] | middle | {"functions": each}


def tell(name: str, sides: list[dict[str, Any]], functions: bool) -> None:
    """Print a row: this checkout, then the other checkout if there is one."""
    told = [f"{side['extra']:6.1f} s ({side['warm']:4.1f} warm, {sum(side['times'].values()):3} compiled)" for side in sides]
    ratio = f"  {sides[1]['extra'] / max(sides[0]['extra'], 1e-9):5.1f} times less" if len(sides) == 2 else ""
    equal = "" if all(side["answers"] == sides[0]["answers"] for side in sides) else "  other answers"
    print(f"{name:<24} {'   against '.join(told)}{ratio}{equal}", flush=True)
    for side in sides:
        if side["again"]:
            print(f"    also compiled with a full cache: {', '.join(side['again'])}")
        if functions:
            for function, seconds in sorted(side["functions"].items(), key=lambda pair: -pair[1]):
                print(f"    {seconds:6.2f} s  {side['times'][function]:2} × {function}")


def main(arguments: list[str] | None = None) -> int:
    """Measure the named recipes, or all recipes without a network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="name, or patches_ridge:triangle")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another checkout to run alternately")
    parser.add_argument("--repeats", type=int, default=1, metavar="N", help="number of runs; medians are printed")
    parser.add_argument("--functions", action="store_true", help="also print the seconds of each compiled function")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    parser.add_argument("--measure", metavar="RECIPE", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return 0
    sys.path.insert(0, str(ROOT))
    from featrec import recipes

    names = options.recipes or [name for name in recipes.names() if name not in NETWORKS]
    checkouts = [ROOT] + ([options.against.resolve()] if options.against else [])
    found = rows(names, checkouts, options.repeats, options.functions)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
