"""Write and read large arrays in pieces and without skops, which would copy them."""

from __future__ import annotations

import copy
import io
import secrets
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from featrec.exceptions import InputError

__all__ = [
    "TOKEN_BYTES",
    "Content",
    "content_size",
    "estimators_in",
    "is_large",
    "place",
    "read_content",
    "shrinks",
    "stand_in",
    "with_stand_ins",
    "write_content",
    "write_member",
]

Content = bytes | np.ndarray

LARGE = 2**26  # bytes
KINDS = "biuf"
TOKEN_BYTES = 32
# An array is deflated if its samples (N_PIECES of PIECE bytes each) shrink to less than this fraction of their size.
N_PIECES, PIECE, WORTH_IT = 16, 2**16, 0.5
# Upper limit of the length of NumPy's header for a plain array.
LONGEST_HEADER = 1024


def is_large(value: Any) -> bool:
    """Return whether the value is a numeric array that is stored without skops."""
    return type(value) is np.ndarray and value.dtype.kind in KINDS and value.nbytes >= LARGE


def content_size(content: Content) -> int:
    """Return the number of bytes that :func:`write_content` writes."""
    if isinstance(content, bytes):
        return len(content)
    return len(_header(np.lib.format.header_data_from_array_1_0(content))) + content.nbytes


def write_content(file: Any, content: Content) -> None:
    """Write bytes unchanged, and write an array in the format of numpy.save."""
    if isinstance(content, bytes):
        file.write(content)
    else:
        np.lib.format.write_array(file, content, allow_pickle=False)


def shrinks(content: Content) -> bool:
    """Return whether to deflate the content.

    Bytes are always deflated. Arrays are deflated if a sample shrinks, as for histograms but not for dense codes.
    """
    if isinstance(content, bytes):
        return True
    if not content.flags.forc:  # ravel would copy the array
        return False
    flat = content.ravel(order="K")
    pieces = np.array_split(flat, N_PIECES)
    heads = [piece[: max(1, PIECE // flat.itemsize)].tobytes() for piece in pieces]
    return sum(len(zlib.compress(head, 1)) for head in heads) < WORTH_IT * sum(map(len, heads))


def read_content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Content:
    """Read a member. Return an array if :func:`write_content` wrote it from a large array, otherwise bytes."""
    if entry.filename.endswith(".npy") and entry.file_size >= LARGE:
        with archive.open(entry) as file:
            plain = _is_plain(file.read(LONGEST_HEADER), entry.file_size)
        if plain:
            with archive.open(entry) as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
                file.read()  # zipfile verifies the checksum at the end of the member
            return array
    return archive.read(entry)


def _is_plain(start: bytes, size: int) -> bool:
    """Return whether a member is a numeric array: NumPy's header, followed by exactly the values that it describes."""
    read = np.lib.format.read_array_header_1_0
    try:
        stream = io.BytesIO(start)
        if np.lib.format.read_magic(stream) != (1, 0):
            return False
        shape, fortran_order, dtype = read(stream)
    except ValueError:
        return False
    header = _header({"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": fortran_order, "shape": shape})
    held = dtype.itemsize
    for length in shape:
        held *= length
    return dtype.kind in KINDS and start.startswith(header) and held == size - len(header)


def _header(facts: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, facts)
    return stream.getvalue()


def stand_in() -> np.ndarray:
    """Return a small unique array that replaces a large array."""
    return np.frombuffer(secrets.token_bytes(TOKEN_BYTES), np.uint8).copy()


def with_stand_ins(model: Any) -> tuple[Any, dict[bytes, np.ndarray]]:
    """Copy the model with a stand-in for each large array. Also return a dict from the bytes of stand-ins to large arrays.

    Attributes that model files contain in another form (``_stored_attributes``) are replaced in the copy. If nothing is
    replaced, or if a model with large arrays cannot be copied, return the model itself and an empty dict.
    """
    large = {id(value): value for _, _, value in _held(model) if is_large(value)}
    small: dict[int, Any] = {key: stand_in() for key in large}
    replaced = any(_stored_attributes(estimator) for estimator in estimators_in(model))
    if not large and not replaced:
        return model, {}
    try:
        copied = copy.deepcopy(model, dict(small))
    except Exception as error:
        if replaced:
            raise InputError(f"{type(model).__name__} cannot be saved, because it cannot be copied ({error})") from error
        return model, {}
    for estimator in estimators_in(copied):
        vars(estimator).update(_stored_attributes(estimator))
    return copied, {small[key].tobytes(): value for key, value in large.items()}


def _stored_attributes(estimator: BaseEstimator) -> dict[str, Any]:
    """Return the attributes that a model file contains in another form; see :mod:`featrec.model_files`."""
    declared = getattr(estimator, "_stored_attributes", dict)
    return declared()


def place(model: Any, arrays: Mapping[bytes, np.ndarray], wanted: int) -> bool:
    """Replace stand-ins with their arrays. If there are not exactly `wanted` stand-ins, change nothing and return False."""
    found = [(items, key, value.tobytes()) for items, key, value in _held(model) if _is_stand_in(value, arrays)]
    if len(found) != wanted or any(isinstance(items, tuple) for items, _, _ in found):
        return False
    placed = set()
    for items, key, token in found:
        items[key] = arrays[token].copy(order="K") if token in placed else arrays[token]
        placed.add(token)
    return True


def _is_stand_in(value: Any, arrays: Mapping[bytes, np.ndarray]) -> bool:
    return type(value) is np.ndarray and value.shape == (TOKEN_BYTES,) and value.tobytes() in arrays


def _held(root: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Yield each value in attributes, dicts, lists and tuples, with its container and key. Visit each container once."""
    stack, seen = [root], {id(root)}
    while stack:
        holder = stack.pop()
        items = holder if isinstance(holder, (dict, list, tuple)) else vars(holder)
        for key, value in list(items.items()) if isinstance(items, dict) else enumerate(items):
            yield items, key, value
            if isinstance(value, (dict, list, tuple, BaseEstimator)) and id(value) not in seen:
                seen.add(id(value))
                stack.append(value)


def estimators_in(model: Any) -> list[BaseEstimator]:
    """Return the model and all estimators inside it."""
    held = (value for _, _, value in _held(model))
    return [model, *(value for value in held if isinstance(value, BaseEstimator))]


def write_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, content: Content) -> None:
    """Add a member in pieces. zipfile needs the size in advance, because the size determines the format."""
    entry.file_size = content_size(content)
    with archive.open(entry, "w") as file:
        write_content(file, content)
