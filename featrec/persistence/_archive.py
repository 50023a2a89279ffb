"""The container: a zip with a JSON header, the schema and the arrays; checked before any of it is interpreted."""

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

# Deflate shrinks at most 1,032 fold. Only what is large and shrinks more than this is suspicious; save stores it as it is.
MAX_RATIO = 200
ALWAYS_SMALL_ENOUGH = 64 * 2**20
MAX_MEMBERS = 100_000
# The shape of an array without elements costs nothing here and memory where it is taken for a width.
MOST_OF_NOTHING = 2**20
# Text becomes twenty times as many bytes of objects.
MAX_TEXT = {HEADER: 2**20, SCHEMA: 2**24}
MEMBER_NAME = re.compile(r"[a-z0-9]+(-[0-9]+)?\.(json|npy|npz|bin)")
SAME_DATE = (1980, 1, 1, 0, 0, 0)
# Begins the entry of a member in the directory; searched for piece by piece.
MARK = b"PK\1\2"
PIECE = 2**24


def pack(file: BinaryIO, facts: dict[str, Any], members: Mapping[str, Content]) -> None:
    """Write the members behind a header that holds the facts and a hash of everything.

    They are deflated, but for large arrays that would hardly shrink.

    The same content gives the same bytes: names are sorted and all dates are equal.
    """
    n_arrays, text = len(members) - 1, content_size(members.get(SCHEMA, b""))
    if n_arrays > MAX_MEMBERS - 2 or text > MAX_TEXT[SCHEMA]:
        raise InputError(
            f"{n_arrays:,} arrays, described in {text:,} bytes, are over the limits of a model file, {MAX_MEMBERS:,} and "
            f"{MAX_TEXT[SCHEMA]:,}; a model of fewer trees or estimators fits"
        )
    facts = {"format": FORMAT, **facts}
    header = json.dumps({**facts, "sha256": _content_hash(facts, members)}, sort_keys=True, indent=1).encode()
    contents = {HEADER: header, **dict(sorted(members.items()))}
    if not _write_deflated(file, contents):
        file.seek(0)
        file.truncate()
        _write_plain(file, contents)


def plain_zip(members: Mapping[str, Content]) -> bytes:
    """A zip of the members as they are."""
    buffer = io.BytesIO()
    _write_plain(buffer, members)
    return buffer.getvalue()


def _write_deflated(file: BinaryIO, contents: Mapping[str, Content]) -> bool:
    """False, and not to the end, where a member shrinks so much that load would be suspicious, or all more than it allows."""
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
    """Header and members of a model file, once names, sizes, header and hash have been found in order."""
    try:
        with _open_zip(file) as archive:
            _check_directory(archive.infolist(), max_bytes)
            members = {entry.filename: read_content(archive, entry) for entry in archive.infolist()}
    except ModelFileError:
        raise
    except Exception as error:
        raise ModelFileError(f"damaged, cut off or no model file ({error}); copy it again or save the model again") from error
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
    """Members are counted before zipfile makes an object of each."""
    n_members, last = 0, b""
    while piece := file.read(PIECE):
        n_members += (last + piece).count(MARK)
        last = piece[1 - len(MARK) :]
    if n_members > MAX_MEMBERS:
        raise ModelFileError(f"{n_members:,} members, more than the limit of {MAX_MEMBERS:,}; no model needs so many")
    return zipfile.ZipFile(file)


def _entry(name: str, compression: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, SAME_DATE)
    entry.compress_type = compression
    return entry


def _content_hash(facts: Mapping[str, Any], members: Mapping[str, Content]) -> str:
    """sha256 over the header's facts as sorted JSON, then name, length and content of each member in the names' order."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, content in sorted(members.items()):
        digest.update(f"\0{name}\0{content_size(content)}\0".encode())
        write_content(_Hashed(digest), content)
    return digest.hexdigest()


class _Hashed:
    """A file that keeps nothing but its hash."""

    def __init__(self, digest: Any):
        self.write = digest.update


def _too_dense(entry: zipfile.ZipInfo) -> bool:
    return entry.file_size > ALWAYS_SMALL_ENOUGH and entry.file_size > MAX_RATIO * entry.compress_size


def _check_directory(entries: list[zipfile.ZipInfo], max_bytes: int) -> None:
    names = [entry.filename for entry in entries]
    name, times = Counter(names).most_common(1)[0] if names else ("", 1)
    if times > 1:
        raise ModelFileError(f"the member {name!r} stands in it twice; save writes each once. Get the file from its author")
    for entry in entries:
        _check_entry(entry)
    for name in (HEADER, SCHEMA):
        if name not in names:
            raise ModelFileError(f"no member {name!r}: not a file of featrec.persistence.save; save the model with it")
    total = sum(entry.file_size for entry in entries)
    if total > max_bytes:
        raise ModelFileError(
            f"unpacks to {total:,} bytes, over the limit of {max_bytes:,}; load(path, max_bytes=...) raises it"
        )


def _check_entry(entry: zipfile.ZipInfo) -> None:
    if not MEMBER_NAME.fullmatch(entry.filename):
        raise ModelFileError(f"the member name {entry.filename!r} is none that save writes; get the file from its author")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or entry.flag_bits & 1:
        raise ModelFileError(f"the member {entry.filename!r} is packed in a way that save does not use; save the model again")
    if _too_dense(entry):
        raise ModelFileError(
            f"the member {entry.filename!r} unpacks {entry.compress_size:,} bytes to {entry.file_size:,}, more than "
            f"{MAX_RATIO} fold; save writes no such member. Get the file from its author"
        )
    limit = MAX_TEXT.get(entry.filename, entry.file_size)
    if entry.file_size > limit:
        raise ModelFileError(
            f"{entry.filename!r} has {entry.file_size:,} bytes, over the limit of {limit:,}; no model needs so many"
        )


def _read_header(content: Any) -> dict[str, Any]:
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"its header is no JSON ({error}); save the model again") from error
    if not isinstance(facts, dict) or type(facts.get("format")) is not int or not isinstance(facts.get("versions"), dict):
        raise ModelFileError("its header lacks the format's number or the versions; save the model again")
    if facts["format"] != FORMAT:
        raise ModelFileError(
            f"it is written in format {facts['format']}; this version reads format {FORMAT}. "
            f"The header names featrec {facts['versions'].get('featrec')} as its writer: install that version"
        )
    return facts


def _check_array_size(name: str, content: bytes, max_bytes: int) -> None:
    """numpy reserves what an array's header announces, and a sparse matrix is a zip of its own."""
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
        raise ModelFileError(f"the member {name!r} is no array ({error}); save the model again") from error
    if announced > held:
        raise ModelFileError(
            f"the array {name!r} announces {announced:,} bytes where {held:,} are possible; save the model again"
        )


def _announced_bytes(content: bytes) -> tuple[int, int]:
    stream = io.BytesIO(content)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, _, dtype = read[np.lib.format.read_magic(stream)](stream)
    if dtype.hasobject:
        raise ValueError("it holds pickled objects, which are never read")
    if 0 in shape and max(shape) > MOST_OF_NOTHING:
        raise ValueError(f"it is empty and announces {max(shape):,} of something")
    announced = dtype.itemsize
    for length in shape:
        announced *= length
    return announced, len(content) - stream.tell()
