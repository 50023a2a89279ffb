"""Build the models of recipes from their schema without skops, because importing skops loads all of scikit-learn.

All other models are built by skops.
"""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from featrec.persistence._schema import INTERNALS, Members, Node, full_name, nodes

__all__ = ["build", "is_known"]

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
        for place, item in enumerate(items):  # array[:] = items would convert lists of equal length to rows
            array[place] = item
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
