"""Unpacking a published archive; half-written files are never visible."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from featrec.datasets._published import PublishedSet
from featrec.exceptions import DatasetError

__all__ = ["unpack"]


def unpack(published: PublishedSet, archive: Path, home: Path) -> None:
    """Unpack the content next to its destination and move each missing part there in one step.

    Only plain files of the content are written; links and outside paths are skipped.
    """
    root = home / published.folder
    root.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=home, prefix=f".{published.folder}-") as place:
        try:
            with _opened(archive, published.inner) as tar:
                _write_members(tar, published, Path(place))
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
            raise DatasetError(
                f"{os.fspath(archive)!r} cannot be unpacked ({error}), although its checksum is right; {published.expected}"
            ) from error
        for part in published.missing(home):
            if (Path(place) / part).exists():
                os.replace(Path(place) / part, root / part)


@contextmanager
def _opened(archive: Path, inner: str | None) -> Iterator[tarfile.TarFile]:
    """The tar file as a stream, possibly inside a zip file."""
    if inner is None:
        with tarfile.open(archive, "r|*") as tar:
            yield tar
    else:
        with zipfile.ZipFile(archive) as box, box.open(inner) as stream, tarfile.open(fileobj=stream, mode="r|*") as tar:
            yield tar


def _write_members(tar: tarfile.TarFile, published: PublishedSet, place: Path) -> None:
    for member in tar:
        parts = PurePosixPath(member.name).parts
        if parts[:1] == (published.folder,):
            parts = parts[1:]
        source = tar.extractfile(member) if member.isfile() else None
        if source is None or ".." in parts or not parts or parts[0] not in published.content:
            continue
        path = place.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        with source, open(path, "wb") as target:
            shutil.copyfileobj(source, target)
