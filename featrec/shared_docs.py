"""Descriptions of parameters that many classes and functions share.

The decorator :func:`with_shared_docs` completes a docstring: for each parameter in the signature that the docstring does not
describe, it inserts the description from :data:`SHARED`, in the order of the signature.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from typing import Any, TypeVar

__all__ = ["SHARED", "with_shared_docs"]

Documented = TypeVar("Documented", bound=Any)

SHARED = {
    "on_error": """\
on_error : {"raise", "empty"}, default="raise"
    How to handle an unusable image. "raise" raises an error that names the image. "empty" returns an empty Bag or a row of
    zeros, warns once for all unusable images, and lists them in ``failures_``.""",
    "cache": """\
cache : path or DescriptorCache, optional
    Folder in which descriptions are stored. Each image is then described only once for all folds, grid points and runs. See
    :class:`~featrec.images.DescriptorCache`.""",
    "max_descriptors": """\
max_descriptors : int, default=100_000
    Size of the sample of descriptors from which the vocabulary is learned if `vocabulary` is an int.""",
    "probability": """\
probability : {None, "calibrated", "temperature"}, default=None
    How to add ``predict_proba``; see :mod:`featrec.recipes`.""",
    "class_weight": """\
class_weight : dict, "balanced" or None, default=None
    Weights of the classes; "balanced" weights each class by the inverse of its size.""",
    "random_state": """\
random_state : int, RandomState or None, default=None
    Seed of all random choices. The same int always gives the same result.""",
    "n_jobs": """\
n_jobs : int or None, default=None
    Number of threads. None means 1, unless ``joblib.parallel_config`` sets another number.""",
    "verbose": """\
verbose : int, default=0
    If 1, show progress on standard error.""",
}
_DEFAULT = re.compile(r"default=(.+)$")
_HEADING = "Parameters\n----------\n"
# The title of the next section of a docstring, and the line under it.
_NEXT = re.compile(r"\n\n[A-Z][\w ]*\n-{3,}\n")


def with_shared_docs(documented: Documented, shared: Mapping[str, str] = SHARED) -> Documented:
    """Insert the shared parameters that the docstring lacks, with the defaults of the signature.

    Parameters
    ----------
    documented : class or function
        Class or function whose docstring is completed. A section "Parameters" is added if the docstring does not have one.
    shared : dict of str to str
        Description of each parameter, keyed by name.

    Returns
    -------
    documented
        The same object, with the completed docstring.
    """
    if documented.__doc__:
        documented.__doc__ = _completed(inspect.cleandoc(documented.__doc__), inspect.signature(documented).parameters, shared)
    return documented


def _completed(text: str, parameters: Mapping[str, inspect.Parameter], shared: Mapping[str, str]) -> str:
    before, heading, rest = text.partition(_HEADING)
    if not heading:
        before, rest = _without_section(text)
    end = _NEXT.search(rest)
    section, after = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    entries = _entries(section)
    described = {name for entry in entries for name in _names(entry)}
    names = list(parameters)
    for place, name in enumerate(names):
        if name in shared and name not in described:
            entries.insert(_place(entries, names[:place]), _with_default(shared[name], parameters[name].default))
    return before + _HEADING + "\n".join(entries) + after if entries else text


def _with_default(entry: str, default: Any) -> str:
    """Return the description, with the default value in the signature inserted."""
    stated = _DEFAULT.search(entry.split("\n")[0])
    if stated is None or default is inspect.Parameter.empty:
        return entry
    try:
        same = ast.literal_eval(stated[1]) == default
    except ValueError:  # an expression, such as 1/3
        same = True
    return entry if same else entry.replace(stated[0], f"default={default!r}", 1)


def _without_section(text: str) -> tuple[str, str]:
    """Split the docstring at the place for the section of parameters: before the first section, or at the end."""
    first = _NEXT.search(text)
    return (text[: first.start()] + "\n\n", text[first.start() :]) if first else (text + "\n\n", "")


def _entries(section: str) -> list[str]:
    return [entry for entry in re.split(r"\n(?=\S)", section.strip("\n")) if entry]


def _names(entry: str) -> list[str]:
    return [name.strip(" *") for name in entry.split("\n")[0].split(" :")[0].split(",")]


def _place(entries: list[str], earlier: list[str]) -> int:
    """Return the index after the last entry that describes an earlier parameter."""
    return max((i + 1 for i, entry in enumerate(entries) if set(_names(entry)) & set(earlier)), default=0)
