"""`kefu serve` from its start to its end: what the operator sees, and what the customer gets."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import NewDesk
from tests.e2e.desk_process import (
    BUSY_MACHINE,
    DeskProcess,
    run_kefu,
    wait_until,
)

pytestmark = pytest.mark.models

ZH = ("怎么申请退货？", "return")
EN = ("How do I place an order?", "order-place-en")


def said_plainly(result: subprocess.CompletedProcess[str], *words: str) -> None:
    """It failed with 1, said why in a few lines, and showed no traceback."""
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr
    assert result.stdout == ""


def test_a_desk_answers_in_both_languages(shop: DeskProcess):
    assert shop.get("/readyz").json()["status"] == "ok"
    assert set(shop.get("/readyz").json()["parts"].values()) == {"ok"}
    zh, en = shop.ask(ZH[0]), shop.ask(EN[0], uid="bob")
    assert zh["source"] == en["source"] == "faq"
    assert zh["citations"][0]["id"].startswith(ZH[1])
    assert en["citations"][0]["id"] == EN[1]
    assert zh["intent"]["label"] != "oos"
    assert zh["timings_ms"]["total"] > 0


def test_a_second_desk_on_the_same_folder_is_refused(shop: DeskProcess):
    said_plainly(
        run_kefu("--data-dir", shop.data_dir, "serve", "--port", "0"),
        "Another kefu already serves from",
        str(shop.data_dir),
        "--data-dir",
    )
    assert shop.ask(ZH[0])["source"] == "faq"


def test_a_busy_port_is_told_at_once(data_dir: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        result = run_kefu("--data-dir", data_dir, "serve", "--port", port)
    said_plainly(result, f"Cannot listen on 127.0.0.1:{port}", "--port")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_told_to_stop_it_ends_with_zero_and_leaves_nothing(new_desk: NewDesk, sign: int):
    desk = new_desk(arguments=()).start()
    assert desk.llama()
    begun = time.monotonic()
    assert desk.stop(sign) == 0
    assert time.monotonic() - begun < 10
    assert desk.processes() == []
    assert "Traceback" not in desk.log


def test_stopped_while_it_starts_it_leaves_nothing(new_desk: NewDesk):
    desk = new_desk(arguments=())
    desk.launch()
    desk.wait_llama()
    desk.stop(signal.SIGTERM)
    wait_until(lambda: not desk.processes(), "nothing is left", 10)
    assert "Traceback" not in desk.log


def test_port_zero_is_told_and_keys_are_shown_once(new_desk: NewDesk):
    desk = new_desk(arguments=())
    desk.port = 0
    desk.launch()
    url = wait_until(lambda: re.search(r"http://127\.0\.0\.1:(\d+)/", desk.log), "a banner", 90)
    desk.port = int(url[1])
    desk.wait_ready()
    key = desk.key("admin")
    assert desk.log.count("kefu-admin-") == 1
    assert "kefu-chat-" not in desk.log
    bearer = {"Authorization": f"Bearer {key}"}
    assert desk.get("/api/knowledge").status_code == 401
    assert desk.get("/api/knowledge", headers=bearer).status_code == 200
    desk.stop()
    assert key not in desk.database.read_bytes().decode("latin-1")
    desk.start()
    assert "kefu-admin-" not in desk.log
    assert desk.get("/api/knowledge", headers=bearer).status_code == 200


def test_open_to_the_network_it_asks_for_the_key_it_showed(new_desk: NewDesk):
    desk = new_desk(arguments=("--demo", "--host", "0.0.0.0")).start()
    refused = desk.post(ZH[0])
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.json()["code"] == "unauthorized"
    bearer = {"Authorization": f"Bearer {desk.key('chat')}"}
    body = {"uid": "ann", "message": ZH[0]}
    answered = httpx.post(f"{desk.origin}/chat", json=body, headers=bearer, trust_env=False)
    assert answered.json()["source"] == "faq"
    assert desk.get("/api/conversations", headers=bearer).status_code == 403
    assert desk.get("/livez").status_code == 200


def test_a_restart_keeps_the_talk(new_desk: NewDesk):
    desk = new_desk().start()
    first = desk.ask("寄到香港多少钱？", uid="ann", key="one")
    desk.stop()
    desk.start()
    assert desk.ask("寄到香港多少钱？", uid="ann", key="one") == first
    history = desk.get("/chat/history", params={"uid": "ann"}).json()["turns"]
    assert [turn["question"] for turn in history] == ["寄到香港多少钱？"]
    # Searched with the round from before the restart, which a stranger does not have.
    alone = desk.ask("那需要几天呢", uid="stranger")
    second = desk.ask("那需要几天呢", uid="ann")
    assert second["conversation_id"] == first["conversation_id"]
    assert "follow_up" in second["timings_ms"]
    assert "follow_up" not in alone["timings_ms"]
    assert alone["conversation_id"] != first["conversation_id"]
    assert [turn["question"] for turn in desk.turns("ann")] == ["寄到香港多少钱？", "那需要几天呢"]


BROKEN = {
    "a setting that does not fit": ("kefu.toml", "[server]\nport = 'many'\n", ["server.port"]),
    "a setting nobody knows": ("kefu.toml", "[server]\nprot = 9000\n", ["server.prot"]),
    "settings that are no TOML": ("kefu.toml", "[server\n", ["not valid TOML"]),
    "a database that is none": ("data/kefu.db", "this is no database " * 500, ["kefu.db"]),
    "a data folder that is a file": ("data", "", ["data folder"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named(tmp_path: Path, models_dir: Path, name: str):
    file, text, words = BROKEN[name]
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    if path.parent != tmp_path:
        (path.parent / "models").symlink_to(models_dir)
    result = run_kefu("--data-dir", tmp_path / "data", "serve", "--port", "0", cwd=tmp_path)
    said_plainly(result, *words)


@pytest.mark.parametrize("kind", ["missing", "not a model", "cut off"])
def test_a_generator_that_cannot_run_is_named(
    tmp_path: Path, data_dir: Path, models_dir: Path, kind: str
):
    path = tmp_path / "broken.gguf"
    if kind == "not a model":
        path.write_text("this is no model")
    elif kind == "cut off":
        whole = next(models_dir.glob("gemma-3-270m-kefu/*.gguf"))
        with whole.open("rb") as file:
            path.write_bytes(file.read(20_000_000))
    result = run_kefu(
        "--data-dir", data_dir, "serve", "--port", "0", "--generator", path, settings=BUSY_MACHINE
    )
    said_plainly(result, "broken.gguf")


def test_the_log_holds_no_words_of_customers(new_desk: NewDesk):
    desk = new_desk(settings={**BUSY_MACHINE, "KEFU_LOG__LEVEL": "debug"}).start()
    desk.ask("我的手机号是13900001111，怎么退货")
    desk.post("x" * 5000)
    desk.stop()
    assert "13900001111" not in desk.log
    assert "xxxxx" not in desk.log
