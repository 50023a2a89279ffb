"""Read a model file, executing nothing that it holds."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from featrec.exceptions import ModelFileError
from featrec.persistence._archive import MAX_BYTES, SCHEMA, plain_zip, unpack
from featrec.persistence._bounds import check_bounds
from featrec.persistence._names import INTERNALS, private_module
from featrec.persistence._schema import LOADERS, full_name, make_tree, nodes
from featrec.persistence._versions import warn_of_versions

__all__ = ["load"]

# Older protocols choose older, less strict readers, and all versions of skops that featrec takes write this one.
PROTOCOL = 2


def load(path: str | os.PathLike, *, trusted: Iterable[str | type] = (), max_bytes: int = MAX_BYTES) -> Any:
    """Read a model that :func:`save` wrote. Nothing in the file is executed.

    Names, sizes and the hash are checked before anything is interpreted, the classes before anything is imported, and
    the indices in trees, neighbour structures and support vectors before anything is built.

    Parameters
    ----------
    path : path
    trusted : iterable of str or type, default=()
        Classes and functions beyond featrec's and scikit-learn's that the model may consist of, such as
        ``"mypackage.MyExtractor"``. Their modules are imported.
    max_bytes : int, default=4 GiB
        The most that the file may unpack to.

    Returns
    -------
    model : estimator

    Raises
    ------
    ModelFileError
        Where the file is damaged, edited, or names what is not trusted; the message has the path, the rule and the way
        out.

    Warns
    -----
    VersionWarning
        Where another minor version of featrec or scikit-learn, or another major one of OpenCV, wrote the model.

    Notes
    -----
    The hash protects from damage, not from an author: who can edit a file can also write a hash that suits it. What
    protects from an author is that only known classes are built, and only from arrays that fit together.
    """
    place = os.fspath(path)
    names = [item if isinstance(item, str) else f"{item.__module__}.{item.__name__}" for item in trusted]
    try:
        if Path(path).stat().st_size > max_bytes:
            raise ModelFileError(f"larger than the limit of {max_bytes:,} bytes; load(path, max_bytes=...) raises it")
        facts, members = unpack(Path(path).read_bytes(), max_bytes)
        model = _rebuild(members, names, max_bytes)
    except ModelFileError as error:
        raise ModelFileError(f"{place!r}: {error}") from error.__cause__
    warn_of_versions(facts["versions"], str(place))
    return model


def _rebuild(members: dict[str, bytes], trusted: list[str], max_bytes: int) -> Any:
    schema, names = _read_schema(members, max_bytes)
    check_bounds(schema, members)
    members[SCHEMA] = json.dumps(schema).encode()
    _refuse_untrusted(members, names, trusted)
    from skops.io import loads

    archive = plain_zip(members)
    members.clear()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            model = loads(archive, trusted=[*names, *INTERNALS, *trusted])
    except Exception as error:
        raise ModelFileError(f"its parts do not fit together ({error}); save the model again") from error
    if not isinstance(model, BaseEstimator):
        raise ModelFileError(f"it holds a {type(model).__name__}, no estimator; only models are loaded")
    return model


def _read_schema(members: dict[str, bytes], max_bytes: int) -> tuple[Any, list[str]]:
    """The schema as a tree with the names that lead to the classes, and those of featrec's classes among them."""
    try:
        schema = json.loads(members[SCHEMA])
        make_tree(schema)
        names = _translate(schema)
        referred = sum(len(members[node["file"]]) for node in nodes(schema) if "file" in node)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelFileError(f"its schema is none that save writes ({error!r}); save the model again") from error
    if not isinstance(schema, dict) or schema.get("protocol") != PROTOCOL:
        raise ModelFileError(f"its schema is not of skops' protocol {PROTOCOL}; save the model with this version")
    if referred > max_bytes:
        raise ModelFileError(
            f"its arrays unfold to {referred:,} bytes, over the limit of {max_bytes:,}; max_bytes=... raises it"
        )
    return schema, names


def _translate(schema: Any) -> list[str]:
    names = []
    for node in nodes(schema):
        name = full_name(node)
        if node["__loader__"] not in LOADERS or node["__loader__"] != INTERNALS.get(name, node["__loader__"]):
            raise ModelFileError(
                f"{name} is stored as a {node['__loader__']}, which save does not write; get it from its author"
            )
        if str(node.get("__module__")).split(".")[0] == "featrec":
            if node["__loader__"] not in ("ObjectNode", "FunctionNode"):
                raise ModelFileError(f"{name} is stored as a {node['__loader__']}, which save does not write")
            node["__module__"] = private_module(node["__module__"], node["__class__"])
            names.append(full_name(node))
    return names


def _refuse_untrusted(members: dict[str, bytes], names: list[str], trusted: list[str]) -> None:
    """The classes are asked for without the arrays."""
    from skops.io import get_untrusted_types

    try:
        found = get_untrusted_types(data=plain_zip(dict.fromkeys(members, b"") | {SCHEMA: members[SCHEMA]}))
    except Exception as error:
        raise ModelFileError(f"its schema is none that save writes ({error}); save the model again") from error
    unknown = sorted(set(found) - {*names, *INTERNALS, *trusted})
    if unknown:
        raise ModelFileError(
            f"it names what is not trusted: {', '.join(unknown)}. If you know where the file comes from and what these do, "
            f"load(path, trusted={unknown!r})"
        )
