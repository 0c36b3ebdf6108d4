"""An OpenAI-compatible server that does what a test tells it, down to the bytes on the wire."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: %s\r\n\r\n"
)


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Wire:
    """The server's side of one exchange."""

    writer: asyncio.StreamWriter
    gone: asyncio.Event  # set when the client has hung up

    async def head(self, connection: bytes = b"close") -> None:
        self.writer.write(HEAD % connection)
        await self.writer.drain()

    async def raw(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self.writer.drain()

    async def event(self, told: Any) -> None:
        await self.raw(event(told))

    async def text(self, *texts: str) -> None:
        for text in texts:
            await self.event({"choices": [{"text": text, "finish_reason": None}]})

    async def end(self, usage: dict[str, Any] | None = None) -> None:
        await self.event({"choices": [{"text": "", "finish_reason": "stop"}]})
        if usage:
            await self.event({"choices": [], "usage": usage})
        await self.raw(b"data: [DONE]\n\n")
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def refuse(self, status: int, body: bytes, extra: bytes = b"") -> None:
        self.writer.write(
            b"HTTP/1.1 %d Nope\r\nContent-Length: %d\r\nConnection: close\r\n%b\r\n%b"
            % (status, len(body), extra, body)
        )
        await self.writer.drain()

    def reset(self) -> None:
        """The way a killed process ends: no goodbye, no last chunk."""
        self.writer.transport.abort()


Exchange = Callable[[Wire], Awaitable[None]]


def event(told: Any) -> bytes:
    return b"data: " + json.dumps(told, ensure_ascii=False).encode() + b"\n\n"


@dataclass
class Upstream:
    """Plays `exchanges` in order, one to a request; the last one again and again."""

    exchanges: list[Exchange] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    url: str = ""
    keep_alive: bool = False
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        self.requests.append(await _read_request(reader))
        number = min(len(self.requests), len(self.exchanges)) - 1
        wire = Wire(writer, asyncio.Event())
        if self.keep_alive:
            await self.exchanges[number](wire)
            return True
        watch = asyncio.create_task(_watch(reader, wire.gone))
        try:
            await self.exchanges[number](wire)
        finally:
            watch.cancel()
        return False


async def _watch(reader: asyncio.StreamReader, gone: asyncio.Event) -> None:
    try:
        while await reader.read(1024):
            pass
    except ConnectionError:
        pass
    gone.set()


async def _read_request(reader: asyncio.StreamReader) -> Request:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(lines[0].split()[1], headers, json.loads(body or b"{}"))
