"""Loops compiled by numba at their first call. They read and write arrays without checks, in one thread and without the GIL."""

from numba.core.event import register

from featrec.compiled._cache import COMPILATIONS

# Reports the first compilation of a process, and measures the time of all compilations.
register("numba:compile", COMPILATIONS)
