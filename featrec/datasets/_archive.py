"""Archive, the base class of all archives, and Zip. Images are read one by one, and nothing is unpacked to disk.

An archive keeps no open file handle: each read opens the file, checks that it is unchanged since it was listed, and closes it.
Archives can therefore be pickled and read by several threads at once. Archives are untrusted: all sizes, positions and names
in them are checked.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, BinaryIO, NamedTuple

from featrec.datasets._tree import Stamp, found
from featrec.exceptions import DatasetError, ImageError, TruncatedImageError, UnreadableImageError

__all__ = ["MAX_MEMBERS", "Archive", "Damaged", "Member", "Zip", "exactly", "refuse_bomb"]

MAX_MEMBERS = 1_000_000
# An archive is a bomb if it unpacks to more than LEAST_BOMB bytes and to more than MAX_RATIO times its own size.
LEAST_BOMB = 2**26
MAX_RATIO = 200

# Records of a .zip file.
END = struct.Struct("<4s4H2IH")
END_64 = struct.Struct("<4sQ2H2I4Q")
LOCATOR = struct.Struct("<4sIQI")
ENTRY = struct.Struct("<4s6H3I5H2I")
HEADER = struct.Struct("<4s5H3I2H")

LONGEST_COMMENT = 0xFFFF
ELSEWHERE = 0xFFFFFFFF  # placeholder for a number that is stored in the 64-bit field
MAX_DIRECTORY = 2**27
STORED, DEFLATED = 0, 8
ENCRYPTED = 0x2041
UTF_8 = 0x800
UNIX = 3


class Damaged(Exception):
    """An archive is damaged or unsupported; callers convert this to a featrec error that names the archive."""


class Member(NamedTuple):
    """One member of an archive. `packed`, `method` and `checksum` are set only for a zip.

    `kind` is "file", "folder" or "other". `start` is the position of the header in a zip, or of the content in an uncompressed
    tar. `size` is the uncompressed size in bytes.
    """

    name: str
    kind: str
    start: int = 0
    size: int = 0
    packed: int = 0
    method: int = 0
    checksum: int = 0


class Archive:
    """A file that contains files. Subclasses implement ``_members`` (list the members) and ``_bytes`` (read one member)."""

    def __init__(self, path: str):
        self.path = path
        self.stamp = Stamp.of(found(path, "archive"))

    def members(self) -> Iterator[Member]:
        """Return the members, in the order of the archive."""
        try:
            with open(self.path, "rb") as file:
                yield from self._members(file)
        except OSError as error:
            raise DatasetError(f"the archive {self.path!r} cannot be read ({error})") from error
        except Damaged as error:
            raise DatasetError(f"the archive {self.path!r} {error}") from error

    def read(self, member: Member, item: str) -> bytes:
        """Return the content of a member. If the archive changed since it was listed, raise an error."""
        try:
            self.stamp.compare(found(self.path, "archive"), self.path, "archive")
            with open(self.path, "rb") as file:
                return self._bytes(file, member)
        except ImageError as error:
            raise error.at(None, item) from error.__cause__
        except OSError as error:
            raise UnreadableImageError(f"the archive cannot be read ({error})", item=item) from error
        except Damaged as error:
            raise TruncatedImageError(f"the archive {error}", item=item) from error

    def _members(self, file: BinaryIO) -> Iterator[Member]:
        raise NotImplementedError

    def _bytes(self, file: BinaryIO, member: Member) -> bytes:
        raise NotImplementedError


def refuse_bomb(path: str, unpacked: int, packed: int) -> None:
    """Raise an error for a small archive that unpacks to a huge size."""
    if unpacked > LEAST_BOMB and unpacked > MAX_RATIO * packed:
        raise DatasetError(
            f"the archive {path!r} has {packed:,} bytes but unpacks to at least {unpacked:,} bytes, more than "
            f"{MAX_RATIO} times its size. It may be a zip bomb. If you trust it, unpack it into a folder."
        )


def exactly(file: Any, n: int) -> bytes:
    """Read exactly n bytes, or raise an error if the archive is too short."""
    data = file.read(n)
    if len(data) != n:
        raise Damaged("is truncated; copy or download it again")
    return data


class Zip(Archive):
    """A .zip archive. Encrypted members, and compression methods other than stored and deflated, raise an error.

    The standard ``zipfile`` is not used because it keeps a file handle and a lock, parses the directory again in every
    process, and allocates half a kilobyte per member before any limit applies.
    """

    def _members(self, file: BinaryIO) -> Iterator[Member]:
        directory = _directory(file, self.stamp.size)
        if directory.size > MAX_DIRECTORY:
            raise Damaged(
                f"has a directory of {directory.size:,} bytes, more than the limit of {MAX_DIRECTORY:,}; split the archive"
            )
        file.seek(directory.start)
        data = exactly(file, directory.size)
        position, count, reach = 0, 0, []
        while position < len(data):
            member, position = _entry(data, position, directory.shift)
            reach.append((member.start, member.start + HEADER.size + member.packed))
            count += 1
            yield member
        if count & 0xFFFF != directory.members & 0xFFFF:
            raise Damaged(f"declares {directory.members} members but lists {count}; copy or download it again")
        _refuse_overlaps(reach, directory.start)

    def _bytes(self, file: BinaryIO, member: Member) -> bytes:
        file.seek(member.start)
        header = HEADER.unpack(exactly(file, HEADER.size))
        if header[0] != b"PK\3\4":
            raise Damaged("has no image at the position stated in its directory; copy or download it again")
        file.seek(header[-2] + header[-1], os.SEEK_CUR)
        data = exactly(file, member.packed)
        if member.method == DEFLATED:
            data = _inflated(data, member.size)
        if len(data) != member.size or zlib.crc32(data) != member.checksum:
            raise Damaged("is damaged here: the length or checksum does not match its directory; copy or download it again")
        return data


class _Directory(NamedTuple):
    start: int
    size: int
    members: int
    shift: int  # number of bytes before the zip data; it is added to all positions


def _directory(file: BinaryIO, size: int) -> _Directory:
    file.seek(max(0, size - END.size - LONGEST_COMMENT))
    tail_start = file.tell()
    tail = file.read(END.size + LONGEST_COMMENT)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < END.size:
        raise Damaged("is not a zip file or is truncated: the directory at its end is missing; copy or download it again")
    _, disk, _, _, count, length, start, _ = END.unpack_from(tail, at)
    end = tail_start + at
    end, disk, count, length, start = _in_64_bits(file, end) or (end, disk, count, length, start)
    if disk:
        raise Damaged("is one part of a split archive; join the parts")
    shift = end - length - start
    if shift < 0:
        raise Damaged("is truncated or damaged: its directory does not fit into the file; copy or download it again")
    return _Directory(end - length, length, count, shift)


def _in_64_bits(file: BinaryIO, end: int) -> tuple[int, int, int, int, int] | None:
    """Read the 64-bit record that precedes the end record, or return None if it is missing."""
    at = end - LOCATOR.size - END_64.size
    if at < 0:
        return None
    file.seek(at)
    record = END_64.unpack(exactly(file, END_64.size))
    locator = LOCATOR.unpack(exactly(file, LOCATOR.size))
    if record[0] != b"PK\6\6" or locator[0] != b"PK\6\7":
        return None
    return at, record[4], record[7], record[8], record[9]


def _entry(data: bytes, position: int, shift: int) -> tuple[Member, int]:
    """Return the member at a position in the directory, and the position of the next member."""
    if len(data) - position < ENTRY.size:
        raise Damaged("has a damaged directory; copy or download it again")
    (mark, made_by, _, flags, method, _, _, checksum, packed, size, n_name, n_extra, n_comment, _, _, attributes, start) = (
        ENTRY.unpack_from(data, position)
    )
    name_at = position + ENTRY.size
    after = name_at + n_name + n_extra + n_comment
    if mark != b"PK\1\2" or after > len(data):
        raise Damaged("has a damaged directory; copy or download it again")
    name = _name(data[name_at : name_at + n_name], flags)
    extra = data[name_at + n_name : name_at + n_name + n_extra]
    size, packed, start = _large([size, packed, start], extra)
    kind = _kind(name, made_by >> 8, attributes)
    if kind == "file":
        _refuse_unreadable(name, flags, method, size, packed)
    return Member(name, kind, start + shift, size, packed, method, checksum), after


def _name(raw: bytes, flags: int) -> str:
    """Decode a name as UTF-8, even if the archive does not declare UTF-8; if this fails, use code page 437."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "surrogateescape") if flags & UTF_8 else raw.decode("cp437")


def _large(numbers: list[int], extra: bytes) -> list[int]:
    """Read the numbers that do not fit into 32 bits from the 64-bit field, and replace their placeholders."""
    if ELSEWHERE not in numbers:
        return numbers
    position = 0
    while position + 4 <= len(extra):
        field, length = struct.unpack_from("<2H", extra, position)
        if field == 1:
            count = numbers.count(ELSEWHERE)
            if length < 8 * count or position + 4 + length > len(extra):
                break
            large = iter(struct.unpack_from(f"<{count}Q", extra, position + 4))
            return [next(large) if number == ELSEWHERE else number for number in numbers]
        position += 4 + length
    raise Damaged("has a damaged directory: sizes of more than 4 GB are missing; copy or download it again")


def _kind(name: str, system: int, attributes: int) -> str:
    if name.endswith("/"):
        return "folder"
    mode = attributes >> 16 if system == UNIX else 0
    return "file" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "other"


def _refuse_unreadable(name: str, flags: int, method: int, size: int, packed: int) -> None:
    if flags & ENCRYPTED:
        raise Damaged(f"is encrypted ({name!r}); unpack it with its password")
    if method not in (STORED, DEFLATED):
        raise Damaged(f"compresses {name!r} with method {method}; only 0 (stored) and 8 (deflated) are supported; repack it")
    if method == STORED and size != packed:
        raise Damaged(f"declares two different lengths of {name!r}, {packed} and {size}; copy or download it again")


def _refuse_overlaps(reach: list[tuple[int, int]], directory: int) -> None:
    """Raise an error if members share bytes, because a small zip with such members can unpack to a huge size."""
    for (_, end), (start, _) in pairwise([*sorted(reach), (directory, directory)]):
        if end > start:
            raise Damaged(f"has overlapping members at byte {start}; it is damaged or malicious")


def _inflated(data: bytes, size: int) -> bytes:
    """Unpack at most one byte more than `size`, which is enough to detect a wrong size."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return inflater.decompress(data, size + 1)
    except zlib.error as error:
        raise Damaged(f"is damaged here ({error}); copy or download it again") from error
