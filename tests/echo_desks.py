"""Small desks that say who they are and what they got, and misbehave as they are told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.desk_process import free_port


@dataclass
class Got:
    """A request as a desk got it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Got, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class EchoDesk:
    """A desk that keeps what it got and answers with its port, on the same port after every start.

    `answers` has, by path, what is done in place of that. No HTTP server is used, since
    these misbehave as none would let them.
    """

    loop: asyncio.AbstractEventLoop
    port: int = field(default_factory=free_port)
    got: list[Got] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def start(self) -> EchoDesk:
        self._run(self._start())
        return self

    def kill(self) -> None:
        """As a process that is killed: no new connections, those there are are cut off."""
        self._run(self._kill())

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _kill(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while (got := await _read(reader)) is not None:
                self.got.append(got)
                answer = self.answers.get(got.target.partition("?")[0], self._echo)
                await answer(got, reader, writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the gateway hung up, or this desk was killed
        finally:
            self._open.discard(writer)
            writer.close()

    async def _echo(self, _: Got, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(response(200, str(self.port)))


def response(status: int, body: str, **headers: str) -> bytes:
    """A whole HTTP response. `_` in the name of a header stands for `-`."""
    said = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    content = body.encode()
    return f"HTTP/1.1 {status} X\r\n{said}Content-Length: {len(content)}\r\n\r\n".encode() + content


async def _read(reader: asyncio.StreamReader) -> Got | None:
    """The next request, None where the connection ends. nginx always sends a Content-Length."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("utf-8", "surrogateescape")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    length = int(headers.get("content-length", "0"))
    return Got(method, target, headers, await reader.readexactly(length))


@contextmanager
def echo_desks(count: int) -> Iterator[list[EchoDesk]]:
    """So many, started, in one thread. Killed at the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    desks = [EchoDesk(loop) for _ in range(count)]
    try:
        yield [desk.start() for desk in desks]
    finally:
        for desk in desks:
            desk.kill()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(_cancelled(asyncio.all_tasks(loop)))
        loop.close()


async def _cancelled(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
