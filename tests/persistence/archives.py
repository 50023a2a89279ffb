"""Unpack, edit and pack model files as bytes, with a matching hash, as an attacker could do."""

import io
import json

import pytest

from featrec.exceptions import ModelFileError
from featrec.persistence import load, save
from featrec.persistence._archive import pack, unpack
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


def reloaded(model, **options):
    """Save a model in the current folder, and load it."""
    save(model, "model.featrec")
    return load("model.featrec", **options)


def edited(source, edit):
    """Return the bytes of a stored model, of an estimator or of a file after calling `edit(schema, members)`."""
    data = original(source) if isinstance(source, str) else source if isinstance(source, bytes) else saved(source)
    facts, members = unpacked(data)
    schema = json.loads(members["schema.json"])
    edit(schema, members)
    return packed(facts, {**members, "schema.json": json.dumps(schema).encode()})


def refused(data, match, **options):
    """Check that load refuses the bytes, and that the error begins with the path."""
    with open("attack.featrec", "wb") as file:
        file.write(data)
    with pytest.raises(ModelFileError, match=match) as caught:
        load("attack.featrec", **options)
    assert str(caught.value).startswith("'attack.featrec': ")
