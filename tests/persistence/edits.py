"""Nodes of a schema, and edits of model files for `edited`."""

import io
import json

import numpy as np

from featrec.persistence._schema import full_name, nodes


def find(schema, name):
    return next(node for node in nodes(schema) if full_name(node) == name)


def fields(schema, owner=None):
    """Return the attributes of an object in the model, or of the model itself."""
    return (find(schema, owner) if owner else schema)["content"]["content"]


def named(module, name, loader="FunctionNode", **more):
    """Return the node of a class, a function or a container."""
    return {"__class__": name, "__module__": module, "__loader__": loader, **more}


def sequence(kind, content):
    return named("builtins", kind, f"{kind.title()}Node", content=content)


def plain(value):
    """Return the node of a number, a string or a list; "raw:..." is JSON text."""
    content = value if isinstance(value, str) and value.startswith("raw:") else json.dumps(value)
    return named("builtins", "str", "JsonNode", content=content.removeprefix("raw:"), is_json=True)


def add(node, name, value):
    """Add an attribute, with the type of its key."""
    node["content"]["content"][name] = value
    node["content"]["key_types"]["content"].append(named("builtins", "str", "TypeNode"))


def change_array(members, node, change):
    """Change the array that a node refers to."""
    buffer = io.BytesIO()
    np.save(buffer, change(np.load(io.BytesIO(members[node["file"]]))))
    members[node["file"]] = buffer.getvalue()


def with_value(name, value, place=0):
    """Return a function that changes one field of one record."""

    def change(table):
        table[name][place] = value
        return table

    return change


def announced(*shape):
    """Return the header of an array of this shape, without the array."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


# Edits of the schema and the members


def node(owner, **changes):
    """Change the node of an object; None is the model."""
    return lambda schema, members: (find(schema, owner) if owner else schema).update(changes)


def setting(attribute, value, owner=None):
    """Replace an attribute by a plain value, or by a node."""
    return lambda schema, members: fields(schema, owner).update({attribute: value if isinstance(value, dict) else plain(value)})


def extra(attribute, value, owner=None):
    """Add an attribute."""
    return lambda schema, members: add(find(schema, owner) if owner else schema, attribute, value)


def array(attribute, change, owner=None):
    """Change an array."""
    return lambda schema, members: change_array(members, fields(schema, owner)[attribute], change)


def member(name, content):
    """Add or replace a member."""
    return lambda schema, members: members.update({name: content})


def both(*edits):
    return lambda schema, members: [edit(schema, members) for edit in edits]
