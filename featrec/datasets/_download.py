"""Download of published datasets: verified by checksum, resumed after interruptions, and safe for concurrent processes."""

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
    """Download the missing files of a dataset into its published layout.

    A file gets its final name only after its checksum is verified. An interrupted download stays in ``<name>.part``, and the
    next call resumes it. Existing files are not changed. If two processes download the same dataset, one waits for the other.
    This needs flock; on Windows both download, and one may have to start again.

    Parameters
    ----------
    published : PublishedSet
    home : Path
        The folder of all datasets; created if missing.
    timeout : tuple of float
        Seconds to wait for a connection, and for the next bytes.

    Raises
    ------
    DatasetError
        If no server provides the file, its checksum is wrong, or the folder is not writable.
    MissingExtraError
        If the extra "data" is not installed.
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
            f"the dataset {published.name!r} cannot be written to {os.fspath(home)!r} ({error}). Free some space and check the "
            "permissions, or set another folder by data_home=... or FEATREC_DATA; calling again resumes the download."
        ) from error


def _pooch(published: PublishedSet) -> Any:
    try:
        import pooch
    except ImportError as error:
        raise MissingExtraError(
            f'download=True needs pooch, which is not installed: pip install "featrec[data]". Or download the files manually; '
            f"{published.expected}"
        ) from error
    return pooch


@contextmanager
def _turn(path: Path, logger: Any) -> Iterator[None]:
    """Let one process in at a time. The system releases the lock if a process dies; the empty lock file stays."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("Another process is downloading the same dataset (%s); waiting for it.", path)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            logger.info("The file system does not support locks; downloading without a lock.")
        yield


@contextmanager
def _removed_if_empty(folder: Path) -> Iterator[None]:
    """Remove the new folder if the download failed, so that it does not look like a dataset."""
    try:
        yield
    finally:
        with suppress(OSError):
            folder.rmdir()


def _retrieve_archive(published: PublishedSet, archive: PublishedFile, home: Path, timeout: tuple[float, float]) -> None:
    """Use an existing archive and keep it; delete a downloaded archive after it is unpacked."""
    import pooch

    path = home / archive.name
    found = path.exists()
    if found and not pooch.hashes.hash_matches(path, archive.checksum):
        raise DatasetError(
            f"{os.fspath(path)!r} is not the published file (its checksum is not {archive.checksum}). Your files are not "
            "overwritten; move it away and call again."
        )
    if not found:
        _retrieve(published, archive, home, timeout)
    unpack(published, path, home)
    if not found:
        path.unlink()


def _retrieve(published: PublishedSet, file: PublishedFile, folder: Path, timeout: tuple[float, float]) -> None:
    """Download one file from the first server that provides it."""
    reasons = []
    for url in file.urls:
        try:
            return _retrieve_from(url, file, folder, timeout)
        except FailedDownload as error:
            reasons.append(f"{urlsplit(url).netloc} {error}")
            cause = error
    raise DatasetError(
        f"{file.name} of the dataset {published.name!r} cannot be downloaded: {'; '.join(reasons)}. Calling again resumes the "
        f"download. Or download the files manually; {published.expected}"
    ) from cause


def _retrieve_from(url: str, file: PublishedFile, folder: Path, timeout: tuple[float, float]) -> None:
    """Download one file. If the checksum is wrong after a resumed download, start once more from the beginning."""
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
    raise FailedDownload(f"sends a file whose {algorithm} is not the published {value}; it was deleted")
