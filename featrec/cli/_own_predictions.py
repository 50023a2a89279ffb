"""Prediction files of other programs: a path and a label per row."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from featrec.cli._terminal import warn
from featrec.exceptions import InputError

if TYPE_CHECKING:
    from featrec.datasets import ImageFolder

__all__ = ["FORM", "parse_predictions", "read_predictions"]

FORM = "NAME=FILE.csv"
LABELS = ("prediction", "label")


def parse_predictions(texts: Sequence[str]) -> dict[str, Path]:
    """Parse names and files."""
    files: dict[str, Path] = {}
    for text in texts:
        name, equals, file = text.partition("=")
        if not equals or not name.strip() or not file.strip():
            raise InputError(f"--predictions expects {FORM}, such as mine=predictions.csv; got {text!r}")
        if name.strip() in files:
            raise InputError(f"two --predictions have the same name {name.strip()!r}; use different names")
        files[name.strip()] = Path(file.strip())
    return files


def read_predictions(name: str, file: Path, judged: ImageFolder, others: ImageFolder | None = None) -> dict[str, str]:
    """A label for each evaluated image, by path; rows about `others`, which are not evaluated, are ignored."""
    from featrec.evaluation import predictions_of

    rows = _rows(file)
    folders = [judged] if others is None else [judged, others]
    dropped = list({failure.item for folder in folders for failure in folder.dropped})
    _tell_of_dropped(name, rows, dropped, judged.paths)
    beside = dropped if others is None else [*dropped, *others.paths]
    beside += [path for path in rows if _is_left_out(path, judged)]
    labels = predictions_of(name, rows, judged.paths, beside, len(judged))
    return dict(zip(judged.paths, labels.tolist(), strict=True))


def _tell_of_dropped(name: str, rows: dict[str, str], dropped: list[str | None], judged: Sequence[str]) -> None:
    """Warn about labels of damaged images; images that were left out of the folder are ignored here."""
    from featrec.evaluation import named_among

    found = named_among(rows, dropped, judged)
    if found:
        told = f"{found[0]!r}, which cannot be read" if len(found) == 1 else f"{len(found)} images that cannot be read"
        warn(f"the predictions {name!r} name {told}; ignored")


def _is_left_out(path: str, folder: ImageFolder) -> bool:
    """Whether a row refers to a file in the folder that is not one of its images."""
    place = os.path.abspath(os.path.join(folder.path, path))
    below = place.startswith(os.path.join(os.path.abspath(folder.path), ""))
    return below and place not in set(map(os.path.abspath, folder.paths)) and os.path.isfile(place)


def _rows(file: Path) -> dict[str, str]:
    """Read a file as a dict from path to label."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"the predictions in {str(file)!r} cannot be read: {error.strerror}; use {FORM}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{str(file)!r} is not UTF-8 text; save it as CSV in UTF-8") from error
    lines = text.splitlines()
    delimiter = max(",;\t", key=lines[0].count) if lines else ","
    cells = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    path, label, start = _columns(file, cells, delimiter)
    found: dict[str, str] = {}
    for number, row in enumerate(cells[start:], start=start + 1):
        if not any(row):
            continue
        if len(row) <= max(path, label) or not row[path] or not row[label]:
            raise InputError(f"row {number} of {str(file)!r} lacks a path or a label; it contains {row}")
        if row[path] in found:
            raise InputError(f"{str(file)!r} names {row[path]!r} twice, the second time in row {number}; keep one of the two")
        found[row[path]] = row[label]
    return found


def _columns(file: Path, cells: list[list[str]], delimiter: str) -> tuple[int, int, int]:
    """The columns of paths and labels, and the first data row; the output of ``featrec predict`` has no header."""
    header = cells[0] if cells else []
    named = next((name for name in LABELS if name in header), None)
    if "path" in header and named is not None:
        return header.index("path"), header.index(named), 1
    if delimiter == "\t" and len(header) == 2:
        return 0, 1, 0
    raise InputError(f"{str(file)!r} needs the columns path and label (or prediction) in its first row; it has {header}")
