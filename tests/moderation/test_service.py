"""The moderation of a desk: changed while it serves, by this process and by others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from kefu.errors import InvalidInput, NotFound
from kefu.moderation.building import FilterBuilder
from kefu.moderation.categories import Category, Direction, Outcome, Severity
from kefu.moderation.editing import Change
from kefu.moderation.layers import LayeredFilter
from kefu.moderation.lexicon import Listing
from kefu.moderation.policy import PASSED
from kefu.moderation.service import Moderation, open_moderation
from kefu.moderation.words_in_use import FilterNotBuilt
from kefu.settings import ModerationSettings, Settings
from kefu.stores.database import Database
from kefu.stores.moderation import SqlModeration
from kefu.stores.opening import open_database
from kefu.telemetry import Metrics
from tests.fakes import HashingEncoder

ACTOR = "key:1"
CUSTOMER = Direction.CUSTOMER
HIGH, MEDIUM, LOW = Severity.HIGH, Severity.MEDIUM, Severity.LOW
# No word of the starter lexicon is in these.
TEXT = "请问雪山飞狐是什么"
WORD = "雪山飞狐"


async def opened(
    database: Database,
    folder: Path,
    settings: ModerationSettings | None = None,
    builder: FilterBuilder | None = None,
    metrics: Metrics | None = None,
) -> Moderation:
    return await open_moderation(
        SqlModeration(database),
        folder,
        HashingEncoder.id,
        settings or ModerationSettings(),
        metrics or Metrics(),
        builder,
    )


@pytest.fixture(params=["whole", "layered"])
def builder(request: pytest.FixtureRequest) -> FilterBuilder:
    """Small lexicons are built anew at every change, large ones get a layer on top."""
    return FilterBuilder(small=100_000 if request.param == "whole" else 0)


@pytest.fixture
async def moderation(
    database: Database, tmp_path: Path, builder: FilterBuilder
) -> AsyncIterator[Moderation]:
    moderation = await opened(database, tmp_path, builder=builder)
    yield moderation
    moderation.close()


@pytest.fixture
def other(settings: Settings) -> Iterator[SqlModeration]:
    """The store as another process has it."""
    with open_database(settings.database_at) as database:
        yield SqlModeration(database)


def outcome(moderation: Moderation, text: str = TEXT) -> Outcome:
    return moderation.check_words(text, CUSTOMER).outcome


# Checks.


async def test_the_words_of_kefu_are_looked_for(moderation: Moderation):
    assert outcome(moderation, "我们代开发票") in (Outcome.BLOCK, Outcome.HOLD)
    assert moderation.check_words("你们开发票吗", CUSTOMER) == PASSED


async def test_without_the_starter_nothing_is(database: Database, tmp_path: Path):
    moderation = await opened(database, tmp_path, ModerationSettings(starter_lexicon=False))
    assert outcome(moderation, "我们代开发票") is Outcome.ALLOW
    moderation.close()


async def test_switched_off_everything_passes(database: Database, tmp_path: Path):
    moderation = await opened(database, tmp_path, ModerationSettings(enabled=False))
    assert moderation.check_words("我们代开发票", CUSTOMER) == PASSED
    assert not moderation.is_enabled
    moderation.close()


async def test_what_happens_is_in_the_metrics(database: Database, tmp_path: Path):
    metrics = Metrics()
    moderation = await opened(database, tmp_path, metrics=metrics)
    await moderation.add_word(WORD, Category.ABUSE, HIGH, ACTOR)
    verdict = moderation.check_words(TEXT, CUSTOMER)
    moderation.count(verdict, CUSTOMER)
    moderation.count(PASSED, Direction.REPLY)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    assert value("kefu_moderation_words") == len(moderation.lexicon.words)
    verdicts = "kefu_moderation_verdicts_total"
    assert value(verdicts, direction="customer", outcome="block", category="abuse") == 1
    assert value(verdicts, direction="reply", outcome="pass", category="") == 1
    assert value("kefu_moderation_seconds_count", check="words") == 1
    moderation.close()


# Changes by this process count at once.


async def test_a_word_is_looked_for_as_soon_as_it_is_listed(moderation: Moderation):
    assert outcome(moderation) is Outcome.ALLOW
    assert await moderation.add_word("雪山飛狐", Category.ABUSE, HIGH, ACTOR)
    assert outcome(moderation) is Outcome.BLOCK
    assert not await moderation.add_word(WORD, Category.ABUSE, LOW, ACTOR)
    assert moderation.check_words(TEXT, CUSTOMER).masked(TEXT) == "请问＊＊＊＊是什么"
    await moderation.remove_word(WORD, ACTOR)
    assert outcome(moderation) is Outcome.ALLOW
    with pytest.raises(NotFound):
        await moderation.remove_word(WORD, ACTOR)


async def test_a_word_of_kefu_can_be_taken_out_and_come_back(moderation: Moderation):
    text = "我们代开发票"
    word = moderation.check_words(text, CUSTOMER).reasons[0].word
    known = moderation.lexicon.get(word)
    await moderation.remove_word(word, ACTOR)
    assert word not in {r.word for r in moderation.check_words(text, CUSTOMER).reasons}
    await moderation.add_word(word, known.category, known.severity, ACTOR)
    assert word in {r.word for r in moderation.check_words(text, CUSTOMER).reasons}


async def test_an_allowed_phrase_beats_the_word_in_it(moderation: Moderation):
    await moderation.add_word(WORD, Category.ABUSE, HIGH, ACTOR)
    assert await moderation.allow("金庸的雪山飞狐", ACTOR)
    assert outcome(moderation, "有金庸的雪山飞狐吗") is Outcome.ALLOW
    assert outcome(moderation) is Outcome.BLOCK
    assert outcome(moderation, "金庸的雪山飞狐，雪山飞狐") is Outcome.BLOCK
    assert not await moderation.allow("金庸的雪山飛狐", ACTOR)
    await moderation.disallow("金庸的雪山飞狐", ACTOR)
    assert outcome(moderation, "有金庸的雪山飞狐吗") is Outcome.BLOCK


async def test_a_phrase_that_was_allowed_before_the_word_was_listed(moderation: Moderation):
    await moderation.allow("金庸的雪山飞狐", ACTOR)
    await moderation.add_word(WORD, Category.ABUSE, HIGH, ACTOR)
    assert outcome(moderation, "有金庸的雪山飞狐吗") is Outcome.ALLOW
    assert outcome(moderation) is Outcome.BLOCK


async def test_what_cannot_be_listed_changes_nothing(moderation: Moderation):
    before = moderation.checker
    with pytest.raises(InvalidInput, match="one character"):
        await moderation.add_word("狐", Category.ABUSE, HIGH, ACTOR)
    assert moderation.checker is before
    assert await moderation.add_word("狐", Category.ABUSE, HIGH, ACTOR, force=True)


# Changes by another process count when they are noticed.


async def test_what_another_process_lists_is_taken_over(
    moderation: Moderation, other: SqlModeration
):
    listing = Listing(WORD, Category.ABUSE, HIGH)
    other.save(Change("word_added", WORD, put=[listing]), "cli:me")
    assert outcome(moderation) is Outcome.ALLOW
    await moderation.refresh()
    assert outcome(moderation) is Outcome.BLOCK
    other.save(Change("word_removed", WORD, removed=[WORD]), "cli:me")
    await moderation.refresh()
    assert outcome(moderation) is Outcome.ALLOW


async def test_two_processes_that_change_something_lose_nothing(
    moderation: Moderation, other: SqlModeration
):
    theirs = Listing("射雕英雄", Category.ABUSE, HIGH)
    other.save(Change("word_added", theirs.text, put=[theirs]), "cli:me")
    await moderation.add_word(WORD, Category.ABUSE, HIGH, ACTOR)
    assert outcome(moderation) is outcome(moderation, "射雕英雄") is Outcome.BLOCK


async def test_without_a_change_nothing_is_built(moderation: Moderation):
    before = moderation.filter
    await moderation.refresh()
    assert moderation.filter is before


async def test_many_changes_are_worth_a_whole_build(
    database: Database, tmp_path: Path, other: SqlModeration
):
    moderation = await opened(database, tmp_path, builder=FilterBuilder(small=0))
    await moderation.add_word(WORD, Category.ABUSE, HIGH, ACTOR)
    assert isinstance(moderation.filter, LayeredFilter)
    many = [Listing(f"雪山飞狐{n:04}", Category.ABUSE, HIGH) for n in range(1_001)]
    other.save(Change("words_imported", "x", put=many), "cli:me")
    await moderation.refresh()
    assert not isinstance(moderation.filter, LayeredFilter)
    assert outcome(moderation) is Outcome.BLOCK
    moderation.close()


# Where something fails the desk keeps what it has.


class NoFilter(FilterBuilder):
    """Cannot build a lexicon that lists `WORD`."""

    def build(self, lexicon):
        if WORD in lexicon.words:
            raise ValueError("too many patterns.")
        return super().build(lexicon)


async def test_a_build_that_fails_keeps_the_words_of_before(database: Database, tmp_path: Path):
    moderation = await opened(database, tmp_path, builder=NoFilter())
    await moderation.add_word("射雕英雄", Category.ABUSE, HIGH, ACTOR)
    with pytest.raises(FilterNotBuilt, match=r"too many patterns\. The desk looks for"):
        await moderation.add_word(WORD, Category.ABUSE, HIGH, ACTOR)
    assert outcome(moderation, "射雕英雄") is Outcome.BLOCK
    assert any("too many patterns" in problem for problem in moderation.problems)
    await moderation.refresh()  # says it once, and goes on
    await moderation.remove_word(WORD, ACTOR)  # what was saved and does not work can be taken back
    assert not any("too many patterns" in problem for problem in moderation.problems)
    moderation.close()


async def test_a_desk_that_starts_with_such_words_has_those_of_kefu(
    database: Database, tmp_path: Path
):
    listing = Listing(WORD, Category.ABUSE, HIGH)
    SqlModeration(database).save(Change("word_added", WORD, put=[listing]), "cli:me")
    moderation = await opened(database, tmp_path, builder=NoFilter())
    assert any("too many patterns" in problem for problem in moderation.problems)
    assert outcome(moderation, "我们代开发票") in (Outcome.BLOCK, Outcome.HOLD)
    moderation.close()


# Layers.


LISTED: Sequence[str] = (
    TEXT,
    f"雪.山.飞.狐 {WORD}",
    "射雕英雄，代开发票",
    "有金庸的雪山飞狐吗",
    "",
)


async def test_a_layer_finds_what_a_whole_filter_finds(database: Database, tmp_path: Path):
    layered = await opened(database, tmp_path, builder=FilterBuilder(small=0))
    await layered.add_word(WORD, Category.ABUSE, HIGH, ACTOR)
    await layered.add_word("射雕英雄", Category.ADULT, LOW, ACTOR)
    await layered.remove_word("代开发票", ACTOR)
    await layered.allow("金庸的雪山飞狐", ACTOR)
    whole = await opened(database, tmp_path, builder=FilterBuilder(small=100_000))
    assert isinstance(layered.filter, LayeredFilter)
    assert not isinstance(whole.filter, LayeredFilter)
    for text in LISTED:
        found, expected = layered.filter.find(text), whole.filter.find(text)
        assert sorted(found, key=repr) == sorted(expected, key=repr)
        for end in range(len(text)):
            assert layered.filter.open_from(text[:end]) <= whole.filter.open_from(text[:end])
    layered.close()
    whole.close()
