"""A matrix on the disk that grows block by block, survives a kill at any moment and appears only when it is whole."""

from __future__ import annotations

import io
import os
import sys
import zlib
from pathlib import Path
from typing import Any, Self

import numpy as np

from featrec.cli._journal import Journal, to_disk
from featrec.exceptions import InputError

__all__ = ["CodesFile"]

KIND = "<f4"


class CodesFile:
    """Rows of float32 that are appended in blocks to ``out.part``, and a journal, ``out.journal``, of what of it is done.

    A block counts once its bytes and then its line in the journal, with a checksum each, have reached the disk. Opened again
    for the same task it goes on behind the last block that does; what a kill has cut off is written again. A second
    process at the same file is refused; the lock is the system's and ends with the process that holds it, however that ends.

    Parameters
    ----------
    out : path
    task : dict
        What the rows are made from, by names that an error can use. All must be equal for the work to go on.
    n_rows : int
    fresh : bool
        Throw away what an earlier process has begun.

    Attributes
    ----------
    width : int or None
        The length of a row; None where nothing has been begun.
    blocks : list of dict
        What was noted of each block that is done.
    published : bool
        The file has its name already, and a kill has left the journal only.
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
        if not self.blocks:  # nothing that another run could go on from
            self.part.unlink(missing_ok=True)
            self.clear()
        self.journal.close()

    @property
    def n_done(self) -> int:
        """How many rows are on the disk."""
        return self.blocks[-1]["stop"] if self.blocks else 0

    def begin(self, width: int) -> None:
        """Start with nothing."""
        with open(self.part, "wb") as file:
            file.write(_header(self.n_rows, width))
            to_disk(file)
        _folder_to_disk(self.out.parent)
        self.journal.add({"task": self.task, "rows": self.n_rows, "width": width})
        self.width = width

    def append(self, rows: np.ndarray, notes: dict[str, Any]) -> None:
        """Write a block of rows, and what is to be known of it."""
        data = np.ascontiguousarray(rows, KIND).tobytes()
        with open(self.part, "r+b") as file:
            file.truncate(self._place(self.n_done))
            file.seek(0, os.SEEK_END)
            file.write(data)
            to_disk(file)
        block = {"start": self.n_done, "stop": self.n_done + len(rows), "checksum": zlib.crc32(data), **notes}
        self.journal.add(block)
        self.blocks.append(block)

    def publish(self) -> None:
        """Give the file its name."""
        os.replace(self.part, self.out)
        _folder_to_disk(self.out.parent)
        self.published = True

    def clear(self) -> None:
        """Remove the journal, once all is where it belongs."""
        self.journal.remove()

    def _place(self, row: int) -> int:
        """Where a row begins in the file."""
        assert self.width is not None
        return len(_header(self.n_rows, self.width)) + 4 * row * self.width

    def _resume(self) -> None:
        if len(self.journal.records) < 2:  # no row is done yet
            self.journal.keep(0)
            return
        first, *blocks = self.journal.records
        self._refuse_another_task(first)
        if self._header_stands(first["width"]):
            self.width = first["width"]
            blocks = blocks[: self._whole(blocks)]
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
                f"{self.out} was begun by an earlier run, and since then {' and '.join(other)} {verb} changed. Give what that "
                "run was given, name another --out, or throw away what it did with --restart"
            )

    def _header_stands(self, width: int) -> bool:
        """Whether the file begins as a file of these rows does."""
        header = _header(self.n_rows, width)
        if not self.part.exists():
            return False
        with open(self.part, "rb") as file:
            return file.read(len(header)) == header

    def _whole(self, blocks: list[dict[str, Any]]) -> int:
        """How many of the blocks are on the disk as they were written, before the first that is not."""
        assert self.width is not None
        with open(self.part, "rb") as file:
            file.seek(self._place(0))
            for count, block in enumerate(blocks):
                data = file.read(4 * self.width * (block["stop"] - block["start"]))
                if zlib.crc32(data) != block["checksum"]:
                    return count
        return len(blocks)


def _header(n_rows: int, width: int) -> bytes:
    """What a .npy file of that shape begins with."""
    buffer = io.BytesIO()
    facts = {"descr": KIND, "fortran_order": False, "shape": (n_rows, width)}
    np.lib.format.write_array_header_1_0(buffer, facts)
    return buffer.getvalue()


def _folder_to_disk(folder: Path) -> None:
    """A name is on the disk when its folder is; Windows has no such call."""
    if sys.platform != "win32":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
