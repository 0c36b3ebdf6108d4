"""Words and word lists: how they are kept, what is refused, and what an import does."""

from __future__ import annotations

from pathlib import Path

import pytest

from kefu.errors import InvalidFile, InvalidInput, NotFound
from kefu.moderation import editing
from kefu.moderation.categories import Category, Severity
from kefu.moderation.hit import Word
from kefu.moderation.lexicon import (
    Lexicon,
    Listing,
    Own,
    Starter,
    checked,
    folded,
    overlay,
    starter_lexicon,
)
from kefu.moderation.word_lists import Defaults, ListPlan, plan_phrases, plan_words, read_list

SLOTS = Word("老虎机", Category.GAMBLING, Severity.MEDIUM)
CASINO = Word("online casino", Category.GAMBLING, Severity.HIGH)
STARTER = Starter({word.text: word for word in (SLOTS, CASINO)}, frozenset({"老虎机博物馆"}))
GAMBLING = Defaults(Category.GAMBLING)


def lexicon(own: Own | None = None) -> Lexicon:
    return overlay(STARTER, own or Own())


def plan(text: str, known: Lexicon | None = None, name: str = "list.csv", **options) -> ListPlan:
    rows = read_list(text.encode(), name, lambda _: None)
    return plan_words(rows, known or lexicon(), name, options.pop("defaults", GAMBLING), **options)


def refused(error: InvalidFile) -> list[tuple[int, str]]:
    return [(problem.line, problem.reason) for problem in error.problems]


# How words are kept.


def test_one_word_is_one_entry_however_it_is_typed():
    assert folded("  ＯＮＬＩＮＥ\u3000Casino ") == "online casino"
    assert folded("賭博網站") == "赌博网站"


def test_the_starter_is_sound():
    starter = starter_lexicon()
    assert {word.category for word in starter.words.values()} == {
        category for category in Category if category is not Category.PERSONAL_DATA
    }
    assert all(checked(text) == text for text in (*starter.words, *starter.allowed))
    assert not starter.words.keys() & starter.allowed


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("赌", "one character"),
        ("ab", "under 3 letters"),
        ("a+b", "under 3 letters"),
        ("！！！", "no letter or digit"),
        (" \u3000", "no letter or digit"),
        ("赌\x00博", "no text"),
        ("赌\ud800博", "no text"),
        ("赌" * 201, "more than 200 characters"),
        ("赌" * 4000, "more than 200 characters"),
    ],
)
def test_what_cannot_be_listed_says_why(word: str, reason: str):
    with pytest.raises(InvalidInput, match=reason):
        checked(word)


def test_short_words_can_be_forced_and_nothing_else():
    assert checked("赌", force=True) == "赌"
    assert checked("ab", force=True) == "ab"
    assert checked("赌博") == "赌博"
    assert checked("18禁") == "18禁"
    for word in ("！！", "赌" * 201, "赌\x00博"):
        with pytest.raises(InvalidInput):
            checked(word, force=True)


# The operator's words on top.


def test_the_operators_words_win():
    own = Own(
        1,
        {"老虎机": Word("老虎机", Category.GAMBLING, Severity.LOW)},
        {"online casino": Category.GAMBLING},
        frozenset({"虎机"}),
    )
    found = lexicon(own)
    assert list(found.words) == ["老虎机"]
    assert found.get("老虎機").severity is Severity.LOW
    assert found.allowed == {"老虎机博物馆", "虎机"}
    with pytest.raises(NotFound):
        found.get("online casino")


def test_removing_takes_a_starter_word_out_and_forgets_an_own_one():
    change = editing.word_removed(lexicon(), "Online Casino")
    assert change.put == [Listing("online casino", Category.GAMBLING, None)]
    own = Own(1, {"百家乐": Word("百家乐", Category.GAMBLING, Severity.HIGH)})
    change = editing.word_removed(lexicon(own), "百家樂")
    assert (change.put, change.removed) == ((), ["百家乐"])
    with pytest.raises(NotFound, match="百家乐"):
        editing.word_removed(lexicon(), "百家乐")


def test_phrases_of_kefu_stay():
    with pytest.raises(InvalidInput, match="comes with kefu"):
        editing.phrase_removed(lexicon(), "老虎机博物馆")
    with pytest.raises(NotFound):
        editing.phrase_removed(lexicon(), "博物馆")
    own = Own(1, allowed=frozenset({"博物馆"}))
    assert editing.phrase_removed(lexicon(own), "博物館").disallowed == ["博物馆"]


def test_a_change_in_memory_is_what_a_store_would_load():
    listed = Word("百家乐", Category.GAMBLING, Severity.HIGH)
    own = Own(1, {"百家乐": listed}, {"老虎机": Category.GAMBLING}, frozenset({"甲乙"}))
    change = editing.Change(
        "words_imported",
        "x",
        put=[
            Listing("老虎机", Category.GAMBLING, Severity.LOW),
            Listing("online casino", Category.GAMBLING, None),
        ],
        removed=["百家乐"],
        allowed=["丙丁"],
        disallowed=["甲乙"],
    )
    found = editing.after(own, change, 2)
    assert found == Own(
        2,
        {"老虎机": Word("老虎机", Category.GAMBLING, Severity.LOW)},
        {"online casino": Category.GAMBLING},
        frozenset({"丙丁"}),
    )
    assert own.words == {"百家乐": listed}


# Lists.


def test_a_table_may_say_it_all():
    found = plan(
        "word,category,severity\n百家乐,gambling,high\n刷单,Fraud,low\n老虎机,gambling,off\n"
    )
    assert found.added == [
        Listing("百家乐", Category.GAMBLING, Severity.HIGH),
        Listing("刷单", Category.FRAUD, Severity.LOW),
        Listing("老虎机", Category.GAMBLING, None),
    ]
    assert (found.unchanged, found.overridden, found.skipped) == (0, 1, ())


def test_chinese_headers_and_self_harm_in_other_spellings():
    found = plan("敏感词;分类;级别\n不想活了;Self-Harm;High\n")
    assert found.added == [Listing("不想活了", Category.SELF_HARM, Severity.HIGH)]


def test_json_lines():
    found = plan('{"word": "百家乐", "category": "gambling"}\n', name="list.jsonl")
    assert found.added == [Listing("百家乐", Category.GAMBLING, Severity.MEDIUM)]


def test_a_word_a_line():
    text = "# my words\n百家乐,\n\n  刷单  \r\n"
    for name in ("list.txt", "standard input"):
        found = plan(text, name=name)
        assert [listing.text for listing in found.added] == ["百家乐", "刷单"]


def test_lines_that_cannot_be_listed_are_skipped_and_named():
    found = plan('word\n百家乐\n赌\nab\n百家樂\n""\n' + "长" * 201 + "\n")
    assert [listing.text for listing in found.added] == ["百家乐"]
    reasons = [(problem.line, problem.reason) for problem in found.skipped]
    assert [line for line, _ in reasons] == [3, 4, 5, 7]
    for reason, words in zip(
        (reason for _, reason in reasons),
        ("one character", "under 3 letters", "line 2 already", "more than 200"),
        strict=True,
    ):
        assert words in reason
    forced = plan("word\n赌\nab\n", force=True)
    assert [listing.text for listing in forced.added] == ["赌", "ab"]


@pytest.mark.parametrize("text", ["", "  \n", "word\n", "# nothing\n"])
def test_an_empty_list_is_an_error(text: str):
    with pytest.raises(InvalidFile, match=r"empty|no words"):
        plan(text, name="list.txt" if text.startswith("#") else "list.csv")


def test_a_list_of_which_nothing_is_left_says_why():
    with pytest.raises(InvalidFile, match="no word that can be listed") as error:
        plan("word\n赌\n")
    assert refused(error.value)[0][0] == 2


def test_an_unknown_category_names_the_known_ones_and_nothing_is_taken():
    with pytest.raises(
        InvalidFile, match=r"2 lines cannot be taken\. Nothing was changed"
    ) as error:
        plan("word,category,severity\n百家乐,gambling,high\n刷单,politics,high\n诈骗,fraud,worst\n")
    (line, reason), (second, other) = refused(error.value)
    assert (line, second) == (3, 4)
    assert "politics" in reason
    assert all(category in reason for category in Category)
    assert "high, medium, low, off" in other


def test_words_without_a_category_ask_for_one():
    with pytest.raises(InvalidFile) as error:
        plan("百家乐\n", name="list.txt", defaults=Defaults())
    assert "--category" in refused(error.value)[0][1]


def test_contradictions_are_named_and_only_replace_takes_them():
    text = "word,category,severity\n百家乐,gambling,high\n刷单,fraud,high\n百家樂,gambling,low\n"
    own = Own(1, {"刷单": Word("刷单", Category.ADVERTISING, Severity.LOW)})
    with pytest.raises(InvalidFile, match=r"Nothing was changed; --replace") as error:
        plan(text, lexicon(own))
    (first, in_list), (second, in_file) = refused(error.value)
    assert (first, second) == (3, 4)
    assert "fraud high here, and listed as advertising low" in in_list
    assert "gambling low here, and gambling high on line 2" in in_file
    found = plan(text, lexicon(own), replace=True)
    assert found.added == [Listing("百家乐", Category.GAMBLING, Severity.LOW)]
    assert found.changed == [
        (
            Listing("刷单", Category.ADVERTISING, Severity.LOW),
            Listing("刷单", Category.FRAUD, Severity.HIGH),
        )
    ]


def test_the_same_list_again_changes_nothing():
    own = Own(1, {"刷单": Word("刷单", Category.FRAUD, Severity.HIGH)})
    found = plan("word,category,severity\n刷单,fraud,high\n", lexicon(own))
    assert (found.added, found.changed, found.unchanged) == ([], [], 1)


def test_too_many_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kefu.moderation.word_lists.MAX_WORDS", 2)
    with pytest.raises(InvalidFile, match="has 3 words; 2 are allowed"):
        plan("甲乙\n丙丁\n戊己\n", name="list.txt")
    own = Own(1, {"刷单": Word("刷单", Category.FRAUD, Severity.HIGH)})
    with pytest.raises(InvalidFile, match="would make 3 words"):
        plan("甲乙\n丙丁\n", lexicon(own), name="list.txt")


def test_a_torn_table_is_refused():
    with pytest.raises(InvalidFile, match="cannot be read") as error:
        plan("word,category\n百家乐,gambling\n刷单,fraud,high,x\n")
    assert refused(error.value)[0][0] == 3


def test_allowed_phrases():
    rows = read_list(
        "phrase\n具体位置\n具體位置\n可\n老虎机博物馆\n".encode(), "a.csv", lambda _: None
    )
    found = plan_phrases(rows, lexicon(), "a.csv")
    assert (found.added, found.unchanged) == (["具体位置"], 1)
    assert [problem.line for problem in found.skipped] == [3, 4]


def test_progress_is_told():
    rows = read_list("甲乙\n丙丁\n".encode(), "list.txt", lambda _: None)
    told: list[tuple[int, int]] = []
    plan_words(rows, lexicon(), "x", GAMBLING, on_progress=lambda d, t: told.append((d, t)))
    assert told == [(0, 2)]


def test_a_file_on_disk_that_is_not_there(tmp_path: Path):
    with pytest.raises(InvalidFile, match="cannot be read"):
        read_list(tmp_path / "gone.txt", "gone.txt", lambda _: None)
