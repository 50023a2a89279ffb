"""Read a model file, executing nothing that it holds."""

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
from featrec.persistence._attributes import check_attributes, check_keys
from featrec.persistence._bounds import check_bounds
from featrec.persistence._builder import build, is_known
from featrec.persistence._foreign import refuse_foreign
from featrec.persistence._large_arrays import Content, content_size, place, stand_in
from featrec.persistence._names import INTERNALS, private_module
from featrec.persistence._schema import LOADERS, check_depth, full_name, make_tree, nodes
from featrec.persistence._versions import version_notice

__all__ = ["load"]

# Older protocols choose older, less strict readers, and all versions of skops that featrec takes write this one.
PROTOCOL = 2
LONGEST_REASON = 2000


def load(path: str | os.PathLike, *, trusted: Iterable[str | type] = (), max_bytes: int | None = None) -> Any:
    """Read a model that :func:`save` wrote. Nothing in the file is executed.

    Names, sizes and the hash are checked before anything is interpreted, the classes before anything is imported, and
    the indices in trees, neighbour structures and support vectors before anything is built.

    Parameters
    ----------
    path : path
    trusted : iterable of str or type, default=()
        Classes and functions beyond featrec's and scikit-learn's that the model may consist of, such as
        ``"mypackage.MyExtractor"``. Their modules are imported.
    max_bytes : int, optional
        The most that the file may unpack to; 4 GiB more than it has, if nothing is said.

    Returns
    -------
    model : estimator

    Raises
    ------
    ModelFileError
        Where the file is damaged, edited, something else (a pickle, which executes code when it is loaded), or names what is
        not trusted; the message has the path, the rule and the way out.

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
        if os.path.isdir(path):
            raise ModelFileError("a folder; a model is one file, which featrec.persistence.save or 'featrec train' wrote")
        size = Path(path).stat().st_size
        limit = size + MAX_BYTES if max_bytes is None else max_bytes
        if size > limit:
            raise ModelFileError(f"larger than the limit of {limit:,} bytes; load(path, max_bytes=...) raises it")
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
    """Names in a file may be of any length, and made to move a terminal's cursor."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:LONGEST_REASON])


def _rebuild(members: dict[str, Content], trusted: list[str], max_bytes: int, notice: str) -> Any:
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
        raise ModelFileError(f"it holds a {type(model).__name__}, no estimator; only models are loaded")
    return model


def _build_by_skops(schema: Any, members: dict[str, Content], trusted: list[str]) -> Any:
    """The model, its large arrays put in afterwards, as they are."""
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
        raise ModelFileError(f"its objects are none that save writes ({error!r}); save the model again") from error


def _read_schema(members: dict[str, Content], max_bytes: int) -> tuple[Any, list[str]]:
    """The schema as a tree with the names that lead to the classes, and those of featrec's classes among them."""
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
        loader = node["__loader__"]
        if loader not in LOADERS or loader != INTERNALS.get(name, loader) or (loader, name) == ("NdArrayNode", "numpy.void"):
            raise ModelFileError(f"{name} is stored as a {loader}, which save does not write; get it from its author")
        if str(node.get("__module__")).split(".")[0] == "featrec":
            node["__module__"] = private_module(node["__module__"], node["__class__"], loader)
            names.append(full_name(node))
    return names


def _refuse_untrusted(members: dict[str, Content], names: list[str], trusted: list[str]) -> None:
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
