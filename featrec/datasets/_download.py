"""Download published datasets. Checksums are verified, and any process can resume an interrupted download."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from featrec.datasets._home import PublishedFile, PublishedSet
from featrec.exceptions import DatasetError, MissingExtraError

__all__ = ["fetch"]

TIMEOUT = (10.0, 30.0)
ATTEMPTS = 5
CHUNK = 1 << 16


def fetch(published: PublishedSet, home: Path, *, timeout: tuple[float, float] = TIMEOUT) -> None:
    """Download the missing files of a dataset.

    A file gets its final name only after its checksum is verified. An interrupted download stays in ``<name>.part``, and the
    next call resumes it. Existing files are not changed. If two processes download the same dataset, one waits for the other.
    Waiting requires flock. On Windows, both processes download, and one may have to start again.

    `home` is the folder that contains all datasets. `timeout` contains two limits in seconds: for connecting, and for waiting
    for more bytes.
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
            "permissions, or choose another folder with data_home=... or FEATREC_DATA; calling again resumes the download."
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
    """Let only one process download at a time. The lock file stays, but the system releases the lock when a process ends."""
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
    """Remove the folder if the download failed and left it empty."""
    try:
        yield
    finally:
        with suppress(OSError):
            folder.rmdir()


def _retrieve_archive(published: PublishedSet, archive: PublishedFile, home: Path, timeout: tuple[float, float]) -> None:
    """Unpack the archive, after downloading it if necessary. A downloaded archive is deleted afterwards."""
    import pooch

    path = home / archive.name
    found = path.exists()
    if found and not pooch.hashes.hash_matches(path, archive.checksum):
        raise DatasetError(
            f"{os.fspath(path)!r} is not the published file (its checksum is not {archive.checksum}). Existing files are never "
            "overwritten; move this file away and call again."
        )
    if not found:
        _retrieve(published, archive, home, timeout)
    _unpack(published, path, home)
    if not found:
        path.unlink()


def _retrieve(published: PublishedSet, file: PublishedFile, folder: Path, timeout: tuple[float, float]) -> None:
    """Download one file from the first server that provides a valid file."""
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
    """Download one file. If the checksum is wrong after a resumed download, download it again from the beginning."""
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


class FailedDownload(Exception):
    """The server did not provide the file; the message states the reason."""


class CutOff(FailedDownload):
    """The server sent only part of the file; requesting the rest may succeed."""


class Transport:
    """A downloader for pooch that can resume downloads and stops at the published size. Pooch's own downloader does neither."""

    def __init__(self, file: PublishedFile, timeout: tuple[float, float]):
        self.file = file
        self.timeout = timeout
        self.resumed = False  # whether the file contains bytes from an earlier attempt

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Download the whole file. If an attempt makes progress but fails, try again, up to ATTEMPTS times."""
        part = Path(output_file).with_name(f"{self.file.name}.part")
        self.resumed = 0 < _size(part) <= self.file.size
        for left in reversed(range(ATTEMPTS)):
            before = _size(part)
            try:
                self._attempt(url, part)
                break
            except CutOff:
                if not left or _size(part) <= before:
                    raise
        os.replace(part, output_file)

    def _attempt(self, url: str, part: Path) -> None:
        import requests
        from urllib3.exceptions import HTTPError

        try:
            if not self._receive(url, part, requests):
                self._receive(url, part, requests)
            problem = "ends the download"
        except (requests.Timeout, requests.ConnectionError) as error:
            raise FailedDownload(f"cannot be reached ({_reason(error)}); check the network connection") from error
        except requests.RequestException as error:
            raise FailedDownload(f"the request failed ({error})") from error
        except HTTPError as error:
            problem = f"the connection broke off ({_reason(error)})"
        if _size(part) < self.file.size:
            raise CutOff(f"{problem} after {_size(part):,} of {self.file.size:,} bytes")

    def _receive(self, url: str, part: Path, requests: Any) -> bool:
        """Send one request. If the server cannot resume, delete the partial file and return False.

        The bytes are stored as received. Some servers declare gzip encoding for a .gz file, but it must not be unpacked here.
        """
        start = _size(part)
        if start == self.file.size:
            return True
        headers = {"Accept-Encoding": "identity"}
        if 0 < start < self.file.size:
            headers["Range"] = f"bytes={start}-"
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout) as response:
            if "Range" in headers and _cannot_resume(response, start):
                part.unlink()
                return False
            if response.status_code >= 400:
                raise FailedDownload(f"responds with {response.status_code} {response.reason} for {url}")
            self._refuse_another_length(response)
            resumes = response.status_code == 206
            self.resumed = self.resumed and resumes
            self._write(response, part, start if resumes else 0)
        return True

    def _refuse_another_length(self, response: Any) -> None:
        declared = response.headers.get("Content-Length")
        if response.status_code == 206:
            declared = response.headers.get("Content-Range", "").rpartition("/")[2]
        if declared and declared.isdecimal() and int(declared) != self.file.size:
            raise FailedDownload(f"declares {int(declared):,} bytes, but the published file has {self.file.size:,} bytes")

    def _write(self, response: Any, part: Path, received: int) -> None:
        with open(part, "ab" if received else "wb") as file:
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                received += len(chunk)
                if received > self.file.size:
                    break
                file.write(chunk)
        if received > self.file.size:
            part.unlink()
            raise FailedDownload(f"sends more than the {self.file.size:,} bytes of the published file")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _cannot_resume(response: Any, start: int) -> bool:
    """Return whether the server refused the range or sent another range. Status 200 (the whole file) is accepted."""
    other = response.status_code == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    return other or response.status_code == 416


def _reason(error: BaseException) -> str:
    """Return the error message without the address or object that urllib3 puts at its start."""
    inner = error.args[0] if error.args else error
    return re.sub(r"^[^ ]*?\(.*?\): |^<.*?>: ", "", str(getattr(inner, "reason", inner)))


def _unpack(published: PublishedSet, archive: Path, home: Path) -> None:
    """Unpack the archive into a temporary folder, and move each missing part to its destination in one step.

    Only plain files of the published content are written; links and paths that lead outside are skipped.
    """
    root = home / published.folder
    root.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=home, prefix=f".{published.folder}-") as place:
        try:
            with _opened(archive, published.inner) as tar:
                _write_members(tar, published, Path(place))
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
            raise DatasetError(
                f"{os.fspath(archive)!r} cannot be unpacked ({error}), although its checksum is correct; {published.expected}"
            ) from error
        for part in published.missing(home):
            if (Path(place) / part).exists():
                os.replace(Path(place) / part, root / part)


@contextmanager
def _opened(archive: Path, inner: str | None) -> Iterator[tarfile.TarFile]:
    """Open the tar file as a stream. It may be inside a zip file."""
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
