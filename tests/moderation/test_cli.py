"""`kefu moderation` and `kefu bench moderation`: what people and programs read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import openpyxl
import pytest
from sqlalchemy import select

from kefu.bench import moderation as bench
from kefu.settings import Settings
from kefu.stores.opening import open_database
from kefu.stores.schema import audit
from tests.bert.small_models import installed, make_bert
from tests.command_line import Run, commands

WORD = "雪山飞狐"
TEXT = "请问雪山飞狐是什么"


@pytest.fixture
def run(settings: Settings) -> Iterator[Run]:
    with commands(settings.data_dir) as run:
        yield run


@pytest.fixture
def words(run: Run) -> Run:
    return lambda *arguments, **options: run("moderation", "words", *arguments, **options)


@pytest.fixture
def check(run: Run) -> Callable[[str], str]:
    """The outcome of a text, by its words."""

    def outcome(text: str) -> str:
        return run("moderation", "check", text, "--words-only", "--json").json()["outcome"]

    return outcome


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


# One by one.


def test_a_word_is_added_listed_and_removed(words: Run, check: Callable[[str], str]):
    assert check(TEXT) == "pass"
    said = words("add", "雪山飛狐", "--category", "abuse", "--severity", "high").ok()
    assert said == f"{WORD}: abuse high.\n"
    assert check(TEXT) == "block"
    assert words("add", WORD, "--severity", "low").ok() == f"{WORD}: abuse low.\n"
    assert check(TEXT) == "mask"
    found = words("list", "--own", "--json").json()
    mine = {"word": WORD, "category": "abuse", "severity": "low", "source": "own"}
    assert found == {"total": 1, "words": [mine]}
    assert all(part in words("list", "--search", "雪山").ok() for part in (WORD, "own", "1 listed"))
    assert words("remove", WORD).ok() == "1 removed.\n"
    assert check(TEXT) == "pass"
    words("remove", WORD).failed(1, WORD, "is not listed")


def test_words_of_kefu_are_listed_by_category(words: Run):
    found = words("list", "--category", "Fraud", "--limit", "2", "--json").json()
    assert found["total"] > 50
    assert [word["category"] for word in found["words"]] == ["fraud"] * 2
    words("list", "--category", "politics").failed(2, "'politics'", "self_harm")


def test_a_word_that_cannot_be_listed_says_why(words: Run):
    words("add", "狐", "--category", "abuse").failed(2, "one character")
    words("add", "狐", "--category", "abuse", "--force").ok()
    words("add", WORD).failed(2, "--category", "gambling")
    words("add", WORD, "--category", "abuse", "--severity", "x").failed(2, "high, medium, low, off")


def test_allowed_phrases(run: Run, words: Run, check: Callable[[str], str]):
    words("add", WORD, "--category", "abuse", "--severity", "high").ok()
    assert run("moderation", "allow", "add", "金庸的雪山飞狐").ok() == "1 allowed.\n"
    assert check("有金庸的雪山飞狐吗") == "pass"
    found = run("moderation", "allow", "list", "--search", "金庸", "--json").json()
    assert found == {"total": 1, "allowed": [{"phrase": "金庸的雪山飞狐", "source": "own"}]}
    assert "金庸的雪山飞狐" in run("moderation", "allow", "list", "--search", "金庸").ok()
    assert run("moderation", "allow", "remove", "金庸的雪山飞狐").ok() == "1 removed.\n"
    assert check("有金庸的雪山飞狐吗") == "block"
    run("moderation", "allow", "remove", "没有的短语").failed(1, "not allowed")


def test_who_did_it_is_in_the_audit(words: Run, settings: Settings):
    words("add", WORD, "--category", "abuse").ok()
    with open_database(settings.database_at) as database, database.read() as connection:
        (row,) = connection.execute(select(audit)).all()
    assert row.actor.startswith("cli:")
    assert (row.action, row.subject) == ("word_added", f"word:{WORD}")


# Lists.


def test_a_list_is_previewed_imported_and_imported_again(
    words: Run, tmp_path: Path, check: Callable[[str], str]
):
    file = write(
        tmp_path / "list.csv", "word,category,severity", f"{WORD},abuse,high", "狐,abuse,low"
    )
    ran = words("import", file, "--dry-run")
    assert "1 would be added, 0 would be changed, 0 unchanged, 1 skipped." in ran.ok()
    assert WORD in ran.out
    assert "line 3, word: '狐' is one character" in ran.err
    assert check(TEXT) == "pass"
    assert words("import", file).ok() == "1 added, 0 changed, 0 unchanged, 1 skipped.\n"
    assert check(TEXT) == "block"
    found = words("import", file, "--force", "--json").json()
    assert (found["added"], found["changed"], found["unchanged"]) == (1, 0, 1)
    assert (found["skipped"], found["dry_run"]) == ([], False)


def test_a_word_a_line_needs_a_category(words: Run, tmp_path: Path, check: Callable[[str], str]):
    file = write(tmp_path / "list.txt", "# mine", WORD)
    words("import", file).failed(2, "1 line cannot be taken", "--category")
    assert words("import", file, "--category", "abuse", "--severity", "high").ok().startswith("1 ")
    assert check(TEXT) == "block"


def test_standard_input_and_allowed_phrases(words: Run, check: Callable[[str], str]):
    words("import", "-", stdin=f"word,category,severity\n{WORD},abuse,high\n").ok()
    words("import", "-", "--allowed", stdin="金庸的雪山飞狐\n").ok()
    assert check("有金庸的雪山飞狐吗") == "pass"
    assert check(TEXT) == "block"


def test_a_workbook(words: Run, tmp_path: Path, check: Callable[[str], str]):
    book = openpyxl.Workbook()
    book.active.append(["敏感词", "分类", "级别"])
    book.active.append([WORD, "abuse", "high"])
    book.active.append(["射雕英雄", "abuse"])
    book.create_sheet("notes").append(["nothing", "here"])
    book.save(tmp_path / "list.xlsx")
    ran = words("import", tmp_path / "list.xlsx")
    assert ran.ok().startswith("2 added")
    assert "Sheet 'notes' was left out" in ran.err
    assert (check(TEXT), check("射雕英雄")) == ("block", "hold")


def test_contradictions_stop_an_import(words: Run, tmp_path: Path):
    words("add", WORD, "--category", "abuse", "--severity", "low").ok()
    file = write(tmp_path / "list.csv", "word,category", "射雕英雄,fraud", f"{WORD},fraud")
    words("import", file).failed(2, "line 3", "listed as abuse low", "--replace")
    assert words("list", "--own", "--json").json()["total"] == 1
    found = words("import", file, "--json").json(2)
    assert [problem["line"] for problem in found["problems"]] == [3]
    assert words("import", file, "--replace").ok().startswith("1 added, 1 changed")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((), "is empty"),
        (("word,category",), "has no words"),
        (("text of something", "else"), "no column word"),
        (("word,category", f"{WORD},politics"), "There is no category 'politics'"),
    ],
)
def test_bad_lists_say_what_is_wrong(words: Run, tmp_path: Path, lines: Sequence[str], said: str):
    words("import", write(tmp_path / "list.csv", *lines)).failed(2, said)
    words("import", tmp_path / "gone.xlsx").failed(2, "cannot be read")


# Checking and measuring.


def test_a_check_shows_where_and_why(run: Run, words: Run):
    words("add", WORD, "--category", "abuse", "--severity", "high").ok()
    said = run("moderation", "check", f"{TEXT} {WORD}", "--words-only").ok()
    assert all(part in said for part in ("block", "abuse", f"{WORD} (high)", "2-6", "10-14"))
    assert (
        run("moderation", "check", "-", "--words-only", stdin="你好\n").ok().split()[-1] == "pass"
    )
    run("moderation", "check", " ", "--words-only").failed(2, "Give a message")


def test_evaluate_counts_by_kind(run: Run, words: Run, tmp_path: Path):
    words("add", WORD, "--category", "abuse", "--severity", "high").ok()
    words("add", "射雕英雄", "--category", "abuse", "--severity", "medium").ok()
    words("add", "神雕侠侣", "--category", "abuse", "--severity", "low").ok()
    file = write(
        tmp_path / "texts.csv",
        "text,label,kind",
        f"{TEXT},1,plain",
        "射雕英雄好看,1,plain",
        "神雕侠侣好看,1,rude",
        "今天天气好,1,rude",
        "快递到哪里了,0,plain",
        f"我在看{WORD}这本书,0,book",
    )
    found = run("moderation", "evaluate", file, "--words-only", "--errors", "9", "--json").json()
    assert (found["n"], found["bad"]) == (6, 4)
    assert (found["block_recall"], found["review_recall"]) == (0.25, 0.5)
    assert (found["false_block_rate"], found["false_review_rate"]) == (0.5, 0.5)
    assert 0 < found["p50_us"] <= found["p99_us"]
    assert found["meaning_p50_us"] is None
    assert list(found["kinds"]) == ["plain", "rude", "book"]
    assert found["kinds"]["plain"]["block_recall"] == 0.5
    assert found["kinds"]["rude"]["false_block_rate"] is None
    assert [item["line"] for item in found["mistakes"]] == [4, 5, 7]
    said = run("moderation", "evaluate", file, "--words-only", "--errors", "1").ok()
    assert all(part in said for part in ("25.00%", "rude", "line 4, bad -> mask", "p99"))


def test_evaluate_names_bad_rows(run: Run, tmp_path: Path):
    file = write(tmp_path / "texts.csv", "text,label", "你好,2", ",1")
    run("moderation", "evaluate", file, "--words-only").failed(
        2, "2 lines cannot be read", "line 2, label", "line 3, text: is empty"
    )


def test_the_bench_measures_what_is_installed(run: Run, monkeypatch: pytest.MonkeyPatch):
    kefu_alone = bench._CANDIDATES[:1]
    missing = bench._Candidate("another", "another-package", _not_installed)
    monkeypatch.setattr(bench, "_CANDIDATES", (*kefu_alone, missing))
    found = run("bench", "moderation", "--words", "1000", "--rounds", "1", "--json").json()
    mine, other = found["rows"]
    assert (mine["name"], mine["words"], mine["missing"]) == ("kefu", 1000, "")
    assert [cell["language"] for cell in mine["cells"]] == ["zh", "en"]
    assert all(0 < cell["p50_us"] <= cell["p99_us"] for cell in mine["cells"])
    assert (other["missing"], other["cells"]) == ("pip install another-package", [])
    said = run("bench", "moderation", "--words", "1000", "--rounds", "1").ok()
    assert "Not measured: another. pip install another-package" in said


def _not_installed(_: Sequence[str]) -> bench.Find:
    raise ImportError


def test_the_words_of_the_bench_are_the_same_in_every_run():
    assert bench.make_words(3_000) == bench.make_words(3_000)
    assert len(set(bench.make_words(3_000))) == 3_000
    assert {len(text) for text in bench.make_sentences("zh")} == {bench.CHARACTERS}


# Training, with the real encoder.


@pytest.fixture
def real_models(settings: Settings, models_dir: Path) -> None:
    settings.data_dir.mkdir(exist_ok=True)
    (settings.data_dir / "models").symlink_to(models_dir, target_is_directory=True)


GOODS = ("杯子", "毛巾", "书包", "拖鞋", "台灯", "雨伞", "枕头", "水壶", "围巾", "相框")
BAD = (
    "买{}先转账到安全账户", "{}退款请把验证码发给我", "刷单买{}返利三成", "{}中奖了先交保证金",
    "做{}代理先垫付资金",
)  # fmt: skip
INNOCENT = (
    "请问{}多少钱", "{}什么时候发货", "我的{}收到了很喜欢", "{}可以换颜色吗", "{}有大一点的吗",
    "{}坏了怎么退货",
)  # fmt: skip


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    bad = [f"{text.format(item)},1,fraud" for item in GOODS for text in BAD]
    innocent = [f"{text.format(item)},0," for item in GOODS for text in INNOCENT]
    return write(tmp_path / "examples.csv", "text,label,category", *bad, *innocent)


@pytest.mark.models
@pytest.mark.usefixtures("real_models")
def test_a_head_is_trained_and_used(run: Run, examples: Path, tmp_path: Path):
    found = run("moderation", "train", "--fresh", examples, "--json").json()
    assert (found["examples"], found["categories"]) == (110, ["fraud"])
    assert found["figures"]["categories"][0]["found"] > 0.8
    bad = run("moderation", "check", "买手机先转账到安全账户", "--json").json()
    assert (
        bad["scores"]["fraud"]
        > 0.5
        > run("moderation", "check", "请问手机多少钱", "--json").json()["scores"]["fraud"]
    )
    texts = write(
        tmp_path / "texts.csv", "text,label", "买手机先转账到安全账户,1", "请问手机多少钱,0"
    )
    figures = run("moderation", "evaluate", texts, "--json").json()
    assert (figures["review_recall"], figures["false_review_rate"]) == (1.0, 0.0)
    assert figures["meaning_p50_us"] > 0
    said = run("moderation", "train", examples).ok()  # taught further
    assert all(part in said for part in ("Learnt from 110 examples", "fraud", "is in use."))


@pytest.mark.usefixtures("real_models")
def test_a_bert_is_fine_tuned_and_used(run: Run, examples: Path, tmp_path: Path):
    installed("torch", "transformers", "onnx", "tokenizers")
    train = ("moderation", "train", examples, "--finetune", "--epochs", "1", "--encoder")
    bert = make_bert(tmp_path / "bert")
    found = run(*train, bert, "--json").json()
    assert (found["encoder_id"], found["categories"]) == (None, ["fraud"])
    scores = run("moderation", "check", "请问手机多少钱", "--json").json()["scores"]
    assert list(scores) == ["fraud"]
    run("moderation", "train", examples).failed(2, "is a BERT", "--fresh")
    out = tmp_path / "out.bert"
    assert run(*train, bert, "--out", out).ok().endswith(f"Wrote {out}.\n")
    run(*train, bert, "--out", out).failed(2, "exists already")
    run(*train, bert, "--fresh").failed(2, "leave --fresh out")


def test_fine_tuning_needs_a_bert_to_begin_with(run: Run, examples: Path):
    run("moderation", "train", examples, "--finetune").failed(2, "--encoder DIR")
    run("moderation", "train", examples, "--encoder", "x").failed(2, "--finetune")
    run("moderation", "train", examples, "--finetune", "--encoder", "nope").failed(1, "nope")


@pytest.mark.models
@pytest.mark.usefixtures("real_models")
def test_a_head_can_be_written_to_a_file_only(run: Run, examples: Path, tmp_path: Path):
    out = tmp_path / "own.npz"
    said = run("moderation", "train", "--fresh", examples, "--out", out).ok()
    assert said.endswith(f"Wrote {out}.\n")
    assert out.is_file()
    assert not (tmp_path / "data" / "moderation").exists()


def test_training_data_that_do_not_fit_are_named(run: Run, tmp_path: Path):
    one = write(tmp_path / "one.csv", "text,label", "你好,0")
    two = write(tmp_path / "two.csv", "text,label", "你好,1")
    run("moderation", "train", one, two).failed(2, "do not agree", "line 2")
    found = run("moderation", "train", one, two, "--json").json(2)
    assert "do not agree" in found["error"]
