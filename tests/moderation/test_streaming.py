"""What is sent of a reply while it is written, however it is cut into pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import cycle
from random import Random

import pytest
from loadtests.moderation_replies import CUTS, made_replies

from kefu.moderation.categories import Category, Direction, Outcome, Severity
from kefu.moderation.checker import Checker
from kefu.moderation.filter import WordFilter
from kefu.moderation.hit import Word
from kefu.moderation.lexicon import starter_lexicon
from kefu.moderation.policy import PASSED, Reason, Verdict
from kefu.moderation.streaming import StreamGuard, guard_of
from kefu.settings import ModerationSettings

GRAVE = (Outcome.HOLD, Outcome.BLOCK, Outcome.CARE)
WORDS = [
    Word("兼职刷单", Category.FRAUD, Severity.HIGH),
    Word("加微信", Category.ADVERTISING, Severity.MEDIUM),
    Word("垃圾", Category.ABUSE, Severity.LOW),
    Word("asshole", Category.ABUSE, Severity.HIGH),
    Word("ass", Category.ABUSE, Severity.MEDIUM),
]
ALLOWED = ["垃圾袋", "兼职刷单诈骗"]


@pytest.fixture(scope="module")
def checker() -> Checker:
    return Checker.of(WordFilter(WORDS, ALLOWED), None, ModerationSettings())


@pytest.fixture(scope="module")
def starter() -> Checker:
    lexicon = starter_lexicon()
    words = WordFilter(lexicon.words.values(), lexicon.allowed)
    return Checker.of(words, None, ModerationSettings())


async def sent_by(guard: StreamGuard, pieces: Iterable[str]) -> list[str]:
    sent = [await guard.add(piece) for piece in pieces]
    return [*sent, await guard.finish()]


def start_of_the_gravest(verdict: Verdict, text: str) -> int:
    return min((r.start for r in verdict.reasons if r.outcome in GRAVE), default=len(text))


# --- every way of cutting ------------------------------------------------------------------------


async def test_a_thousand_replies_however_cut_get_the_verdict_of_the_whole(starter: Checker):
    random, stopped = Random(7), 0
    replies = made_replies(list(starter_lexicon().words), 1000, seed=11)
    for reply, cut in zip(replies, cycle([*CUTS.values(), *reversed(CUTS.values())]), strict=False):
        whole = starter.check_words(reply.text, Direction.REPLY)
        guard = guard_of(starter)
        sent = "".join(await sent_by(guard, cut(reply.text, random)))
        assert guard.verdict == whole, reply
        if whole.outcome in GRAVE:
            assert len(sent) <= start_of_the_gravest(whole, reply.text), reply
            assert whole.masked(reply.text).startswith(sent), reply
            stopped += 1
        else:
            assert sent == whole.masked(reply.text), reply
    assert stopped > 200


@pytest.mark.parametrize(
    "text",
    [
        "亲，兼职刷单日结",
        "亲，兼 职 刷 单 日结",
        "兼职刷单",
        "我们谴责兼职刷单诈骗行为",
        "送您垃圾袋一卷，别的垃圾不送",
        "This class is an ass",
        "my assistant assessed it; asshole",
        "加\u200b微\u200b信领取",
        "",
    ],
)
async def test_character_by_character_is_as_good_as_in_one_piece(text: str, checker: Checker):
    whole = checker.check_words(text, Direction.REPLY)
    guard = guard_of(checker)
    sent = "".join(await sent_by(guard, text))
    assert guard.verdict == whole
    assert whole.masked(text).startswith(sent)
    assert len(sent) <= start_of_the_gravest(whole, text)
    assert guard.is_stopped == (whole.outcome in GRAVE)
    assert guard.is_stopped or sent == whole.masked(text)


# --- what is sent, and when ----------------------------------------------------------------------


async def test_nothing_of_a_word_is_sent_that_spans_two_pieces(checker: Checker):
    guard = guard_of(checker)
    sent = await sent_by(guard, ["您好，这里有兼", "职刷", "单的机会，", "欢迎"])
    assert "".join(sent) == "您好，这里有"
    assert guard.verdict.outcome is Outcome.BLOCK
    assert guard.is_blocked


async def test_what_cannot_become_a_word_is_sent_at_once(checker: Checker):
    guard = guard_of(checker)
    assert await guard.add("您的订单明天送到。") == "您的订单明天送到。"
    assert await guard.add("运费八元，") == "运费八元，"


async def test_a_held_reply_is_read_to_its_end(checker: Checker):
    guard = guard_of(checker)
    sent = [await guard.add(piece) for piece in ("请", "加微信", "。还有，运费八元，明天送到。")]
    assert "".join(sent) == "请"
    assert guard.is_stopped
    assert not guard.is_blocked
    assert [(r.start, r.end) for r in guard.verdict.reasons] == [(1, 4)]
    assert [await guard.add("兼职刷单。"), await guard.finish()] == ["", ""]
    text = "请加微信。还有，运费八元，明天送到。兼职刷单。"
    assert guard.verdict == checker.check_words(text, Direction.REPLY)
    assert guard.is_blocked


async def test_words_are_masked_also_over_the_border_of_two_pieces(checker: Checker):
    guard = guard_of(checker)
    sent = await sent_by(guard, ["这是垃", "圾桶旁边的垃", "圾。"])
    assert "".join(sent) == guard.text
    assert guard.text == guard.verdict.masked("这是垃圾桶旁边的垃圾。")
    assert "＊＊" in guard.text
    assert not guard.is_stopped


async def test_an_empty_reply_passes(checker: Checker):
    guard = guard_of(checker)
    assert await sent_by(guard, []) == [""]
    assert guard.verdict == PASSED


# --- how much is read ----------------------------------------------------------------------------


class CountingReader:
    """The checks of a checker, and how many characters they were given."""

    def __init__(self, checker: Checker) -> None:
        self._check = partial(checker.check_words, direction=Direction.REPLY)
        self.characters = 0
        self.longest = 0

    def check_words(self, text: str) -> Verdict:
        self.characters += len(text)
        self.longest = max(self.longest, len(text))
        return self._check(text)


def long_reply() -> Iterator[str]:
    for number in range(2000):
        yield f"第{number}件商品明天送到。"


async def test_only_a_little_before_what_is_new_is_read_again(checker: Checker):
    reader, pieces = CountingReader(checker), list(long_reply())
    guard = StreamGuard(reader.check_words, checker.filter.open_from)
    for piece in pieces:
        await guard.add(piece)
    assert reader.longest < 300
    await guard.finish()
    assert reader.longest == len("".join(pieces))


@pytest.mark.parametrize("filling", ["\u200b", " ", "*", "😀"])
async def test_signs_without_end_inside_a_word_do_not_cost_more_and_more(
    filling: str, checker: Checker
):
    async def read(count: int) -> int:
        reader = CountingReader(checker)
        guard = StreamGuard(reader.check_words, lambda _: 0)  # nothing is ever settled
        await sent_by(guard, ["加", *(filling * count), "微信"])
        return reader.characters

    assert await read(8000) < 2.5 * await read(4000)


# --- what whole sentences mean -------------------------------------------------------------------


class Meanings:
    """A semantic check that knows one sentence, and notes which it was asked about."""

    def __init__(self, outcome: Outcome = Outcome.HOLD) -> None:
        self._outcome = outcome
        self.asked: list[str] = []

    async def __call__(self, sentence: str) -> Verdict:
        self.asked.append(sentence)
        if "投资" not in sentence:
            return PASSED
        return Verdict(self._outcome, (Reason(Category.FRAUD, self._outcome, score=0.9),))


TEXT = "您好！请问3.5元的投资？”好的……It is version 2.0. Fine.\n\n完"
SENTENCES = ["您好！", "请问3.5元的投资？”", "好的……", "It is version 2.0.", "Fine.", "完"]


@pytest.mark.parametrize("cut", CUTS)
async def test_each_sentence_is_checked_once_however_it_is_cut(cut: str, checker: Checker):
    for seed in range(50):
        meanings = Meanings(Outcome.MASK)
        await sent_by(guard_of(checker, meanings), CUTS[cut](TEXT, Random(seed)))
        assert meanings.asked == SENTENCES


@pytest.mark.parametrize("outcome", [Outcome.HOLD, Outcome.BLOCK])
async def test_a_sentence_is_sent_once_its_meaning_has_passed(outcome: Outcome, checker: Checker):
    guard = guard_of(checker, Meanings(outcome))
    assert "".join([await guard.add(character) for character in "您好！请"]) == "您好！"
    rest = [await guard.add(character) for character in TEXT[4:]]
    assert "".join([*rest, await guard.finish()]) == ""
    assert guard.verdict.outcome is outcome
    assert guard.is_blocked == (outcome is Outcome.BLOCK)


LONG = "一共有四步，" * 8 + "完成。再见"


@pytest.mark.parametrize("cut", CUTS)
async def test_a_long_sentence_is_checked_as_far_as_it_goes(cut: str, checker: Checker):
    so_far = [LONG[:18], LONG[:36], LONG[:51], "再见"]
    for seed in range(50):
        meanings = Meanings()
        sent = await sent_by(guard_of(checker, meanings), CUTS[cut](LONG, Random(seed)))
        assert meanings.asked == so_far
        assert "".join(sent) == LONG


async def test_a_long_sentence_is_sent_by_clauses(checker: Checker):
    guard = guard_of(checker, Meanings())
    assert "".join([await guard.add(character) for character in LONG[:19]]) == LONG[:18]
    rest = [await guard.add(character) for character in f"{LONG[19:36]}这项投资。"]
    assert "".join([*rest, await guard.finish()]) == LONG[18:36]
    assert guard.verdict.outcome is Outcome.HOLD


async def test_a_list_without_an_end_is_not_read_again_and_again(checker: Checker):
    meanings = Meanings()
    await sent_by(guard_of(checker, meanings), [LONG[:48] * 100])
    assert sum(map(len, meanings.asked)) < 10 * 4800


async def test_the_last_words_are_checked_without_a_full_stop(checker: Checker):
    guard = guard_of(checker, Meanings())
    sent = await sent_by(guard, ["您好！", "这项投资"])
    assert "".join(sent) == "您好！"
    assert guard.verdict.outcome is Outcome.HOLD


async def test_words_and_meanings_are_joined(checker: Checker):
    guard = guard_of(checker, Meanings())
    await sent_by(guard, ["这项投资。", "加微信"])
    assert [reason.category for reason in guard.verdict.reasons] == [
        Category.ADVERTISING,
        Category.FRAUD,
    ]
