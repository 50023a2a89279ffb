"""Marks in a gzip stream, to resume reading without starting at the beginning."""

from __future__ import annotations

import bisect
import threading
import zlib
from typing import Any, BinaryIO, NamedTuple

from featrec.datasets._archive import Damaged, refuse_bomb

__all__ = ["Forward", "Marks"]

CHUNK = 2**14  # compressed bytes between marks, which unpack to at most 16 MB
GZIP = 16 + zlib.MAX_WBITS
FIRST_SPACING = 2**18
MOST_MARKS = 512

_FINDING = threading.Lock()


class Mark(NamedTuple):
    """A mark: the uncompressed position, the offset of the next compressed bytes, and the state of the decompressor."""

    position: int
    offset: int
    inflater: Any


class Marks:
    """The marks of one file; they are not pickled."""

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
        """Read from the start and create marks."""
        self._marks, self._spacing = [], FIRST_SPACING
        return Forward(file, Mark(0, 0, zlib.decompressobj(GZIP)), self)

    def forward(self, file: BinaryIO, position: int) -> Forward:
        """Read from the last mark before a position."""
        if not self.complete:
            with _FINDING:
                if not self.complete:
                    self.begin(file).finish()
                    self.complete = True
        nearest = bisect.bisect_right(self._marks, position, key=lambda mark: mark.position) - 1
        mark = self._marks[nearest] if nearest >= 0 else Mark(0, 0, zlib.decompressobj(GZIP))
        return Forward(file, mark._replace(inflater=mark.inflater.copy()))

    def leave(self, position: int, offset: int, inflater: Any) -> None:
        """Store a mark, if the previous one is far enough back."""
        if position - (self._marks[-1].position if self._marks else 0) < self._spacing:
            return
        self._marks.append(Mark(position, offset, inflater.copy()))
        if len(self._marks) > MOST_MARKS:
            self._marks = self._marks[1::2]
            self._spacing *= 2


class Forward:
    """The uncompressed stream, read forward."""

    def __init__(self, file: BinaryIO, mark: Mark, marks: Marks | None = None):
        self.position = mark.position
        self._file = file
        self._reached = mark.position  # bytes unpacked, whether read or not
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
        """Unpack the rest, which verifies the checksum at the end."""
        self._held.clear()
        while self._unpack():
            self._held.clear()

    def _unpack(self) -> bool:
        """Unpack another piece; False at the end."""
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
        """Unpack up to the end of one gzip file and return the rest; several gzip files may follow each other."""
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
