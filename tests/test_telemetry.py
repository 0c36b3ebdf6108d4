"""What is written to the log shows nobody's number or address."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
import structlog

from kefu.settings import LogSettings
from kefu.telemetry import configure_logging

NUMBER = "13812345678"
MASKED = "138****5678"
ADDRESS = "地址是上海市浦东新区世纪大道100号"


@pytest.fixture(params=["json", "console"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[StringIO]:
    """What a process that logs in this format has written to stderr."""
    stream = StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging(LogSettings(format=request.param))
    yield stream
    monkeypatch.undo()
    configure_logging(LogSettings(format="json"))


class Caller:
    def __repr__(self) -> str:
        return f"<Caller {NUMBER}>"


LOG = structlog.get_logger("kefu.test")
WRITERS: dict[str, Callable[[], object]] = {
    "event": lambda: LOG.info(f"call {NUMBER}"),
    "field": lambda: LOG.info("failed", reason=f"电话{NUMBER}", path=Path("/a")),
    "nested": lambda: LOG.info("failed", people=[{"tel": (NUMBER,)}, {NUMBER: {NUMBER}}]),
    "bound": lambda: LOG.bind(uid=NUMBER).warning("failed"),
    "object": lambda: LOG.info("failed", caller=Caller()),
    "bytes": lambda: LOG.info("failed", body=f"tel {NUMBER}".encode()),
    "standard library": lambda: logging.getLogger("other").warning("call %s", NUMBER),
    "exception object": lambda: LOG.error("failed", exc_info=ValueError(f"bad: {NUMBER}")),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_no_number_is_written(write: Callable[[], object], written: StringIO):
    write()
    assert NUMBER not in written.getvalue()
    assert MASKED in written.getvalue()


def test_no_number_is_written_with_a_traceback(written: StringIO):
    try:
        try:
            int(ADDRESS)
        except ValueError as error:
            raise RuntimeError(f"no card 4111 1111 1111 1111 of {NUMBER}") from error
    except RuntimeError:
        LOG.exception("failed")
        logging.getLogger("other").exception("failed too")
    text = written.getvalue()
    assert text.count("RuntimeError: no card 4111 **** **** 1111 of 138****5678") == 2
    assert text.count("上海市***") == 2
    assert text.count("Traceback (most recent call last)") == 4
    assert NUMBER not in text


def test_what_is_nobodys_own_stays_as_it_is(written: StringIO):
    LOG.info(
        "turn_done", turn_id="4f0d3f5ea2a94f5c8f8a2b3c4d5e6f70", path="/chat", took_ms=13812345678
    )
    text = written.getvalue()
    assert "4f0d3f5ea2a94f5c8f8a2b3c4d5e6f70" in text
    assert "13812345678" in text


def test_a_line_of_json_stays_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    configure_logging(LogSettings(format="json"))
    LOG.info("failed", reason=f'"{NUMBER}"\n', n=1.5, none=None, yes=True, items=("a", 2))
    configure_logging(LogSettings(format="json"))
    line = json.loads(capsys.readouterr().err)
    assert line.pop("timestamp")
    assert line == {
        "event": "failed", "level": "info", "logger": "kefu.test", "reason": f'"{MASKED}"\n',
        "n": 1.5, "none": None, "yes": True, "items": ["a", 2],
    }  # fmt: skip
