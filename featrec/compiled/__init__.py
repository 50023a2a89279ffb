"""The compiled loops: arrays in, arrays out, nothing checked; serial, without the GIL, compiled at the first call."""

from numba.core.event import register

from featrec.compiled._compilations import COMPILATIONS

# Changes nothing of what numba does: it lets the first compilation of a process be told and all be timed.
register("numba:compile", COMPILATIONS)
