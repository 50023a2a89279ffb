"""The schema of a model file: a tree of JSON nodes with the names of classes and their attributes.

skops writes the schema. Each node has a loader, a module and a class. This module reads nodes without building anything.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import io
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NoReturn

import numpy as np

from featrec.exceptions import InputError, ModelFileError
from featrec.persistence._large_arrays import Content

__all__ = [
    "INTERNALS",
    "LOADERS",
    "NULL",
    "Members",
    "Node",
    "check_attributes",
    "check_depth",
    "check_keys",
    "check_range",
    "featrec_class",
    "field_values",
    "full_name",
    "is_object",
    "make_tree",
    "nodes",
    "over",
    "plain_fields",
    "plain_node",
    "plain_value",
    "private_module",
    "public_module",
    "public_name",
    "refuse",
]

Node = dict[str, Any]
Members = Mapping[str, Content]

MAX_DEPTH = 250
KEY_TYPES = frozenset({"bool", "bool_", "float", "float64", "int", "int64", "str", "str_"})
NULL = {"__loader__": "JsonNode", "__module__": "builtins", "__class__": "str", "content": "null", "is_json": True}

# The stages whose public classes and functions a model file may name.
STAGES = ("preprocessing", "descriptors", "networks", "vocabularies", "encoders", "pairwise", "classifiers")

# Classes that have moved: their former stages, which older model files contain, and their new stages.
MOVED = {
    ("featrec.classifiers", "LeNet5"): "featrec.networks",
    ("featrec.classifiers", "SmallResNet"): "featrec.networks",
    ("featrec.descriptors", "CNNFeatures"): "featrec.networks",
}

# Private classes in fitted scikit-learn models, with the only accepted loader of each class.
INTERNALS = {
    "sklearn.calibration._CalibratedClassifier": "ObjectNode",
    "sklearn.calibration._SigmoidCalibration": "ObjectNode",
    "sklearn.calibration._TemperatureScaling": "ObjectNode",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": "ObjectNode",
    "sklearn.metrics._dist_metrics.ChebyshevDistance64": "ObjectNode",
    "sklearn.metrics._dist_metrics.EuclideanDistance64": "ObjectNode",
    "sklearn.metrics._dist_metrics.ManhattanDistance64": "ObjectNode",
    "sklearn.metrics._scorer._PassthroughScorer": "ObjectNode",
    "sklearn.model_selection._split.GroupKFold": "ObjectNode",
    "sklearn.model_selection._split.KFold": "ObjectNode",
    "sklearn.model_selection._split.StratifiedGroupKFold": "ObjectNode",
    "sklearn.model_selection._split.StratifiedKFold": "ObjectNode",
    "sklearn.neighbors._ball_tree.BallTree": "ObjectNode",
    "sklearn.neighbors._kd_tree.KDTree": "ObjectNode",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer": "ObjectNode",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer": "ObjectNode",
    "sklearn.tree._tree.Tree": "TreeNode",
    "sklearn.utils._bunch.Bunch": "DictNode",
    "sklearn.utils._metadata_requests.MetadataRequest": "ObjectNode",
    "sklearn.utils._metadata_requests.MethodMetadataRequest": "ObjectNode",
}

# Accepted loaders. Loaders of method calls, partials, operators and references between nodes are not accepted.
LOADERS = frozenset(
    {
        "BytesNode",
        "ConstructorFromReduceNode",
        "DTypeNode",
        "DefaultDictNode",
        "DictNode",
        "FunctionNode",
        "JsonNode",
        "ListNode",
        "LossNode",
        "MaskedArrayNode",
        "NdArrayNode",
        "ObjectNode",
        "RandomGeneratorNode",
        "RandomStateNode",
        "SetNode",
        "SliceNode",
        "SparseMatrixNode",
        "TreeNode",
        "TupleNode",
        "TypeNode",
    }
)


def nodes(root: Any) -> Iterator[Node]:
    """Yield all nodes of the tree in the order of the file."""
    stack = [root] if isinstance(root, (dict, list)) else []
    while stack:
        found = stack.pop()
        if isinstance(found, dict):
            if isinstance(found.get("__loader__"), str):
                yield found
            found = list(found.values())
        stack += [child for child in reversed(found) if isinstance(child, (dict, list))]


def make_tree(root: Any) -> None:
    """Remove references between nodes. A file with cyclic references would never finish loading."""
    for node in nodes(root):
        node.pop("__id__", None)


def check_depth(root: Any) -> None:
    """Raise an error if nesting is so deep that a recursive function would exceed the recursion limit."""
    level, depth = [root], 0
    while level:
        if depth > MAX_DEPTH:
            raise ModelFileError(f"its objects are nested more than {MAX_DEPTH} levels deep; no model needs so many")
        inner = [item.values() if isinstance(item, dict) else item for item in level]
        level = [child for items in inner for child in items if isinstance(child, (dict, list))]
        depth += 1


def full_name(node: Node) -> str:
    return f"{node.get('__module__')}.{node.get('__class__')}"


def public_name(node: Node) -> str:
    """Return the stage and the class without the private module, such as ``featrec.encoders.BagOfWords``."""
    return ".".join([*str(node.get("__module__")).split(".")[:2], str(node.get("__class__"))])


def is_object(node: Node) -> bool:
    """Return whether the node is an object with attributes."""
    return node["__loader__"] == "ObjectNode" and node.get("content", NULL)["__loader__"] == "DictNode"


def plain_fields(node: Node) -> dict[str, Node]:
    """Return the attributes of an object as nodes."""
    content = node.get("content")
    if not isinstance(content, dict) or content.get("__loader__") != "DictNode":
        raise ModelFileError(f"the attributes of {full_name(node)} are not a dictionary; save the model again")
    return content["content"]


def plain_value(node: Node, members: Members) -> Any:
    """Return numbers, strings, arrays, lists, tuples and dicts as Python values, and any other node unchanged."""
    loader = node["__loader__"]
    if loader == "JsonNode":
        return json.loads(node["content"])
    if loader in ("ListNode", "TupleNode"):
        return [plain_value(item, members) for item in node["content"]]
    if loader == "DictNode":
        return {name: plain_value(item, members) for name, item in node["content"].items()}
    if loader == "NdArrayNode" and node["type"] == "numpy":
        content = members[node["file"]]
        array = np.load(io.BytesIO(content), allow_pickle=False) if isinstance(content, bytes) else content
        return array.item() if array.ndim == 0 and array.dtype.kind in "biuf" else array
    if loader == "NdArrayNode":
        return [plain_value(item, members) for item in node["content"]]
    return node


def field_values(node: Node, members: Members, *names: str) -> list[Any]:
    """Return attributes of an object as plain values."""
    fields = plain_fields(node)
    return [plain_value(fields[name], members) for name in names]


def check_range(node: Node, indices: np.ndarray, limit: int, what: str) -> None:
    """Raise an error for indices outside 0 to `limit` - 1."""
    if indices.size and (indices.min() < 0 or indices.max() >= limit):
        refuse(node, f"{what} ranges from {indices.min()} to {indices.max()}, but must be from 0 to {limit - 1}")


def over(node: Node, name: str, value: Any, most: float) -> NoReturn:
    """Raise the error for a setting that exceeds its limit."""
    raise ModelFileError(f"{public_name(node)}: {name}={value!r:.80} is above the limit of {most:,} for a model file")


def refuse(node: Node, what: str) -> NoReturn:
    """Raise the error for an object whose content cannot result from fitting."""
    raise ModelFileError(
        f"{full_name(node)}: {what}. No fitted model contains this, so the file was edited; get the original from its author"
    )


def public_module(module: str, name: str) -> str:
    """Return the public module of a class, such as ``featrec.encoders`` for ``featrec.encoders._residuals`` and ``VLAD``."""
    stage = _stage(module)
    found = None if stage is None else _exported(stage, name)
    if found is None or found.__module__ != module:
        raise InputError(
            f"{module}.{name} is not a public class, so a model file cannot contain it; use public classes of the stages "
            f"{', '.join(STAGES)}"
        )
    return f"featrec.{stage}"


def private_module(module: str, name: str, loader: str) -> str:
    """Return the private module of the class or function with a public name."""
    module = MOVED.get((module, name), module)
    stage = _stage(module)
    found = None if stage is None or module != f"featrec.{stage}" else _exported(stage, name)
    if found is None:
        raise ModelFileError(
            f"it names {module}.{name}, which this version of featrec does not export; "
            "install the version named in the file's header"
        )
    if loader != ("ObjectNode" if inspect.isclass(found) else "FunctionNode"):
        raise ModelFileError(f"{module}.{name} is stored as a {loader}, which save never writes")
    return found.__module__


def featrec_class(node: Node) -> Any:
    """Return the public featrec class that a node names, or None for any other node."""
    module, name = str(node.get("__module__")), str(node.get("__class__"))
    stage = _stage(MOVED.get((module, name), module))
    found = None if stage is None or node["__loader__"] != "ObjectNode" else _exported(stage, name)
    return found if inspect.isclass(found) else None


def _stage(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "featrec" and parts[1] in STAGES else None


def _exported(stage: str, name: str) -> Any:
    """Return the public class or function with this name, or None. Only the module that defines it is imported."""
    if importlib.util.find_spec(f"featrec.{stage}") is None:
        return None
    module = importlib.import_module(f"featrec.{stage}")
    return getattr(module, name) if name in module.__all__ else None


def check_keys(root: Any) -> None:
    """Raise an error for dictionary keys that are not plain, because skops would call the types of such keys."""
    for node in nodes(root):
        if node["__loader__"] == "DictNode":
            types = node["key_types"]["content"]
            named = all(found["__loader__"] == "TypeNode" and _is_plain(found) for found in types)
            if len(types) != len(node["content"]) or not named:
                raise ModelFileError("save never writes dictionaries with such keys; all keys must be plain numbers or strings")


def check_attributes(root: Any) -> None:
    """Raise an error for attributes that hide methods, and add the defaults of parameters that are newer than the file.

    The classes are imported here, so they must have been checked before.
    """
    for node in nodes(root):
        if is_object(node):
            kind = getattr(importlib.import_module(node["__module__"]), node["__class__"])
            _refuse_hidden_methods(node, kind)
            if node["__module__"].split(".")[0] == "featrec":
                _add_missing_parameters(node, kind)


def _is_plain(node: Node) -> bool:
    return node.get("__module__") in ("builtins", "numpy") and node.get("__class__") in KEY_TYPES


def _refuse_hidden_methods(node: Node, kind: type) -> None:
    for name in node["content"]["content"]:
        if _is_method(kind, name):
            refuse(node, f"its attribute {name!r} hides a method of the class")


@lru_cache(maxsize=1000)  # all trees of a forest have the same attributes
def _is_method(kind: type, name: str) -> bool:
    if name == "_parameter_constraints" or (name.startswith("__") and name.endswith("__")):
        return True
    found = inspect.getattr_static(kind, name, None)
    return callable(found) or isinstance(found, (classmethod, staticmethod))


def _add_missing_parameters(node: Node, kind: type) -> None:
    fields, types = node["content"]["content"], node["content"]["key_types"]["content"]
    for name, parameter in inspect.signature(kind).parameters.items():
        if name in fields or parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            continue
        if parameter.default is parameter.empty:
            raise ModelFileError(f"{public_name(node)} lacks its parameter {name}; save the model again")
        fields[name] = plain_node(parameter.default)
        types.append({"__loader__": "TypeNode", "__module__": "builtins", "__class__": "str"})


def plain_node(value: Any) -> Node:
    """Return the node of a number, a string, None, or a tuple of these."""
    if isinstance(value, tuple):
        items = [plain_node(item) for item in value]
        return {"__loader__": "TupleNode", "__module__": "builtins", "__class__": "tuple", "content": items}
    return {**NULL, "content": json.dumps(value)}
