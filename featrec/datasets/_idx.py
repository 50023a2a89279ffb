"""The IDX format of MNIST and similar datasets: a header of big-endian integers, then bytes."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from featrec.exceptions import DatasetError

__all__ = ["read_idx"]

UNSIGNED_BYTES = 8


def read_idx(path: Path, n_axes: int) -> np.ndarray:
    """Read a gzipped IDX file of unsigned bytes.

    Parameters
    ----------
    path : Path
    n_axes : int
        Required number of axes: 1 for labels, 3 for images.

    Returns
    -------
    array of uint8
    """
    try:
        with gzip.open(path) as file:
            content = bytearray(file.read())
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, f"it cannot be unpacked ({error})") from error
    magic = bytes([0, 0, UNSIGNED_BYTES, n_axes])
    if content[:4] != magic:
        raise _damaged(
            path, f"it starts with {content[:4].hex(' ')}; unsigned bytes of {n_axes} axes start with {magic.hex(' ')}"
        )
    start = 4 + 4 * n_axes
    if len(content) < start:
        raise _damaged(path, f"its header is truncated: {len(content)} of {start} bytes")
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", n_axes, 4))
    if len(content) - start != math.prod(shape):
        raise _damaged(path, f"its header declares {math.prod(shape):,} values {shape}, but {len(content) - start:,} follow")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _damaged(path: Path, what: str) -> DatasetError:
    return DatasetError(f"{os.fspath(path)!r} is not a valid IDX file: {what}. Copy or download it again.")
