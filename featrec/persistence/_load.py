"""Read a model file without executing anything in it."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from featrec.exceptions import ModelFileError, VersionWarning
from featrec.persistence._archive import MAX_BYTES, SCHEMA, plain_zip, unpack
from featrec.persistence._bounds import check_bounds
from featrec.persistence._builder import build, is_known
from featrec.persistence._large_arrays import Content, content_size, place, stand_in
from featrec.persistence._origin import refuse_foreign, version_notice
from featrec.persistence._schema import (
    INTERNALS,
    LOADERS,
    check_attributes,
    check_depth,
    check_keys,
    full_name,
    make_tree,
    nodes,
    private_module,
)
from featrec.persistence._summary import SUMMARY, check_summary

__all__ = ["load"]

# The only accepted skops protocol, because skops reads older protocols less strictly. All supported skops versions write it.
PROTOCOL = 2
LONGEST_REASON = 2000


def load(path: str | os.PathLike, *, trusted: Iterable[str | type] = (), max_bytes: int | None = None) -> Any:
    """Read a model that :func:`save` wrote, without executing anything in the file.

    Names, sizes and the hash are checked before the content is read. Classes are checked before they are imported. Indices in
    trees, neighbour structures and support vectors are checked before anything is built.

    Parameters
    ----------
    path : path
    trusted : iterable of str or type, default=()
        Classes and functions that the model may contain in addition to those of featrec and scikit-learn, such as
        ``"mypackage.MyExtractor"``. Their modules are imported.
    max_bytes : int, optional
        Maximum size of the unpacked file in bytes. By default, the size of the file plus 4 GiB.

    Returns
    -------
    model : estimator

    Raises
    ------
    ModelFileError
        If the file is damaged or edited, is not a model file (such as a pickle, which executes code when it is loaded), or
        names classes that are not trusted.

    Warns
    -----
    VersionWarning
        If the model was written with a different minor version of featrec or scikit-learn, or a different major version of
        OpenCV.

    Notes
    -----
    The hash detects damage, but not an attack: an attacker can write a matching hash. To protect against attacks, only known
    classes are built, and only from arrays that fit together.
    """
    place = os.fspath(path)
    names = [item if isinstance(item, str) else f"{item.__module__}.{item.__name__}" for item in trusted]
    try:
        if os.path.isdir(path):
            raise ModelFileError("a folder; a model is a single file, written by featrec.persistence.save or 'featrec train'")
        size = Path(path).stat().st_size
        limit = size + MAX_BYTES if max_bytes is None else max_bytes
        if size > limit:
            raise ModelFileError(f"larger than the limit of {limit:,} bytes; use load(path, max_bytes=...) to raise it")
        with open(path, "rb") as file:
            refuse_foreign(file, os.fsdecode(place))
            facts, members = unpack(file, limit)
        notice = version_notice(facts["versions"])
        model = _rebuild(members, names, limit, notice)
    except ModelFileError as error:
        raise ModelFileError(f"{place!r}: {_printable(str(error))}") from error.__cause__
    if notice:
        warnings.warn(f"{place!r}: {notice}", VersionWarning, stacklevel=2)
    return model


def _printable(text: str) -> str:
    """Shorten a text and replace control characters, because names in a file may contain them."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:LONGEST_REASON])


def _rebuild(members: dict[str, Content], trusted: list[str], max_bytes: int, notice: str) -> Any:
    check_summary(members)
    members.pop(SUMMARY, None)
    schema, names = _read_schema(members, max_bytes)
    check_bounds(schema, members)
    known = is_known(schema, frozenset(names))
    if not known:
        members[SCHEMA] = json.dumps(schema).encode()
        _refuse_untrusted(members, names, trusted)
    _check_attributes(schema)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            model = build(schema, members) if known else _build_by_skops(schema, members, [*names, *INTERNALS, *trusted])
    except Exception as error:
        why = f" It was {notice}" if notice else ""
        raise ModelFileError(f"its parts do not fit together ({error!r}); save the model again.{why}") from error
    if not isinstance(model, BaseEstimator):
        raise ModelFileError(f"it contains a {type(model).__name__}, not an estimator; load reads only models")
    return model


def _build_by_skops(schema: Any, members: dict[str, Content], trusted: list[str]) -> Any:
    """Build the model with small stand-ins for large arrays, then insert the large arrays without copying them."""
    from skops.io import loads

    members[SCHEMA] = json.dumps(schema).encode()
    small = {name: stand_in() for name, content in members.items() if not isinstance(content, bytes)}
    if small:
        arrays = {array.tobytes(): cast(np.ndarray, members[name]) for name, array in small.items()}
        wanted = sum(node.get("file") in small for node in nodes(schema))
        model = loads(plain_zip(members | small), trusted=trusted)
        if place(model, arrays, wanted):
            return model
    archive = plain_zip(members)
    members.clear()
    return loads(archive, trusted=trusted)


def _check_attributes(schema: Any) -> None:
    try:
        check_attributes(schema)
    except ModelFileError:
        raise
    except Exception as error:
        raise ModelFileError(f"it contains objects that save never writes ({error!r}); save the model again") from error


def _read_schema(members: dict[str, Content], max_bytes: int) -> tuple[Any, list[str]]:
    """Return the schema with the names of private modules, and the full names of the featrec classes in it."""
    try:
        schema = json.loads(cast(bytes, members[SCHEMA]))
        check_depth(schema)
        make_tree(schema)
        check_keys(schema)
        names = _translate(schema)
        referred = sum(content_size(members[node["file"]]) for node in nodes(schema) if "file" in node)
    except ModelFileError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelFileError(f"its schema was not written by `save` ({error!r}); save the model again") from error
    if not isinstance(schema, dict) or schema.get("protocol") != PROTOCOL:
        raise ModelFileError(f"its schema does not use skops protocol {PROTOCOL}; save the model with this version of featrec")
    if referred > max_bytes:
        raise ModelFileError(
            f"its arrays need {referred:,} bytes, more than the limit of {max_bytes:,}; load(path, max_bytes=...) can raise it"
        )
    return schema, names


def _translate(schema: Any) -> list[str]:
    names = []
    for node in nodes(schema):
        name = full_name(node)
        loader = node["__loader__"]
        if loader not in LOADERS or loader != INTERNALS.get(name, loader) or (loader, name) == ("NdArrayNode", "numpy.void"):
            raise ModelFileError(
                f"{name} is stored as a {loader}, which save never writes; get the original file from its author"
            )
        if str(node.get("__module__")).split(".")[0] == "featrec":
            node["__module__"] = private_module(node["__module__"], node["__class__"], loader)
            names.append(full_name(node))
    return names


def _refuse_untrusted(members: dict[str, Content], names: list[str], trusted: list[str]) -> None:
    from skops.io import get_untrusted_types

    try:
        found = get_untrusted_types(data=plain_zip(dict.fromkeys(members, b"") | {SCHEMA: members[SCHEMA]}))
    except Exception as error:
        raise ModelFileError(f"its schema was not written by `save` ({error}); save the model again") from error
    unknown = sorted(set(found) - {*names, *INTERNALS, *trusted})
    if unknown:
        raise ModelFileError(
            f"it names classes or functions that are not trusted: {', '.join(unknown)}. If you trust them and the author, "
            f"use load(path, trusted={unknown!r})"
        )
