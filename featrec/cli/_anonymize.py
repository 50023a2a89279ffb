"""The command ``anonymize``: copies of images in which faces are blurred."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from featrec.cli._arguments import add_threads, count
from featrec.cli._terminal import report, verbosity
from featrec.exceptions import ImageError, InputError

if TYPE_CHECKING:
    from featrec.preprocessing import BlurFaces

__all__ = ["add_anonymize_arguments", "add_blur_arguments", "blur_of", "run_anonymize"]

# Hidden, so that the folder of copies is a folder of images and nothing else.
RECORD = ".featrec-anonymized.jsonl"
BATCH = 4
NOT_COPIED = "EXIF data (place, time, camera), comments and colour profiles were not copied"


class Copy(NamedTuple):
    """An image and the file that its copy is written to."""

    item: Any
    target: Path
    name: str  # of the target, below the folder


class Done(NamedTuple):
    """What happened to an image. `faces` is None if it could not be used."""

    copy: Copy
    faces: int | None
    error: ImageError | None = None
    is_new: bool = True


def add_anonymize_arguments(parser: argparse.ArgumentParser) -> None:
    files = "folders of images at any depth, archives, manifests or files; use - to read paths from standard input"
    parser.add_argument("files", metavar="DIR", nargs="+", help=files)
    parser.add_argument("--out", metavar="FOLDER", type=Path, required=True, help="folder for the copies")
    add_blur_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON lines with path, copy, faces and written")
    add_threads(parser)


def add_blur_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of BlurFaces."""
    detectors = "frontal, profile, lbp, or a file of YuNet (.onnx) or of a cascade (.xml); may be repeated (default: frontal)"
    parser.add_argument("--detector", metavar="NAME", action="append", help=f"how to find faces: {detectors}")
    parser.add_argument("--min-size", metavar="N", type=count, default=24, help="smallest face in pixels (default: 24)")
    cells = "cells along each side of a face; fewer hide more (default: 4)"
    parser.add_argument("--cells", metavar="N", type=count, default=4, help=cells)
    parser.add_argument("--shape", choices=["ellipse", "rectangle"], default="ellipse", help="area to blur (default: ellipse)")


def blur_of(arguments: argparse.Namespace) -> BlurFaces:
    """Return the step that the options describe. If a detector cannot run, raise an error."""
    from featrec.preprocessing import BlurFaces

    detector = arguments.detector or ["frontal"]
    options = {"min_size": arguments.min_size, "cells": arguments.cells, "shape": arguments.shape}
    return BlurFaces(detector, **options).fit([])


def run_anonymize(arguments: argparse.Namespace) -> int:
    """Write copies of images in which faces are blurred, without their metadata.

    The folders keep their structure, and originals are never changed. Prints the number of faces of each image. If the command
    was interrupted, run it again: finished copies are kept. Returns 1 if some images could not be used, 2 if no image could be
    used.
    """
    step = blur_of(arguments)
    copies = _planned(arguments.files, arguments.out)
    arguments.out.mkdir(parents=True, exist_ok=True)
    found = []
    with open(arguments.out / RECORD, "a+", encoding="utf-8", errors="surrogateescape") as file:
        record = Record(file, step)
        record.refuse_others(copies)
        for done in _each(step, copies, record, arguments.n_jobs):
            found.append(done)
            _tell(done, arguments.json)
    return _summarize(found, arguments.out)


def _planned(files: Sequence[str], out: Path) -> list[Copy]:
    """Return the copies to write. No image is opened."""
    from featrec.cli._image_file import name_of_copy
    from featrec.cli._images import find_images

    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; use a folder")
    copies: dict[str, Copy] = {}
    for file in files:
        _refuse_nested(file, out)
        for item in find_images(file):
            place = _place(item.path, file, alone=len(files) == 1)
            name = name_of_copy(place)
            if name in copies:
                raise InputError(
                    f"{copies[name].item.path!r} and {item.path!r} would have the same copy, {name!r}; use two --out folders"
                )
            copies[name] = Copy(item, out / name, name)
            if copies[name].target.resolve() == Path(item.path).resolve():
                raise _in_the_originals(out, Path(item.path).parent)
    if not copies:
        raise InputError("no images given; standard input contains no path")
    return list(copies.values())


def _place(path: str, argument: str, *, alone: bool) -> str:
    """Return the path of an image below its folder or archive; of several, each has a folder of its own."""
    from featrec.datasets import is_archive, is_manifest

    if os.path.isdir(argument) or is_archive(argument):
        below = os.path.relpath(path, argument)
        return below if alone else os.path.join(os.path.basename(os.path.abspath(argument)), below)
    if argument != "-" and is_manifest(argument):
        below = os.path.relpath(path, os.path.dirname(argument) or ".")
        if not below.startswith(os.pardir):
            return below
    return os.path.basename(path)


def _refuse_nested(file: str, out: Path) -> None:
    """Refuse a folder of copies that is, or is in, a folder of originals."""
    if os.path.isdir(file) and out.resolve().is_relative_to(Path(file).resolve()):
        raise _in_the_originals(out, file)


def _in_the_originals(out: Path, source: object) -> InputError:
    return InputError(f"--out {out} is in {source}, a folder of originals; originals are never changed, so use another folder")


class Record:
    """The list of finished copies, in a hidden file of their folder: a line for each, with its source and the settings."""

    def __init__(self, file: TextIO, step: BlurFaces):
        self.file = file
        self.lock = threading.Lock()
        self.settings = _settings(step)
        file.seek(0)
        self.lines = {line["copy"]: line for line in _valid_lines(file)}

    def refuse_others(self, copies: Sequence[Copy]) -> None:
        """Raise an error if a file exists that this command did not write."""
        other = next((copy.target for copy in copies if copy.name not in self.lines and copy.target.exists()), None)
        if other is not None:
            raise InputError(f"{other} exists and was not written by this command; use an empty folder")

    def faces(self, copy: Copy) -> int | None:
        """Return the number of faces of a finished copy of the same source with the same settings."""
        line = self.lines.get(copy.name)
        same = line is not None and line["source"] == _source(copy.item) and line["settings"] == self.settings
        return line["faces"] if line is not None and same and copy.target.is_file() else None

    def add(self, copy: Copy, faces: int) -> None:
        line = {"copy": copy.name, "faces": faces, "source": _source(copy.item), "settings": self.settings}
        with self.lock:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()


def _valid_lines(file: TextIO) -> Iterator[dict[str, Any]]:
    for text in file:
        try:
            line = json.loads(text)
        except ValueError:  # the end of an interrupted run
            continue
        if isinstance(line, dict) and line.keys() >= {"copy", "faces", "source", "settings"}:
            yield line


def _settings(step: BlurFaces) -> str:
    """Return the options, with the date of a detector's file."""
    stamps = [os.stat(name).st_mtime_ns for name in step._detectors() if os.path.isfile(name)]
    return f"{sorted(step.get_params().items())} {stamps}"


def _source(item: Any) -> list[int] | None:
    """Return what changes if the image changes: size and modification time of its file or archive."""
    path = item.archive.path if hasattr(item, "archive") else item.path
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _each(step: BlurFaces, copies: list[Copy], record: Record, n_jobs: int) -> Iterator[Done]:
    from featrec.parallel import each_batch

    def write(part: list[Copy]) -> list[Done]:
        return [_write(step, copy, record) for copy in part]

    options: dict[str, Any] = {"n_jobs": n_jobs, "batch_size": BATCH, "shared_memory": True}
    for part in each_batch(write, copies, verbose=verbosity(), label="images", **options):
        yield from part


def _write(step: BlurFaces, copy: Copy, record: Record) -> Done:
    from featrec.cli._image_file import encoded, write_atomically

    faces = record.faces(copy)
    if faces is not None:
        return Done(copy, faces, is_new=False)
    try:
        blurred, found = step.hide(copy.item.read())
    except ImageError as error:
        return Done(copy, None, error)
    except InputError as error:
        return Done(copy, None, ImageError(str(error), item=copy.item.path))
    data = encoded(blurred, copy.target.suffix)
    copy.target.parent.mkdir(parents=True, exist_ok=True)
    record.add(copy, len(found))  # first: a copy without a line would look like somebody else's file
    write_atomically(copy.target, data)
    return Done(copy, len(found))


def _tell(done: Done, as_json: bool) -> None:
    if done.error is not None:
        report([done.error])
    elif as_json:
        facts = {"path": done.copy.item.path, "copy": str(done.copy.target), "faces": done.faces, "written": done.is_new}
        print(json.dumps(facts, ensure_ascii=False))
    else:
        print(f"{done.copy.item.path}\t{done.faces}")


def _summarize(found: list[Done], out: Path) -> int:
    """Print totals to standard error, and return the exit code."""
    sys.stdout.flush()
    used = [done for done in found if done.faces is not None]
    kept = sum(not done.is_new for done in used)
    faces, with_faces = sum(done.faces or 0 for done in used), sum(bool(done.faces) for done in used)
    was_there = f" ({kept:,} of them by an earlier run)" if kept else ""
    sys.stderr.write(
        f"featrec: {len(used):,} of {len(found):,} images copied to {out}{was_there}; {faces:,} faces blurred in "
        f"{with_faces:,} images. {NOT_COPIED}. Detectors miss some faces: look at the copies before you publish them\n"
    )
    return 0 if len(used) == len(found) else 1 if used else 2
