"""Checks output files before the work starts."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from featrec.exceptions import InputError

__all__ = ["check_outputs"]


def check_outputs(*outs: Path | None, example: str = "result.json") -> None:
    """Check that each given path is writable; existing files are replaced."""
    for out in outs:
        if out is None:
            continue
        if out.is_dir():
            raise InputError(f"{out} is a folder; use a file name, such as {out / example}")
        if not out.parent.is_dir():
            raise InputError(f"there is no folder {out.parent} to write {out.name} to; make it first: mkdir -p {out.parent}")
        if not _can_write(out):
            raise InputError(f"{out} cannot be written because of its permissions. Use a file in a writable folder")
    given = [out.absolute() for out in outs if out is not None]
    if len(set(given)) < len(given):
        raise InputError(f"{given[0]} is used for two outputs; use two files")


def _can_write(out: Path) -> bool:
    """Create a temporary file next to it, because permissions do not reveal read-only disks."""
    try:
        with tempfile.TemporaryFile(dir=out.parent):
            return not out.exists() or os.access(out, os.W_OK)
    except OSError:
        return False
