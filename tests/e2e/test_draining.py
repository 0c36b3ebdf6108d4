"""A desk that is told to stop leaves no customer without an answer."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.desk_process import (
    BUSY_MACHINE,
    FORGETFUL,
    STOP_SECONDS,
    UNTAUGHT,
    DeskProcess,
    run_kefu,
    wait_until,
)
from tests.e2e.folders import FAQ, KNOWLEDGE, LONG_QUESTIONS, link_models, write_files

pytestmark = pytest.mark.models


# However busy the machine is, an answer is written before the desk gives it up.
PATIENT = {**BUSY_MACHINE, **FORGETFUL, **UNTAUGHT, "KEFU_SERVER__SHUTDOWN_SECONDS": "100"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Path:
    """A data folder whose answers take long to write."""
    data_dir = link_models(tmp_path_factory.mktemp("draining") / "data", models_dir)
    imported = run_kefu(
        "--data-dir", data_dir, "kb", "import", write_files(data_dir / "camp", KNOWLEDGE)
    )
    assert imported.returncode == 0, imported.stderr
    return data_dir


@pytest.fixture
def new_desk(folder: Path) -> Iterator[Callable[..., DeskProcess]]:
    desks = []

    def make(**settings: str) -> DeskProcess:
        named = {f"KEFU_SERVER__{name.upper()}": value for name, value in settings.items()}
        desk = DeskProcess(folder, arguments=(), settings={**PATIENT, **named})
        desks.append(desk)
        return desk.start()

    yield make
    for desk in desks:
        desk.close()


def begun(desk: DeskProcess, uid: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A stream of which the first words have come."""
    stream = desk.stream(LONG_QUESTIONS[0], uid=uid, key=uid)
    for name, _ in stream:
        if name == "delta":
            return stream
    raise AssertionError("nothing was written")


def tell(desk: DeskProcess) -> None:
    """Only the desk itself, as a container is told."""
    os.kill(desk.pid, signal.SIGTERM)


def ended(desk: DeskProcess) -> int:
    assert desk.process
    return desk.process.wait(STOP_SECONDS)


def is_draining(desk: DeskProcess) -> bool:
    answer = desk.get("/readyz")
    return answer.status_code == 503 and answer.json()["status"] == "draining"


def test_while_it_drains_it_answers_and_says_that_it_stops(new_desk: Callable[..., DeskProcess]):
    desk = new_desk(drain_seconds="5")
    with ThreadPoolExecutor(1) as pool:
        later = {"uid": "waits", "wait": 30}  # longer than a stop may take here
        waiting = pool.submit(desk.get, "/chat/updates", params=later, timeout=60)
        stream = begun(desk, "drained")
        tell(desk)
        wait_until(lambda: is_draining(desk), "the desk says that it stops", 5)
        new = desk.post(FAQ[0], uid="new")
        assert new.json()["reply"] == FAQ[1]
        assert new.headers["connection"] == "close"
        assert desk.get("/livez").status_code == 200
        *_, (name, reply) = stream
        assert name == "done"
        assert ended(desk) == 0
        assert waiting.result().json() == {"updates": [], "next": 0}
    assert [turn["reply"] for turn in desk.turns("drained")] == [reply["reply"]]
    assert [turn["reply"] for turn in desk.turns("new")] == [FAQ[1]]
    assert desk.processes() == []
    assert "Traceback" not in desk.log


def test_without_a_drain_nobody_new_comes_in_and_streams_end_whole(
    new_desk: Callable[..., DeskProcess],
):
    desk = new_desk()
    stream = begun(desk, "whole")
    tell(desk)
    wait_until(lambda: refuses(desk), "the door is closed", 5)
    *_, (name, reply) = stream
    assert name == "done"
    assert ended(desk) == 0
    assert [turn["reply"] for turn in desk.turns("whole")] == [reply["reply"]]


def refuses(desk: DeskProcess) -> bool:
    try:
        desk.get("/livez")
    except httpx.ConnectError:
        return True
    return False


def test_told_twice_it_stops_at_once(new_desk: Callable[..., DeskProcess]):
    desk = new_desk(drain_seconds="600")
    uid = "twice"
    stream = begun(desk, uid)
    tell(desk)
    wait_until(lambda: is_draining(desk), "the desk says that it stops", 5)
    tell(desk)
    assert ended(desk) == 0
    *_, (name, problem) = stream
    assert (name, problem["code"]) == ("error", "stopping")
    assert [turn["status"] for turn in desk.turns(uid)] == ["stopped"]
    assert desk.processes() == []
    assert "Traceback" not in desk.log
