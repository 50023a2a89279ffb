"""What a fit will need, told before it starts and held against what the machine has."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

from featrec.exceptions import FeatrecWarning, InputError

__all__ = ["OF_BLAS", "announce"]

# Bytes that a BLAS library takes for each thread, about.
OF_BLAS = 1 << 25


def announce(stage: str, needed: int, held: int, way_out: str, verbose: int = 0) -> None:
    """Refuse what cannot fit into this machine, warn of what may not, and tell the figure where `verbose` asks for it.

    `needed` are all bytes, of which `held` are in memory already.
    """
    if verbose:
        sys.stderr.write(f"{stage}: {_told(needed)} of memory, of which the codes are {_told(held)}\n")
    total, free = _physical(), _available()
    if total is not None and needed > total:
        raise InputError(
            f"{stage} needs {_told(needed)} of memory and this machine, or its container, has {_told(total)}; {way_out}"
        )
    if free is not None and needed - held > free:
        message = f"{stage} needs {_told(needed - held)} of memory besides the codes and {_told(free)} are free; {way_out}"
        warnings.warn(message, FeatrecWarning, stacklevel=4)


def _told(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.3g} GB"


def _physical() -> int | None:
    """Bytes of memory that this process may ever have, where the system tells."""
    try:
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    return min([installed, *(group.limit for group in _groups())])


def _available() -> int | None:
    """Bytes that can be had without swapping, where the system tells."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
    return min([free, *(group.limit - group.used for group in _groups())])


class _Group(NamedTuple):
    """A control group of Linux with a limit: a container, a job of a cluster."""

    limit: int
    used: int


def _groups(root: Path = Path("/")) -> list[_Group]:
    """Those that this process is in, and those that hold them."""
    try:
        memberships = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
    found: list[_Group | None] = []
    for membership in memberships:
        _, controllers, path = membership.split(":", 2)
        if controllers == "":
            folder, files = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            folder = root / "sys/fs/cgroup/memory"
        else:
            continue
        inner = folder / path.lstrip("/")
        found += [_group(level, *files) for level in (inner, *inner.parents) if level.is_relative_to(folder)]
    return [group for group in found if group is not None]


def _group(folder: Path, limit: str, usage: str, reclaimable: str) -> _Group | None:
    """What is cached of files and can be had again does not count as used; None without a limit."""
    try:
        most, used = int((folder / limit).read_text()), int((folder / usage).read_text())
        lines = (folder / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):  # "max" is no number
        return None
    cached = dict(line.split() for line in lines).get(reclaimable, 0)
    return _Group(most, used - int(cached))
