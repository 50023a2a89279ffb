"""Cost: start, latency, throughput and memory of a fitted model in a fresh process; and estimates of energy.

The fresh process is ``python -m featrec.evaluation._cost FOLDER SECONDS START``. FOLDER contains a model file and pickled
images, written by the process that started it at the time START. Predictions are repeated for SECONDS, first of one image, then
of all images in a batch. This module imports little, because it is imported before the model is loaded.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import featrec
from featrec.evaluation._given import take
from featrec.exceptions import FeatrecError, MissingExtraError
from featrec.persistence import load, save

if TYPE_CHECKING:
    from featrec.evaluation._splits import Rows

__all__ = ["Cost", "EnergyMeter", "cost_of"]

# Maximum number of images that the process predicts; each of them several times if there is time.
MOST_IMAGES = 64
# Predictions of one image, and then of all images, are each repeated for this number of seconds.
SECONDS = 3.0
# Minimum and maximum number of repeated predictions of one image; the time limit decides between them.
LEAST, MOST = 5, 200
# A process that takes longer than this number of seconds is stopped.
TIMEOUT = 600


@dataclass(frozen=True)
class Cost:
    """Cost of predictions with the model file, measured in a fresh process. Times are in seconds.

    Attributes
    ----------
    start_seconds : float
        From the start of the process until the model is loaded: Python, imports, and reading the model file.
    first_seconds : float
        Time of the first prediction of one image, which also loads compiled code and libraries.
    p50_seconds, p95_seconds : float
        Median and 95th percentile of the time of later predictions of one image.
    batch_seconds : float
        Time per image in a batch.
    batch_size : int
        Number of images in the batch, at most 64.
    peak_bytes : int
        Peak memory of the process, with Python and all libraries.
    """

    start_seconds: float
    first_seconds: float
    p50_seconds: float
    p95_seconds: float
    batch_seconds: float
    batch_size: int
    peak_bytes: int


def cost_of(model: Any, test: Rows) -> tuple[Cost | None, str]:
    """Measure a fitted model in a fresh process. Return None and the reason if this is not possible."""
    images = take(test.given, test.rows[:MOST_IMAGES])
    with tempfile.TemporaryDirectory(prefix="featrec-") as name:
        folder = Path(name)
        try:
            save(model, folder / "model")
            (folder / "images").write_bytes(pickle.dumps(images))
        except FeatrecError as error:
            return None, str(error)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            return None, f"the images cannot be passed to another process: {error}"
        return _run_process(folder)


def _run_process(folder: Path) -> tuple[Cost | None, str]:
    """Run the process and read its result."""
    command = [sys.executable, "-m", "featrec.evaluation._cost", str(folder)]
    try:
        done = subprocess.run(
            [*command, repr(SECONDS), repr(time.time())], env=_environment(), capture_output=True, text=True, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return None, f"the process was stopped after {TIMEOUT} s"
    result = folder / "result"
    if not result.exists():
        reason = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return None, f"the process failed: {reason[-1]}"
    found = json.loads(result.read_text(encoding="utf-8"))
    single = np.array(found.pop("single_seconds"))
    p50, p95 = np.percentile(single, [50, 95])
    return Cost(p50_seconds=float(p50), p95_seconds=float(p95), **found), ""


def _environment() -> dict[str, str]:
    """Return environment variables with which the process imports this copy of featrec."""
    paths = [str(Path(featrec.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _measure_predictions(folder: Path, seconds: float, started: float) -> None:
    """Load the model, predict, and write the times to the file ``result``; this runs in the fresh process."""
    model = load(folder / "model")
    start_seconds = time.time() - started
    images: Any = pickle.loads((folder / "images").read_bytes())  # from the process that started this one
    singles = [_one(images, row) for row in range(len(images))]
    first_seconds = _seconds(partial(model.predict, singles[0]))
    single_seconds = _repeated([partial(model.predict, one) for one in singles], seconds, LEAST, MOST)
    batches = _repeated([partial(model.predict, images)], seconds, 1, 5)
    from featrec.evaluation import peak_megabytes  # imported only now, because it is not needed for a prediction

    found = {
        "start_seconds": start_seconds,
        "first_seconds": first_seconds,
        "single_seconds": single_seconds,
        "batch_seconds": min(batches) / len(singles),
        "batch_size": len(singles),
        "peak_bytes": round(peak_megabytes() * 2**20),
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


@dataclass
class Used:
    """Energy that a block used; None if it was not estimated."""

    kwh: float | None = None


class EnergyMeter:
    """Estimate energy from the load and the rated power of processor, memory and GPU. Start it once; it takes seconds."""

    def __init__(self, wanted: bool):
        self.tracker: Any = _tracker() if wanted else None

    @contextmanager
    def measuring(self) -> Iterator[Used]:
        """Estimate the energy of the block; the result is set when the block ends."""
        used = Used()
        if self.tracker is None:
            yield used
            return
        self.tracker.start_task()
        try:
            yield used
        finally:
            used.kwh = float(self.tracker.stop_task().energy_consumed)


def _tracker() -> Any:
    try:
        from codecarbon import OfflineEmissionsTracker
    except ImportError as error:
        raise MissingExtraError('energy=True needs codecarbon; pip install "featrec[energy]"') from error
    logging.getLogger("codecarbon").disabled = True
    # The country is required, but only determines emissions, which are not used.
    options = {"country_iso_code": "USA", "save_to_file": False, "log_level": "error", "allow_multiple_runs": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tracker = OfflineEmissionsTracker(**options)
        tracker.start_task()  # starting the first task takes seconds
        tracker.stop_task()
    return tracker


if __name__ == "__main__":
    _measure_predictions(Path(sys.argv[1]), *map(float, sys.argv[2:]))
