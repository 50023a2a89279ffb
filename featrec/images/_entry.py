"""File format of a cached description: plain arrays and a checksum; reading it executes nothing."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import numpy as np

from featrec.bag import Bag

__all__ = ["Description", "pack", "unpack"]

Description = Bag | np.ndarray

MAGIC = b"featrec\x01"
PREAMBLE = struct.Struct("<8sII")  # MAGIC, the checksum of the key and all that follows, the length of the header
CHECKED = 12  # where the header begins
ALIGNMENT = 64
KINDS = ("<f4", "|u1")


def pack(description: Description, key: str) -> list[Any] | None:
    """The parts of the file, in order; None if the description could not be restored exactly."""
    if type(description) is Bag:
        arrays = [description.descriptors] + ([] if description.frames is None else [description.frames])
        size = None if description.size is None else [int(length) for length in description.size]
        header: dict[str, Any] = {"metric": description.metric, "size": size}
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
    """Read a description from the bytes of a file; None if :func:`pack` did not write them for this key."""
    if len(file) < PREAMBLE.size:
        return None
    magic, checksum, length = PREAMBLE.unpack(file[: PREAMBLE.size].tobytes())
    if magic != MAGIC or checksum != _checksum(key, [file[CHECKED:]]):
        return None
    try:
        return _rebuilt(json.loads(file[PREAMBLE.size :][:length].tobytes()), file, PREAMBLE.size + length)
    except (KeyError, IndexError, TypeError, ValueError, RecursionError):
        return None  # The checksum is right, so the file was forged; treat it as missing.


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
    return Bag(arrays[0], arrays[1] if len(arrays) > 1 else None, size, header["metric"])


def _padding(length: int) -> bytes:
    return bytes(-length % ALIGNMENT)


def _checksum(key: str, parts: list[Any]) -> int:
    """Checksum that includes the key, so that a file under another name is invalid. CRC-32 runs at several GB/s."""
    total = zlib.crc32(key.encode())
    for part in parts:
        total = zlib.crc32(part, total)
    return total
