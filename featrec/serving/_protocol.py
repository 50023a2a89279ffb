"""The HTTP protocol of uvicorn, with a deadline for the head of a request.

uvicorn limits the time between two requests, but not the time in which a head arrives: a client that sends one byte a second
could keep a connection open forever.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

__all__ = ["IMPORT_NAME"]

# uvicorn imports the class by this name in each process.
IMPORT_NAME = f"{__name__}:DeadlineProtocol"


def __getattr__(name: str) -> Any:
    if name == "DeadlineProtocol":
        return _protocol()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@lru_cache(maxsize=1)
def _protocol() -> type:
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class DeadlineProtocol(H11Protocol):
        deadline: Any = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._start()

        def data_received(self, data: bytes) -> None:
            """Stop the deadline when a request has begun; the application limits the time of its body."""
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._stop()

        def on_response_complete(self) -> None:
            self._start()
            super().on_response_complete()

        def shutdown(self) -> None:
            """Tell the client of a request in progress that the connection will be closed, so that it sends no other one."""
            if self.cycle is not None and not self.cycle.response_started:
                self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"close")]
            super().shutdown()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _start(self) -> None:
            self._stop()
            self.deadline = self.loop.call_later(vars(self.config)["header_seconds"], self.transport.close)

        def _stop(self) -> None:
            if self.deadline is not None:
                self.deadline.cancel()
                self.deadline = None

    return DeadlineProtocol
