"""What a fit will need, told before it starts and held against what the machine has."""

from __future__ import annotations

import os
import sys
import warnings

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
        raise InputError(f"{stage} needs {_told(needed)} of memory and this machine has {_told(total)}; {way_out}")
    if free is not None and needed - held > free:
        message = f"{stage} needs {_told(needed - held)} of memory besides the codes and {_told(free)} are free; {way_out}"
        warnings.warn(message, FeatrecWarning, stacklevel=4)


def _told(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.3g} GB"


def _physical() -> int | None:
    """Bytes of memory of this machine, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _available() -> int | None:
    """Bytes that can be had without swapping, where the system tells."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
