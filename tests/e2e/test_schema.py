"""Whatever `/openapi.json` allows, and much that it does not: no crash, and what it says is true.

The models are fakes here, so that hundreds of requests take seconds.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import schemathesis
import uvicorn
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from kefu.app import create_app
from kefu.http.auth import ApiKeys
from kefu.settings import load_settings
from kefu.stores.keys import SqlKeys
from kefu.stores.opening import open_database
from tests.conftest import desk_app
from tests.e2e.desk_process import wait_until
from tests.fakes import ScriptedGenerator

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 25
SEED = 20_261_122


@pytest.fixture(scope="module")
def admin_key_and_origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A desk with fake models, behind a real socket."""
    folder: Path = tmp_path_factory.mktemp("schema")
    settings = load_settings({"data_dir": folder / "data"})
    with open_database(settings.database_at) as database:
        key = ApiKeys(SqlKeys(database)).create("admin")
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        desk_app(settings, ScriptedGenerator()), log_config=None, access_log=False, ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        wait_until(lambda: server.started, "the desk has started")
        yield key, f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


# Only its description is used: nothing is opened before a lifespan runs.
DESCRIPTION = create_app(load_settings({"data_dir": Path("unused")})).openapi()
OPERATIONS = [(method, path) for path, item in DESCRIPTION["paths"].items() for method in item]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=["fitting", "unfitting"])
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_keeps_its_word(
    admin_key_and_origin: tuple[str, str], method: str, path: str, mode: GenerationMode
):
    key, origin = admin_key_and_origin
    schema = schemathesis.openapi.from_url(f"{origin}/openapi.json")
    try:
        cases = schema[path][method].as_strategy(generation_mode=mode)
        _keeps_its_word(cases, key)
    except hypothesis.errors.Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # an operation without parameters takes anything


def _keeps_its_word(cases: SearchStrategy[schemathesis.Case], key: str) -> None:
    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=cases)
    def check(case: schemathesis.Case) -> None:
        if case.path == "/chat/updates":  # it would wait, or stream for ever
            for name in ("wait", "stream"):
                (case.query or {}).pop(name, None)
        response = case.call(headers={"Authorization": f"Bearer {key}"}, timeout=30)
        case.validate_response(response, checks=CHECKS)

    check()
