"""Fixtures that all tests share: a data folder, a real database, a whole desk, the real models."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from kefu.app import create_app
from kefu.inference.embedded import Models
from kefu.inference.encoder.triton.repository import export
from kefu.inference.models.resolve import resolve_encoder
from kefu.settings import LogSettings, Settings, default_data_dir, load_settings
from kefu.stores.database import Database
from kefu.stores.opening import open_database
from kefu.telemetry import Metrics, configure_logging
from tests.fakes import HashingEncoder, ScriptedGenerator
from tests.postgres import PostgresServer, started_postgres
from tests.redis_server import RedisServer, started_redis
from tests.triton import TritonServer, started_triton


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads this machine's settings."""
    for name in [name for name in os.environ if name.startswith("KEFU_")]:
        if name != "KEFU_TEST_DATA_DIR":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True, scope="session")
def logs() -> None:
    configure_logging(LogSettings(format="json"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with started_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def running_redis() -> Iterator[RedisServer]:
    with started_redis() as server:
        yield server


@pytest.fixture
def redis_server(running_redis: RedisServer) -> RedisServer:
    running_redis.forget_all()
    return running_redis


@pytest.fixture(scope="session")
def triton_repository(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with the real encoder."""
    repository = tmp_path_factory.mktemp("triton") / "repository"
    settings = load_settings({"data_dir": models_dir.parent})
    export(resolve_encoder(settings), repository, threads=1, instances=1)
    return repository


@pytest.fixture(scope="session")
def triton(triton_repository: Path) -> Iterator[TritonServer]:
    """For tests that do not disturb it."""
    with started_triton(triton_repository, triton_repository.parent) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def each_database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """For a `database_url` of tests that run on both."""
    if request.param == "sqlite":
        yield ""
        return
    with request.getfixturevalue("postgres").database() as url:
        yield url


@pytest.fixture
def database_url() -> str:
    """Where the desk keeps its data; empty: in SQLite."""
    return ""


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    # The thresholds are those of `HashingEncoder`'s likeness, not of the real encoder's.
    knowledge = {"sure_score": 0.9, "sure_margin": 0.1, "passage_score": 0.2}
    replies = {"copy_score": 0.35}
    return load_settings(
        {
            "data_dir": tmp_path / "data",
            "database": database_url,
            "knowledge": knowledge,
            "replies": replies,
        }
    )


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    with open_database(settings.database_at) as database:
        yield database


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """Where `make test` pulled the real models. A missing one fails the test: CI runs them too."""
    root = os.environ.get("KEFU_TEST_DATA_DIR")
    return (Path(root) if root else default_data_dir()) / "models"


@pytest.fixture
def generator() -> ScriptedGenerator:
    return ScriptedGenerator()


@pytest.fixture
def app(settings: Settings, generator: ScriptedGenerator) -> FastAPI:
    return desk_app(settings, generator)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a whole desk in this process, with models that are fakes."""
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        base = "http://127.0.0.1:8000"
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            yield client


def desk_app(settings: Settings, generator: ScriptedGenerator) -> FastAPI:
    async def open_fakes(_: Settings, __: Metrics, ___: AsyncExitStack) -> Models:
        return Models(HashingEncoder(), generator, "completion")

    return create_app(settings, open_models=open_fakes)
