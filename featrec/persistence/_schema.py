"""skops' schema as plain JSON: a tree of nodes, each with its loader, module and class, walked without building anything."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from featrec.exceptions import ModelFileError

__all__ = ["LOADERS", "Node", "full_name", "make_tree", "nodes", "plain_fields", "plain_value"]

Node = dict[str, Any]

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
    stack = [root]
    while stack:
        found = stack.pop()
        if isinstance(found, dict):
            if isinstance(found.get("__loader__"), str):
                yield found
            stack += reversed(found.values())
        elif isinstance(found, list):
            stack += reversed(found)


def make_tree(root: Any) -> None:
    """Forget which nodes are one object, so that no file can be a loop or unfold without end."""
    for node in nodes(root):
        node.pop("__id__", None)


def full_name(node: Node) -> str:
    """Module and class."""
    return f"{node.get('__module__')}.{node.get('__class__')}"


def plain_fields(node: Node) -> dict[str, Node]:
    """The attributes of an object, still as nodes."""
    content = node.get("content")
    if not isinstance(content, dict) or content.get("__loader__") != "DictNode":
        raise ModelFileError(f"the attributes of {full_name(node)} are no dictionary; save the model again")
    return content["content"]


def plain_value(node: Node, members: Mapping[str, bytes]) -> Any:
    """A node of numbers, strings, arrays, lists and tuples as Python values; any other as the node it is."""
    loader = node["__loader__"]
    if loader == "JsonNode":
        return json.loads(node["content"])
    if loader in ("ListNode", "TupleNode"):
        return [plain_value(item, members) for item in node["content"]]
    if loader == "NdArrayNode" and node["type"] == "numpy":
        return np.load(io.BytesIO(members[node["file"]]), allow_pickle=False)
    if loader == "NdArrayNode":
        return [plain_value(item, members) for item in node["content"]]
    return node
