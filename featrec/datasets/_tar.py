"""Tar and TarGz: read images from a .tar or a .tar.gz."""

from __future__ import annotations

import bisect
import threading
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from featrec.datasets._archive import MAX_MEMBERS, Archive, Damaged, Member, exactly, refuse_bomb

__all__ = ["Forward", "Marks", "Tar", "TarGz"]

BLOCK = 512
NAME, SIZE, CHECKSUM, MAGIC, PREFIX = slice(0, 100), slice(124, 136), slice(148, 156), slice(257, 263), slice(345, 500)
KIND = 156
FILES, FOLDER, LINKS_AND_DEVICES, SPARSE = b"0\0 7", b"5", b"12346", b"S"
LONG_NAME, LONG_LINK, EXTENDED, EXTENDED_ALL = b"L", b"K", b"x", b"g"
SPARSE_NOTE = "GNU.sparse"
NOTES = b"path=", b"size=", b"GNU.sparse"
NEWLINE = ord("\n")
LONGEST_NOTE = 2**18  # maximum number of bytes of a long name or of extended headers

CHUNK = 2**14  # number of compressed bytes that are read at a time; they unpack to at most 16 MB
GZIP = 16 + zlib.MAX_WBITS
FIRST_SPACING = 2**18
MOST_MARKS = 512

_FINDING = threading.Lock()


class Tar(Archive):
    """A plain tar."""

    def _members(self, file: BinaryIO) -> Iterator[Member]:
        yield from _listed(_Plain(file, self.stamp.size))

    def _bytes(self, file: BinaryIO, member: Member) -> bytes:
        file.seek(member.start)
        return exactly(file, member.size)


class TarGz(Archive):
    """A tar compressed by gzip. A gzip stream can only be unpacked from its start.

    When the archive is listed, it is unpacked once, and marks are stored at which later reads can resume. Each mark takes a few
    dozen kilobytes, so there are at most MOST_MARKS; in large archives, the distances between marks are larger. Marks are not
    pickled: another process creates its own marks when it first reads an image.
    """

    def __init__(self, path: str):
        super().__init__(path)
        self._marks = Marks(path)

    def _members(self, file: BinaryIO) -> Iterator[Member]:
        stream = self._marks.begin(file)
        yield from _listed(stream)
        stream.finish()
        self._marks.complete = True

    def _bytes(self, file: BinaryIO, member: Member) -> bytes:
        stream = self._marks.forward(file, member.start)
        stream.skip(member.start - stream.position)
        return exactly(stream, member.size)


class _Plain:
    """A file that is only read forward. Skipping beyond its end raises an error."""

    def __init__(self, file: BinaryIO, size: int):
        self.file = file
        self.size = size
        self.position = 0

    def read(self, n: int) -> bytes:
        data = self.file.read(n)
        self.position += len(data)
        return data

    def skip(self, n: int) -> None:
        self.position += n
        if self.position > self.size:
            raise Damaged("is truncated; copy or download it again")
        self.file.seek(self.position)


def _listed(stream: _Plain | Forward) -> Iterator[Member]:
    """Yield the members up to the block of zeros at the end."""
    notes: dict[str, bytes] = {}
    for count in range(4 * MAX_MEMBERS):
        header = exactly(stream, BLOCK)
        if not any(header):
            return
        _check(header, count, stream.position - BLOCK)
        kind = header[KIND : KIND + 1]
        size = _number(header[SIZE])
        if kind in (LONG_NAME, LONG_LINK, EXTENDED, EXTENDED_ALL):
            notes |= _noted(kind, _note(stream, size))
            continue
        member = _member(header, kind, size, notes, stream.position)
        yield member
        stream.skip(-(-member.size // BLOCK) * BLOCK if member.kind != "folder" else 0)
        notes = {}
    raise Damaged("has too many headers; split it")


def _check(header: bytes, count: int, position: int) -> None:
    announced = _number(header[CHECKSUM])
    if sum(header) - sum(header[CHECKSUM]) + 8 * ord(" ") != announced:
        if count == 0:
            raise Damaged("is not a tar file: its first header is invalid; copy or download it again")
        raise Damaged(f"is damaged at byte {position}: a header has a wrong checksum; copy or download it again")


def _number(field: bytes) -> int:
    """Decode a number: octal digits, or a binary number after the byte 0x80."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if digits.isdigit() and not set(digits) & set(b"89"):
        return int(digits, 8)
    if digits:
        raise Damaged(f"is damaged: {field!r} is not a number; copy or download it again")
    return 0


def _note(stream: _Plain | Forward, size: int) -> bytes:
    if size > LONGEST_NOTE:
        raise Damaged(f"declares a name or extra headers of {size:,} bytes, more than the limit of {LONGEST_NOTE:,}")
    data = exactly(stream, size)
    stream.skip(-size % BLOCK)
    return data


def _noted(kind: bytes, data: bytes) -> dict[str, bytes]:
    """Return the required entries of an extra header, which describes the next member."""
    if kind == LONG_NAME:
        return {"path": data.split(b"\0")[0]}
    if kind == LONG_LINK:
        return {}
    kept = {key[: len(SPARSE_NOTE)]: value for key, value in _records(data)}
    if kind == EXTENDED_ALL and kept:
        raise Damaged("declares one name or size for all its members; pack it again")
    return kept


def _records(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the relevant entries from lines ``length key=value``, in which the length is that of the whole line."""
    position = 0
    while position < len(data) and data[position]:
        space = data.find(b" ", position, position + 8)
        digits = data[position:space] if space > 0 else b""
        end = position + int(digits) if digits.isdigit() else 0
        if end <= space + 1 or end > len(data) or data[end - 1] != NEWLINE:
            raise Damaged("has damaged extended headers; copy or download it again")
        if data.startswith(NOTES, space + 1, end):
            key, _, value = data[space + 1 : end - 1].partition(b"=")
            yield key.decode("utf-8", "replace"), value
        position = end


def _member(header: bytes, kind: bytes, size: int, notes: dict[str, bytes], position: int) -> Member:
    raw = notes.get("path") or _short_name(header)
    name = raw.decode("utf-8", "surrogateescape")
    if kind == SPARSE or SPARSE_NOTE in notes:
        raise Damaged(f"contains {name!r} as a sparse file; pack it again without --sparse")
    if "size" in notes:
        if not notes["size"].isdigit() or len(notes["size"]) > 18:
            raise Damaged(f"is damaged: {notes['size'][:20]!r} is not a valid size of {name!r}; copy or download it again")
        size = int(notes["size"])
    if kind == FOLDER or (kind in FILES and name.endswith("/")):
        return Member(name, "folder")
    if kind in LINKS_AND_DEVICES:
        return Member(name, "other")
    return Member(name, "file" if kind in FILES else "other", position, size)


def _short_name(header: bytes) -> bytes:
    name = header[NAME].split(b"\0")[0]
    prefix = header[PREFIX].split(b"\0")[0] if header[MAGIC] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


class Mark(NamedTuple):
    """A point from which to resume: uncompressed position, offset of the next compressed bytes, and decompressor state."""

    position: int
    offset: int
    inflater: Any


class Marks:
    """The marks of one .tar.gz. They are not pickled."""

    def __init__(self, path: str):
        self.path = path
        self.complete = False
        self._spacing = FIRST_SPACING
        self._marks: list[Mark] = []

    def __getstate__(self) -> dict:
        return {"path": self.path}

    def __setstate__(self, state: dict) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def begin(self, file: BinaryIO) -> Forward:
        """Return a stream that reads from the start and creates marks."""
        self._marks, self._spacing = [], FIRST_SPACING
        return Forward(file, Mark(0, 0, zlib.decompressobj(GZIP)), self)

    def forward(self, file: BinaryIO, position: int) -> Forward:
        """Return a stream that resumes from the last mark before a position."""
        if not self.complete:
            with _FINDING:
                if not self.complete:
                    self.begin(file).finish()
                    self.complete = True
        nearest = bisect.bisect_right(self._marks, position, key=lambda mark: mark.position) - 1
        mark = self._marks[nearest] if nearest >= 0 else Mark(0, 0, zlib.decompressobj(GZIP))
        return Forward(file, mark._replace(inflater=mark.inflater.copy()))

    def leave(self, position: int, offset: int, inflater: Any) -> None:
        """Store a mark, unless the previous mark is too close."""
        if position - (self._marks[-1].position if self._marks else 0) < self._spacing:
            return
        self._marks.append(Mark(position, offset, inflater.copy()))
        if len(self._marks) > MOST_MARKS:
            self._marks = self._marks[1::2]
            self._spacing *= 2


class Forward:
    """The uncompressed content of a .tar.gz, which is only read forward."""

    def __init__(self, file: BinaryIO, mark: Mark, marks: Marks | None = None):
        self.position = mark.position
        self._file = file
        self._reached = mark.position  # number of bytes that are unpacked, including those that are not yet read
        self._offset = mark.offset
        self._inflater = mark.inflater
        self._marks = marks
        self._held = bytearray()
        file.seek(mark.offset)

    def read(self, n: int) -> bytes:
        while len(self._held) < n and self._unpack():
            pass
        data = bytes(self._held[:n])
        del self._held[:n]
        self.position += len(data)
        return data

    def skip(self, n: int) -> None:
        while n > len(self._held):
            n -= len(self._held)
            self.position += len(self._held)
            self._held.clear()
            if not self._unpack():
                raise Damaged("is truncated; copy or download it again")
        del self._held[:n]
        self.position += n

    def finish(self) -> None:
        """Unpack the rest, because the checksum at the end must be verified."""
        self._held.clear()
        while self._unpack():
            self._held.clear()

    def _unpack(self) -> bool:
        """Unpack the next chunk; return False at the end of the file."""
        packed = self._file.read(CHUNK)
        if not packed:
            if not self._inflater.eof:
                raise Damaged("is truncated; copy or download it again")
            return False
        self._offset += len(packed)
        while packed:
            packed = self._inflate(packed)
        if self._marks is not None:
            refuse_bomb(self._marks.path, self._reached, self._offset)
            if not self._inflater.eof:
                self._marks.leave(self._reached, self._offset, self._inflater)
        return True

    def _inflate(self, packed: bytes) -> bytes:
        """Unpack until one gzip stream ends, and return the remaining bytes. A file may contain several gzip streams."""
        if self._inflater.eof:
            if not packed.strip(b"\0"):
                return b""
            self._inflater = zlib.decompressobj(GZIP)
        try:
            data = self._inflater.decompress(packed)
        except zlib.error as error:
            raise Damaged(f"is damaged: its gzip stream is invalid ({error}); copy or download it again") from error
        self._held += data
        self._reached += len(data)
        return self._inflater.unused_data
