"""Keep arrays beside a model in its file, such as a summary of the training set. The model itself does not change.

The arrays are one member of the archive: an uncompressed zip file of arrays in NumPy's format. Older versions of featrec ignore
this member.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from featrec.exceptions import InputError, ModelFileError
from featrec.persistence._archive import MAX_BYTES, plain_zip, unpack
from featrec.persistence._large_arrays import Content
from featrec.persistence._origin import refuse_foreign

__all__ = ["SUMMARY", "check_summary", "load_summary", "packed_summary"]

SUMMARY = "summary.npz"
MOST_ARRAYS = 8
MOST_BYTES = 2**24
KINDS = "fiu"


def packed_summary(summary: Any) -> bytes:
    """Return the member that keeps the arrays of a summary.

    Parameters
    ----------
    summary : object with ``to_arrays()``
    """
    if not hasattr(summary, "to_arrays"):
        raise InputError(
            f"summary must be a TrainingSummary, as made by TrainingSummary.of(model, images); got {type(summary).__name__}"
        )
    arrays = summary.to_arrays()
    try:
        content = plain_zip({f"{name}.npy": _array_bytes(array) for name, array in sorted(arrays.items())})
        _arrays_in(content)
    except ValueError as error:
        raise InputError(f"the summary cannot be kept in a model file: {error}") from error
    return content


def _array_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def load_summary(path: str | os.PathLike, *, max_bytes: int | None = None) -> dict[str, np.ndarray] | None:
    """Read the arrays that were saved beside a model, without building the model.

    Most programs call :meth:`featrec.evaluation.TrainingSummary.load`, which also checks what the arrays mean.

    Parameters
    ----------
    path : path
    max_bytes : int, optional
        See :func:`load`.

    Returns
    -------
    arrays : dict of str to array, or None
        None if the file has no summary.

    Raises
    ------
    ModelFileError
        If the file is damaged or edited, or is not a model file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn.svm import LinearSVC
    >>> from featrec.persistence import load_summary, save
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.featrec"
    >>> save(LinearSVC(), path)
    >>> print(load_summary(path))
    None
    """
    place = os.fspath(path)
    try:
        size = Path(path).stat().st_size
        limit = size + MAX_BYTES if max_bytes is None else max_bytes
        with open(path, "rb") as file:
            refuse_foreign(file, os.fsdecode(place))
            _, members = unpack(file, limit)
        return check_summary(members)
    except ModelFileError as error:
        raise ModelFileError(f"{place!r}: {error}") from error.__cause__


def check_summary(members: Mapping[str, Content]) -> dict[str, np.ndarray] | None:
    """Return the arrays of the summary in a file, or None if there is none. Raise an error for what `save` never writes."""
    content = members.get(SUMMARY)
    if content is None:
        return None
    try:
        return _arrays_in(bytes(content))
    except Exception as error:
        raise ModelFileError(f"its member {SUMMARY!r} is not a summary ({error}); save the model again") from error


def _arrays_in(content: bytes) -> dict[str, np.ndarray]:
    if len(content) > MOST_BYTES:
        raise ValueError(f"{len(content):,} bytes, more than the limit of {MOST_BYTES:,}")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if not 0 < len(entries) <= MOST_ARRAYS or len({entry.filename for entry in entries}) < len(entries):
            raise ValueError(f"{len(entries)} arrays; expected 1 to {MOST_ARRAYS}, each once")
        return {_name(entry): _array(entry.filename, archive.read(entry)) for entry in entries}


def _name(entry: zipfile.ZipInfo) -> str:
    name, _, suffix = entry.filename.rpartition(".")
    if suffix != "npy" or not name.isidentifier() or not name.isascii():
        raise ValueError(f"an array named {entry.filename!r:.80}")
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise ValueError(f"{entry.filename!r} is compressed or encrypted")
    return name


def _array(name: str, content: bytes) -> np.ndarray:
    array: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in KINDS or array.ndim > 2:
        raise ValueError(f"{name!r} is not an array of numbers with at most two axes")
    return array
