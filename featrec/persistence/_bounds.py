"""Check the numbers in a model file: settings must not need too much memory, and indices must be within their arrays."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import PureWindowsPath
from typing import Any

import numpy as np

from featrec.exceptions import ModelFileError
from featrec.model_files import SizeLimit, check_mixture
from featrec.persistence._schema import (
    NULL,
    Members,
    Node,
    featrec_class,
    full_name,
    is_object,
    nodes,
    over,
    plain_fields,
    plain_value,
    public_name,
    refuse,
)
from featrec.persistence._scikit_learn import SCIKIT_LEARN_CHECKS

__all__ = ["check_bounds", "check_settings", "drop_locations"]

MOST_NUMBERS = 64
MOST_JOBS = 1024
# Maximum width of a code, because predict allocates the codes of a batch before it computes them.
CODE_LIMIT = SizeLimit(2**22)
# Limits of a pyramid: for the table of cells and regions, for the values pooled in cells, and for the values in the codes.
MOST_MEMBERSHIPS = 2**25
MOST_POOLED = 2**25
MOST_CODE = 2**22
# Attributes that contain the words of featrec and scikit-learn vocabularies.
WORDS = ("words_", "means_", "cluster_centers_")
CACHES = {"memory", "cache"}

# Functions that check objects, keyed by an object's full name, module, public name or loader.
CHECKS: dict[str, Callable[[Node, Members], None]] = {
    **SCIKIT_LEARN_CHECKS,
    "sklearn.mixture.BayesianGaussianMixture": lambda node, members: _refused(node, members, check_mixture),
    "sklearn.mixture.GaussianMixture": lambda node, members: _refused(node, members, check_mixture),
}


class StoredAttributes(Mapping[str, Any]):
    """The attributes of a stored object. An attribute is converted to a plain value when it is read."""

    def __init__(self, node: Node, members: Members):
        self.fields, self.members = plain_fields(node), members

    def __getitem__(self, name: str) -> Any:
        return plain_value(self.fields[name], self.members)

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)


def check_bounds(root: Node, members: Members) -> None:
    """Raise an error for indices outside their arrays, and for settings that need too much memory."""
    for node in nodes(root):
        keys = (full_name(node), str(node.get("__module__")), public_name(node), node["__loader__"])
        for check in [check_settings, _check_arrays, *(CHECKS[key] for key in dict.fromkeys(keys) if key in CHECKS)]:
            try:
                check(node, members)
            except ModelFileError:
                raise
            except Exception as error:
                raise ModelFileError(
                    f"{full_name(node)} has missing or invalid attributes ({error!r}); save the model again"
                ) from error


def check_settings(node: Node, members: Members) -> None:
    """Raise an error for settings that exceed their limits (numbers of threads, sizes), and for locations of caches."""
    if not is_object(node):
        return
    stored = StoredAttributes(node, members)
    for name in CACHES & stored.keys():
        if _is_location(stored.fields[name]):
            refuse(node, f"{name} is the location of a cache, which save never writes")
    n_jobs = stored.get("n_jobs")
    if isinstance(n_jobs, (int, float)) and not abs(n_jobs) <= MOST_JOBS:
        over(node, "n_jobs", n_jobs, MOST_JOBS)
    kind = featrec_class(node)
    if kind is not None:
        _check_declared_limits(node, kind, stored)
        if hasattr(kind, "_most_regions"):
            _check_pyramid(node, kind, stored)


def drop_locations(node: Node) -> None:
    """Remove the locations of caches, and the folders of files whose content is also stored in the fitted object."""
    if not is_object(node):
        return
    fields = plain_fields(node)
    for name in CACHES & fields.keys():
        if _is_location(fields[name]):
            fields[name] = dict(NULL)
    # Each parameter is the path of a file. Once the object is fitted, the attribute contains the content of this file.
    for name, content in getattr(featrec_class(node), "_file_parameters", {}).items():
        if content in fields:
            _drop_folder(fields[name])


def _drop_folder(node: Node) -> None:
    path = plain_value(node, {})
    if isinstance(path, str):
        # PureWindowsPath accepts both slashes.
        node["content"] = json.dumps(PureWindowsPath(path).name)


def _is_location(node: Node) -> bool:
    if node["__loader__"] == "JsonNode":
        return isinstance(plain_value(node, {}), str)
    return full_name(node).startswith(("joblib.", "pathlib.", "featrec.images."))


def _check_declared_limits(node: Node, kind: type, stored: StoredAttributes) -> None:
    for name, limit in {"n_features_out_": CODE_LIMIT, **getattr(kind, "_file_limits", {})}.items():
        if name in stored:
            _check_size(node, name, stored[name], limit)
    if hasattr(kind, "_check_stored_settings"):
        try:
            kind._check_stored_settings(stored)
        except ValueError as error:
            raise ModelFileError(f"{public_name(node)}: {error} for a model file") from None


def _check_size(node: Node, name: str, value: Any, limit: SizeLimit) -> None:
    value = value.tolist() if isinstance(value, np.ndarray) else value
    each = value if isinstance(value, list) else [value] * limit.sides
    if len(each) > MOST_NUMBERS:
        over(node, f"the length of {name}", len(each), MOST_NUMBERS)
    if all(isinstance(number, (int, float)) for number in each) and not abs(math.prod(each)) <= limit.most:
        over(node, name, value, limit.most)


def _check_arrays(node: Node, members: Members) -> None:
    check = getattr(featrec_class(node), "_check_stored_arrays", None)
    if check is not None:
        _refused(node, members, check)


def _refused(node: Node, members: Members, check: Callable[[Mapping[str, Any]], None]) -> None:
    """Apply a check of :mod:`featrec.model_files`, and name the object in the error."""
    try:
        check(StoredAttributes(node, members))
    except ValueError as error:
        refuse(node, str(error))


def _check_pyramid(node: Node, kind: Any, stored: StoredAttributes) -> None:
    """Check the numbers of regions, of cells, and of values that are pooled in them, without building the pyramid."""
    regions, cells = kind._most_regions(stored)
    if regions * cells > MOST_MEMBERSHIPS:
        over(node, "levels", stored["levels"], MOST_MEMBERSHIPS)
    if "encoder_" not in stored:
        return
    encoder = stored.fields["encoder_"]
    for k, d in _vocabulary_shapes(encoder, stored.members):
        own = featrec_class(encoder)
        width = k if own is None else own._most_pooled(k, d)
        for number, what, most in ((regions, "regions", MOST_CODE), (cells, "cells", MOST_POOLED)):
            if number * width > most:
                raise ModelFileError(
                    f"{public_name(node)}: {number} {what} of {k} words, with {width} values each, exceed the limit of "
                    f"{most:,} values for a model file"
                )


def _vocabulary_shapes(encoder: Node, members: Members) -> Iterator[tuple[int, int]]:
    for found in nodes(encoder):
        if is_object(found):
            fields = plain_fields(found)
            for name in WORDS:
                shape = np.shape(plain_value(fields.get(name, NULL), members))
                if shape:
                    yield shape[0], shape[-1]
