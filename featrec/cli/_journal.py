"""A journal that survives a kill at any time and is written by one process at a time."""

from __future__ import annotations

import json
import os
import sys
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from featrec.exceptions import InputError

__all__ = ["Journal", "to_disk"]


class Journal:
    """Lines of JSON with checksums; the first incomplete line ends it."""

    def __init__(self, path: Path):
        self.path = path
        self.file = self._locked()
        self.records: list[dict[str, Any]] = []
        self.ends = [0]
        for line in self.file:
            record = _parsed(line)
            if record is None:
                break
            self.records.append(record)
            self.ends.append(self.ends[-1] + len(line))

    def keep(self, count: int) -> None:
        """Drop all lines except the first ones."""
        del self.records[count:], self.ends[count + 1 :]

    def add(self, record: dict[str, Any]) -> None:
        """Append a line, and return when it is on disk."""
        text = json.dumps(record, separators=(",", ":")).encode()
        line = b"%08x %s\n" % (zlib.crc32(text), text)
        self.file.truncate(self.ends[-1])
        self.file.seek(0, os.SEEK_END)
        self.file.write(line)
        to_disk(self.file)
        self.records.append(record)
        self.ends.append(self.ends[-1] + len(line))

    def remove(self) -> None:
        """Delete the file, while it is locked if the system allows it."""
        if sys.platform == "win32":
            self.close()
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Release the lock."""
        self.file.close()

    def _locked(self) -> BinaryIO:
        """Open the file exclusively; not a file that another process has just deleted."""
        while True:
            file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b")
            try:
                _lock(file)
            except (BlockingIOError, PermissionError):
                file.close()
                raise InputError(
                    f"another process is writing {self.path.with_suffix('')}; wait until it ends, or set another --out"
                ) from None
            if _is_named(file, self.path):
                return file
            file.close()


def _is_named(file: BinaryIO, path: Path) -> bool:
    """Whether the path still refers to the open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _parsed(line: bytes) -> dict[str, Any] | None:
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
        return None
    record: dict[str, Any] = json.loads(text)
    return record


def to_disk(file: BinaryIO) -> None:
    """Wait until written data are on disk."""
    file.flush()
    os.fsync(file.fileno())


def _lock(file: BinaryIO) -> None:
    """Lock the file for this process, or raise OSError immediately."""
    if sys.platform == "win32":
        import msvcrt

        file.seek(2**30)  # such a lock prevents others from reading there, too
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
