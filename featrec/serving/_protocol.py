"""The HTTP protocol of uvicorn, with deadlines for slow clients, and a stop that loses no request.

uvicorn limits the time between two requests, but not the time in which a head arrives or an answer is read: a client that sends
one byte a second, or reads nothing, could keep a connection open forever. When it stops, it closes connections while the next
request may be on its way, and serves a connection that it has accepted just before as if it did not stop.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Any

__all__ = ["IMPORT_NAME"]

# uvicorn imports the class by this name in each process.
IMPORT_NAME = f"{__name__}:DeadlineProtocol"
# When the server stops, a connection without a request is closed after this time.
GRACE_SECONDS = 1.0


def __getattr__(name: str) -> Any:
    if name == "DeadlineProtocol":
        return _protocol()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@lru_cache(maxsize=1)
def _protocol() -> type:
    """Create the class on its first use, because uvicorn may not be installed."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    return type("DeadlineProtocol", (_Deadline, H11Protocol), {})


class _Stop:
    """Tells whether a server stops. uvicorn tells only its connections, so this is one of them until then."""

    def __init__(self, state: Any):
        self.state, self.has_begun = state, False
        state.connections.add(self)

    def shutdown(self) -> None:
        self.has_begun = True
        self.state.connections.discard(self)


class _Deadline(asyncio.Protocol):
    """Extends H11Protocol, whose attributes it uses."""

    server_state: Any
    config: Any
    cycle: Any
    loop: Any
    transport: Any
    deadline: Any = None
    unread: Any = None
    is_leaving = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._start(self.config.header_seconds)
        state = self.server_state
        if not hasattr(state, "stop"):
            state.stop = _Stop(state)
        if state.stop.has_begun:
            self.shutdown()

    def data_received(self, data: bytes) -> None:
        """Stop the deadline when a request has begun; the application limits the time of its body."""
        super().data_received(data)
        if self._is_busy():
            self._stop()
            if self.is_leaving:
                self._end_with_answer()

    def on_response_complete(self) -> None:
        """Start the deadline for the next head, unless the next request has arrived before this answer."""
        self._start(self.config.header_seconds)
        super().on_response_complete()  # type: ignore[misc]
        if self._is_busy():
            self._stop()

    def shutdown(self) -> None:
        """Let a request in progress be the last one. Without one, wait a moment, because it may be on its way."""
        self.is_leaving = True
        if self._is_busy():
            self._end_with_answer()
        else:
            self._start(GRACE_SECONDS)

    def pause_writing(self) -> None:
        """Give the client some time to read, when much of the answers waits to be sent."""
        super().pause_writing()
        self.unread = self.loop.call_later(self.config.body_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_unread()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._stop_unread()
        super().connection_lost(exc)

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _end_with_answer(self) -> None:
        """Close the connection after the answer, and tell the client, so that it sends no other request."""
        if self.cycle.keep_alive and not self.cycle.response_started:
            self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"close")]
        self.cycle.keep_alive = False

    def _start(self, seconds: float) -> None:
        self._stop()
        self.deadline = self.loop.call_later(seconds, self._expire)

    def _expire(self) -> None:
        """Close the connection; drop what the client does not read soon."""
        self.transport.close()
        self.deadline = self.loop.call_later(self.config.body_seconds, self.transport.abort)

    def _stop(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None

    def _stop_unread(self) -> None:
        if self.unread is not None:
            self.unread.cancel()
            self.unread = None
