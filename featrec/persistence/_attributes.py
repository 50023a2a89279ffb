"""The attributes of stored objects: none hides a method, none that this version needs is missing."""

from __future__ import annotations

import importlib
import inspect
import json
from functools import lru_cache
from typing import Any

from featrec.exceptions import ModelFileError
from featrec.persistence._schema import Node, nodes, public_name, refuse

__all__ = ["check_attributes", "check_keys"]

KEY_TYPES = frozenset({"bool", "bool_", "float", "float64", "int", "int64", "str", "str_"})


def check_keys(root: Any) -> None:
    """Each key of a dictionary has a plain type; skops calls whatever stands in the types' place."""
    for node in nodes(root):
        if node["__loader__"] == "DictNode":
            types = node["key_types"]["content"]
            named = all(found["__loader__"] == "TypeNode" and _is_plain(found) for found in types)
            if len(types) != len(node["content"]) or not named:
                raise ModelFileError("the keys of a dictionary have no plain types, which save does not write")


def check_attributes(root: Any) -> None:
    """Refuse objects whose attributes take the place of their methods, and give new parameters their defaults.

    All classes are trusted by now, and are imported here.
    """
    for node in nodes(root):
        if node["__loader__"] == "ObjectNode" and node.get("content", {}).get("__loader__") == "DictNode":
            kind = getattr(importlib.import_module(node["__module__"]), node["__class__"])
            _refuse_hidden_methods(node, kind)
            if node["__module__"].split(".")[0] == "featrec":
                _add_missing_parameters(node, kind)


def _is_plain(node: Node) -> bool:
    return node.get("__module__") in ("builtins", "numpy") and node.get("__class__") in KEY_TYPES


def _refuse_hidden_methods(node: Node, kind: type) -> None:
    for name in node["content"]["content"]:
        if _is_method(kind, name):
            refuse(node, f"its attribute {name!r} takes the place of what the class does")


@lru_cache(maxsize=1000)  # a forest asks the same of each of its trees
def _is_method(kind: type, name: str) -> bool:
    """Whether an attribute of that name would take the place of what the class does."""
    if name == "_parameter_constraints" or (name.startswith("__") and name.endswith("__")):
        return True
    found = inspect.getattr_static(kind, name, None)
    return callable(found) or isinstance(found, (classmethod, staticmethod))


def _add_missing_parameters(node: Node, kind: type) -> None:
    """A parameter that came after the version that wrote the file has the default with which it came."""
    fields, types = node["content"]["content"], node["content"]["key_types"]["content"]
    for name, parameter in inspect.signature(kind).parameters.items():
        if name in fields or parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            continue
        if parameter.default is parameter.empty:
            raise ModelFileError(f"{public_name(node)} lacks its parameter {name}; save the model again")
        fields[name] = _plain_node(parameter.default)
        types.append({"__loader__": "TypeNode", "__module__": "builtins", "__class__": "str"})


def _plain_node(value: Any) -> Node:
    if isinstance(value, tuple):
        items = [_plain_node(item) for item in value]
        return {"__loader__": "TupleNode", "__module__": "builtins", "__class__": "tuple", "content": items}
    content = json.dumps(value)
    return {"__loader__": "JsonNode", "__module__": "builtins", "__class__": "str", "content": content, "is_json": True}
