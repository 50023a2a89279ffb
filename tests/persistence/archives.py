"""Unpack, edit and pack model files as bytes, with a matching hash, as an attacker could do."""

import io
import json

import numpy as np
import pytest

from featrec.exceptions import ModelFileError
from featrec.persistence import load, save
from featrec.persistence._archive import pack, unpack
from featrec.persistence._schema import full_name, nodes
from tests.data.make_model_fixtures import FOLDER, PREFIX


def packed(facts, members):
    file = io.BytesIO()
    pack(file, facts, members)
    return file.getvalue()


def unpacked(data):
    """Return the facts of the header, and the members."""
    return unpack(io.BytesIO(data))


def original(kind):
    """Return a stored model file."""
    return (FOLDER / f"{PREFIX}_{kind}.featrec").read_bytes()


def saved(model):
    """Save a model as "model.featrec" in the current folder, and return the bytes of the file."""
    save(model, "model.featrec")
    with open("model.featrec", "rb") as file:
        return file.read()


def edited(data, edit):
    """Return the bytes after calling `edit(schema, members)`."""
    facts, members = unpacked(data)
    schema = json.loads(members["schema.json"])
    edit(schema, members)
    return packed(facts, {**members, "schema.json": json.dumps(schema).encode()})


def with_array(model, attribute, change):
    """Return the bytes of a model file in which the array of one attribute is changed."""
    return edited(saved(model), lambda schema, members: change_array(members, schema["content"]["content"][attribute], change))


def refused(data, match, **options):
    """Check that load refuses the bytes, and that the error begins with the path."""
    with open("attack.featrec", "wb") as file:
        file.write(data)
    with pytest.raises(ModelFileError, match=match) as caught:
        load("attack.featrec", **options)
    assert str(caught.value).startswith("'attack.featrec': ")


def find(schema, name):
    return next(node for node in nodes(schema) if full_name(node) == name)


def fields(schema, name):
    return find(schema, name)["content"]["content"]


def named(module, name, loader="FunctionNode", **more):
    """Return the node of a class, a function or a container."""
    return {"__class__": name, "__module__": module, "__loader__": loader, **more}


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
