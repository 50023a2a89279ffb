"""Fetching a published set: checked by its checksum, resumed where it was cut off, and safe for two processes at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from featrec.datasets._published import PublishedFile, PublishedSet
from featrec.datasets._transport import TIMEOUT, FailedDownload, Transport
from featrec.datasets._unpack import unpack
from featrec.exceptions import DatasetError, MissingExtraError

__all__ = ["fetch"]


def fetch(published: PublishedSet, home: Path, *, timeout: tuple[float, float] = TIMEOUT) -> None:
    """Fetch what is missing of a set into its published layout.

    A file gets its name only once its checksum is right; what was received until a cut waits in ``<name>.part``, and the
    next call asks for the rest. A file that has its name is not touched. Of two processes that fetch the same set one waits
    for the other, where the system has flock (Windows has not: there both fetch, and one may have to start again).

    Parameters
    ----------
    published : PublishedSet
    home : Path
        The folder that holds all sets; made where it is missing.
    timeout : tuple of float
        How many seconds to wait for a connection, and for the next bytes.

    Raises
    ------
    DatasetError
        Where no server gives the file, its bytes are other than the published ones, or the folder cannot be written.
    MissingExtraError
        Where the extra "data" is not installed.
    """
    logger = _pooch(published).get_logger()
    root = home / published.folder
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _turn(home / f".{published.folder}.lock", logger), _removed_if_empty(root):
            for file in published.files:
                if not (root / file.name).exists():
                    _retrieve(published, file, root, timeout)
            if published.archive is not None and published.missing(home):
                _retrieve_archive(published, published.archive, home, timeout)
    except OSError as error:
        raise DatasetError(
            f"the dataset {published.name!r} cannot be written to {os.fspath(home)!r} ({error}). Make room and check the "
            "permissions, or name another folder by data_home=... or FEATREC_DATA; a second call goes on where this one ended."
        ) from error


def _pooch(published: PublishedSet) -> Any:
    try:
        import pooch
    except ImportError as error:
        raise MissingExtraError(
            f'download=True needs pooch, which is not installed: pip install "featrec[data]". Or fetch the files by hand; '
            f"{published.expected}"
        ) from error
    return pooch


@contextmanager
def _turn(path: Path, logger: Any) -> Iterator[None]:
    """Let one process at a time in. The kernel frees the lock of a process that dies; the empty file stays."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("Another process fetches the same set (%s); waiting for it.", path)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            logger.info("The file system has no locks; fetching without.")
        yield


@contextmanager
def _removed_if_empty(folder: Path) -> Iterator[None]:
    """A fetch that brought nothing leaves no folder that looks like a set."""
    try:
        yield
    finally:
        with suppress(OSError):
            folder.rmdir()


def _retrieve_archive(published: PublishedSet, archive: PublishedFile, home: Path, timeout: tuple[float, float]) -> None:
    """An archive that lies there already is used, and left; one that was fetched is removed once it is unpacked."""
    import pooch

    path = home / archive.name
    found = path.exists()
    if found and not pooch.hashes.hash_matches(path, archive.checksum):
        raise DatasetError(
            f"{os.fspath(path)!r} is not the published file (its checksum is not {archive.checksum}), and nothing of yours is "
            "overwritten. Move it away, and call again."
        )
    if not found:
        _retrieve(published, archive, home, timeout)
    unpack(published, path, home)
    if not found:
        path.unlink()


def _retrieve(published: PublishedSet, file: PublishedFile, folder: Path, timeout: tuple[float, float]) -> None:
    """Fetch one file from the first server that gives it."""
    reasons = []
    for url in file.urls:
        try:
            return _retrieve_from(url, file, folder, timeout)
        except FailedDownload as error:
            reasons.append(f"{urlsplit(url).netloc} {error}")
            cause = error
    raise DatasetError(
        f"{file.name} of the dataset {published.name!r} cannot be fetched: {'; '.join(reasons)}. A second call goes on where "
        f"this one ended. Or fetch the files by hand; {published.expected}"
    ) from cause


def _retrieve_from(url: str, file: PublishedFile, folder: Path, timeout: tuple[float, float]) -> None:
    """Fetch one file. Wrong bytes after a resumption may be the fault of the older part: then once more from the start."""
    import pooch

    transport = Transport(file, timeout)
    for _ in range(2):
        try:
            pooch.retrieve(url, file.checksum, file.name, folder, downloader=transport)
            return
        except ValueError:
            if not transport.resumed:
                break
    algorithm, _, value = file.checksum.partition(":")
    raise FailedDownload(f"sends other bytes than the published ones, whose {algorithm} is {value}; they were thrown away")
