"""Cache entries: the file format in which a description is stored, and the digests that form its key.

A file contains plain arrays and a checksum; no code is executed when it is read. Equal values have the same digest in every
process.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import types
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from featrec.bag import Bag
from featrec.exceptions import InputError

__all__ = ["Description", "content_digest", "estimator_state", "pack", "public_name", "unpack"]

Description = Bag | np.ndarray

MAGIC = b"featrec\x01"
# Start of a file: MAGIC, the checksum, and the length of the header.
PREAMBLE = struct.Struct("<8sII")
# Position of the first byte that is included in the checksum.
CHECKED = 12
ALIGNMENT = 64
KINDS = ("<f4", "|u1")

# The code of these libraries is not hashed, because every key contains their versions. Other classes are hashed by their code.
LIBRARIES = {"builtins", "abc", "typing", "featrec", "sklearn", "numpy", "cv2", "PIL"}
PLAIN = (type(None), bool, int, float, complex, str, bytes, tuple, list, dict, set, frozenset, np.ndarray, np.generic)


def pack(description: Description, key: str) -> list[Any] | None:
    """Return the parts of the file in order, or None if the description could not be restored exactly."""
    if type(description) is Bag:
        arrays = [description.descriptors] + ([] if description.frames is None else [description.frames])
        size = None if description.size is None else [int(length) for length in description.size]
        header: dict[str, Any] = {"metric": description.metric, "size": size}
        if description.mirrored is not None:
            header["mirrored"] = True
            arrays.append(description.mirrored.view(np.uint8))
    elif isinstance(description, np.ndarray) and description.ndim == 1:
        arrays, header = [description], {}
    else:
        return None
    if any(array.dtype.str not in KINDS for array in arrays):
        return None
    header["arrays"] = [[array.dtype.str, list(array.shape)] for array in arrays]
    text = json.dumps(header).encode()
    parts: list[Any] = [text, _padding(PREAMBLE.size + len(text))]
    for array in arrays:
        parts += [np.ascontiguousarray(array).reshape(-1).view(np.uint8), _padding(array.nbytes)]
    return [PREAMBLE.pack(MAGIC, _checksum(key, [struct.pack("<I", len(text)), *parts]), len(text)), *parts]


def unpack(file: np.ndarray, key: str) -> Description | None:
    """Read a description from the bytes of a file. Return None if :func:`pack` did not write them for this key."""
    if len(file) < PREAMBLE.size:
        return None
    magic, checksum, length = PREAMBLE.unpack(file[: PREAMBLE.size].tobytes())
    if magic != MAGIC or checksum != _checksum(key, [file[CHECKED:]]):
        return None
    try:
        return _rebuilt(json.loads(file[PREAMBLE.size :][:length].tobytes()), file, PREAMBLE.size + length)
    except (KeyError, IndexError, TypeError, ValueError, RecursionError):
        return None  # Damage would change the checksum, so the file was forged; treat it as missing.


def _rebuilt(header: dict[str, Any], file: np.ndarray, end: int) -> Description:
    arrays = []
    for kind, shape in header["arrays"]:
        start = end + len(_padding(end))
        if kind not in KINDS:
            raise ValueError(kind)
        end = start + int(np.prod(shape)) * np.dtype(kind).itemsize
        arrays.append(file[start:end].view(kind).reshape(shape))
    if "metric" not in header:
        return arrays[0]
    size = None if header["size"] is None else tuple(header["size"])
    mirrored = arrays.pop() != 0 if header.get("mirrored") else None
    return Bag(arrays[0], arrays[1] if len(arrays) > 1 else None, size, header["metric"], mirrored)


def _padding(length: int) -> bytes:
    return bytes(-length % ALIGNMENT)


def _checksum(key: str, parts: list[Any]) -> int:
    """Compute a CRC-32 that includes the key, so a renamed file is invalid."""
    total = zlib.crc32(key.encode())
    for part in parts:
        total = zlib.crc32(part, total)
    return total


def content_digest(value: Any) -> str:
    """Compute a digest of a value. Functions and classes are hashed by their code, other objects by their pickled state.

    Raises
    ------
    InputError
        If the value cannot be pickled.
    """
    digest = _Digest()
    digest.add(value)
    return digest.hash.hexdigest()


def estimator_state(estimator: Any) -> dict[str, Any]:
    """Return the parameters and the fitted attributes (names ending with an underscore) of an estimator."""
    parameters = estimator.get_params(deep=False)
    attributes = vars(estimator).copy()  # another thread may add an attribute
    learned = {name: value for name, value in attributes.items() if name.endswith("_") and not name.startswith("_")}
    return parameters | learned


def public_name(kind: type) -> str:
    """Return the name of a class without private modules, such as ``featrec.descriptors.SIFT``."""
    module = kind.__module__
    if module.split(".")[0] == "featrec":
        module = ".".join(part for part in module.split(".") if not part.startswith("_"))
    return f"{module}.{kind.__qualname__}"


class _Digest:
    """A hash of values. Each part is hashed with its tag and length, so different values cannot produce the same bytes."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()
        self.seen: dict[int, tuple[int, Any]] = {}  # keeps objects alive, so their ids are not reused

    def part(self, tag: str, content: Any = b"") -> None:
        content = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
        self.hash.update(f"{tag} {len(content)} ".encode())
        self.hash.update(content)

    def add(self, value: Any) -> None:
        value = value.item() if isinstance(value, np.generic) and not isinstance(value, np.void) else value
        if value is None or isinstance(value, (bool, int, float, complex, str)):
            self.part(type(value).__name__, repr(value))
        elif isinstance(value, bytes):
            self.part("bytes", value)
        elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
            self.part(f"array {value.dtype.str} {value.shape}", np.ascontiguousarray(value).tobytes())
        elif isinstance(value, os.PathLike):
            path = Path(value)
            self.part("path", path.read_bytes() if path.is_file() else os.fspath(path))
        elif isinstance(value, (tuple, list)):
            self.each("sequence", value)
        elif isinstance(value, (set, frozenset)):
            self.each("set", sorted(content_digest(each) for each in value))
        elif isinstance(value, Mapping) and not self.again(value):
            pairs = sorted(((content_digest(key), each) for key, each in value.items()), key=lambda pair: pair[0])
            self.each("mapping", pairs)
        elif not self.again(value):
            self.add_object(value)

    def each(self, tag: str, values: Any) -> None:
        self.part(tag, str(len(values)))
        for value in values:
            self.add(value)

    def again(self, value: Any) -> bool:
        """Return whether this object was added before; functions may call each other, and objects may contain themselves."""
        known = id(value) in self.seen
        self.seen.setdefault(id(value), (len(self.seen), value))
        if known:
            self.part("again", str(self.seen[id(value)][0]))
        return known

    def add_object(self, value: Any) -> None:
        value = getattr(value, "py_func", value)  # a function compiled by numba
        if isinstance(value, types.FunctionType):
            self.add_function(value)
        elif isinstance(value, types.CodeType):
            self.add_code(value)
        elif isinstance(value, type):
            self.add_class(value)
        elif isinstance(value, types.ModuleType):
            self.part("module", value.__name__)
        elif hasattr(value, "get_params"):
            self.each("estimator", (type(value), estimator_state(value)))
        else:
            self.each("object", _reduced(value))

    def add_class(self, kind: type) -> None:
        self.part("class", public_name(kind))
        for base in kind.__mro__:
            if base.__module__.split(".")[0] in LIBRARIES:
                continue
            self.part("defined", public_name(base))
            for name, member in sorted(vars(base).items()):
                member = _unwrapped(member)
                if isinstance(member, types.FunctionType) or (isinstance(member, PLAIN) and not name.startswith("__")):
                    self.part("member", name)
                    self.add(member)

    def add_function(self, function: types.FunctionType) -> None:
        self.part("function", f"{function.__module__}.{function.__qualname__}")
        if str(function.__module__).split(".")[0] in LIBRARIES:
            return
        self.add(function.__code__)
        self.add((function.__defaults__, function.__kwdefaults__))
        self.each("closure", [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)])
        for name in sorted(_names(function.__code__) & function.__globals__.keys()):
            found = function.__globals__[name]
            if isinstance(found, PLAIN) or getattr(found, "__module__", None) == function.__module__:
                self.part("global", name)
                self.add(found)

    def add_code(self, code: types.CodeType) -> None:
        self.part("code", code.co_code)
        self.add((code.co_names, code.co_varnames, code.co_consts))


def _names(code: types.CodeType) -> set[str]:
    """Return all global names that a function and its inner functions use."""
    return set(code.co_names).union(*(_names(each) for each in code.co_consts if isinstance(each, types.CodeType)))


def _unwrapped(member: Any) -> Any:
    if isinstance(member, property):
        return member.fget
    return getattr(member, "__func__", member)


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _reduced(value: Any) -> tuple:
    """Return what a pickle of the object would contain."""
    try:
        reduced = value.__reduce_ex__(4)
    except TypeError as error:
        raise InputError(
            f"cache: a parameter contains a {type(value).__name__}, which cannot be compared ({error}). "
            "Use plain values, arrays, functions or estimators, or cache=None"
        ) from error
    if isinstance(reduced, str):
        return type(value), reduced
    make, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    return make, arguments, state, list(items or ()), list(pairs or ())
