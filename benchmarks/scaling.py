"""How do time and memory grow with the number n of images? Each n runs in a new process; the growth is fitted by a power of n.

    python benchmarks/scaling.py [N ...]

Images of 250×250 pixels are generated when they are read, so they take no memory. `fit` learns from a sample, and two threads
are used.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.memory import Pictures, peak_megabytes  # noqa: E402  (the repository must be on the path first)

NUMBERS = (500, 1000, 2000, 4000)


def measure(n: int) -> dict:
    """Fit and transform in this process; return seconds and megabytes."""
    from sklearn.pipeline import make_pipeline

    from featrec.descriptors import DenseSIFT, RootSIFT, Whiten
    from featrec.encoders import FisherVector, SpatialPyramid

    def chain(n_components: int, sample: int):
        options = {"max_descriptors": sample, "random_state": 0, "n_jobs": 2}
        fisher = SpatialPyramid(FisherVector(n_components, **options), levels=2)
        return make_pipeline(DenseSIFT(), RootSIFT(), Whiten(64, whiten=False, **options), fisher)

    chain(4, 2000).fit_transform(Pictures(8))  # loads the compiled loops
    pictures, model = Pictures(n), chain(32, 50_000)
    start = time.perf_counter()
    codes = model.fit_transform(pictures)
    fitted = time.perf_counter()
    peak = peak_megabytes()
    model.transform(pictures)
    done = time.perf_counter()
    return {
        "images": n,
        "fit_transform": fitted - start,
        "transform": done - fitted,
        "peak_mb": peak,
        "codes_mb": codes.nbytes / 2**20,
    }


def in_fresh_process(n: int) -> dict:
    """Run `measure` in a new process."""
    done = subprocess.run([sys.executable, __file__, "--measure", str(n)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def exponent(rows: list[dict], name: str) -> float:
    """Return the slope of the line through the logarithms."""
    x, y = ([math.log(row[key]) for row in rows] for key in ("images", name))
    mx, my = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / sum((a - mx) ** 2 for a in x)


def main(*numbers: int) -> list[dict]:
    """Print a line for each number of images, then the exponents."""
    rows = [in_fresh_process(n) for n in numbers or NUMBERS]
    for row in rows:
        beyond = row["peak_mb"] - row["codes_mb"]
        print(
            f"{row['images']:>6} images: fit_transform {row['fit_transform']:.1f} s, transform {row['transform']:.1f} s, "
            f"peak {row['peak_mb']:.0f} MB, {beyond:.0f} MB beyond the codes"
        )
    for name in ("transform", "fit_transform"):
        print(f"time of {name} grows as n^{exponent(rows, name):.3f}")
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(int(sys.argv[2]))))
    else:
        main(*map(int, sys.argv[1:]))
