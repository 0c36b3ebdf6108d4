"""What a message meets that is on its way while the desk stops."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import FastAPI

from kefu.cli import serve
from kefu.cli.serve import DeskServer
from kefu.settings import Settings


@pytest.fixture
def signals() -> Iterator[None]:
    """uvicorn repeats the signal that stopped it."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
async def server(
    app: FastAPI, settings: Settings, listening: socket.socket, signals: None
) -> AsyncIterator[DeskServer]:
    async with app.router.lifespan_context(app):
        server = DeskServer(settings, app)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        yield server
        server.handle_exit(signal.SIGTERM, None)
        await serving


async def test_a_message_on_its_way_is_answered_though_nobody_new_comes_in(
    server: DeskServer, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(serve, "UNDERWAY_SECONDS", 60)  # as long as it takes here
    address = listening.getsockname()
    reader, writer = await asyncio.open_connection(*address)
    while not server.server_state.connections:
        await asyncio.sleep(0)
    server.handle_exit(signal.SIGTERM, None)
    await _until_refused(address)
    body = httpx.Request("POST", "http://x", json={"uid": "u", "message": "hello"}).read()
    head = (
        f"POST /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 200 ")
    assert "connection: close" in answer.lower()


async def _until_refused(address: tuple[str, int]) -> None:
    with contextlib.suppress(ConnectionRefusedError):
        while True:
            # One that is let in as the door closes is thrown out again.
            with contextlib.suppress(ConnectionResetError):
                (await asyncio.to_thread(socket.create_connection, address)).close()
