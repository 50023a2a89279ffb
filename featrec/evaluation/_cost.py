"""Cost: start, latency, throughput and memory of a fitted model in a fresh process; energy; and the stamp of a result.

The fresh process is ``python -m featrec.evaluation._cost FOLDER SECONDS START``. FOLDER contains a model file and pickled
images, written by the process that started it at the time START. Predictions are repeated for SECONDS, first of one image, then
of all images in a batch. This module imports only the standard library when it is loaded: the fresh
process loads it before the model, and ``featrec bench --help`` before its arguments.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import pickle
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import featrec
from featrec.exceptions import FeatrecError, MissingExtraError

if TYPE_CHECKING:
    from featrec.evaluation._splits import Rows

__all__ = ["Cost", "EnergyMeter", "cost_of", "loaded_runtimes", "measured_on", "peak_megabytes", "stamp"]

# Maximum number of images that the process predicts; each of them several times if there is time.
MOST_IMAGES = 64
# Predictions of one image, and then of all images, are each repeated for this number of seconds.
SECONDS = 3.0
# Minimum and maximum number of repeated predictions of one image; the time limit decides between them.
LEAST, MOST = 5, 200
# A process that takes longer than this number of seconds is stopped.
TIMEOUT = 600
PACKAGES = ("numpy", "scipy", "scikit-learn", "scikit-image", "numba", "joblib", "pillow")
# CPU flags, as named by Linux, that determine which instructions compiled loops and BLAS use.
INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
# Packages that only some models use; they are part of a stamp if a model has loaded them.
RUNTIMES = ("torch", "torchvision", "timm", "skorch", "onnxruntime", "xgboost", "lightgbm")
PACKAGE = Path(featrec.__file__).parent


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
    from featrec.evaluation._given import take
    from featrec.persistence import save

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
    import numpy as np

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
    from featrec.persistence import load

    model = load(folder / "model")
    start_seconds = time.time() - started
    images: Any = pickle.loads((folder / "images").read_bytes())  # from the process that started this one
    singles = [_one(images, row) for row in range(len(images))]
    first_seconds = _seconds(functools.partial(model.predict, singles[0]))
    single_seconds = _repeated([functools.partial(model.predict, one) for one in singles], seconds, LEAST, MOST)
    batches = _repeated([functools.partial(model.predict, images)], seconds, 1, 5)
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


def measured_on(row: Mapping[str, Any]) -> str:
    """Describe the machine, the versions, the commit and the date of a run in one line."""
    machine = row["machine"]
    memory = f", {machine['memory_gb']:.0f} GB" if machine.get("memory_gb") else ""
    instructions = f" ({', '.join(machine['instructions'])})" if machine.get("instructions") else ""
    commit = (row.get("commit") or "no commit")[:10] + (" and changes" if row.get("dirty") else "")
    names = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
    return f"{machine['processor']}{instructions}, {machine['cores']} cores{memory}; {names}; {commit}; {row['date']}."


def stamp(*, packages: Iterable[str] = (), watched: Iterable[Path] = ()) -> dict[str, Any]:
    """Return versions (also of `packages`), machine, commit and date.

    The commit is the current commit of the clone that featrec is imported from, or None if featrec is installed without a
    clone. `dirty` is true if the package or one of the `watched` files differs from the commit.
    """
    from datetime import UTC, datetime

    return {
        "versions": _versions([*PACKAGES, *packages]),
        "machine": _machine(),
        **_commit([PACKAGE, *watched]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def loaded_runtimes() -> list[str]:
    """Return the packages of networks and other models that this process has loaded."""
    return [name for name in RUNTIMES if name in sys.modules]


def peak_megabytes() -> float:
    """Return the peak memory of this process. On Linux, ru_maxrss is not used: it may include memory of the parent process."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        import resource

        unit = 2**20 if platform.system() == "Darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _versions(packages: Iterable[str]) -> dict[str, str]:
    installed = _installed()
    wheels = [name for name in sorted(installed) if name.startswith("opencv-")]
    found = {name: installed[name] for name in (*wheels, *packages) if name in installed}
    return {"python": platform.python_version(), "featrec": featrec.__version__, **found}


@functools.cache
def _installed() -> dict[str, str]:
    """Return the versions of all installed packages. Reading them takes longer than the rest of a stamp."""
    from importlib.metadata import distributions

    return {str(found.metadata["Name"]).lower(): found.version for found in distributions()}


def _machine() -> dict[str, Any]:
    flags = _cpu_info("flags").split()
    return {
        "system": platform.system(),
        "processor": _cpu_info("model name") or platform.processor() or platform.machine(),
        "instructions": [name for name in INSTRUCTIONS if name in flags],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": _memory(),
    }


def _cpu_info(key: str) -> str:
    """Return a value of the first processor; empty if the system does not report it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None


def _commit(paths: Iterable[Path]) -> dict[str, Any]:
    """Return the commit, and whether any file differs from the commit. Both are None if git does not track featrec.

    An installed featrec may be inside another repository, whose commit must not be returned.
    """
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return {"commit": None, "dirty": None}
    changed = _git("status", "--porcelain", "--", *map(str, paths))
    return {"commit": (_git("rev-parse", "HEAD") or "").strip() or None, "dirty": bool(changed)}


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(PACKAGE), *words], capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


if __name__ == "__main__":
    _measure_predictions(Path(sys.argv[1]), *map(float, sys.argv[2:]))
