"""Compiled loops: arrays in, arrays out, no checks; serial, without the GIL, compiled at the first call."""

from numba.core.event import register

from featrec.compiled._compilations import COMPILATIONS

# A listener only: it reports the first compilation of a process and times all of them.
register("numba:compile", COMPILATIONS)
