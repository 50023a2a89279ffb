"""Write and read the zip file of a model: a JSON header, the schema and the arrays."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from featrec.exceptions import InputError, ModelFileError
from featrec.persistence._large_arrays import Content, content_size, read_content, shrinks, write_content, write_member

__all__ = ["MAX_BYTES", "pack", "plain_zip", "unpack"]

FORMAT = 1
HEADER = "featrec.json"
SCHEMA = "schema.json"
MAX_BYTES = 4 * 2**30

# Deflate shrinks data at most 1,032-fold. load refuses large members that shrink more than 200-fold, so save does not
# compress such members.
MAX_RATIO = 200
ALWAYS_SMALL_ENOUGH = 64 * 2**20
MAX_MEMBERS = 100_000
# Maximum length of an axis of an array without elements, because code may use this length as a width and allocate memory for
# it.
MOST_OF_NOTHING = 2**20
# Parsed JSON takes about twenty times as many bytes as its text.
MAX_TEXT = {HEADER: 2**20, SCHEMA: 2**24}
MEMBER_NAME = re.compile(r"[a-z0-9]+(-[0-9]+)?\.(json|npy|npz|bin)")
SAME_DATE = (1980, 1, 1, 0, 0, 0)
# Signature of an entry in the directory of a zip file. The file is searched for it piece by piece.
MARK = b"PK\1\2"
PIECE = 2**24


def pack(file: BinaryIO, facts: dict[str, Any], members: Mapping[str, Content]) -> None:
    """Write a header with the facts and a hash of everything, followed by the members.

    Members are deflated, except large arrays that would hardly shrink. The same content always gives the same bytes, because
    the names are sorted and all dates are equal.
    """
    n_arrays, text = len(members) - 1, content_size(members.get(SCHEMA, b""))
    if n_arrays > MAX_MEMBERS - 2 or text > MAX_TEXT[SCHEMA]:
        raise InputError(
            f"{n_arrays:,} arrays and a description of {text:,} bytes exceed the limits of a model file ("
            f"{MAX_MEMBERS:,} members and {MAX_TEXT[SCHEMA]:,} bytes); use fewer trees or estimators"
        )
    facts = {"format": FORMAT, **facts}
    header = json.dumps({**facts, "sha256": _content_hash(facts, members)}, sort_keys=True, indent=1).encode()
    contents = {HEADER: header, **dict(sorted(members.items()))}
    if not _write_deflated(file, contents):
        file.seek(0)
        file.truncate()
        _write_plain(file, contents)


def plain_zip(members: Mapping[str, Content]) -> bytes:
    """Return an uncompressed zip file of the members."""
    buffer = io.BytesIO()
    _write_plain(buffer, members)
    return buffer.getvalue()


def _write_deflated(file: BinaryIO, contents: Mapping[str, Content]) -> bool:
    """Write deflated members. If they shrink so much that load would refuse the file, stop and return False."""
    spared = 0
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            write_member(archive, _entry(name, zipfile.ZIP_DEFLATED if shrinks(content) else zipfile.ZIP_STORED), content)
            entry = archive.getinfo(name)
            spared += entry.file_size - entry.compress_size
            if _too_dense(entry) or spared > MAX_BYTES:
                return False
    return True


def _write_plain(file: BinaryIO, contents: Mapping[str, Content]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            write_member(archive, _entry(name, zipfile.ZIP_STORED), content)


def unpack(file: BinaryIO, max_bytes: int = MAX_BYTES) -> tuple[dict[str, Any], dict[str, Content]]:
    """Read the header and members of a model file, and check names, sizes, header and hash."""
    try:
        with _open_zip(file) as archive:
            _check_directory(archive.infolist(), max_bytes)
            members = {entry.filename: read_content(archive, entry) for entry in archive.infolist()}
    except ModelFileError:
        raise
    except Exception as error:
        raise ModelFileError(f"damaged, cut off or not a model file ({error}); copy or save it again") from error
    facts = _read_header(members.pop(HEADER))
    if facts.pop("sha256", None) != _content_hash(facts, members):
        raise ModelFileError(
            "its content does not match its hash: it was damaged or edited; copy it again or save the model again"
        )
    for name, content in members.items():
        if isinstance(content, bytes):
            _check_array_size(name, content, max_bytes)
    return facts, members


def _open_zip(file: BinaryIO) -> zipfile.ZipFile:
    """Open a zip file after counting its members, because zipfile creates an object for each of them."""
    n_members, last = 0, b""
    while piece := file.read(PIECE):
        n_members += (last + piece).count(MARK)
        last = piece[1 - len(MARK) :]
    if n_members > MAX_MEMBERS:
        raise ModelFileError(f"it has {n_members:,} members, more than the limit of {MAX_MEMBERS:,}; no model needs so many")
    return zipfile.ZipFile(file)


def _entry(name: str, compression: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, SAME_DATE)
    entry.compress_type = compression
    return entry


def _content_hash(facts: Mapping[str, Any], members: Mapping[str, Content]) -> str:
    """Return the SHA-256 hash of the facts as sorted JSON, followed by each member's name, length and content."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, content in sorted(members.items()):
        digest.update(f"\0{name}\0{content_size(content)}\0".encode())
        write_content(_Hashed(digest), content)
    return digest.hexdigest()


class _Hashed:
    """A file-like object that computes a hash and stores nothing."""

    def __init__(self, digest: Any):
        self.write = digest.update


def _too_dense(entry: zipfile.ZipInfo) -> bool:
    return entry.file_size > ALWAYS_SMALL_ENOUGH and entry.file_size > MAX_RATIO * entry.compress_size


def _check_directory(entries: list[zipfile.ZipInfo], max_bytes: int) -> None:
    names = [entry.filename for entry in entries]
    name, times = Counter(names).most_common(1)[0] if names else ("", 1)
    if times > 1:
        raise ModelFileError(
            f"it has the member {name!r} twice; save writes each member once. Get the original file from its author"
        )
    for entry in entries:
        _check_entry(entry)
    for name in (HEADER, SCHEMA):
        if name not in names:
            raise ModelFileError(
                f"it has no member {name!r}, so featrec.persistence.save did not write it; save the model with this function"
            )
    total = sum(entry.file_size for entry in entries)
    if total > max_bytes:
        raise ModelFileError(
            f"unpacks to {total:,} bytes, more than the limit of {max_bytes:,}; use load(path, max_bytes=...) to raise it"
        )


def _check_entry(entry: zipfile.ZipInfo) -> None:
    if not MEMBER_NAME.fullmatch(entry.filename):
        raise ModelFileError(f"save never writes a member named {entry.filename!r}; get the original file from its author")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or entry.flag_bits & 1:
        raise ModelFileError(
            f"the member {entry.filename!r} is compressed or encrypted in a way that save does not use; save the model again"
        )
    if _too_dense(entry):
        raise ModelFileError(
            f"the member {entry.filename!r} unpacks from {entry.compress_size:,} to {entry.file_size:,} bytes, more than "
            f"{MAX_RATIO} times as many; save never writes such a member. Get the original file from its author"
        )
    limit = MAX_TEXT.get(entry.filename, entry.file_size)
    if entry.file_size > limit:
        raise ModelFileError(
            f"{entry.filename!r} has {entry.file_size:,} bytes, more than the limit of {limit:,}; no model needs so many"
        )


def _read_header(content: Any) -> dict[str, Any]:
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"its header is not JSON ({error}); save the model again") from error
    if not isinstance(facts, dict) or type(facts.get("format")) is not int or not isinstance(facts.get("versions"), dict):
        raise ModelFileError("its header lacks the format number or the versions; save the model again")
    if facts["format"] != FORMAT:
        raise ModelFileError(
            f"it is written in format {facts['format']}; this version reads format {FORMAT}. "
            f"featrec {facts['versions'].get('featrec')} wrote it: install that version"
        )
    return facts


def _check_array_size(name: str, content: bytes, max_bytes: int) -> None:
    """Check that an array has as many bytes as its header declares, because numpy allocates memory for the declared size.

    Sparse matrices are stored as zip files of arrays.
    """
    try:
        if name.endswith(".npz"):
            with _open_zip(io.BytesIO(content)) as inner:
                announced, held = sum(entry.file_size for entry in inner.infolist()), max_bytes
                if announced <= held:
                    for entry in inner.infolist():
                        _check_array_size(entry.filename, inner.read(entry), max_bytes)
        elif name.endswith(".npy"):
            announced, held = _announced_bytes(content)
        else:
            return
    except ModelFileError:
        raise
    except Exception as error:
        raise ModelFileError(f"the member {name!r} is not an array ({error}); save the model again") from error
    if announced > held:
        raise ModelFileError(f"the array {name!r} declares {announced:,} bytes but has at most {held:,}; save the model again")


def _announced_bytes(content: bytes) -> tuple[int, int]:
    stream = io.BytesIO(content)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, _, dtype = read[np.lib.format.read_magic(stream)](stream)
    if dtype.hasobject:
        raise ValueError("it contains pickled objects, which are never read")
    if 0 in shape and max(shape) > MOST_OF_NOTHING:
        raise ValueError(f"it has no elements and an axis of length {max(shape):,}")
    announced = dtype.itemsize
    for length in shape:
        announced *= length
    return announced, len(content) - stream.tell()
