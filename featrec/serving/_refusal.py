"""Refusal: a request that is answered with an error."""

from __future__ import annotations

from typing import Any

from featrec.exceptions import FeatrecError, NotAnImageError, TooManyPixelsError, UnsupportedImageError

__all__ = ["Refusal", "of_image"]

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
