"""A desk in front of two llama.cpp servers, one of which dies and comes back."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kefu.inference.generator.affinity import score
from tests.e2e.desk_process import (
    BUSY_MACHINE,
    FORGETFUL,
    DeskProcess,
    free_port,
    run_kefu,
    wait_until,
)
from tests.e2e.folders import FAQ, KNOWLEDGE, link_models, write_files
from tests.inference.generator.llama_server import LlamaServer

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(sys.platform == "win32", reason="kill -9"),
]

MODEL = "gemma-3-270m-kefu"
QUESTION = "Which steps are there?"
# Short, so that it is read in a second also where the cores are busy.
FILES = {
    "faq.jsonl": KNOWLEDGE["faq.jsonl"],
    "camp.md": "# The steps there are\n\nstep 1, step 2, step 3, step 4.\n",
}
UP, OPEN, REQUESTS = (
    "kefu_upstream_up",
    "kefu_upstream_open_requests",
    "kefu_upstream_requests_total",
)


@pytest.fixture(scope="module")
def both(models_dir: Path) -> Iterator[list[LlamaServer]]:
    gguf = sorted((models_dir / MODEL).glob("*.gguf"))[0]
    known = [LlamaServer(gguf, free_port()) for _ in range(2)]
    try:
        yield known
    finally:
        for server in known:
            server.kill()


@pytest.fixture(scope="module")
def started(
    both: list[LlamaServer], models_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeskProcess]:
    """The desk, which starts although no upstream is there yet."""
    data_dir = link_models(tmp_path_factory.mktemp("upstreams") / "data", models_dir)
    upstreams = [{"url": server.url, "model": MODEL} for server in both]
    settings = {
        **BUSY_MACHINE,
        **FORGETFUL,
        "KEFU_REPLIES__READER": "false",
        "KEFU_GENERATOR__PROMPT": "completion",
        # No reading of a prompt takes as long, also where the cores are busy.
        "KEFU_GENERATOR__FIRST_TOKEN_SECONDS": "60",
        "KEFU_GENERATOR__UPSTREAMS": json.dumps(upstreams),
    }
    folder = write_files(data_dir / "camp", FILES)
    imported = run_kefu("--data-dir", data_dir, "kb", "import", folder)
    assert imported.returncode == 0, imported.stderr
    desk = DeskProcess(data_dir, arguments=(), settings=settings)
    try:
        yield desk.start()
    finally:
        desk.close()


@pytest.fixture
def servers(both: list[LlamaServer]) -> list[LlamaServer]:
    """Both run, whatever the test before has done to them."""
    for server in both:
        if not server.is_running:
            server.launch()
    for server in both:
        wait_until(server.is_ready, "llama.cpp answers", 60)
    return both


@pytest.fixture
def desk(started: DeskProcess, servers: list[LlamaServer]) -> DeskProcess:
    """It knows that both are there."""
    for server in servers:
        started.wait_metric(lambda value: value == 1, UP, upstream=name_of(server))
    return started


def name_of(server: LlamaServer) -> str:
    return server.upstream.name


def customer_of(server: LlamaServer, servers: list[LlamaServer]) -> str:
    names = [name_of(one) for one in servers]
    uids = (f"uid-{number}" for number in range(1000))
    return next(
        uid for uid in uids if max(names, key=lambda name: score(uid, name, 1.0)) == name_of(server)
    )


def answered(desk: DeskProcess, server: LlamaServer) -> float:
    return desk.metric(REQUESTS, upstream=name_of(server), outcome="answered")


def test_one_of_two_dies_and_comes_back(desk: DeskProcess, servers: list[LlamaServer]):
    first, second = servers
    mine = customer_of(first, servers)
    for server in servers:
        reply = desk.ask(QUESTION, uid=customer_of(server, servers), max_tokens=16)
        assert "generate" in reply["timings_ms"]
        assert answered(desk, server) > 0
    before = {server: answered(desk, server) for server in servers}

    first.signal(signal.SIGSTOP)  # so that no token can come
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(desk.ask, QUESTION, uid=mine, max_tokens=16)
        desk.wait_metric(lambda value: value == 1, OPEN, upstream=name_of(first))
        first.kill()
        reply = asked.result(60)
    assert "generate" in reply["timings_ms"]
    assert answered(desk, second) == before[second] + 1

    desk.wait_metric(lambda value: value == 0, UP, upstream=name_of(first))
    assert desk.get("/readyz").json()["parts"]["generator"] == "ok"
    assert desk.ask(QUESTION, uid=mine, max_tokens=16)["timings_ms"]["generate"]
    shown = run_kefu("--data-dir", desk.data_dir, "doctor", "--json", settings=dict(desk.settings))
    findings = {row["what"]: row for row in json.loads(shown.stdout)}
    assert findings["generator"]["state"] == "warning"
    assert f"{name_of(second)} answers" in findings["generator"]["detail"]

    first.launch()
    desk.wait_metric(lambda value: value == 1, UP, upstream=name_of(first), seconds=60)
    desk.ask(QUESTION, uid=mine, max_tokens=16)
    assert answered(desk, first) == before[first] + 1


def test_where_all_are_away_what_is_known_is_said(desk: DeskProcess, servers: list[LlamaServer]):
    for server in servers:
        server.kill()
        desk.wait_metric(lambda value: value == 0, UP, upstream=name_of(server))
    parts = desk.get("/readyz")
    assert parts.status_code == 200
    assert "does not answer" in parts.json()["parts"]["generator"]
    assert desk.ask(FAQ[0])["source"] == "faq"
    quoted = desk.ask(QUESTION)
    assert (quoted["source"], "step 1" in quoted["reply"]) == ("faq", True)
