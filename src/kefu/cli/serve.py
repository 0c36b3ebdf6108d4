"""`kefu serve`: fetch what is missing, then answer customers until told to stop."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Annotated

import filelock
import typer
import uvicorn
from fastapi import FastAPI
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from kefu.app import create_app
from kefu.cli.models import pull_configured
from kefu.errors import SettingsError
from kefu.http.auth import ApiKeys, Role
from kefu.settings import Settings, load_settings
from kefu.stores.keys import SqlKeys
from kefu.stores.opening import only_desk_at, open_database, redis_version
from kefu.telemetry import configure_logging
from kefu.tracing import tracing
from kefu.turn.desk import Desk

# Longer than proxies and customers keep one (nginx: 60 s): who closes first may cut off a message that
# is on its way.
KEEP_ALIVE_SECONDS = 75
# libuv takes one new connection from a socket in a round of the event loop (libuv#3696). Where rounds are
# long because much is asked, 650 customers stood at the door and got in after 9 s, however soon
# those inside were answered; the same socket several times over lets as many in at once.
DOORS = 16
# How long a request may be on its way over a connection that there is.
UNDERWAY_SECONDS = 0.5
# How soon a stop notices that it was told again, as in uvicorn.
LOOK_SECONDS = 0.1
_CLOSE = (b"connection", b"close")


def serve(
    ctx: typer.Context,
    demo: Annotated[
        bool, typer.Option("--demo", help="Fill an empty knowledge with the sample shop.")
    ] = False,
    host: Annotated[str | None, typer.Option(help="Address; default 127.0.0.1.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; default 8000; 0 takes a free one.")
    ] = None,
    generator: Annotated[
        str | None,
        typer.Option(help="Catalogue name, GGUF file, or URL of an OpenAI-compatible server."),
    ] = None,
) -> None:
    """Serve the chat page, the API and the widget."""
    flags = {
        **ctx.meta["flags"],
        "server": {"host": host, "port": port},
        "generator": {"model": generator},
    }
    settings = load_settings(flags, ctx.meta["config"])
    configure_logging(settings.log)
    with _only_desk_of(settings), _fit_for_others(settings), tracing(settings.traces):
        listening = _listen(settings)
        pull_configured(settings)
        created = _create_missing_keys(settings)
        app = create_app(settings, demo=demo)
        server = DeskServer(settings, app)
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(_serve(server, app, listening, created))


async def _serve(
    server: DeskServer, app: FastAPI, listening: socket.socket, created: dict[Role, str]
) -> None:
    """Open the desk, announce it, answer until told to stop, close it.

    The desk is opened here and not by uvicorn, which would print a traceback for a wrong setting.
    """
    async with app.router.lifespan_context(app):
        _spare_the_collector()
        listening.listen()
        _announce(listening, server.settings, created, app)
        # uvicorn repeats the signal that stopped it; being told to stop is no failure.
        for stop in (signal.SIGINT, signal.SIGTERM):
            signal.signal(stop, lambda *_: None)
        await server.serve(sockets=_doors(listening))


def _spare_the_collector() -> None:
    """Look for cycles rarely, and never among what was opened: with Python's own settings a fifth of
    the time goes into walking the knowledge and the models, 100 ms at a stretch."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


class DeskServer(uvicorn.Server):
    """uvicorn, except for how it stops:

    told to stop   `/readyz` says so. For `server.drain_seconds` everybody is answered as before, and each
                   answer closes its connection: a balancer that asks `/readyz` finds another desk.
    then           new connections are refused: a proxy that does not ask takes the next desk. What is on
                   its way on connections that there are is still answered.
    then           open turns end, within `server.shutdown_seconds`.
    told again     what is open ends at once.
    """

    def __init__(self, settings: Settings, app: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                ws="none",
                lifespan="off",
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=round(settings.server.shutdown_seconds) + 2,
            )
        )
        self.settings = settings
        self._app = app
        self._drained_at = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        super().handle_exit(sig, frame)
        if not self.force_exit:
            self._drained_at = time.monotonic() + self.settings.server.drain_seconds
            self._close_with_each_answer()
            self._app.state.health.is_draining = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second; true ends the main loop."""
        if not await super().on_tick(counter):
            return False
        self._close_with_each_answer()  # uvicorn makes its headers anew each second, for the date
        return self.force_exit or time.monotonic() >= self._drained_at

    def _close_with_each_answer(self) -> None:
        headers = self.server_state.default_headers
        if _CLOSE not in headers:
            self.server_state.default_headers = [*headers, _CLOSE]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for door in sockets or []:
            door.close()
        await self._hear_out()
        services = self._app.state.services
        await services.verdicts.close()  # lets those go who wait for a person's verdict
        # Both at once: uvicorn waits for connections, and those wait for their turns.
        await asyncio.gather(self._end_turns(services.desk), super().shutdown(sockets))

    async def _hear_out(self) -> None:
        """uvicorn closes a connection on which no request has come yet; with one on its way, a proxy
        cannot know whether it was answered, and must not send it to another desk."""
        end = time.monotonic() + UNDERWAY_SECONDS
        while (  # noqa: ASYNC110 - uvicorn has no event for it
            self.server_state.connections and time.monotonic() < end and not self.force_exit
        ):
            await asyncio.sleep(LOOK_SECONDS)

    async def _end_turns(self, desk: Desk) -> None:
        closing = asyncio.ensure_future(desk.close(self.settings.server.shutdown_seconds))
        while not (await asyncio.wait([closing], timeout=LOOK_SECONDS))[0]:
            if self.force_exit:
                await desk.close(0)
        await closing


@contextmanager
def _only_desk_of(settings: Settings) -> Iterator[None]:
    """Two desks on one data folder would each believe a customer has one turn at a time."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"Cannot create the data folder {settings.data_dir}: {error}"
        ) from error
    lock = filelock.FileLock(settings.data_dir / "serve.lock", timeout=0)
    try:
        with lock:
            yield
    except filelock.Timeout as error:
        raise SettingsError(
            f"Another kefu already serves from {settings.data_dir}. Stop it, or give another "
            "--data-dir."
        ) from error


def _fit_for_others(settings: Settings) -> AbstractContextManager[None]:
    """Without Redis a desk must be alone on its database, too."""
    if not settings.redis:
        return only_desk_at(settings.database_at)
    redis_version(settings.redis)  # one that is away should be told before minutes of downloads
    return nullcontext()


def _listen(settings: Settings) -> socket.socket:
    """Take the port first: a busy one should be told before minutes of downloads."""
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    if sys.platform != "win32":  # there it would let two desks share the port
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise SettingsError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. Choose another --port."
        ) from error
    listening.set_inheritable(False)
    return listening


def _doors(listening: socket.socket) -> list[socket.socket]:
    if sys.platform == "win32":  # no libuv, and asyncio takes as many as there are
        return [listening]
    return [listening, *(listening.dup() for _ in range(DOORS - 1))]


def _create_missing_keys(settings: Settings) -> dict[Role, str]:
    """The keys made now, to be shown once: an admin's, and a customer's where one is needed."""
    wanted: list[Role] = ["admin"] if settings.server.is_loopback else ["admin", "chat"]
    with open_database(settings.database_at) as database:
        keys = ApiKeys(SqlKeys(database))
        made = {role: keys.create_first(role, "made at the first start") for role in wanted}
        return {role: key for role, key in made.items() if key is not None}


def _announce(
    listening: socket.socket, settings: Settings, created: dict[Role, str], app: FastAPI
) -> None:
    host, port = listening.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    known = len(app.state.services.knowledge.entries)
    lines = Text()
    lines.append("chat page   ").append(f"{url}/\n", style="bold cyan")
    lines.append("API         ").append(f"{url}/docs\n")
    lines.append("knowledge   ").append(f"{known} entries")
    lines.append("" if known else "  (add yours: kefu kb import FILE, or start with --demo)")
    lines.append("\ngenerator   ").append(settings.generator.title)
    lines.append("\ndata        ").append(str(settings.data_dir))
    for role, key in created.items():
        lines.append(f"\n{role} key{' ' * (8 - len(role))}").append(key, style="bold yellow")
        lines.append("\n            shown only now; keep it somewhere safe")
    lines.append("\n\nCtrl-C stops.", style="dim")
    Console(stderr=True).print(Panel(lines, title="kefu is ready", expand=False))
