"""Recognise files that are not model files, and compare the versions that wrote a model with the installed ones."""

from __future__ import annotations

import bz2
import lzma
import platform
import re
import zlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import featrec
from featrec.exceptions import ModelFileError

__all__ = ["installed_versions", "refuse_foreign", "version_notice"]


OPENCV_WHEELS = (
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
    "opencv-python",
    "opencv-python-headless",
)


class Agreement(NamedTuple):
    """The number of leading parts that must be equal in two versions.

    If fewer than `silent` parts are equal, load warns. If fewer than `needed` parts are equal, load refuses the file.
    """

    silent: int
    needed: int


# The same table is in docs/model_files.md. Minor versions of scikit-learn may change predictions, and major versions may change
# attributes. Major versions of OpenCV may change detectors. Python, numpy and skops are not compared, because their formats are
# versioned.
TABLE = {"featrec": Agreement(2, 0), "scikit-learn": Agreement(2, 1), "opencv": Agreement(1, 0)}
VERSION = re.compile(r"\d+(\.\d+)+\S{0,40}")

BEGINNING = 4096
LARGEST_PROTOCOL = 9
PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib", ".sav")
IMAGES = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"II*\x00": "TIFF", b"MM\x00*": "TIFF"}
ZLIB_OR_GZIP = 47  # zlib detects the format from the header


def installed_versions() -> dict[str, str | None]:
    """Return the versions of all software that may change predictions."""
    versions: dict[str, str | None] = {"featrec": featrec.__version__, "python": platform.python_version()}
    versions |= {name: _version(name) for name in ("numpy", "scikit-learn", "skops")}
    versions["opencv"] = next((found for wheel in OPENCV_WHEELS if (found := _version(wheel))), None)
    return versions


def version_notice(written: dict[str, Any]) -> str:
    """Return the text of a warning about different versions, or an empty string if no versions differ.

    Raise a ModelFileError if the installed versions cannot read the model.
    """
    here, others = installed_versions(), []
    for name, agreement in TABLE.items():
        if _start(written.get(name), agreement.needed) != _start(here[name], agreement.needed):
            raise ModelFileError(
                f"written with {name} {_shown(written.get(name))}, which {here[name]} cannot read; install that "
                "version, or fit and save the model again with this one"
            )
        if _start(written.get(name), agreement.silent) != _start(here[name], agreement.silent):
            others.append(f"{name} {_shown(written.get(name))} (installed: {here[name]})")
    if not others:
        return ""
    return (
        f"written with {', '.join(others)}. Predictions may differ; check them with evaluate, or install the versions "
        "that wrote the file."
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _start(found: Any, parts: int) -> list[str] | None:
    """Return the leading parts of a version, or None if the value is not a version."""
    if not parts:
        return []
    return found.split(".")[:parts] if isinstance(found, str) and VERSION.fullmatch(found) else None


def _shown(found: Any) -> str:
    return str(found)[:40]


def refuse_foreign(file: BinaryIO, name: str) -> None:
    """Raise a ModelFileError if the file is empty or begins like a pickle or an image. Rewind the file."""
    beginning = file.read(BEGINNING)
    file.seek(0)
    if not beginning:
        raise ModelFileError("damaged, cut off or not a model file (zero bytes); copy or save it again")
    if beginning.startswith(b"PK"):
        return
    if _is_pickle(beginning) or _is_pickle(_unpacked(beginning)) or name.lower().endswith(PICKLE_SUFFIXES):
        kept = str(Path(name).with_suffix(".featrec").name)
        raise ModelFileError(
            "a pickle or joblib file, not a featrec model file. Loading it would execute any code that it contains. If "
            "you trust its author, convert it once, with the versions that wrote it: "
            f"featrec.persistence.save(joblib.load(path), {kept!r})"
        )
    for mark, kind in IMAGES.items():
        if beginning.startswith(mark):
            raise ModelFileError(f"an image ({kind}), not a model file; write 'featrec predict MODEL IMAGES'")


def _is_pickle(beginning: bytes) -> bool:
    """Return whether the bytes begin like a pickle of protocol 2 or later."""
    return len(beginning) > 1 and beginning[0] == 0x80 and 2 <= beginning[1] <= LARGEST_PROTOCOL


def _unpacked(beginning: bytes) -> bytes:
    """Decompress the first two bytes of a file that joblib compressed. If it is not compressed, return no bytes."""
    try:
        if beginning.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(beginning, 2)
        if beginning.startswith((b"\xfd7zXZ", b"\x5d\0\0")):
            return lzma.LZMADecompressor().decompress(beginning, 2)
        return zlib.decompressobj(ZLIB_OR_GZIP).decompress(beginning, 2)
    except (OSError, EOFError, lzma.LZMAError, zlib.error):
        return b""
