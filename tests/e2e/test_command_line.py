"""The commands beside a running desk: chat, conversations, kb, keys."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kefu import __version__
from tests.e2e.conftest import NewDesk
from tests.e2e.desk_process import KEFU, DeskProcess, kefu_environment, run_kefu, wait_until

pytestmark = pytest.mark.models

QUESTION = "怎么取消订单？"
ANSWER = "未发货的订单请到“我的”→“我的订单”"
NOTICE_SECONDS = 10.0


def test_chat_once(shop: DeskProcess):
    result = run_kefu("chat", "--url", shop.origin, "--uid", "cli", QUESTION)
    assert result.returncode == 0, result.stderr
    assert ANSWER in result.stdout
    assert "faq" in result.stdout


def test_chat_once_for_a_program(shop: DeskProcess):
    result = run_kefu("chat", "--url", shop.origin, "--uid", "cli", "--json", QUESTION)
    reply = json.loads(result.stdout)
    assert reply["reply"].startswith(ANSWER)
    assert reply["source"] == "faq"
    assert reply["citations"][0]["id"] == "order-cancel-zh"


def test_chat_without_a_desk_says_how_to_start_one():
    result = run_kefu("chat", "--url", "http://127.0.0.1:9", "hi")
    assert result.returncode == 1
    assert "kefu serve" in result.stderr
    assert "Traceback" not in result.stderr


def test_chat_that_is_refused_says_why(shop: DeskProcess):
    result = run_kefu("chat", "--url", shop.origin, "长" * 4001)
    assert result.returncode == 1
    assert "4000" in result.stderr
    assert "Traceback" not in result.stderr


class Terminal:
    """What a person sees and types."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self.screen = ""
        self.process = process
        self._descriptor = descriptor

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def see(self, pattern: str, seconds: float = 60) -> None:
        """Wait until what was printed since the last time has `pattern`, and forget that far."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.screen)):
            if time.monotonic() > end or not self._read(end):
                raise AssertionError(f"{pattern!r} was not printed: {self.screen!r}")
        self.screen = self.screen[found.end() :]

    def _read(self, end: float) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # Linux's way to say that the other side closed it
            return False
        self.screen += data.decode("utf-8", "replace")
        return bool(data)


def _control_terminal() -> None:
    """In the child: its standard input is the terminal whose Ctrl-C it gets."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def terminal(*command: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=kefu_environment({"TERM": "xterm", "COLUMNS": "120"}),
        start_new_session=True,
        preexec_fn=_control_terminal,
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_chat_in_a_terminal(shop: DeskProcess):
    with terminal(str(KEFU), "chat", "--url", shop.origin, "--uid", "terminal") as seen:
        seen.see("kefu at http://127.0.0.1")
        seen.see("> ")
        seen.type(f"{QUESTION}\n")
        seen.see(ANSWER)
        seen.see("faq")
        seen.see("> ")
        seen.type("How do I place an order?\n")
        seen.see("Add to cart")
        seen.see("> ")
        seen.type("\n")
        assert seen.process.wait(10) == 0
    questions = [turn["question"] for turn in shop.turns("terminal")]
    assert questions == [QUESTION, "How do I place an order?"]


@pytest.mark.parametrize("leaving", ["\x04", "\x03"], ids=["ctrl-d", "ctrl-c"])
def test_leaving_a_terminal_chat_shows_no_traceback(shop: DeskProcess, leaving: str):
    with terminal(str(KEFU), "chat", "--url", shop.origin) as seen:
        seen.see("> ")
        seen.type(leaving)
        seen.process.wait(10)
        with pytest.raises(AssertionError):
            seen.see("Traceback", 1)
        assert seen.process.returncode in (0, 130)


def test_conversations(shop: DeskProcess):
    shop.ask(QUESTION, uid="talker")
    shop.ask("你们老板今年多大了呀", uid="talker")
    listed = run_kefu("--data-dir", shop.data_dir, "conversations", "list", "--json")
    [found] = [talk for talk in json.loads(listed.stdout) if talk["uid"] == "talker"]
    assert found["turns"] == 2
    assert found["last_question"] == "你们老板今年多大了呀"
    turns = shop.turns("talker")
    assert [turn["question"] for turn in turns] == [QUESTION, "你们老板今年多大了呀"]
    assert turns[0]["reply"].startswith(ANSWER)
    shown = run_kefu("--data-dir", shop.data_dir, "conversations", "show", "talker")
    assert QUESTION in shown.stdout
    assert ANSWER in shown.stdout
    table = run_kefu("--data-dir", shop.data_dir, "conversations", "list")
    assert "talker" in table.stdout
    nobody = run_kefu("--data-dir", shop.data_dir, "conversations", "show", "nobody")
    assert (nobody.returncode, "nobody" in nobody.stderr) == (1, True)


def test_an_import_reaches_a_running_desk(new_desk: NewDesk):
    desk = new_desk(arguments=()).start()
    question, answer = "你们卖企鹅吗？", "不卖，企鹅请去南极看。"
    assert desk.ask(question)["source"] == "handoff"
    file = desk.data_dir / "penguins.csv"
    file.write_text(f"id,question,answer\npenguin,{question},{answer}\n", "utf-8")
    imported = run_kefu("--data-dir", desk.data_dir, "kb", "import", file, "--json")
    assert json.loads(imported.stdout)["added"] == 1
    done = time.monotonic()
    wait_until(lambda: desk.ask(question)["reply"] == answer, "the desk knows it")
    assert time.monotonic() - done < NOTICE_SECONDS
    file.write_text(f"id,question,answer\npenguin,{question},\n", "utf-8")
    refused = run_kefu("--data-dir", desk.data_dir, "kb", "import", file)
    assert refused.returncode == 2
    assert "line 2, answer" in refused.stderr
    assert desk.ask(question)["reply"] == answer


def test_keys_are_made_listed_and_revoked_while_the_desk_runs(shop: DeskProcess):
    made = run_kefu("--data-dir", shop.data_dir, "keys", "create", "--role", "admin", "--json")
    key = json.loads(made.stdout)["key"]
    bearer = {"Authorization": f"Bearer {key}"}

    def status() -> int:
        return shop.get("/api/knowledge", headers=bearer).status_code

    wait_until(lambda: status() == 200, "the desk knows the new key", NOTICE_SECONDS)
    listed = run_kefu("--data-dir", shop.data_dir, "keys", "list", "--json")
    assert key not in listed.stdout
    newest = max(json.loads(listed.stdout), key=lambda row: row["created_at_ms"])
    assert newest["role"] == "admin"
    revoked = run_kefu("--data-dir", shop.data_dir, "keys", "revoke", newest["id"])
    assert revoked.returncode == 0, revoked.stderr
    wait_until(lambda: status() == 401, "the desk has forgotten the key", NOTICE_SECONDS)
    again = run_kefu("--data-dir", shop.data_dir, "keys", "revoke", newest["id"])
    assert (again.returncode, newest["id"] in again.stderr) == (1, True)
    wrong = run_kefu("--data-dir", shop.data_dir, "keys", "create", "--role", "king")
    assert wrong.returncode == 2


def test_the_version_is_told():
    said = run_kefu("--version")
    assert (said.returncode, said.stdout) == (0, f"kefu {__version__}\n")
