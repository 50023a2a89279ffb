"""Guard: the outermost layer of the application. Hosts, token, headers, request ids, times and the log."""

from __future__ import annotations

import hmac
import json
import logging
import re
import time
import uuid
from collections.abc import Iterable
from typing import Any

from featrec.serving._limits import Refusal
from featrec.serving._metrics import Metrics

__all__ = ["LOCAL", "OPEN", "Guard"]

LOG = logging.getLogger("featrec.serving")
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
LOCAL = ("localhost", "127.0.0.1", "[::1]")
PAGE = ("/", "/page.css", "/page.js")
# Paths that need no token: the page asks for it, and orchestrators check the health.
OPEN = (*PAGE, "/v2/health/live", "/v2/health/ready")
HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
    (b"cache-control", b"no-store"),
]


class Guard:
    """An ASGI application around another one. It refuses requests before their body is read.

    Parameters
    ----------
    app : ASGI application
    hosts : iterable of str
        Accepted values of the header Host, without the port; "*" accepts all. Other values are refused, because a web page can
        let its own name point to this machine (DNS rebinding).
    origins : iterable of str
        Accepted values of the header Origin, in addition to the hosts.
    token : str, optional
        Requests need ``Authorization: Bearer TOKEN``, except for the page and the health.
    metrics : Metrics
    """

    def __init__(
        self, app: Any, *, hosts: Iterable[str], origins: Iterable[str] = (), token: str | None = None, metrics: Metrics
    ):
        self.app, self.metrics = app, metrics
        self.hosts = {host.lower() for host in hosts}
        self.origins = {origin.lower() for origin in origins}
        self.token = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, headers = time.perf_counter(), dict(scope["headers"])
        request_id = _request_id(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        reply = _Reply(send, request_id)
        try:
            self._check(scope, headers)
            await self.app(scope, receive, reply)
        except Refusal as refusal:
            await reply.refuse(refusal)
        except Exception as error:
            if type(error).__name__ == "ClientDisconnect":
                reply.status = 499
            else:
                LOG.exception("request %s failed", request_id)
                await reply.refuse(Refusal(500, f"the server failed; its log has the reason, with the id {request_id}"))
        finally:
            seconds = time.perf_counter() - start
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.request(route, reply.status, seconds)
            LOG.info("%s %s %d %.1f ms %s", scope["method"], route, reply.status, 1000 * seconds, request_id)

    def _check(self, scope: Any, headers: dict[bytes, bytes]) -> None:
        host = _without_port(headers.get(b"host", b"").decode("latin-1").lower())
        if "*" not in self.hosts and host not in self.hosts:
            names = ", ".join(sorted(self.hosts))
            raise Refusal(421, f"the host {host!r} is not served here; use {names}, or start with --allowed-host", closes=True)
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and origin and not self._knows(origin, host):
            raise Refusal(
                403, "pages of other origins may not send requests; start with --cors ORIGIN to allow one", closes=True
            )
        if self.token is not None and scope["path"] not in OPEN and scope["method"] != "OPTIONS":
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, self.token):
                ask = {"www-authenticate": "Bearer"}
                raise Refusal(401, "a token is needed: send the header Authorization: Bearer TOKEN", headers=ask, closes=True)

    def _knows(self, origin: str, host: str) -> bool:
        return origin in self.origins or "*" in self.origins or _without_port(origin.partition("://")[2]) == host


class _Reply:
    """Sends the answer with the headers that all answers have."""

    def __init__(self, send: Any, request_id: str):
        self.send, self.request_id = send, request_id
        self.status, self.started = 0, False

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.started = message["status"], True
            own = {name for name, _ in message.get("headers", ())}
            more = [(name, value) for name, value in HEADERS if name not in own]
            headers = [*message.get("headers", ()), *more, (b"x-request-id", self.request_id.encode())]
            message = {**message, "headers": headers}
        await self.send(message)

    async def refuse(self, refusal: Refusal) -> None:
        if self.started:
            return
        body = json.dumps(refusal.body(self.request_id), ensure_ascii=False).encode("utf-8", "replace")
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
        await self({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def _request_id(headers: dict[bytes, bytes]) -> str:
    """Return the id that the client or a proxy has given to the request, or a new one."""
    given = headers.get(b"x-request-id", b"")
    return given.decode() if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _without_port(host: str) -> str:
    return re.sub(r":\d*$", "", host)
