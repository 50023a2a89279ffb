"""Fuzz load: a model file gives a model or a ModelFileError within a second; a loaded model must also survive predict.

Run ``python fuzz/fuzz_load.py WORK fuzz/seeds/load -max_total_time=600``; see README.md in this folder.
"""

import io
import json
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["featrec.persistence", "skops"]):
    import skops.io  # noqa: F401  imported here to be instrumented, because load imports it late

    from featrec.exceptions import ModelFileError
    from featrec.persistence import load

import numpy as np

from featrec.persistence._archive import pack, unpack

LONGEST = 1.0
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 6, 6), dtype=np.uint8)
FOLDER = tempfile.TemporaryDirectory()
PATH = Path(FOLDER.name, "model")


def one_input(data: bytes) -> None:
    PATH.write_bytes(data)
    start = time.thread_time()
    try:
        model = load(PATH)
    except ModelFileError:
        model = None
    spent = time.thread_time() - start
    assert spent < LONGEST, f"took {spent:.1f} s"
    assert [path.name for path in Path(FOLDER.name).iterdir()] == ["model"], "wrote a file"
    if model is not None:
        predict(model)


def predict(model) -> None:
    """Predict with the mutated model: any Python error is accepted, but the process must not crash."""
    try:
        model.predict(IMAGES)
    except Exception:
        return


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Usually mutate one member of the archive and recompute the hash, because load reads nothing if the hash is wrong."""
    chance = random.Random(seed)
    try:
        facts, members = unpack(io.BytesIO(data))
    except ModelFileError:
        return atheris.Mutate(data, max_size)
    if chance.random() < 0.1:
        return atheris.Mutate(data, max_size)
    name = chance.choice(sorted(members))
    if name.endswith(".json") and chance.random() < 0.7:
        members[name] = edited(members[name], chance)
    else:
        members[name] = atheris.Mutate(members[name], len(members[name]) + 64)
    packed = io.BytesIO()
    pack(packed, {key: value for key, value in facts.items() if key != "format"}, members)
    return packed.getvalue() if packed.tell() <= max_size else data


def edited(schema: bytes, chance: random.Random) -> bytes:
    """Replace one value of the JSON by another of its values or by an unusual one."""
    try:
        tree = json.loads(schema)
    except ValueError:
        return schema
    places = list(walk(tree))
    if not places:
        return schema
    holder, key = chance.choice(places)
    other, other_key = chance.choice(places)
    strange = [0, -1, 2**31, 2**63, 1e308, "", None, True, [], {}, "a" * 100]
    holder[key] = json.loads(json.dumps(other[other_key])) if chance.random() < 0.6 else chance.choice(strange)
    return json.dumps(tree).encode()


def walk(node):
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in list(pairs):
        yield node, key
        yield from walk(value)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    atheris.Setup(sys.argv, one_input, custom_mutator=mutate)
    atheris.Fuzz()
