"""Desks as real processes, with real models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.desk_process import BUSY_MACHINE, FORGETFUL, UNTAUGHT, DeskProcess, run_kefu
from tests.e2e.folders import KNOWLEDGE, LONG_QUESTIONS, link_models, write_files

NewDesk = Callable[..., DeskProcess]


@pytest.fixture
def data_dir(tmp_path: Path, models_dir: Path) -> Path:
    return link_models(tmp_path / "data", models_dir)


@pytest.fixture
def new_desk(data_dir: Path) -> Iterator[NewDesk]:
    """`new_desk(...)`: a desk on this test's data folder, not started. Ended with the test."""
    with ExitStack() as stack:

        def make(**options: Any) -> DeskProcess:
            desk = DeskProcess(**{"data_dir": data_dir, **options})
            stack.callback(desk.close)
            return desk

        yield make


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[DeskProcess]:
    """The sample shop, for tests that do not disturb it."""
    desk = DeskProcess(link_models(tmp_path_factory.mktemp("shop") / "data", models_dir))
    try:
        yield desk.start()
    finally:
        desk.close()


@pytest.fixture(scope="session")
def camp(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[DeskProcess]:
    """A desk whose answers take long to write. Tests may kill its llama.cpp, but not the desk."""
    data_dir = link_models(tmp_path_factory.mktemp("camp") / "data", models_dir)
    folder = write_files(data_dir / "camp", KNOWLEDGE)
    imported = run_kefu("--data-dir", data_dir, "kb", "import", folder)
    assert imported.returncode == 0, imported.stderr
    desk = DeskProcess(data_dir, arguments=(), settings={**BUSY_MACHINE, **FORGETFUL, **UNTAUGHT})
    try:
        yield desk.start()
    finally:
        desk.close()


@pytest.fixture(scope="session")
def long_question(camp: DeskProcess) -> str:
    """A question whose answer takes long to write."""
    seconds = {}
    for question in LONG_QUESTIONS:
        seconds[question] = writing_seconds(camp, question)
        if seconds[question] > 0.5:
            return question
    pytest.fail(f"no answer is long enough to be interrupted: {seconds}")


def writing_seconds(desk: DeskProcess, question: str) -> float:
    """From the first token to the last; 0 where the desk uses nothing of what was written."""
    timings = desk.ask(question, uid="probe")["timings_ms"]
    if "first_token" not in timings:
        return 0.0
    return float(timings["generate"] - timings["first_token"]) / 1000
