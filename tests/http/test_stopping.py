"""A desk on a real port that is told to stop while it answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI

from kefu.cli.serve import DeskServer
from kefu.settings import Settings
from tests.fakes import ScriptedGenerator

NEAR = "你们运费是多少"
FAQ = '{"id": "fee", "question": "运费是多少", "answer": "运费8元。"}\n'


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


async def test_it_closes_its_door_before_it_ends_what_it_has(
    app: FastAPI, settings: Settings, generator: ScriptedGenerator
):
    """A gateway that is turned away at the door may go to another desk; one whose message was read
    may not."""
    generator.gate = asyncio.Event()
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        server = DeskServer(settings, app)
        serving = asyncio.ensure_future(server.serve(sockets=[listening]))
        await until(lambda: server.started)
        admin = {"Authorization": f"Bearer {app.state.services.keys.create('admin')}"}
        imported = "/api/knowledge/import?name=faq.jsonl"
        assert (await client.post(imported, content=FAQ, headers=admin)).status_code == 200
        asked = asyncio.ensure_future(client.post("/chat", json={"uid": "u", "message": NEAR}))
        await until(lambda: generator.running == 1)

        server.should_exit = True
        await until(lambda: listening.fileno() == -1)
        with pytest.raises(httpx.ConnectError):
            await client.get("/livez")  # nor on the connection that was open already
        assert (generator.running, asked.done()) == (1, False)

        generator.gate.set()
        assert (await asked).json()["source"] == "model"
        await serving
