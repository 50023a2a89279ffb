"""Read manifests: CSV files that list images and labels."""

from __future__ import annotations

import csv
import io
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

import numpy as np

from featrec.datasets._tree import FileImage, Stamp
from featrec.exceptions import DatasetError

__all__ = ["MANIFESTS", "Manifest", "is_manifest", "read_manifest"]

MANIFESTS = (".csv", ".tsv")
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}


class Manifest(NamedTuple):
    """The content of a manifest, in the order of its rows."""

    images: list[FileImage]
    labels: list[str]
    columns: dict[str, np.ndarray]


class _Row(NamedTuple):
    line: int
    cells: dict[str, str]


def is_manifest(path: str) -> bool:
    return os.path.isfile(path) and path.lower().endswith(MANIFESTS)


def read_manifest(
    manifest: str, path: str = "path", label: str = "label", root: str | None = None, *, keep_missing: bool = False
) -> Manifest:
    """Read and check a manifest. The images must exist but are not opened.

    If `keep_missing` is True, a missing image raises an error only when it is read.
    """
    base = os.path.abspath(root if root is not None else os.path.dirname(os.path.abspath(manifest)))
    rows = list(_rows(manifest, path, label))
    if not rows:
        raise DatasetError(f"the manifest {manifest!r} has a header but no rows; each row must name an image and its label.")
    labels = [_label(manifest, row, label) for row in rows]
    places = [_place(manifest, row, path, base) for row in rows]
    _refuse_twice(manifest, rows, places, path)
    images = _images(manifest, rows, places, path, base, keep_missing)
    further = [name for name in rows[0].cells if name not in (path, label)]
    columns = {name: np.array([row.cells[name] for row in rows], dtype=str) for name in further}
    return Manifest(images, labels, columns)


def _rows(manifest: str, path: str, label: str) -> Iterator[_Row]:
    text = _text(manifest)
    delimiter, header = _header(manifest, text, path, label)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    line = 1
    try:
        next(reader)
        while True:
            line = reader.line_num + 1
            cells = next(reader, None)
            if cells is None:
                return
            if not cells:
                continue
            if len(cells) != len(header):
                raise DatasetError(
                    f"line {line} of the manifest {manifest!r} has {len(cells)} cells, but the header has {len(header)}. Cells "
                    f"are separated by {DELIMITERS[delimiter]}; put double quotes around cells that contain the separator."
                )
            yield _Row(line, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise DatasetError(
            f"line {line} of the manifest {manifest!r} is not valid CSV ({error}); look for an unclosed double quote."
        ) from error


def _text(manifest: str) -> str:
    try:
        with open(manifest, "rb") as file:
            data = file.read()
    except OSError as error:
        raise DatasetError(f"the manifest {manifest!r} cannot be read ({error.strerror}); check the path") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DatasetError(
            f"line {line} of the manifest {manifest!r} is not valid UTF-8 (byte {data[error.start]:#04x}); save it "
            f"as 'CSV UTF-8'."
        ) from None


def _header(manifest: str, text: str, path: str, label: str) -> tuple[str, list[str]]:
    """Return the delimiter for which the header contains both columns, and the names of all columns."""
    headers = {delimiter: _first_cells(text, delimiter) for delimiter in DELIMITERS}
    for delimiter, header in headers.items():
        if path in header and label in header:
            _refuse_same_columns(manifest, header)
            return delimiter, header
    names = max(headers.values(), key=len)
    missing = [name for name in (path, label) if name not in names]
    raise DatasetError(
        f"the manifest {manifest!r} has no column {' and no column '.join(map(repr, missing))} in its first line; "
        f"it has {names}. Rename the columns to {path!r} and {label!r}, or name them in Python: "
        'ImageFolder.from_manifest(file, path="...", label="...").'
    )


def _first_cells(text: str, delimiter: str) -> list[str]:
    first = re.split("[\r\n]", text, maxsplit=1)[0]
    try:
        return [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter, skipinitialspace=True), [])]
    except csv.Error:
        return []


def _refuse_same_columns(manifest: str, header: list[str]) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DatasetError(f"the manifest {manifest!r} has several columns with the same name, {twice}; rename them.")


def _label(manifest: str, row: _Row, label: str) -> str:
    """Return the label in the composed form of Unicode, like the names of class folders."""
    text = unicodedata.normalize("NFC", row.cells[label].strip())
    if not text:
        _refuse(manifest, row, label, "is empty; enter the label, or remove the row")
    return text


def _place(manifest: str, row: _Row, path: str, base: str) -> str:
    """Return the path of the image, which must be inside the root."""
    text = row.cells[path]
    if not text.strip():
        _refuse(manifest, row, path, "is empty; enter the path, or remove the row")
    if "\0" in text:
        _refuse(manifest, row, path, "contains a null character")
    place = os.path.normpath(os.path.join(base, text))
    if not place.startswith(os.path.join(base, "")):
        _refuse(
            manifest,
            row,
            path,
            f"is outside {base!r}; move the manifest to a folder above all images, or set root=... in Python",
        )
    return place


def _refuse_twice(manifest: str, rows: list[_Row], places: list[str], path: str) -> None:
    first: dict[str, int] = {}
    for row, place in zip(rows, places, strict=True):
        if place in first:
            _refuse(manifest, row, path, f"is already in line {first[place]}; remove one of the two")
        first[place] = row.line


def _images(manifest: str, rows: list[_Row], places: list[str], path: str, base: str, keep_missing: bool) -> list[FileImage]:
    images = []
    missing = []
    for row, place in zip(rows, places, strict=True):
        try:
            found = os.stat(place)
        except OSError:
            missing.append(row)
            images.append(FileImage(place, None))
            continue
        if not stat.S_ISREG(found.st_mode):
            _refuse(manifest, row, path, "is not a file; each row must name one image")
        images.append(FileImage(place, Stamp.of(found)))
    if missing and not keep_missing:
        others = f" ({len(missing)} files are missing in total)" if len(missing) > 1 else ""
        hint = ", use '/' as separator" if "\\" in missing[0].cells[path] else ""
        _refuse(
            manifest,
            missing[0],
            path,
            f"does not exist{others}; paths start at {base!r}. Correct them, set root=... in Python{hint}, or remove the rows",
        )
    return images


def _refuse(manifest: str, row: _Row, column: str, reason: str) -> NoReturn:
    raise DatasetError(f"line {row.line} of the manifest {manifest!r}: {column} {row.cells[column]!r} {reason}.")
