"""Context of benchmark results: versions, machine, commit and date."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import featrec

__all__ = ["peak_megabytes", "stamp"]

PACKAGES = ("numpy", "scipy", "scikit-learn", "scikit-image", "numba", "joblib", "pillow")
# CPU flags by which compiled loops and BLAS select their code, as named by Linux.
INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
PACKAGE = Path(featrec.__file__).parent


def stamp(*, packages: Iterable[str] = (), watched: Iterable[Path] = ()) -> dict[str, Any]:
    """Versions (also of `packages`), machine, commit and date.

    The commit is that of the clone which featrec is imported from, None where it is installed; `dirty` says whether the
    package or one of the `watched` files differs from it.
    """
    from datetime import UTC, datetime

    return {
        "versions": _versions([*PACKAGES, *packages]),
        "machine": _machine(),
        **_commit([PACKAGE, *watched]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def peak_megabytes() -> float:
    """Peak memory of this process. ru_maxrss would also include the parent's memory at the start."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        return _peak_since_fork()


def _peak_since_fork() -> float:
    import resource

    unit = 2**20 if platform.system() == "Darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _versions(packages: Iterable[str]) -> dict[str, str]:
    from importlib.metadata import distributions

    installed = {str(found.metadata["Name"]).lower(): found.version for found in distributions()}
    wheels = [name for name in sorted(installed) if name.startswith("opencv-")]
    found = {name: installed[name] for name in (*wheels, *packages) if name in installed}
    return {"python": platform.python_version(), "featrec": featrec.__version__, **found}


def _machine() -> dict[str, Any]:
    return {
        "system": platform.system(),
        "processor": _processor(),
        "instructions": _instructions(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": _memory(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _instructions() -> list[str]:
    """The INSTRUCTIONS that the processor supports; empty if the system does not report them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return [name for name in INSTRUCTIONS if name in flags]


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None


def _commit(paths: Iterable[Path]) -> dict[str, Any]:
    """Return nothing if git does not track featrec, even if it is inside another repository."""
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
