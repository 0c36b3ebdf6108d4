"""`kefu chat`: talk to a running desk in the terminal."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from kefu.cli.context import settings_of
from kefu.errors import KefuError
from kefu.settings import Settings

TRIES = 5
READ_SECONDS = 120.0


class DeskUnreachable(KefuError):
    code = "desk_unreachable"


class ConnectionLost(Exception):
    """The stream broke before the reply was whole."""


def chat(
    ctx: typer.Context,
    message: Annotated[str | None, typer.Argument(help="One message; without it, a talk.")] = None,
    url: Annotated[str | None, typer.Option(help="The desk; default the configured one.")] = None,
    uid: Annotated[str, typer.Option(help="Who is asking.")] = "terminal",
    key: Annotated[
        str | None, typer.Option(envvar="KEFU_KEY", help="Chat key, where one is needed.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the reply object.")] = False,
) -> None:
    """Ask a running desk. The answer is streamed, with where it came from and how long it took."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    base = url or _configured_url(settings_of(ctx))
    with httpx.Client(
        base_url=base, headers=headers, timeout=READ_SECONDS, trust_env=False
    ) as desk:
        if message is not None:
            _ask(desk, uid, message, Console(), as_json)
            return
        _talk(desk, uid, as_json)


def _talk(desk: httpx.Client, uid: str, as_json: bool) -> None:
    console = Console()
    console.print(Text(f"kefu at {desk.base_url} (empty line or Ctrl-D ends)", style="dim"))
    offered: list[str] = []
    while True:
        try:
            message = console.input("[bold cyan]> [/]").strip()
        except (EOFError, KeyboardInterrupt):
            return
        if not message:
            return
        try:
            offered = _ask(desk, uid, _chosen(message, offered), console, as_json)
        except KefuError as error:
            console.print(Text(str(error), style="red"))


def _chosen(message: str, offered: list[str]) -> str:
    """The question behind a number that was offered; else what was typed."""
    number = int(message) if message.isascii() and message.isdigit() else 0
    return offered[number - 1] if 0 < number <= len(offered) else message


def _ask(desk: httpx.Client, uid: str, message: str, console: Console, as_json: bool) -> list[str]:
    """Send one message and show the reply; the questions that it offers, where it asks back."""
    reply = _deliver(desk, uid, message, console, quiet=as_json)
    if as_json:
        typer.echo(json.dumps(reply, ensure_ascii=False, indent=2))
    else:
        console.print(_footnote(reply))
    return _offered(reply, console, quiet=as_json)


def _deliver(
    desk: httpx.Client, uid: str, message: str, console: Console, *, quiet: bool
) -> dict[str, Any]:
    """The reply. On a lost connection again, under the same key so that the message counts once."""
    idempotency_key = str(uuid.uuid4())
    attempt = 0
    while True:
        try:
            return _stream(desk, uid, message, idempotency_key, console, quiet=quiet)
        except (ConnectionLost, httpx.TransportError) as error:
            nobody_there = isinstance(error, httpx.ConnectError) and attempt == 1
            if nobody_there or attempt == TRIES - 1:
                raise DeskUnreachable(
                    f"No desk answers at {desk.base_url}. Start one with `kefu serve`."
                ) from error
        time.sleep(0.5 * 2**attempt)
        attempt += 1


def _offered(reply: dict[str, Any], console: Console, *, quiet: bool) -> list[str]:
    """Numbered, so that the number will do for an answer."""
    titles = [choice["title"] for choice in reply.get("choices", ())]
    for number, title in enumerate(titles, 1):
        if not quiet:
            console.print(Text(f"  {number}. ", style="cyan") + Text(title))
    return titles


def _stream(
    desk: httpx.Client, uid: str, message: str, key: str, console: Console, *, quiet: bool
) -> dict[str, Any]:
    body = {"uid": uid, "message": message, "stream": True}
    with (
        desk.stream("POST", "/chat", json=body, headers={"Idempotency-Key": key}) as response,
        Live(console=console, auto_refresh=False, vertical_overflow="visible") as live,
    ):
        if response.status_code != httpx.codes.OK:
            raise _refused(json.loads(response.read()))
        shown = ""
        for name, data in _events(response):
            if name == "error":
                raise _refused(data)
            shown = data["reply"] if name == "done" else shown + data["text"]
            if not quiet:
                live.update(Text(shown), refresh=True)
            if name == "done":
                return data
    raise ConnectionLost


def _events(response: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    name = ""
    for line in response.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def _refused(problem: dict[str, Any]) -> KefuError:
    return KefuError(f"{problem.get('detail', problem)}")


def _footnote(reply: dict[str, Any]) -> Text:
    timings = reply["timings_ms"]
    first = f"first token {timings['first_token']:.0f} ms, " if "first_token" in timings else ""
    facts = [
        reply["source"],
        f"confidence {reply['confidence']:.2f}",
        f"{first}{timings['total']:.0f} ms",
        *(citation["id"] for citation in reply["citations"]),
    ]
    return Text("  " + " · ".join(facts), style="dim")


def _configured_url(settings: Settings) -> str:
    host = settings.server.host
    if host in ("0.0.0.0", "::"):  # noqa: S104 - the client's side of a desk bound everywhere
        host = "127.0.0.1"
    host = f"[{host}]" if ":" in host else host
    return os.environ.get("KEFU_URL") or f"http://{host}:{settings.server.port}"
