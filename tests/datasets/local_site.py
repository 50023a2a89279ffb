"""A local server that serves a few files and can misbehave."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class LocalSite:
    """Serves `files` below `address`. Each request is served as the next of `deeds` states, or correctly after the last.

    A deed is ``(kind, value)``:

    - cut: declares the whole length and closes after `value` bytes
    - announce: declares the length `value` and sends the whole file
    - silent: declares no length and sends `value` more bytes, or fewer
    - chunks: sends one chunk of `value` bytes, without the end
    - wrong: sends different bytes of the same length
    - status: responds with this status
    - stall: sends `value` bytes and then nothing more
    - mute: never responds
    - shifted: sends a different range than requested
    - elsewhere: redirects to this path
    - encoded: declares the file as a gzip encoding
    """

    def __init__(self, files: dict[str, bytes]):
        self.files = files
        self.deeds: list[tuple[str, object]] = []
        self.always: tuple[str, object] | None = None
        self.ranges = True
        self.requests: list[tuple[str, str | None]] = []
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> LocalSite:
        self._thread.start()
        return self

    def __exit__(self, *reason) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def next_deed(self) -> tuple[str, object]:
        if self.deeds:
            return self.deeds.pop(0)
        return self.always or ("serve", None)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        """Ignore clients that disconnect, because this is expected."""


def _handler(site: LocalSite) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *parts) -> None:
            pass

        def do_GET(self) -> None:
            site.requests.append((self.path, self.headers.get("Range")))
            kind, value = site.next_deed()
            if kind == "mute":
                site.closing.wait(30)
            elif kind == "status":
                self.send_error(value)
            elif kind == "elsewhere":
                self.send_response(302)
                self.send_header("Location", value)
                self.end_headers()
            elif self.path.lstrip("/") not in site.files:
                self.send_error(404)
            else:
                self.serve(site.files[self.path.lstrip("/")], kind, value)

        def serve(self, whole: bytes, kind: str, value) -> None:
            range_ = self.headers.get("Range")
            start = int(range_.removeprefix("bytes=").rstrip("-")) if range_ and site.ranges else 0
            body = bytes(255 - byte for byte in whole[start:]) if kind == "wrong" else whole[start:]
            self.send_response(206 if start else 200)
            if start:
                told = start + 1 if kind == "shifted" else start
                self.send_header("Content-Range", f"bytes {told}-{len(whole) - 1}/{len(whole)}")
            if kind == "encoded":
                self.send_header("Content-Encoding", "gzip")
            if kind == "chunks":
                self.send_header("Transfer-Encoding", "chunked")
                body = f"{value:x}\r\n".encode() + body[:value] + b"\r\n"
            elif kind == "silent":
                body = body[:value] if value < 0 else body + bytes(value)
            else:
                self.send_header("Content-Length", str(value if kind == "announce" else len(body)))
            self.end_headers()
            self.wfile.write(body[:value] if kind in ("cut", "stall") else body)
            if kind == "stall":
                self.wfile.flush()
                site.closing.wait(30)

    return Handler
