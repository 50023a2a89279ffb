"""A matrix on disk, written in blocks. An interrupted run can be resumed; a complete file gets its final name."""

from __future__ import annotations

import io
import json
import os
import sys
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from featrec.exceptions import InputError

__all__ = ["CodesFile", "Journal"]

KIND = "<f4"


class CodesFile:
    """Rows of float32 that are appended in blocks to ``out.part``. ``out.journal`` lists the complete blocks.

    The bytes of a block are written first, then its line in the journal; both have checksums. A block is complete when both are
    on disk. If the file is opened again for the same task, writing resumes after the last complete block. The journal is
    locked, because only one process may write. The system releases the lock when the process ends for any reason.

    Parameters
    ----------
    out : path
    task : dict
        Everything that determines the rows. Writing resumes only if all values are unchanged; otherwise, the error names the
        keys whose values have changed.
    n_rows : int
    fresh : bool
        Whether to discard the work of an earlier process.

    Attributes
    ----------
    width : int or None
        Length of a row; None before the first block.
    blocks : list of dict
        Journal entries of complete blocks.
    published : bool
        Whether the file already has its final name. An interrupted run may have left the journal behind.
    """

    def __init__(self, out: Path, task: dict[str, Any], n_rows: int, *, fresh: bool = False):
        self.out, self.task, self.n_rows = out, task, n_rows
        self.part = out.with_name(out.name + ".part")
        self.journal = Journal(out.with_name(out.name + ".journal"))
        self.blocks: list[dict[str, Any]] = []
        self.width: int | None = None
        self.published = False
        try:
            if fresh:
                self.journal.keep(0)
            self._resume()
        except BaseException:
            self.journal.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if not self.blocks:  # nothing to resume from
            self.part.unlink(missing_ok=True)
            self.clear()
        self.journal.close()

    @property
    def n_done(self) -> int:
        """Return the number of rows on disk."""
        return self.blocks[-1]["stop"] if self.blocks else 0

    def begin(self, width: int) -> None:
        """Write the headers of both files."""
        with open(self.part, "wb") as file:
            file.write(_header(self.n_rows, width))
            _to_disk(file)
        _folder_to_disk(self.out.parent)
        self.journal.add({"task": self.task, "rows": self.n_rows, "width": width})
        self.width = width

    def append(self, rows: np.ndarray, notes: dict[str, Any]) -> None:
        """Write a block of rows and its journal entry."""
        data = np.ascontiguousarray(rows, KIND).tobytes()
        with open(self.part, "r+b") as file:
            file.truncate(self._offset(self.n_done))
            file.seek(0, os.SEEK_END)
            file.write(data)
            _to_disk(file)
        block = {"start": self.n_done, "stop": self.n_done + len(rows), "checksum": zlib.crc32(data), **notes}
        self.journal.add(block)
        self.blocks.append(block)

    def publish(self) -> None:
        """Rename the file to its final name."""
        os.replace(self.part, self.out)
        _folder_to_disk(self.out.parent)
        self.published = True

    def clear(self) -> None:
        """Remove the journal."""
        self.journal.remove()

    def _offset(self, row: int) -> int:
        assert self.width is not None
        return len(_header(self.n_rows, self.width)) + 4 * row * self.width

    def _resume(self) -> None:
        if len(self.journal.records) < 2:  # no complete rows yet
            self.journal.keep(0)
            return
        first, *blocks = self.journal.records
        self._refuse_another_task(first)
        if self._header_is_valid(first["width"]):
            self.width = first["width"]
            blocks = blocks[: self._count_valid(blocks)]
        elif not self.part.exists() and self.out.exists() and blocks[-1]["stop"] == self.n_rows:
            self.width, self.published = first["width"], True
        else:
            self.journal.keep(0)
            return
        self.blocks = blocks
        self.journal.keep(1 + len(blocks))

    def _refuse_another_task(self, first: dict[str, Any]) -> None:
        begun = first.get("task", {})
        other = [name for name, value in self.task.items() if begun.get(name) != value]
        if other:
            verb = "has" if len(other) == 1 else "have"
            raise InputError(
                f"{self.out} was started by an earlier run, and since then {' and '.join(other)} {verb} changed. Use the same "
                "input as that run, set another --out, or discard the work of that run with --restart"
            )

    def _header_is_valid(self, width: int) -> bool:
        header = _header(self.n_rows, width)
        if not self.part.exists():
            return False
        with open(self.part, "rb") as file:
            return file.read(len(header)) == header

    def _count_valid(self, blocks: list[dict[str, Any]]) -> int:
        """Count the valid blocks before the first block whose bytes do not match the checksum."""
        assert self.width is not None
        with open(self.part, "rb") as file:
            file.seek(self._offset(0))
            for count, block in enumerate(blocks):
                data = file.read(4 * self.width * (block["stop"] - block["start"]))
                if zlib.crc32(data) != block["checksum"]:
                    return count
        return len(blocks)


def _header(n_rows: int, width: int) -> bytes:
    buffer = io.BytesIO()
    facts = {"descr": KIND, "fortran_order": False, "shape": (n_rows, width)}
    np.lib.format.write_array_header_1_0(buffer, facts)
    return buffer.getvalue()


def _folder_to_disk(folder: Path) -> None:
    """Wait until the names of new and renamed files in the folder are on disk. Windows has no such call."""
    if sys.platform != "win32":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class Journal:
    """A file of JSON lines with checksums. The first incomplete line and all lines after it are ignored."""

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
        """Keep only the first `count` lines."""
        del self.records[count:], self.ends[count + 1 :]

    def add(self, record: dict[str, Any]) -> None:
        """Append a line and wait until it is on disk."""
        text = json.dumps(record, separators=(",", ":")).encode()
        line = b"%08x %s\n" % (zlib.crc32(text), text)
        self.file.truncate(self.ends[-1])
        self.file.seek(0, os.SEEK_END)
        self.file.write(line)
        _to_disk(self.file)
        self.records.append(record)
        self.ends.append(self.ends[-1] + len(line))

    def remove(self) -> None:
        """Delete the file before releasing the lock, if the system allows it."""
        if sys.platform == "win32":
            self.close()
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Release the lock."""
        self.file.close()

    def _locked(self) -> BinaryIO:
        """Open and lock the file. If another process deletes the file between these two steps, open it again."""
        while True:
            file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b")
            try:
                _lock(file)
            except (BlockingIOError, PermissionError):
                file.close()
                raise InputError(
                    f"another process is writing {self.path.with_suffix('')}; wait until it finishes, or set another --out"
                ) from None
            if _is_named(file, self.path):
                return file
            file.close()


def _is_named(file: BinaryIO, path: Path) -> bool:
    """Return whether the path still refers to the open file."""
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


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _lock(file: BinaryIO) -> None:
    """Lock the file for this process, or raise OSError immediately."""
    if sys.platform == "win32":
        import msvcrt

        file.seek(2**30)  # lock a byte far beyond the data, because other processes cannot read a locked byte
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
