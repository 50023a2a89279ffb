"""Read a model file and build its objects without executing anything in it.

The models of recipes are built from their schema without skops, because importing skops loads all of scikit-learn. skops builds
all other models.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from featrec.exceptions import ModelFileError, VersionWarning
from featrec.persistence._archive import MAX_BYTES, SCHEMA, plain_zip, unpack
from featrec.persistence._bounds import check_bounds
from featrec.persistence._large_arrays import Content, content_size, place, stand_in
from featrec.persistence._origin import refuse_foreign, version_notice
from featrec.persistence._schema import (
    INTERNALS,
    LOADERS,
    Members,
    Node,
    check_attributes,
    check_depth,
    check_keys,
    full_name,
    make_tree,
    nodes,
    private_module,
)
from featrec.persistence._summary import SUMMARY, check_summary

__all__ = ["build", "is_known", "load"]


SCIKIT_LEARN = frozenset(
    {
        "sklearn.calibration.CalibratedClassifierCV",
        "sklearn.decomposition._pca.PCA",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.frozen._frozen.FrozenEstimator",
        "sklearn.neighbors._classification.KNeighborsClassifier",
        "sklearn.pipeline.FeatureUnion",
        "sklearn.pipeline.Pipeline",
        "sklearn.preprocessing._data.Normalizer",
        "sklearn.preprocessing._data.StandardScaler",
        "sklearn.svm._classes.LinearSVC",
        "sklearn.svm._classes.SVC",
        "sklearn.tree._classes.DecisionTreeClassifier",
    }
)
SCALARS = frozenset({"bool", "float32", "float64", "int32", "int64", "uint8"})
PLAIN = {
    "JsonNode": frozenset({"builtins.str"}),
    "ListNode": frozenset({"builtins.list"}),
    "TupleNode": frozenset({"builtins.tuple"}),
    "DictNode": frozenset({"builtins.dict"}),
    "TypeNode": frozenset({"builtins.str", "builtins.int", "builtins.float", "builtins.bool"}),
    "NdArrayNode": frozenset({"numpy.ndarray", *(f"numpy.{name}" for name in SCALARS)}),
    "TreeNode": frozenset({"sklearn.tree._tree.Tree"}),
}
KEY_TYPES: dict[str, Callable[[str], Any]] = {"str": str, "int": int, "float": float, "bool": bool}


def is_known(schema: Any, own: frozenset[str]) -> bool:
    """Return whether :func:`build` supports every node of the schema. `own` contains the names of its featrec classes."""
    objects = own | SCIKIT_LEARN | {name for name, loader in INTERNALS.items() if loader == "ObjectNode"}
    allowed = {**PLAIN, "ObjectNode": objects}
    return all(full_name(node) in allowed.get(node["__loader__"], ()) for node in nodes(schema))


def build(schema: Any, members: Members) -> Any:
    """Build a model. Its names, attributes and bounds must have been checked."""
    return _Builder(members).value(schema)


class _Builder:
    """Builds the value of each node as skops does. A large array is copied, except at its first use."""

    def __init__(self, members: Members):
        self.members = members
        self.placed: set[str] = set()

    def value(self, node: Node) -> Any:
        found: Any = getattr(self, _METHODS[node["__loader__"]])(node)
        return found

    def _json(self, node: Node) -> Any:
        return json.loads(node["content"])

    def _list(self, node: Node) -> Any:
        return [self.value(item) for item in node["content"]]

    def _tuple(self, node: Node) -> Any:
        return tuple(self.value(item) for item in node["content"])

    def _dict(self, node: Node) -> Any:
        kinds = [KEY_TYPES[kind["__class__"]] for kind in node["key_types"]["content"]]
        return {kind(key): self.value(item) for kind, (key, item) in zip(kinds, node["content"].items(), strict=True)}

    def _type(self, node: Node) -> Any:
        return KEY_TYPES[node["__class__"]]

    def _array(self, node: Node) -> Any:
        if node["type"] == "json":
            return self._objects(node)
        array = self._numbers(node["file"])
        return array if node["__class__"] == "ndarray" else getattr(np, node["__class__"])(array)

    def _numbers(self, name: str) -> np.ndarray:
        content = self.members[name]
        if isinstance(content, bytes):
            array: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
            return array
        first = name not in self.placed
        self.placed.add(name)
        return content if first else content.copy(order="K")

    def _objects(self, node: Node) -> np.ndarray:
        shape, items = self.value(node["shape"]), [self.value(item) for item in node["content"]]
        if len(shape) != 1:
            return np.array(items, dtype=object)
        array = np.empty(len(items), dtype=object)
        for row, item in enumerate(items):  # array[:] = items would convert lists of equal length to rows
            array[row] = item
        return array

    def _object(self, node: Node) -> Any:
        kind = _imported(node)
        return self._with_state(kind.__new__(kind), node)

    def _tree(self, node: Node) -> Any:
        return self._with_state(_imported(node)(*self.value(node["__reduce__"]["args"])), node)

    def _with_state(self, made: Any, node: Node) -> Any:
        state = self.value(node["content"]) if node.get("content") is not None else None
        if state is not None:
            if hasattr(made, "__setstate__"):
                made.__setstate__(state)
            else:
                made.__dict__.update(state)
        return made


def _imported(node: Node) -> Any:
    return getattr(importlib.import_module(node["__module__"]), node["__class__"])


_METHODS = {
    "JsonNode": "_json",
    "ListNode": "_list",
    "TupleNode": "_tuple",
    "DictNode": "_dict",
    "TypeNode": "_type",
    "NdArrayNode": "_array",
    "ObjectNode": "_object",
    "TreeNode": "_tree",
}


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
