"""The stamp of a result: versions, machine, commit and date; and the peak memory of a process."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import featrec

__all__ = ["loaded_runtimes", "measured_on", "peak_megabytes", "stamp"]

PACKAGES = ("numpy", "scipy", "scikit-learn", "scikit-image", "numba", "joblib", "pillow")
# CPU flags, as named by Linux, that determine which instructions compiled loops and BLAS use.
INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
# Packages that only some models use; they are part of a stamp if a model has loaded them.
RUNTIMES = ("torch", "torchvision", "timm", "skorch", "onnxruntime", "xgboost", "lightgbm")
PACKAGE = Path(featrec.__file__).parent


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
