"""How loops are compiled: what all have in common, and what spares the compiler work that nobody uses.

A loop that Python calls needs no entry for C, a part of one needs none for Python either; each takes the compiler 10 to 30 ms.
"""

from typing import Any

from numba import config

LOOP: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",
    "no_cfunc_wrapper": True,
}
PART = LOOP | {"no_cpython_wrapper": True}
COMPILED: bool = not config.DISABLE_JIT  # type: ignore[attr-defined]  # numba fills its settings in at import
