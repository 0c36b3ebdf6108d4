"""What kefu itself needs: its models, its database, its Python."""

from __future__ import annotations

import asyncio
import platform
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection

from kefu import __version__
from kefu.doctor.finding import State
from kefu.inference.embedded import ask_upstreams
from kefu.inference.encoder.opening import open_triton
from kefu.inference.models.installed import get_installed, verify_installed
from kefu.inference.models.resolve import (
    RemoteServer,
    RemoteServers,
    required_models,
    resolve_encoder,
    resolve_generator,
)
from kefu.intent.loading import load
from kefu.intent.versions import Versions
from kefu.settings import GeneratorSettings, Settings
from kefu.stores.opening import open_database, redis_version
from kefu.stores.sqlite import sqlite_module


def kefu(_: Settings) -> tuple[State, str]:
    return "ok", f"{__version__} on Python {platform.python_version()}"


def sqlite(_: Settings) -> tuple[State, str]:
    return "ok", str(sqlite_module().sqlite_version)


def database(settings: Settings) -> tuple[State, str]:
    where = settings.database_at
    if isinstance(where, Path) and not where.exists():
        return "ok", "none yet; `kefu serve` makes it"
    with open_database(where) as opened, opened.read() as connection:
        if not isinstance(where, Path):
            return _postgres(connection, settings)
        verdict = connection.exec_driver_sql("PRAGMA quick_check").scalar()
    return ("ok" if verdict == "ok" else "error"), f"{where}: {verdict}"


def _postgres(connection: Connection, settings: Settings) -> tuple[State, str]:
    server = f"PostgreSQL {connection.exec_driver_sql('SHOW server_version').scalar()}"
    if settings.knowledge.search == "memory":
        return "ok", server
    asked = "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"
    version = connection.exec_driver_sql(asked).scalar()
    if version is None:
        return "error", f"{server} without pgvector, which knowledge.search asks for"
    return "ok", f"{server} with pgvector {version}"


def redis(settings: Settings) -> tuple[State, str]:
    if not settings.redis:
        return "ok", "none: one desk needs none"
    return "ok", f"Redis {redis_version(settings.redis)}"


def encoder(settings: Settings) -> tuple[State, str]:
    if not settings.encoder.url:
        return "ok", str(resolve_encoder(settings).path)
    with closing(open_triton(settings)) as opened:
        return "ok", f"{opened.model} at {opened.host}"


def generator(settings: Settings) -> tuple[State, str]:
    found = resolve_generator(settings)
    if isinstance(found, RemoteServers):
        state, said = _asked(settings.generator)
        return state, f"{found.prompt} prompts. {said}"
    where = found.url if isinstance(found, RemoteServer) else found.path
    return "ok", f"{where} ({found.prompt} prompts)"


def _asked(settings: GeneratorSettings) -> tuple[State, str]:
    """Which upstreams answer."""
    states = asyncio.run(ask_upstreams(settings))
    silent = [name for name, state in states.items() if state != "ok"]
    said = "; ".join(
        f"{name} answers" if state == "ok" else f"{name}: {state}" for name, state in states.items()
    )
    if not silent:
        return "ok", said
    return "error" if len(silent) == len(states) else "warning", said


def models(settings: Settings) -> tuple[State, str]:
    """Whether every byte of them is what was verified when they came."""
    names = required_models(settings)
    for name in names:
        verify_installed(get_installed(settings, name))
    return "ok", f"{', '.join(names)}: as they came"


def intents(settings: Settings) -> tuple[State, str]:
    versions = Versions(settings.intents_dir)
    current = versions.current()
    if current is None:
        return "ok", "no model trained; `kefu intent train` makes one"
    _, about = load(versions.folder_of(current.version))
    return "ok", f"{current.version}: {len(about.labels)} intents"
