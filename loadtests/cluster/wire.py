"""HTTP/1.1 over kept connections with a tenth of httpx's work: customers share the cores with what
they are customers of."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from httptools import HttpResponseParser

# Before nginx (65 s) closes an idle connection: a message sent at that moment would be lost with it.
IDLE_SECONDS = 20.0


@dataclass
class Response:
    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """As many connections to one origin as there are requests at once."""

    def __init__(self, origin: str) -> None:
        parts = urlsplit(origin)
        assert parts.hostname
        assert parts.port
        self._host, self._port = parts.hostname, parts.port
        self._idle: list[tuple[float, _Connection]] = []

    async def post(
        self, path: str, body: dict[str, Any], headers: dict[str, str], seconds: float
    ) -> Response:
        """Raises `OSError` where no whole response came, `TimeoutError` (one of them) where it took
        longer than `seconds`."""
        async with asyncio.timeout(seconds):
            connection = self._kept() or await self._connected()
            try:
                response = await connection.ask(self._request(path, body, headers))
            except BaseException:
                connection.close()
                raise
        if connection.is_open:
            self._idle.append((time.monotonic(), connection))
        return response

    def close(self) -> None:
        for _, connection in self._idle:
            connection.close()
        self._idle.clear()

    def _kept(self) -> _Connection | None:
        while self._idle:
            since, connection = self._idle.pop()
            if connection.is_open and time.monotonic() - since < IDLE_SECONDS:
                return connection
            connection.close()
        return None

    async def _connected(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._host, self._port)
        return connection

    def _request(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> bytes:
        content = json.dumps(body, ensure_ascii=False).encode()
        given = {
            "Host": f"{self._host}:{self._port}",
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            **headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + content


class _Connection(asyncio.Protocol):
    """One request at a time. The `on_...` methods are called by the parser."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] | None = None
        self._response = Response()
        self._parser = HttpResponseParser(self)

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> Response:
        assert self._transport
        self._answer = asyncio.get_running_loop().create_future()
        self._response = Response()
        self._parser = HttpResponseParser(self)
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("closed without an answer"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._response.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self._response.status = self._parser.get_status_code()

    def on_body(self, piece: bytes) -> None:
        self._response.body += piece

    def on_message_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer and not self._answer.done():
            self._answer.set_result(self._response)
