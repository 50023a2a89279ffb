"""The process in which the cost of a model is measured: ``python -m featrec.evaluation._cost_process FOLDER SECONDS START``.

The folder contains a model file and pickled images, written by the process that started this one. START is the time at which
that process started this one. Predictions are repeated for SECONDS, first of one image, then of all images in a batch. Only
what a prediction needs is imported before the model is loaded.
"""

from __future__ import annotations

import json
import pickle
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from featrec.persistence import load

__all__ = ["main"]

# Minimum and maximum number of repeated predictions of one image; the time limit decides between them.
LEAST, MOST = 5, 200


def main(folder: Path, seconds: float, started: float) -> None:
    """Load the model, predict, and write the times to the file ``result``."""
    model = load(folder / "model")
    start_seconds = time.time() - started
    images: Any = pickle.loads((folder / "images").read_bytes())  # from the process that started this one
    singles = [_one(images, row) for row in range(len(images))]
    first_seconds = _seconds(partial(model.predict, singles[0]))
    single_seconds = _repeated([partial(model.predict, one) for one in singles], seconds, LEAST, MOST)
    batches = _repeated([partial(model.predict, images)], seconds, 1, 5)
    found = {
        "start_seconds": start_seconds,
        "first_seconds": first_seconds,
        "single_seconds": single_seconds,
        "batch_seconds": min(batches) / len(singles),
        "batch_size": len(singles),
        "peak_bytes": _peak_bytes(),
    }
    (folder / "result").write_text(json.dumps(found), encoding="utf-8")


def _one(images: Any, row: int) -> Any:
    return images.iloc[[row]] if hasattr(images, "iloc") else images[row : row + 1]


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _repeated(calls: list[Callable[[], Any]], seconds: float, least: int, most: int) -> list[float]:
    """Run the calls in turn until the time is up, but `least` to `most` times in total; return the time of each run."""
    found: list[float] = []
    until = time.perf_counter() + seconds
    while len(found) < least or (len(found) < most and time.perf_counter() < until):
        found.append(_seconds(calls[len(found) % len(calls)]))
    return found


def _peak_bytes() -> int:
    from featrec.evaluation import peak_megabytes

    return round(peak_megabytes() * 2**20)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(float, sys.argv[2:]))
