"""Which semantic head a desk uses: the newest that works."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from kefu.inference.encoder.compared import Compared
from kefu.moderation import heads
from kefu.moderation.categories import Category, Direction, Outcome
from kefu.moderation.heads import SHIPPED, HeadInUse, Heads
from kefu.moderation.service import Moderation, open_moderation
from kefu.settings import CategorySettings, ModerationSettings
from kefu.stores.database import Database
from kefu.stores.moderation import SqlModeration
from kefu.telemetry import Metrics
from tests.fakes import HashingEncoder
from tests.moderation.hand_made_heads import write_head

BAD, OTHER = "把钱转到安全账户", "稳赚不赔的投资"
REPLY, CUSTOMER = Direction.REPLY, Direction.CUSTOMER


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """kefu's own head is for the real encoder; here it is one for the encoder of the tests."""
    path = tmp_path / "head.npz"
    write_head(path, "kefu 自带的坏话")
    monkeypatch.setattr(heads, "shipped_head", lambda: path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Heads:
    return Heads(tmp_path / "moderation")


@pytest.fixture
def in_use(folder: Heads) -> HeadInUse:
    return HeadInUse(folder, HashingEncoder.id)


def add(folder: Heads, bad: str = BAD, **options: str) -> str:
    return folder.add(partial(write_head, bad=bad, **options))


def damage(tmp_path: Path, version: str) -> None:
    path = tmp_path / "moderation" / "heads" / f"{version}.npz"
    path.write_bytes(path.read_bytes()[:-100])


def test_without_a_training_it_is_that_of_kefu(in_use: HeadInUse):
    in_use.take_over()
    assert (in_use.version, in_use.problem) == (SHIPPED, "")
    assert in_use.about is not None


def test_the_newest_is_taken_over_and_read_once(folder: Heads, in_use: HeadInUse):
    in_use.take_over()
    add(folder)
    newest = add(folder, OTHER)
    in_use.take_over()
    assert in_use.version == newest
    head = in_use.head
    in_use.take_over()
    assert in_use.head is head


def test_old_ones_are_pruned(folder: Heads, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(heads, "KEPT", 2)
    versions = [add(folder) for _ in range(4)]
    kept = [path.name for path in folder.newest_first()]
    assert kept == [f"{versions[3]}.npz", f"{versions[2]}.npz", "head.npz"]


def test_a_damaged_one_is_refused_and_the_one_before_serves_on(
    folder: Heads, in_use: HeadInUse, tmp_path: Path
):
    good = add(folder)
    in_use.take_over()
    damage(tmp_path, add(folder, OTHER))
    in_use.take_over()
    assert in_use.version == good
    assert "is damaged" in in_use.problem
    mended = add(folder)
    in_use.take_over()
    assert (in_use.version, in_use.problem) == (mended, "")


def test_at_the_start_the_next_older_one_is_taken(folder: Heads, in_use: HeadInUse, tmp_path: Path):
    good = add(folder)
    damage(tmp_path, add(folder, OTHER))
    in_use.take_over()
    assert in_use.version == good
    assert "is damaged" in in_use.problem


def test_a_head_for_another_encoder_is_refused(folder: Heads, in_use: HeadInUse):
    add(folder, encoder_id="another")
    in_use.take_over()
    assert in_use.version == SHIPPED
    assert "trained with the sentence encoder another" in in_use.problem


def test_without_any_head_meanings_pass(folder: Heads, in_use: HeadInUse, shipped: Path):
    shipped.unlink()
    in_use.take_over()
    assert in_use.head is None
    assert "kefu moderation train" in in_use.problem


# In the service.


async def opened(
    database: Database, folder: Path, settings: ModerationSettings | None = None
) -> Moderation:
    store, chosen = SqlModeration(database), settings or ModerationSettings()
    return await open_moderation(store, folder, HashingEncoder.id, chosen, Metrics())


async def outcome(moderation: Moderation, text: str, direction: Direction) -> Outcome:
    (vector,) = HashingEncoder().encode([text])
    return (await moderation.check_meaning(text, Compared(vector), direction)).outcome


async def test_what_a_text_means_is_judged_by_the_head_in_use(
    database: Database, tmp_path: Path, folder: Heads
):
    moderation = await opened(database, tmp_path / "moderation")
    assert await outcome(moderation, BAD, CUSTOMER) is Outcome.ALLOW
    version = add(folder)
    await moderation.refresh()
    assert moderation.head.version == version
    assert (
        await outcome(moderation, BAD, CUSTOMER)
        is await outcome(moderation, BAD, REPLY)
        is Outcome.BLOCK
    )
    assert await outcome(moderation, "快递什么时候到", CUSTOMER) is Outcome.ALLOW
    moderation.close()


async def test_settings_replace_the_thresholds_of_the_head(
    database: Database, tmp_path: Path, folder: Heads
):
    add(folder)
    lenient = ModerationSettings(fraud=CategorySettings(customer_hold=1.0, customer_block=1.0))
    moderation = await opened(database, tmp_path / "moderation", lenient)
    assert await outcome(moderation, BAD, CUSTOMER) is Outcome.ALLOW
    assert await outcome(moderation, BAD, REPLY) is Outcome.BLOCK
    (vector,) = HashingEncoder().encode([BAD])
    found = moderation.checker.explain(BAD, vector, REPLY)
    assert found.verdict.category is Category.FRAUD
    assert found.scores[Category.FRAUD] > 0.9
    moderation.close()
