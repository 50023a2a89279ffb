"""Read the body of a request into memory, within limits: one image, or several in a multipart form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from featrec.serving._limits import Limits, Refusal

__all__ = ["Budget", "Upload", "uploads"]

FIELD = "image"
WAY_OUT = f"Send the bytes of one image, or a form (multipart/form-data) with one or several files in the field {FIELD!r}"
LONGEST_NAME = 200
MOST_HEADERS = 16  # of a part of a form
NOT_IMAGES = ("application/json", "text/")


@dataclass
class Upload:
    """One encoded image, and the name that the client gave it."""

    data: bytes
    name: str | None = None


class Budget:
    """Counts the bytes of all bodies that are in memory."""

    def __init__(self, most: int):
        self.most, self.used = most, 0

    def take(self, n: int) -> None:
        """Count `n` more bytes; raise a Refusal (503) if they are too many."""
        if self.used + n > self.most:
            raise Refusal(
                503,
                f"the server is busy: {self.used:,} bytes of requests are in memory, and the limit is {self.most:,}; send "
                "the request again after 1 s",
                headers={"retry-after": "1"},
                closes=True,
            )
        self.used += n


@asynccontextmanager
async def body_of(request: Any, limits: Limits, budget: Budget) -> AsyncIterator[bytes]:
    """Read a body. Its size is checked while it arrives, and it is given back to the budget at the end of the context."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding not in ("", "identity"):
        raise Refusal(415, f"Content-Encoding {encoding!r} is not supported; send the body as it is", closes=True)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limits.max_bytes:
        raise _too_large(limits)
    chunks: list[bytes] = []
    try:
        await _read(request, limits, budget, chunks)
        yield chunks[0] if len(chunks) == 1 else b"".join(chunks)
    finally:
        budget.used -= sum(map(len, chunks))


async def _read(request: Any, limits: Limits, budget: Budget, chunks: list[bytes]) -> None:
    size = 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limits.max_bytes:
                    raise _too_large(limits)
                budget.take(len(chunk))
                chunks.append(chunk)
    except TimeoutError:
        message = f"the body did not arrive within {limits.body_seconds:g} s; use a faster connection or a smaller image"
        raise Refusal(408, message, closes=True) from None


def _too_large(limits: Limits) -> Refusal:
    message = f"the body of the request is larger than the limit of {limits.max_bytes:,} bytes; send fewer or smaller images"
    return Refusal(413, message, closes=True)


@asynccontextmanager
async def uploads(request: Any, limits: Limits, budget: Budget) -> AsyncIterator[list[Upload]]:
    """Read the images of a request: the body itself, or the files of a form. Nothing is written to disk."""
    kind = request.headers.get("content-type", "").lower()
    async with body_of(request, limits, budget) as body:
        if kind.startswith("multipart/form-data"):
            yield _files(request.headers["content-type"], body, limits.max_files)
        elif kind.startswith(NOT_IMAGES):
            raise Refusal(415, f"a body of the type {kind.partition(';')[0]!r} is no image. {WAY_OUT}")
        elif not body:
            raise Refusal(422, f"the request has no image. {WAY_OUT}")
        else:
            yield [Upload(body)]


@dataclass
class _Part:
    headers: dict[str, bytes] = field(default_factory=dict)
    data: bytearray = field(default_factory=bytearray)


class _Collector:
    """Receives the callbacks of the parser of forms. It stops a form that is too large while it is read."""

    def __init__(self, max_files: int) -> None:
        self.max_files = max_files
        self.parts: list[_Part] = []
        self.name, self.value, self.n_headers, self.complete = b"", b"", 0, False

    def on_part_begin(self) -> None:
        if len(self.parts) == self.max_files:
            raise Refusal(413, f"the form has more files than the limit of {self.max_files}; use several requests")
        self.parts.append(_Part())
        self.n_headers = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].data += memoryview(data)[start:end]

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self.name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]

    def on_header_end(self) -> None:
        self.n_headers += 1
        if self.n_headers > MOST_HEADERS:
            raise Refusal(400, f"a part of the form has more than {MOST_HEADERS} headers. {WAY_OUT}")
        self.parts[-1].headers[self.name.lower().decode("latin-1")] = self.value
        self.name, self.value = b"", b""

    def on_end(self) -> None:
        self.complete = True


def _files(content_type: str, body: bytes, max_files: int) -> list[Upload]:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    collector = _Collector(max_files)
    callbacks: Any = {name: getattr(collector, name) for name in dir(collector) if name.startswith("on_")}
    try:
        parser = MultipartParser(parse_options_header(content_type)[1].get(b"boundary", b""), callbacks)
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError) as error:
        raise Refusal(400, f"the form cannot be read ({error}). {WAY_OUT}") from None
    if not collector.complete:
        raise Refusal(400, f"the form ends before its last boundary. {WAY_OUT}")
    if not collector.parts:
        raise Refusal(422, f"the form has no file. {WAY_OUT}")
    return [_upload(part, parse_options_header) for part in collector.parts]


def _upload(part: _Part, parse_options_header: Any) -> Upload:
    _, options = parse_options_header(part.headers.get("content-disposition", b""))
    given = options.get(b"name", b"").decode("utf-8", "replace")
    if given != FIELD:
        raise Refusal(422, f"the form has a field {given[:LONGEST_NAME]!r}. {WAY_OUT}")
    name = options.get(b"filename")
    return Upload(bytes(part.data), None if name is None else name.decode("utf-8", "replace")[:LONGEST_NAME])
