"""`kefu intent`: what people and programs read. Every error is a sentence; a traceback fails a test.

The real encoder runs; the command line is the one that is installed, called in this process.
"""

from __future__ import annotations

import asyncio
import csv
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kefu.cli import intent, intent_train
from kefu.conversations.transcript import Turn
from kefu.inference.encoder.onnx import OnnxEncoder
from kefu.inference.models.resolve import resolve_encoder
from kefu.intent import training
from kefu.intent.actions import Action
from kefu.intent.dataset import OUT_OF_SCOPE
from kefu.intent.versions import Versions
from kefu.limits import usable_cpus
from kefu.settings import Settings
from kefu.stores.intents import SqlActions
from kefu.stores.opening import open_database
from kefu.stores.transcript import SqlTranscript
from tests.command_line import Run, commands
from tests.fakes import HashingEncoder
from tests.intent.small_models import STRANGE, TEXTS, damage, save_model

pytestmark = pytest.mark.models

TO_PARK = (
    "你们有停车场吗", "停车场收费吗", "停车免费吗", "附近哪里可以停车", "停车位多不多", "开车去好停车吗",
)  # fmt: skip


@cache
def open_once(path: Path) -> OnnxEncoder:
    """Half a second, which every command would wait for."""
    return OnnxEncoder(path, usable_cpus())


def open_shared(settings: Settings, *_: int) -> OnnxEncoder:
    return open_once(resolve_encoder(settings).path.resolve())


@pytest.fixture
def data_dir(settings: Settings, models_dir: Path) -> Path:
    settings.data_dir.mkdir()
    (settings.data_dir / "models").symlink_to(models_dir, target_is_directory=True)
    return settings.data_dir


@pytest.fixture
def run(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    for module in (intent, intent_train):
        monkeypatch.setattr(module, "open_encoder", open_shared)
    with commands(data_dir, "intent") as run:
        yield run


@pytest.fixture
def versions(settings: Settings) -> Versions:
    return Versions(settings.intents_dir)


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """The examples of each language, and the strange ones among the first."""
    rows = [(text, label) for label, texts in TEXTS.items() for text in texts]
    strange = [(text, OUT_OF_SCOPE) for text in STRANGE]
    return [
        write(tmp_path / "zh.csv", [row for row in rows if not row[0].isascii()] + strange),
        write(tmp_path / "en.csv", [row for row in rows if row[0].isascii()]),
    ]


@pytest.fixture
def version(run: Run, files: list[Path]) -> str:
    return run("train", *files, "--json").json()["version"]


def active(run: Run) -> str:
    (found,) = (v["version"] for v in run("list", "--json").json() if v["active"])
    return found


# Training.


def test_two_files_make_a_model_that_is_used(run: Run, files: list[Path], versions: Versions):
    said = run("train", *files).ok()
    current = versions.current()
    assert current
    assert "4 intents from 62 examples" in said
    assert "each held out" in said
    assert "out-of-scope found" in said
    assert f"{current.version} is in use." in said
    card = versions.folder_of(current.version) / "card.md"
    assert f"All figures: {card}" in said
    assert card.is_file()


def test_a_program_reads_what_a_person_reads(run: Run, files: list[Path], versions: Versions):
    found = run("train", *files, "--json").json()
    assert found.keys() == {
        "version", "folder", "kind", "labels", "examples", "seconds", "data_sha256", "tested_on",
        "threshold", "false_rejections", "figures", "trade_offs", "notes",
    }  # fmt: skip
    assert (found["kind"], found["labels"], found["examples"]) == ("kernel", 4, 62)
    assert found["figures"]["n"] == 62
    assert versions.folder_of(found["version"]) == Path(found["folder"])
    assert len(found["data_sha256"]) == 64


def test_a_model_may_be_kept_for_later(run: Run, files: list[Path], versions: Versions):
    said = run("train", *files, "--no-use").ok()
    (only,) = versions.all()
    assert versions.current() is None
    assert f"{only.id} is kept: kefu intent use {only.id}" in said
    run("use", only.id).ok()
    assert active(run) == only.id


def test_a_folder_elsewhere_is_a_model_and_no_version(
    run: Run, files: list[Path], versions: Versions, tmp_path: Path
):
    folder = tmp_path / "deep" / "model"
    found = run("train", *files, "--out", folder, "--json").json()
    assert (found["version"], found["folder"]) == (None, str(folder))
    assert versions.all() == []
    assert run("predict", "--model", folder, "谢谢", "--json").json()[0]["label"] == "thanks"


def test_a_folder_that_exists_is_told_before_the_training(
    run: Run, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def train(*_: Any, **__: Any) -> None:
        raise AssertionError("it trained in vain")

    monkeypatch.setattr(training, "train", train)
    (tmp_path / "mine").mkdir()
    run("train", *files, "--out", tmp_path / "mine").failed(2, "mine exists already")
    assert list((tmp_path / "mine").iterdir()) == []


def test_more_may_be_rejected_if_asked_to(run: Run, files: list[Path]):
    found = run("train", *files, "--false-rejections", "0.2", "--json").json()
    assert found["false_rejections"] == 0.2
    assert run("train", *files, "--false-rejections", "0.9").code == 2


@pytest.mark.parametrize("labels", [("谢谢",), ("谢谢", OUT_OF_SCOPE), (OUT_OF_SCOPE,)])
def test_one_intent_is_nothing_to_tell_apart(
    run: Run, tmp_path: Path, versions: Versions, labels: tuple[str, ...]
):
    rows = [(f"例子{n}{label}", label) for label in labels for n in range(5)]
    file = write(tmp_path / "one.csv", rows)
    for options in ((), ("--json",)):
        run("train", file, *options).failed(2, "nothing to tell apart", "at least two")
    assert versions.all() == []


# Bad files.

BAD = "text,label\n谢谢,thanks\n,thanks\n多谢,thanks\n转人工,human\n转人工,thanks\n好,\n"


@pytest.mark.parametrize("command", ["check", "train"])
def test_bad_rows_are_named_by_line(run: Run, tmp_path: Path, versions: Versions, command: str):
    file = tmp_path / "bad.csv"
    file.write_text(BAD, "utf-8")
    ran = run(command, file)
    ran.failed(2, "line 3, text: is empty", "line 7, label: is empty")
    assert "line 5, label: 'human', but the same text is also 'thanks' (line 6)" in ran.err
    found = run(command, file, "--json").json(code=2)
    assert found.keys() == {"error", "problems"}
    assert {problem["line"] for problem in found["problems"]} >= {3, 5, 6, 7}
    assert {"line": 3, "column": "text", "reason": "is empty"} in found["problems"]
    assert versions.all() == []


def test_what_is_right_is_said_too(run: Run, files: list[Path]):
    assert "62 examples of 5 labels. Nothing is wrong" in run("check", *files).ok()
    found = run("check", *files, "--json").json()
    assert (found["examples"], found["problems"]) == (62, [])
    assert found["labels"] == sorted([*TEXTS, OUT_OF_SCOPE])


def test_lenient_leaves_bad_rows_out_and_says_which(run: Run, files: list[Path]):
    with files[1].open("a", encoding="utf-8") as file:
        file.write(",thanks\n")
    last = len(files[1].read_text("utf-8").splitlines())
    run("train", *files).failed(2, f"line {last}, text: is empty", "--lenient")
    ran = run("train", *files, "--lenient")
    assert "4 intents from 62 examples" in ran.ok()
    assert "1 row was left out" in ran.err
    assert f"line {last}" in ran.err
    found = run("train", *files, "--lenient", "--json").json()
    assert any("1 row was left out" in note for note in found["notes"])


def test_a_label_needs_three_texts_in_all_files_together(run: Run, files: list[Path]):
    for file, rows in zip(files, ("停车,parking\n", "parking,parking\n"), strict=True):
        with file.open("a", encoding="utf-8") as end:
            end.write(rows)
    run("train", *files).failed(2, "fewer than 3 texts of parking", "--lenient")
    assert "4 intents from 62 examples" in run("train", *files, "--lenient").ok()
    with files[0].open("a", encoding="utf-8") as end:
        end.write("停车场,parking\n")
    assert "5 intents from 65 examples" in run("train", *files).ok()


def test_files_that_disagree_are_told_apart(run: Run, files: list[Path]):
    with files[1].open("a", encoding="utf-8") as file:
        file.write("谢谢,goodbye\n再见,goodbye\nbye,goodbye\n")
    ran = run("train", *files)
    ran.failed(2, "do not agree", str(files[0]), "'goodbye', but the same text is 'thanks'")
    found = run("check", *files, "--json").json(code=2)
    assert found["problems"][0]["column"] == "label"


FILES = {
    "nothing there": None,
    "empty": b"",
    "only a header": b"text,label\n",
    "other columns": b"a,b\n1,2\n",
    "a workbook": b"PK\x03\x04 and more",
    "no text": bytes(range(32)) * 20,
    "a folder": ...,
}


@pytest.mark.parametrize("command", ["train", "check", "evaluate"])
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_table_is_named(run: Run, tmp_path: Path, name: str, command: str):
    path, content = tmp_path / "strange.csv", FILES[name]
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is ...:
        path.mkdir()
    run(command, path).failed(2, "strange.csv")


def test_a_missing_encoder_says_how_to_get_it(run: Run, files: list[Path], data_dir: Path):
    (data_dir / "models").unlink()
    run("train", *files).failed(1, "kefu models pull")


# BERT.


def test_fine_tuning_needs_both_options(run: Run, files: list[Path], tmp_path: Path):
    for options in (("--finetune",), ("--encoder", tmp_path)):
        run("train", *files, *options).failed(2, "--finetune and --encoder DIR belong together")


def test_without_pytorch_it_says_what_to_install(
    run: Run,
    files: list[Path],
    versions: Versions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not there, where it is
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text("{}")
    ran = run("train", *files, "--finetune", "--encoder", tmp_path / "bert")
    ran.failed(1, "kefu[train]")
    run("export", tmp_path / "bert").failed(1, "kefu[train]")
    assert versions.all() == []


# Using.


def test_predict_ranks_and_knows_what_is_strange(run: Run, version: str, tmp_path: Path):
    found = run("predict", "谢谢你呀", "where is my refund?", "月亮离我们有多远", "--json").json()
    assert [item["label"] for item in found] == ["thanks", "refund_status", OUT_OF_SCOPE]
    assert found[0].keys() == {"text", "label", "score", "out_of_scope", "ranking"}
    assert found[0]["text"] == "谢谢你呀"
    assert found[0]["ranking"][0] == {"label": "thanks", "score": found[0]["score"]}
    said = run("predict", "谢谢你呀").ok()
    assert "thanks" in said
    assert "谢谢你呀" in said
    file = tmp_path / "messages.txt"
    file.write_text("谢谢\n\n  转人工 \n", "utf-8")
    labels = [item["label"] for item in run("predict", "--file", file, "--json").json()]
    assert labels == ["thanks", "human_agent"]
    piped = run("predict", "thanks", "--file", "-", "--json", stdin="转人工\n".encode())
    assert [item["text"] for item in piped.json()] == ["thanks", "转人工"]


def test_predict_needs_messages_it_can_read(run: Run, version: str, tmp_path: Path):
    run("predict").failed(2, "Give a message")
    run("predict", "--file", tmp_path / "none.txt").failed(2, "none.txt cannot be read")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xfa")
    run("predict", "--file", tmp_path / "bytes.txt").failed(2, "bytes.txt cannot be read")
    run("predict", "--file", "-", stdin=b"\xff\n").failed(2, "cannot be read")
    assert run("predict", "[/bold]", "a\x00b", "😀").code == 0


def test_evaluate_has_the_figures_and_the_wrong_ones(run: Run, version: str, tmp_path: Path):
    rows = [
        ("谢谢你呀", "thanks"),
        ("thank you very much", "thanks"),
        ("我要真人客服", "human_agent"),
    ]
    strange = [("月亮离我们有多远", OUT_OF_SCOPE), ("write a poem about tea", OUT_OF_SCOPE)]
    wrong = [("退款到哪里了", "thanks"), ("我想停车", "parking")]
    file = write(tmp_path / "test.csv", [*rows, *strange, *wrong])
    found = run("evaluate", file, "--errors", "5", "--json").json()
    assert found.keys() >= {
        "accuracy", "macro_f1", "in_scope_accuracy", "oos_auroc", "oos_recall", "false_oos", "n",
        "ms_per_text",
    }  # fmt: skip
    assert found["n"] == 7
    assert found["unknown_labels"] == ["parking"]
    assert 0 < found["ms_per_text"] < 1000
    assert {"line": 7, "text": "退款到哪里了", "label": "thanks"}.items() <= found["wrong"][
        0
    ].items()
    assert found["wrong"][0]["predicted"] == "refund_status"
    assert round(found["accuracy"] * 7) == 7 - len(found["wrong"])
    said = run("evaluate", file, "--errors", "1").ok()
    assert re.search(r"^accuracy +0\.\d{4}$", said, re.MULTILINE)
    assert "does not know 1 of the labels: parking" in said
    assert "thanks -> refund_status" in said
    assert run("evaluate", file).ok().count("->") == 0


def test_evaluate_reads_a_pipe_and_one_kind_of_text(run: Run, version: str):
    known = run("evaluate", "-", "--json", stdin="text,label\n谢谢,thanks\n".encode()).json()
    assert (known["accuracy"], known["oos_recall"], known["oos_auroc"]) == (1.0, None, None)
    strange = run("evaluate", "-", stdin="text,label\n月亮有多远,oos\n".encode()).ok()
    assert re.search(r"^in_scope_accuracy +-$", strange, re.MULTILINE)
    run("evaluate", "-", stdin=b"text,label\n,thanks\n").failed(2, "standard input", "line 2")


def test_list_use_and_rollback(run: Run, files: list[Path], version: str):
    second = run("train", *files, "--json").json()["version"]
    assert active(run) == second
    assert run("rollback").ok() == f"{version} is in use again.\n"
    assert active(run) == version
    assert run("use", second).ok() == f"{second} is in use.\n"
    shown = run("list").ok()
    (row,) = (line for line in shown.splitlines() if second in line)
    assert "in use" in row
    assert "kernel" in row
    assert "62" in row
    run("use", "nothing").failed(1, "There is no intent model 'nothing'", "kefu intent list")
    run("use", "../versions").failed(1, "There is no intent model")
    assert active(run) == second


def test_what_is_damaged_is_refused_and_listed(
    run: Run, files: list[Path], version: str, versions: Versions
):
    bad = run("train", *files, "--no-use", "--json").json()["version"]
    damage(versions.folder_of(bad))
    run("use", bad).failed(1, "damaged", "kefu intent rollback")
    assert active(run) == version
    (versions.folder_of(bad) / "model.json").write_text("{")
    assert "damaged" in run("list").ok()
    (found,) = (v for v in run("list", "--json").json() if v["version"] == bad)
    assert "damaged" in found["problem"]
    damage(versions.folder_of(version))
    run("predict", "谢谢").failed(1, "damaged")
    versions.folder_of(version).parent.parent.joinpath("current.json").write_text("{")
    for command in (("predict", "谢谢"), ("rollback",), ("suggest",)):
        run(*command).failed(1, "current.json cannot be read", "kefu intent use")


def test_a_model_of_another_encoder_is_refused(run: Run, tmp_path: Path):
    save_model(tmp_path / "model")
    ran = run("predict", "--model", tmp_path / "model", "谢谢")
    ran.failed(1, HashingEncoder.id, "Train it again")


@pytest.mark.parametrize(
    "command", [("predict", "谢谢"), ("evaluate", "-"), ("suggest",), ("suggest", "--json")]
)
def test_without_a_model_it_says_how_to_make_one(run: Run, command: tuple[str, ...]):
    ran = run(*command, stdin="text,label\n谢谢,thanks\n".encode())
    ran.failed(1, "No intent model is trained yet: kefu intent train FILE")


def test_without_a_model_the_rest_says_so_too(run: Run, tmp_path: Path):
    ran = run("list")
    assert (ran.code, ran.out) == (0, "")
    assert "No model is trained yet: kefu intent train FILE" in ran.err
    assert run("list", "--json").json() == []
    run("rollback").failed(1, "No other intent model was in use")
    run("use", "v").failed(1, "There is no intent model")
    run("predict", "--model", tmp_path, "谢谢").failed(1, "no intent model", "kefu intent train")


# Actions.


def test_actions_are_set_listed_and_removed(run: Run, settings: Settings):
    assert "No intent has an action" in run("action", "list").err
    assert run("action", "set", "thanks", "--zh", "不客气", "--en", "[b]Sure[/b]").ok() == (
        "thanks: reply.\n"
    )
    run("action", "set", "human", "--handoff", "--zh", "请稍等").ok()
    link = ("--en", "See", "--link", "https://shop.example/a")
    assert run("action", "set", "weather/find", *link).ok() == "weather/find: link.\n"
    assert run("action", "list", "--json").json() == {
        "human": {"kind": "handoff", "reply_zh": "请稍等", "reply_en": "", "url": ""},
        "thanks": {"kind": "reply", "reply_zh": "不客气", "reply_en": "[b]Sure[/b]", "url": ""},
        "weather/find": {
            "kind": "link", "reply_zh": "", "reply_en": "See", "url": "https://shop.example/a",
        },
    }  # fmt: skip
    shown = run("action", "list").ok()
    for words in ("不客气", "[b]Sure[/b]", "https://shop.example/a", "handoff"):
        assert words in shown
    assert run("action", "remove", "human").ok() == "human: no action.\n"
    run("action", "remove", "human").failed(1, "'human' has no action")
    with open_database(settings.database_at) as database:
        _, found = SqlActions(database).load()
    assert found["thanks"] == Action("reply", "不客气", "[b]Sure[/b]")
    assert found.keys() == {"thanks", "weather/find"}


BAD_ACTIONS = {
    "nothing to say": (("thanks",), "Say what the customer is told"),
    "both": (
        ("thanks", "--en", "Hi", "--handoff", "--link", "https://a.b"), "Either --link or --handoff"
    ),
    "a script": (("thanks", "--en", "Hi", "--link", "javascript:1"), "not an http or https address"),
    "out of scope": ((OUT_OF_SCOPE, "--en", "Hi"), "nothing in common"),
    "an empty label": (("", "--en", "Hi"), "1 to 64 characters"),
    "a long reply": (("thanks", "--en", "x" * 2001), "at most 2000"),
    "no text": (("thanks", "--en", "\udcff"), "not text"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ACTIONS)
def test_an_action_that_cannot_be_is_refused(run: Run, name: str):
    arguments, words = BAD_ACTIONS[name]
    run("action", "set", *arguments).failed(2, words)
    assert run("action", "list", "--json").json() == {}


# Suggesting.


def save_turns(settings: Settings, *questions: str) -> None:
    async def save() -> None:
        transcript = SqlTranscript(database)
        for number, question in enumerate(questions):
            await transcript.save(Turn(uid=f"u{number}", conversation_id="c", question=question))

    with open_database(settings.database_at) as database:
        asyncio.run(save())


def test_suggest_finds_the_intent_that_is_missing(run: Run, version: str, settings: Settings):
    save_turns(settings, *TO_PARK, "谢谢", "转人工", "谢谢你")
    found = run("suggest", "--json").json()
    assert found["messages"] == 9
    assert 3 <= found["unsure"] <= 6
    group = found["clusters"][0]
    assert group.keys() == {"example", "size", "customers", "texts", "guesses", "cohesion"}
    assert group["example"] in TO_PARK
    assert 3 <= group["customers"] == group["size"] <= found["unsure"]
    assert set(group["texts"]) <= {*TO_PARK}
    said = run("suggest").ok()
    assert f"{found['unsure']} of the 9 latest messages were not recognised" in said
    assert group["example"] in said
    assert "train again" in said
    assert run("suggest", "--at-least", "9", "--json").json()["clusters"] == []
    assert "None of them were alike 9 times or more" in run("suggest", "--at-least", "9").ok()


def test_suggest_with_an_empty_transcript_has_nothing_to_say(run: Run, version: str):
    assert run("suggest", "--json").json() == {"messages": 0, "unsure": 0, "clusters": []}
    assert "0 of the 0 latest messages" in run("suggest").ok()


def test_suggest_where_all_is_known_has_nothing_to_say(run: Run, version: str, settings: Settings):
    save_turns(settings, "谢谢", "转人工")
    assert run("suggest", "--json").json() == {"messages": 2, "unsure": 0, "clusters": []}


def test_suggest_with_one_strange_message_finds_no_group(
    run: Run, version: str, settings: Settings
):
    save_turns(settings, "月亮离我们有多远")
    found = run("suggest", "--json").json()
    assert found == {"messages": 1, "unsure": 1, "clusters": []}


def test_suggest_wants_a_group_to_be_more_than_one(run: Run, version: str):
    assert run("suggest", "--at-least", "1").code == 2
