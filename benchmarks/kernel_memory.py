"""Time and peak memory of exact kernel ridge regression, each side in a new process, and featrec's estimate of the memory.

    python benchmarks/kernel_memory.py [N D]                # 8,000 codes of 1,000 numbers, also with scikit-learn's KernelRidge
    python benchmarks/kernel_memory.py --ours 60000 1000    # featrec only: scikit-learn would need about 90 GB

The memory of a fit does not include the codes and the loaded libraries.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.memory import peak_megabytes  # noqa: E402  (the repository must be on the path first)
from benchmarks.rows.kernel_ridge import ALPHA, GAMMA, codes_and_labels  # noqa: E402
from featrec.classifiers import KernelRidgeClassifier  # noqa: E402


def measure(side: str, n: int, d: int) -> dict:
    """Fit in this process; return seconds and megabytes."""
    codes, labels = codes_and_labels(n, d)
    announced = None
    if side == "ours":
        model = KernelRidgeClassifier(gamma=GAMMA, n_jobs=2, random_state=0)
        announced = round((model.memory_needed(n, d) - codes.nbytes) / 2**20)
        targets = labels
    else:
        from sklearn.kernel_ridge import KernelRidge

        model = KernelRidge(alpha=ALPHA, kernel="rbf", gamma=GAMMA / (2 * d))
        targets = 2.0 * (labels[:, None] == np.arange(10)) - 1
    before, start = peak_megabytes(), time.perf_counter()
    model.fit(codes, targets)
    found = {"side": side, "n": n, "d": d, "seconds": round(time.perf_counter() - start, 2)}
    return found | {"fit_mb": round(peak_megabytes() - before), "announced_mb": announced}


def in_fresh_process(side: str, n: int, d: int) -> dict:
    """Run `measure` in a new process."""
    command = [sys.executable, __file__, "--measure", side, str(n), str(d)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main(n: int = 8000, d: int = 1000, sides: tuple[str, ...] = ("ours", "theirs")) -> dict[str, dict]:
    """Print and return the results of each side."""
    results = {side: in_fresh_process(side, n, d) for side in sides}
    for side, found in results.items():
        name = {"ours": "KernelRidgeClassifier, 4 penalties", "theirs": "sklearn KernelRidge, 1 penalty"}[side]
        told = "" if found["announced_mb"] is None else f" ({found['announced_mb']:,} announced)"
        print(f"{name}: {n:,} × {d:,} in {found['seconds']} s, {found['fit_mb']:,} MB besides the codes{told}")
    return results


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
    elif sys.argv[1:2] == ["--ours"]:
        main(*map(int, sys.argv[2:4]), sides=("ours",))
    else:
        main(*map(int, sys.argv[1:3]))
