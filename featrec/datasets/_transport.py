"""Transport: download one file over HTTP, resuming interrupted downloads."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from featrec.datasets._published import PublishedFile

__all__ = ["TIMEOUT", "FailedDownload", "Transport"]

TIMEOUT = (10.0, 30.0)
ATTEMPTS = 5
CHUNK = 1 << 16


class FailedDownload(Exception):
    """The server did not provide the file; the message says what happened."""


class CutOff(FailedDownload):
    """The server sent a part of the file; requesting the rest may help."""


class Transport:
    """A downloader for pooch. Unlike pooch's own, it resumes, and it stops at the published size.

    Parameters
    ----------
    file : PublishedFile
    timeout : tuple of float
        Seconds to wait for a connection, and for the next bytes.

    Attributes
    ----------
    resumed : bool
        Whether the file contains bytes of an earlier attempt.
    """

    def __init__(self, file: PublishedFile, timeout: tuple[float, float]):
        self.file = file
        self.timeout = timeout
        self.resumed = False

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Download the whole file; repeat attempts while each makes progress."""
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
            raise FailedDownload(f"cannot be reached ({_told(error)}); is there a network?") from error
        except requests.RequestException as error:
            raise FailedDownload(f"the request failed ({error})") from error
        except HTTPError as error:
            problem = f"the connection broke off ({_told(error)})"
        if _size(part) < self.file.size:
            raise CutOff(f"{problem} after {_size(part):,} of {self.file.size:,} bytes")

    def _receive(self, url: str, part: Path, requests: Any) -> bool:
        """One request. Returns False if the server cannot resume; the partial file is then deleted.

        Bytes are stored as sent: some servers declare the .gz of a file name as an encoding, which must not be decoded.
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
                raise FailedDownload(f"answers {response.status_code} {response.reason} for {url}")
            self._refuse_another_length(response)
            resumes = response.status_code == 206
            self.resumed = self.resumed and resumes
            self._write(response, part, start if resumes else 0)
        return True

    def _refuse_another_length(self, response: Any) -> None:
        told = response.headers.get("Content-Length")
        if response.status_code == 206:
            told = response.headers.get("Content-Range", "").rpartition("/")[2]
        if told and told.isdecimal() and int(told) != self.file.size:
            raise FailedDownload(f"declares {int(told):,} bytes, but the published file has {self.file.size:,}")

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
    """Whether the server refused the range or sent another one. A server that ignores ranges sends the whole file (status
    200)."""
    other = response.status_code == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    return other or response.status_code == 416


def _told(error: BaseException) -> str:
    """The error message without the address or object that urllib3 puts first."""
    inner = error.args[0] if error.args else error
    return re.sub(r"^[^ ]*?\(.*?\): |^<.*?>: ", "", str(getattr(inner, "reason", inner)))
