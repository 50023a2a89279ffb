"""Files that are taken for model files and are something else: they are named, and never opened for what they are."""

from __future__ import annotations

import bz2
import lzma
import zlib
from pathlib import Path
from typing import BinaryIO

from featrec.exceptions import ModelFileError

__all__ = ["refuse_foreign"]

BEGINNING = 4096
LARGEST_PROTOCOL = 9
PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib", ".sav")
IMAGES = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"II*\x00": "TIFF", b"MM\x00*": "TIFF"}
ZLIB_OR_GZIP = 47  # both, told apart by the header


def refuse_foreign(file: BinaryIO, name: str) -> None:
    """Raise where the file begins as something that is known and no model file; else it stands at its start again."""
    beginning = file.read(BEGINNING)
    file.seek(0)
    if not beginning:
        raise ModelFileError("damaged, cut off or no model file (zero bytes); copy it again or save the model again")
    if beginning.startswith(b"PK"):
        return
    if _is_pickle(beginning) or _is_pickle(_unpacked(beginning)) or name.lower().endswith(PICKLE_SUFFIXES):
        kept = str(Path(name).with_suffix(".featrec").name)
        raise ModelFileError(
            "a file of pickle or joblib, no model file of featrec. Loading one executes whatever code stands in it, so featrec "
            "does not. If you know where it comes from: featrec.persistence.save(joblib.load(path), "
            f"{kept!r}), once, with the versions that wrote it, makes a model file of it"
        )
    for mark, kind in IMAGES.items():
        if beginning.startswith(mark):
            raise ModelFileError(f"an image ({kind}), no model file; 'featrec predict' takes the model first, then the images")


def _is_pickle(beginning: bytes) -> bool:
    """Protocols 2 and later begin with their number."""
    return len(beginning) > 1 and beginning[0] == 0x80 and 2 <= beginning[1] <= LARGEST_PROTOCOL


def _unpacked(beginning: bytes) -> bytes:
    """The first bytes of what joblib has compressed; nothing where it is not compressed."""
    try:
        if beginning.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(beginning, 2)
        if beginning.startswith((b"\xfd7zXZ", b"\x5d\0\0")):
            return lzma.LZMADecompressor().decompress(beginning, 2)
        return zlib.decompressobj(ZLIB_OR_GZIP).decompress(beginning, 2)
    except (OSError, EOFError, lzma.LZMAError, zlib.error):
        return b""
