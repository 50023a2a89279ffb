"""The command ``doctor``. Its checks work even if OpenCV or other packages cannot be imported."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import re
import shlex
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["CHECKS", "Finding", "run_doctor"]

DISTRIBUTIONS = ("numpy", "scipy", "scikit-learn", "scikit-image", "numba", "skops", "joblib", "pillow", "threadpoolctl")
DETECTORS = ("SIFT", "ORB", "AKAZE", "BRISK")
# For each dataset, a file or folder that exists only if the dataset is complete. An interrupted download leaves other files.
DATA_FILES = {
    "mnist": "mnist/t10k-labels-idx1-ubyte.gz",
    "fashion-mnist": "fashion-mnist/t10k-labels-idx1-ubyte.gz",
    "cifar10": "cifar-10-batches-bin/test_batch.bin",
    "cifar100": "cifar-100-binary/test.bin",
    "caltech101": "caltech-101/101_ObjectCategories",
    "scene15": "scene15/test",
}
CONTRIB, HEADLESS = "opencv-contrib-python", "opencv-contrib-python-headless"
PIP = f"{shlex.quote(sys.executable)} -m pip"


class Finding(NamedTuple):
    """One line of output, with a repair command if something is wrong."""

    text: str
    repair: str | None = None


def run_doctor(arguments: argparse.Namespace) -> int:
    """Check the installation and suggest repairs.

    Returns 1 if something needs repair.
    """
    problems = 0
    for title, check in CHECKS.items():
        print(title)
        for finding in check():
            print(f"  {'ok' if finding.repair is None else '!!'}  {finding.text}")
            if finding.repair is not None:
                problems += 1
                print(textwrap.indent(f"repair: {finding.repair}", " " * 6))
    print("no problems" if not problems else f"{problems} problems; see the lines after 'repair:'")
    return 1 if problems else 0


def versions() -> Iterator[Finding]:
    """Check Python, featrec and its dependencies."""
    import featrec

    system = f"{platform.system()} {platform.machine()}"
    yield Finding(f"Python {platform.python_version()} on {system}, {sys.executable}")
    yield Finding(f"featrec {featrec.__version__}, {Path(featrec.__file__).parent}")
    least = _least_versions()
    for name in DISTRIBUTIONS:
        found = _version(name)
        if found is None:
            yield Finding(f"{name} is not installed", f"{PIP} install {name}")
        elif _numbers(found) < _numbers(least.get(name, "0")):
            yield Finding(f"{name} {found} is older than {least[name]}", f"{PIP} install --upgrade {name}")
        else:
            yield Finding(f"{name} {found}")


def opencv() -> Iterator[Finding]:
    """Check which wheels provide cv2, whether it can be imported, and which detectors it contains."""
    wheels = sorted(set(metadata.packages_distributions().get("cv2", [])))
    yield _wheels(wheels)
    try:
        cv2 = importlib.import_module("cv2")
    except Exception as error:
        yield Finding(f"cv2 cannot be imported: {error}", _repair_import(str(error), wheels))
        return
    yield Finding(f"cv2 {cv2.__version__} loads")
    modules = {"cv2": cv2, "cv2.xfeatures2d": getattr(cv2, "xfeatures2d", None)}
    for name in DETECTORS:
        places = [place for place, module in modules.items() if hasattr(module, f"{name}_create")]
        repair = None if places else _replace(wheels, CONTRIB, None)
        yield Finding(f"{name} is in {places[0]}" if places else f"{name} is missing from this OpenCV", repair)


def threads() -> Iterator[Finding]:
    """Report the number of processors, and the default number of threads of each library."""
    yield Finding(
        f"{os.cpu_count()} processors, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else 'all'} usable"
    )
    if "cv2" in sys.modules:  # a failed import has been reported already
        yield from _query("cv2", lambda cv2: f"cv2: {cv2.getNumThreads()} threads")
    yield from _query("numba", lambda numba: f"numba: {numba.config.NUMBA_NUM_THREADS} threads")
    yield from _query("threadpoolctl", _blas)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        if name in os.environ:
            yield Finding(f"{name}={os.environ[name]} is set")


def caches() -> Iterator[Finding]:
    """Report where compiled loops are stored, whether this folder is writable, and how many loops it contains."""
    import featrec

    named = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(named) if named else Path(featrec.__file__).parent / "compiled"
    place = "NUMBA_CACHE_DIR" if named else "next to the package"
    if _is_writable(folder):
        yield Finding(f"compiled loops are stored in {folder} ({place}), which is writable")
    elif not named and _is_writable(Path.home()):
        yield Finding(f"{folder} is read-only; compiled loops are stored in the home folder")
    else:
        repair = "export NUMBA_CACHE_DIR=/a/folder/that/can/be/written"
        yield Finding(f"{folder} ({place}) is read-only, so compiled loops cannot be stored", repair)
        return
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        yield Finding("NUMBA_DISABLE_JIT is set, so the loops are not compiled", "unset NUMBA_DISABLE_JIT")
    else:
        yield from _query("featrec.compilation", _warmth)


def data() -> Iterator[Finding]:
    """Report which published datasets are available."""
    named = os.environ.get("FEATREC_DATA")
    if not named:
        yield Finding("FEATREC_DATA is not set; digits, faces, shapes and textures need no download")
    elif not Path(named).is_dir():
        yield Finding(
            f"FEATREC_DATA={named} is not a folder", "export FEATREC_DATA=/the/folder/with/the/datasets, or unset FEATREC_DATA"
        )
    else:
        complete = [name for name, file in DATA_FILES.items() if (Path(named) / file).exists()]
        missing = [f"{name} ({file})" for name, file in DATA_FILES.items() if name not in complete]
        rest = f"; missing: {', '.join(missing)}" if missing else ""
        yield Finding(f"FEATREC_DATA={named} contains {', '.join(complete) or 'no datasets'}{rest}")


def extras() -> Iterator[Finding]:
    """Report which optional packages are installed. A missing package is not a problem."""
    for extra, needed in _extras().items():
        missing = [name for name in needed if _version(name) is None]
        state = f"not installed ({', '.join(missing)}): {PIP} install 'featrec[{extra}]'" if missing else "installed"
        yield Finding(f"{extra}: {state}")


CHECKS: dict[str, Callable[[], Iterator[Finding]]] = {
    "versions": versions,
    "OpenCV": opencv,
    "threads": threads,
    "caches": caches,
    "data": data,
    "extras": extras,
}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> list[int]:
    """Return the leading numbers of a version; they suffice to check a minimum version."""
    return [int(part) for part in re.findall(r"\d+", version.partition("rc")[0])]


def _requirements() -> list[str]:
    try:
        return metadata.requires("featrec") or []
    except metadata.PackageNotFoundError:
        return []


def _least_versions() -> dict[str, str]:
    found = (re.match(r"([\w.-]+)[^;]*>=([\d.]+)", line) for line in _requirements() if "extra ==" not in line)
    return {match[1]: match[2] for match in found if match}


def _extras() -> dict[str, list[str]]:
    """Return the packages of each extra. featrec itself, which the extras 'all' and 'test' require, is omitted."""
    packages: dict[str, list[str]] = {}
    for line in _requirements():
        match = re.match(r"([\w.-]+).*extra == ['\"]([\w-]+)['\"]", line)
        if match and match[1] != "featrec":
            packages.setdefault(match[2], []).append(match[1])
    return packages


def _wheels(wheels: list[str]) -> Finding:
    if not wheels:
        return Finding("no wheel provides cv2", f"{PIP} install {CONTRIB}")
    installed = ", ".join(f"{wheel} {_version(wheel)}" for wheel in wheels)
    if len(wheels) == 1:
        return Finding(f"cv2 comes from {installed}")
    best = HEADLESS if all("headless" in wheel for wheel in wheels) else CONTRIB
    return Finding(f"several wheels overwrite each other: {installed}", _replace(wheels, best, None))


def _repair_import(reason: str, wheels: list[str]) -> str:
    """Return the command that repairs the import. The headless wheel works without desktop libraries, which may be missing."""
    if re.search(r"lib\S+\.so", reason) and wheels:
        return _replace(wheels, HEADLESS, _version(wheels[0])) + "\nor:   apt install libgl1 libglib2.0-0"
    return _replace(wheels, CONTRIB, None)


def _replace(wheels: list[str], wheel: str, version: str | None) -> str:
    """Return the command that replaces all wheels with a single one."""
    remove = f"{PIP} uninstall -y {' '.join(wheels)} && " if wheels else ""
    return f"{remove}{PIP} install --no-deps --force-reinstall {wheel}{f'=={version}' if version else ''}"


def _warmth(compilation: Any) -> str:
    """Describe the cache. An empty cache is not a problem, because the first fit fills it."""
    cache = compilation.look_at_cache()
    if not cache.n_cached:
        return f"no loop is compiled for this processor ({cache.processor}) yet; run 'featrec warm' to compile them now"
    count = f"{cache.n_cached} of {cache.n_loops} loops are compiled for this processor ({cache.processor})"
    return f"{count}, {cache.n_bytes / 1e6:.1f} MB; run 'featrec warm' to compile the rest"


def _query(module: str, describe: Callable[[Any], str]) -> Iterator[Finding]:
    """Import and describe a library. The import tests its installation."""
    try:
        yield Finding(describe(importlib.import_module(module)))
    except Exception as error:
        yield Finding(f"{module} cannot be imported: {error}", f"{PIP} install --force-reinstall {module}")


def _blas(threadpoolctl: Any) -> str:
    pools = {(pool["internal_api"], pool["num_threads"]) for pool in threadpoolctl.threadpool_info()}
    return "BLAS and OpenMP: " + (", ".join(f"{name} {n} threads" for name, n in sorted(pools)) or "none loaded")


def _is_writable(folder: Path) -> bool:
    """Return whether a file can be created in the folder or, if it does not exist, in its nearest existing parent."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)
