"""kill -9 of llama.cpp while it writes: one answer is lost and says so, and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from kefu.errors import GeneratorUnavailable
from kefu.inference.generator import llama_run
from kefu.settings import GeneratorSettings
from tests.e2e.conftest import NewDesk
from tests.e2e.desk_process import DeskProcess, wait_until
from tests.e2e.folders import FAQ

pytestmark = pytest.mark.models

RUNNING = "kefu_generator_running"
RESTARTS = "kefu_generator_restarts_total"
# From the death of llama.cpp to the error event: the same moment, as a customer feels it.
PROMPT_SECONDS = 3.0
RECOVERY_SECONDS = 10.0

numbers = count()


@dataclass
class FaqPoll:
    """A customer who asks a known question all the time."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)


@contextmanager
def faq_asked_throughout(desk: DeskProcess) -> Iterator[FaqPoll]:
    poll, over = FaqPoll(), threading.Event()

    def ask() -> None:
        with desk.client(timeout=10) as client:
            while not over.is_set():
                body = {"uid": "faq-poll", "message": FAQ[0]}
                try:
                    reply = client.post("/chat", json=body).json()
                    assert (reply["source"], reply["reply"]) == ("faq", FAQ[1]), reply
                    poll.answered += 1
                except Exception as error:  # noqa: BLE001 - whatever it is, it is a failure
                    poll.failures.append(repr(error))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield poll
    finally:
        over.set()
        thread.join()


@dataclass
class Cut:
    """A streamed turn whose llama.cpp was killed, and how it ended."""

    uid: str
    key: str
    events: list[tuple[str, dict[str, Any]]]
    seconds_to_end: float
    ready_parts: dict[str, str]


def cut_an_answer(desk: DeskProcess, question: str) -> Cut:
    """Kill llama.cpp after the first token and before the last.

    The text may be held back until it is checked, so the moment is found by time: the middle of
    what the last whole answer took, later when no token had come, earlier when it was over.
    """
    generate = desk.ask(question, uid=f"cut-{next(numbers)}")["timings_ms"]["generate"] / 1000
    share, step = 0.6, 0.2
    for _ in range(8):
        restarts = desk.metric(RESTARTS)
        cut = _kill_after(desk, question, generate * share)
        if cut.events[-1][0] == "error":
            return cut
        # Killed before the first token it was asked again; else the answer was over already.
        share += step if desk.metric(RESTARTS) > restarts and cut.seconds_to_end > 0.5 else -step
        step /= 1.5
        wait_until(lambda: desk.get("/readyz").json()["parts"]["generator"] == "ok", "a generator")
    raise AssertionError("no answer could be cut: it was never being written")


def _kill_after(desk: DeskProcess, question: str, seconds: float) -> Cut:
    uid, key = f"cut-{next(numbers)}", f"key-{next(numbers)}"
    child = desk.wait_llama()
    events: list[tuple[str, dict[str, Any]]] = []
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(lambda: events.extend(desk.stream(question, uid, key)))
        desk.wait_metric(lambda value: value == 1, RUNNING)
        with suppress(TimeoutError):
            wait_until(asked.done, "the answer is over already", seconds)
        killed = time.monotonic()
        os.kill(child.pid, signal.SIGKILL)
        parts = desk.get("/readyz")
        asked.result(60)
        ended = time.monotonic()
    assert parts.status_code == 200  # FAQ answers go on
    return Cut(uid, key, events, ended - killed, parts.json()["parts"])


def test_killed_while_it_writes(camp: DeskProcess, long_question: str):
    before = camp.metric(RESTARTS)
    failed = camp.metric("kefu_turn_failures_total", code="generator_unavailable")
    with faq_asked_throughout(camp) as poll:
        cut = cut_an_answer(camp, long_question)
        name, problem = cut.events[-1]
        assert name == "error"
        assert (problem["status"], problem["code"]) == (503, "generator_unavailable")
        assert problem["retry_after"] > 0
        assert "llama.cpp" in problem["detail"]
        assert "again" in problem["detail"]
        assert [kind for kind, _ in cut.events[:-1]] == ["delta"] * (len(cut.events) - 1)
        assert cut.seconds_to_end < PROMPT_SECONDS
        assert cut.ready_parts["generator"] != "ok"
        assert {v for k, v in cut.ready_parts.items() if k != "generator"} == {"ok"}

        [kept] = camp.turns(cut.uid)
        assert (kept["status"], kept["error_code"]) == ("failed", "generator_unavailable")
        assert (kept["question"], kept["reply"]) == (long_question, "")

        begun = time.monotonic()
        reply = camp.ask(long_question, cut.uid, cut.key)
        writing = reply["timings_ms"]["generate"] / 1000
        assert time.monotonic() - begun < RECOVERY_SECONDS + writing
        assert "generate" in reply["timings_ms"]
    assert poll.failures == []
    assert poll.answered > 20
    [kept] = camp.turns(cut.uid)
    assert (kept["status"], kept["error_code"]) == ("answered", None)
    assert (kept["reply"], kept["turn_id"]) == (reply["reply"], reply["turn_id"])
    assert camp.ask(long_question, cut.uid, cut.key) == reply
    assert camp.metric(RESTARTS) > before
    assert camp.metric("kefu_turn_failures_total", code="generator_unavailable") > failed
    assert camp.get("/readyz").json()["parts"]["generator"] == "ok"


def test_killed_before_the_first_token_the_answer_still_comes(
    camp: DeskProcess, long_question: str
):
    """Nothing was said yet, so the same question is put to the next child."""
    child = camp.wait_llama()
    child.suspend()  # so that no token can come
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(camp.ask, long_question, uid="early")
        camp.wait_metric(lambda value: value == 1, RUNNING)
        os.kill(child.pid, signal.SIGKILL)
        reply = asked.result(60)
    assert "generate" in reply["timings_ms"]
    assert camp.wait_llama().pid != child.pid
    [kept] = camp.turns("early")
    assert kept["reply"] == reply["reply"]


def test_a_hung_llama_leaves_the_faq_alone(camp: DeskProcess, long_question: str):
    child = camp.wait_llama()
    child.suspend()
    try:
        with ThreadPoolExecutor(1) as pool, faq_asked_throughout(camp) as poll:
            asked = pool.submit(camp.ask, long_question, uid="hung")
            camp.wait_metric(lambda value: value == 1, RUNNING)
            ready = camp.get("/readyz")
            assert ready.status_code == 200
            assert ready.json()["parts"]["generator"] != "ok"
            child.resume()
            assert "generate" in asked.result(60)["timings_ms"]
        assert poll.failures == []
        assert poll.answered > 20
    finally:
        with suppress(Exception):  # it may be gone, and what failed before is what to read
            child.resume()


def test_killed_whenever_it_starts_it_comes_back(new_desk: NewDesk):
    """As the system does when memory is short. The moments include the very first."""
    desk = new_desk().start()
    child = desk.wait_llama()
    for _ in range(6):
        child.kill()
        child = desk.wait_llama(other_than=child.pid)
    wait_until(lambda: desk.get("/readyz").json()["parts"]["generator"] == "ok", "a generator", 60)
    assert desk.metric(RESTARTS) >= 6
    assert desk.ask(FAQ[0])["reply"]


@pytest.mark.skipif(
    sys.platform == "win32", reason="uvloop, which a desk runs on, is not for Windows"
)
def test_a_child_that_is_dead_before_it_is_told_anything_is_a_failed_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """uvloop raises another error for a pipe that was closed already than asyncio does. Where it
    is not expected the supervisor ends with it, and no child is ever started again."""
    import uvloop

    async def spawn_one_that_ends() -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "", stdin=pipe, stdout=pipe, stderr=pipe
        )
        await process.wait()
        return process

    monkeypatch.setattr(llama_run, "_spawn", spawn_one_that_ends)
    with pytest.raises(GeneratorUnavailable, match=r"could not start with .*model\.gguf"):
        uvloop.run(llama_run.LlamaRun.start(tmp_path / "model.gguf", GeneratorSettings()))
