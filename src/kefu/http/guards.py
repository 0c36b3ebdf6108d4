"""ASGI middleware that every request passes before an endpoint sees it.

Written against ASGI itself: Starlette's `BaseHTTPMiddleware` hides the disconnect of a client,
which streams need to notice.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import structlog
from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kefu.errors import BodyTooLarge, Forbidden, InvalidInput, KefuError, Overloaded
from kefu.http.problems import problem_of, problem_response
from kefu.stamps import new_id
from kefu.tracing import describe_request, request_span

BODY_SECONDS = 30.0
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UNSAFE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Guard:
    """A middleware that answers with a problem document when `check` raises a `KefuError`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            self.check(scope)
        except KefuError as error:
            await problem_response(Request(scope), problem_of(error))(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def check(self, scope: Scope) -> None:
        raise NotImplementedError  # each guard is its check


class HostGuard(Guard):
    """Refuses foreign `Host` names on loopback: a web page could otherwise reach a desk that asks
    no key by pointing its own domain at 127.0.0.1 (DNS rebinding)."""

    def __init__(self, app: ASGIApp, allowed: frozenset[str]) -> None:
        super().__init__(app)
        self._allowed = allowed | LOOPBACK_HOSTS

    def check(self, scope: Scope) -> None:
        host = _header(scope, b"host") or ""
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if name.lower() not in self._allowed:
            raise Forbidden(
                f"This desk does not answer for the host {name[:100]!r}. If a proxy stands before "
                "it, add the name to server.allowed_hosts."
            )


class OriginGuard(Guard):
    """Refuses changes asked for by pages of origins the operator did not allow."""

    def __init__(self, app: ASGIApp, allowed: frozenset[str]) -> None:
        super().__init__(app)
        self._allowed = allowed

    def check(self, scope: Scope) -> None:
        origin = _header(scope, b"origin")
        if origin is None or scope["method"] not in _UNSAFE_METHODS:
            return
        if origin in self._allowed or urlsplit(origin).netloc == _header(scope, b"host"):
            return
        raise Forbidden(
            f"Pages of {origin[:100]!r} may not use this desk. The operator can allow them with "
            "server.allowed_origins."
        )


class BodyLimit:
    """Reads the body whole, up to a limit by path, before the endpoint runs."""

    def __init__(self, app: ASGIApp, limit: Callable[[str], int]) -> None:
        self.app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _UNSAFE_METHODS:
            await self.app(scope, receive, send)
            return
        try:
            body = await self._read(scope, receive)
        except KefuError as error:
            response = problem_response(Request(scope), problem_of(error))
            response.headers["Connection"] = "close"  # the rest of the body is not read
            await response(scope, receive, send)
            return
        await self.app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        limit = self._limit(scope["path"])
        declared = _header(scope, b"content-length") or "0"
        if declared.isdigit() and int(declared) > limit:
            raise _too_large(limit)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message = await receive()
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > limit:
                        raise _too_large(limit)
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError as error:
            raise InvalidInput(f"The body did not arrive within {BODY_SECONDS:g} s.") from error


class OpenRequests:
    """Bounds the requests served at once; health and metrics always get through.

    Those that only wait for a later reply are counted apart: a day's held messages must not keep
    others from asking.
    """

    ALWAYS = frozenset({"/livez", "/readyz", "/metrics"})
    WAITING = frozenset({"/chat/updates"})

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self._limit = limit
        self._open = {False: 0, True: 0}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self.ALWAYS:
            await self.app(scope, receive, send)
            return
        waits = scope["path"] in self.WAITING
        if self._open[waits] >= self._limit:
            full = Overloaded(f"{self._limit} requests are open already. Try again shortly.")
            await problem_response(Request(scope), problem_of(full))(scope, receive, send)
            return
        self._open[waits] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._open[waits] -= 1


class RequestHeaders:
    """Gives each request an id, in its log lines and its response, and adds safe headers."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self.app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = _header(scope, b"x-request-id") or ""
        request_id = given if _REQUEST_ID.fullmatch(given) else new_id()
        structlog.contextvars.bind_contextvars(request_id=request_id)

        status = 500  # where nothing is answered

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                given = {name.lower() for name, _ in headers}
                message["headers"] = [
                    *headers,
                    (b"x-request-id", request_id.encode()),
                    *(header for header in self._headers if header[0] not in given),
                ]
            await send(message)

        with request_span(scope, request_id) as span:
            try:
                await self.app(scope, receive, send_with_headers)
            finally:
                describe_request(span, scope, status)
                structlog.contextvars.unbind_contextvars("request_id")


def _header(scope: Scope, name: bytes) -> str | None:
    """Of a request, by its lower-case name. Starlette's `Headers` decodes all for each that is asked
    for."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than {limit} bytes, the most this endpoint takes.")


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read, then what really comes (the disconnect)."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
