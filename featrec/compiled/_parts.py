"""Parts of loops, which are compiled into the loop that calls them, once and along with it.

A function of numba that another one calls is optimised on its own first, and once more in every caller; it has an entry in the
cache that nobody reads once the caller is there. A part has neither. It gives back nothing, unless the type is told.

Arrays that are given to a part must not overlap: it is compiled for that, and has no code for the other case. The cache of a
loop does not see changes in parts of another file.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from numba import types
from numba.core.compiler import Flags, compile_internal
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from featrec.compiled._options import COMPILED

OPTIONS = {"nopython": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
# Of each library of code what has been compiled into it: two calls of a part are two calls of one function.
descriptions: WeakKeyDictionary[Any, dict[Any, Any]] = WeakKeyDictionary()


def part(*, returns: Any = types.void, fastmath: Any = False) -> Callable[[Any], Any]:
    """Decorate a function that only compiled loops call."""

    def decorate(function: Any) -> Any:
        if not COMPILED:
            return function

        def typed(typing_context: Any, *arguments: Any) -> Any:
            def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
                description = _described(context, function, signature, fastmath)
                return context.call_internal_no_propagate(builder, description, signature, values)[1]

            return returns(*arguments), generate

        own = inspect.signature(function)
        context = inspect.Parameter("typing_context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        typed.__signature__ = own.replace(parameters=[context, *own.parameters.values()])  # type: ignore[attr-defined]
        typed.__name__, typed.__doc__, typed.__module__ = function.__name__, function.__doc__, function.__module__
        return intrinsic(typed)

    return decorate


def _described(context: Any, function: Any, signature: Any, fastmath: Any) -> Any:
    library = context.active_code_library
    known = descriptions.setdefault(library, {})
    key = function, signature.args
    if key not in known:
        flags: Any = Flags()
        cpu_target.options.parse_as_flags(flags, OPTIONS | {"fastmath": fastmath})
        flags.no_compile = flags.noalias = True
        made = compile_internal(
            cpu_target.typing_context, context, library, function, signature.args, signature.return_type, flags, {}
        )
        known[key] = made.fndesc
        # To go where it is copied into all who call it.
        library._final_module.get_function(made.fndesc.llvm_func_name).linkage = "linkonce_odr"
    return known[key]
