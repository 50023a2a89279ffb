"""Files that a command will write once its work is done; one that it could not write is refused before."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from featrec.exceptions import InputError

__all__ = ["check_outputs"]


def check_outputs(*outs: Path | None, example: str = "result.json") -> None:
    """Each given path can be written; a file that is there is replaced."""
    for out in outs:
        if out is None:
            continue
        if out.is_dir():
            raise InputError(f"{out} is a folder; name the file to write, such as {out / example}")
        if not out.parent.is_dir():
            raise InputError(f"there is no folder {out.parent} to write {out.name} to; make it first: mkdir -p {out.parent}")
        if not _can_write(out):
            raise InputError(f"{out} cannot be written; its permissions forbid it. Name a file in a folder of yours")
    given = [out.absolute() for out in outs if out is not None]
    if len(set(given)) < len(given):
        raise InputError(f"{given[0]} is named for two results; name two files")


def _can_write(out: Path) -> bool:
    """A file is made beside it for a moment: permissions alone say nothing of disks that are read-only."""
    try:
        with tempfile.TemporaryFile(dir=out.parent):
            return not out.exists() or os.access(out, os.W_OK)
    except OSError:
        return False
