"""How loops are compiled: what all have in common, and what spares the compiler work that nobody uses.

A loop needs no entry for C, which takes the compiler 10 to 30 ms. What only loops call is a part; see `_parts`.
"""

from typing import Any

from numba import config

LOOP: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",
    "no_cfunc_wrapper": True,
}
COMPILED: bool = not config.DISABLE_JIT  # type: ignore[attr-defined]  # numba fills its settings in at import
