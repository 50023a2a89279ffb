"""Limits of a server: what it accepts and how long it waits. Refusal: the answer to a request that breaks a limit or a rule."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from featrec.exceptions import FeatrecError, InputError, NotAnImageError, TooManyPixelsError, UnsupportedImageError

__all__ = ["Limits", "Refusal", "of_image"]


WHOLE = {"max_batch", "max_queue", "max_bytes", "max_pending_bytes", "max_pixels", "max_files", "max_parts", "max_connections"}


@dataclass(frozen=True)
class Limits:
    """What one server process accepts, and for how long it waits.

    Parameters
    ----------
    max_batch : int, default=16
        Maximum number of images that are predicted at once. 1 turns micro-batching off.
    max_wait_ms : float, default=2
        Maximum time in milliseconds for which a batch waits for more requests. It waits only if the batch before it answered
        several, so a client that stays alone waits once.
    max_queue : int, default=64
        Maximum number of images that wait. Further requests are answered with 503 and Retry-After.
    max_bytes : int, default=20_000_000
        Maximum size of the body of a request.
    max_pending_bytes : int, default=200_000_000
        Maximum size of all bodies that are in memory. Further requests are answered with 503.
    max_pixels : int, default=50_000_000
        Maximum number of pixels of an image.
    max_files : int, default=16
        Maximum number of images in a request.
    max_parts : int, default=200
        Number of parts in the answer of ``/explain``, the strongest first, if the request sets none.
    max_connections : int, default=512
        Maximum number of open connections.
    header_seconds : float, default=10
        Time that a client has to send the head of a request; then the connection is closed.
    body_seconds : float, default=20
        Time that a client has to send the body of a request; then it is answered with 408. The same time is allowed for reading
        an answer; then the connection is closed.
    stop_seconds : float, default=30
        Time that requests have to finish after the server was told to stop.
    """

    max_batch: int = 16
    max_wait_ms: float = 2.0
    max_queue: int = 64
    max_bytes: int = 20_000_000
    max_pending_bytes: int = 200_000_000
    max_pixels: int = 50_000_000
    max_files: int = 16
    max_parts: int = 200
    max_connections: int = 512
    header_seconds: float = 10.0
    body_seconds: float = 20.0
    stop_seconds: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 1 if field.name in WHOLE else 0
            if not isinstance(value, int if field.name in WHOLE else (int, float)) or value < least:
                kind = "an integer of at least 1" if least else "a number of at least 0"
                raise InputError(f"{field.name} must be {kind}; got {value!r}")
        if self.max_files > self.max_queue:
            raise InputError(
                f"max_files ({self.max_files}) is larger than max_queue ({self.max_queue}), so the largest request could never "
                "be accepted; raise max_queue or lower max_files"
            )


STATUS = {TooManyPixelsError: 413, NotAnImageError: 415, UnsupportedImageError: 415}
UNUSABLE = 422


class Refusal(Exception):
    """A request that is answered with an error status. The message names the rule and the way out.

    `index` and `name` are those of the image, if one image is the reason. If `closes`, the connection is closed, because the
    rest of the body is not read.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        index: int | None = None,
        name: str | None = None,
        headers: dict[str, str] | None = None,
        closes: bool = False,
    ):
        super().__init__(message)
        self.status, self.index, self.name = status, index, name
        self.headers = {**(headers or {}), **({"connection": "close"} if closes else {})}

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the content of the answer."""
        return {"error": str(self), "index": self.index, "name": self.name, "request_id": request_id}


def of_image(error: Exception, index: int, name: str | None) -> Refusal:
    """Return the refusal of an unusable image. An error that is no fault of the image is raised as it is."""
    if not isinstance(error, FeatrecError):
        raise error
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), UNUSABLE)
    return Refusal(status, str(error), index=index, name=name)
