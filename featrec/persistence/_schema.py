"""skops' schema as plain JSON: a tree of nodes, each with its loader, module and class, walked without building anything."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import numpy as np

from featrec.exceptions import ModelFileError
from featrec.persistence._large_arrays import Content

__all__ = [
    "LOADERS",
    "Members",
    "Node",
    "check_depth",
    "check_range",
    "field_values",
    "full_name",
    "make_tree",
    "nodes",
    "over",
    "plain_fields",
    "plain_value",
    "public_name",
    "refuse",
]

Node = dict[str, Any]
Members = Mapping[str, Content]

MAX_DEPTH = 250

# Left out on purpose: calls of arbitrary methods, partials and operators, and references between nodes.
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
    """Every node of the tree, in the order of the file."""
    stack = [root] if isinstance(root, (dict, list)) else []
    while stack:
        found = stack.pop()
        if isinstance(found, dict):
            if isinstance(found.get("__loader__"), str):
                yield found
            found = list(found.values())
        stack += [child for child in reversed(found) if isinstance(child, (dict, list))]


def make_tree(root: Any) -> None:
    """Forget which nodes are one object, so that no file can be a loop or unfold without end."""
    for node in nodes(root):
        node.pop("__id__", None)


def check_depth(root: Any) -> None:
    """Refuse what would exhaust the stack of whoever walks it by calling himself."""
    level, depth = [root], 0
    while level:
        if depth > MAX_DEPTH:
            raise ModelFileError(f"its objects are nested more than {MAX_DEPTH} deep; no model is")
        inner = [item.values() if isinstance(item, dict) else item for item in level]
        level = [child for items in inner for child in items if isinstance(child, (dict, list))]
        depth += 1


def full_name(node: Node) -> str:
    """Module and class."""
    return f"{node.get('__module__')}.{node.get('__class__')}"


def public_name(node: Node) -> str:
    """``featrec.encoders.BagOfWords``, wherever in the stage the class lives."""
    return ".".join([*str(node.get("__module__")).split(".")[:2], str(node.get("__class__"))])


def plain_fields(node: Node) -> dict[str, Node]:
    """The attributes of an object, still as nodes."""
    content = node.get("content")
    if not isinstance(content, dict) or content.get("__loader__") != "DictNode":
        raise ModelFileError(f"the attributes of {full_name(node)} are no dictionary; save the model again")
    return content["content"]


def plain_value(node: Node, members: Members) -> Any:
    """A node of numbers, strings, arrays, lists and tuples as Python values; any other as the node it is."""
    loader = node["__loader__"]
    if loader == "JsonNode":
        return json.loads(node["content"])
    if loader in ("ListNode", "TupleNode"):
        return [plain_value(item, members) for item in node["content"]]
    if loader == "NdArrayNode" and node["type"] == "numpy":
        content = members[node["file"]]
        array = np.load(io.BytesIO(content), allow_pickle=False) if isinstance(content, bytes) else content
        return array.item() if array.ndim == 0 and array.dtype.kind in "biuf" else array
    if loader == "NdArrayNode":
        return [plain_value(item, members) for item in node["content"]]
    return node


def field_values(node: Node, members: Members, *names: str) -> list[Any]:
    """Attributes of an object as plain values."""
    fields = plain_fields(node)
    return [plain_value(fields[name], members) for name in names]


def check_range(node: Node, indices: np.ndarray, limit: int, what: str) -> None:
    """Refuse what points outside."""
    if indices.size and (indices.min() < 0 or indices.max() >= limit):
        refuse(node, f"{what} is {indices.min()} or {indices.max()}, outside 0 to {limit - 1}")


def over(node: Node, name: str, value: Any, most: float) -> NoReturn:
    """Say which setting of which object asks for too much."""
    raise ModelFileError(f"{public_name(node)}: {name}={value!r:.80} is over the limit of {most:,} for a model file")


def refuse(node: Node, what: str) -> NoReturn:
    """Say which object holds what no fit gives."""
    raise ModelFileError(f"{full_name(node)}: {what}. No fit gives this; the file was edited, get it from its author")
