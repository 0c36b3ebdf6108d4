"""The models of a data folder: one is in use, one was before, old ones go."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kefu.errors import InvalidInput, ModelCorrupt, ModelError, ModelMissing, NotFound
from kefu.intent import versions as versions_module
from kefu.intent.folder import read_about
from kefu.intent.versions import KEPT, Versions
from tests.intent.small_models import add_model, save_model


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "intents"


@pytest.fixture
def versions(root: Path) -> Versions:
    return Versions(root)


def in_use(versions: Versions) -> tuple[str, str | None]:
    current = versions.current()
    assert current
    return current.version, current.previous


def test_before_the_first_training_there_is_nothing(root: Path, versions: Versions):
    assert versions.current() is None
    assert versions.all() == []
    with pytest.raises(NotFound, match="No other intent model"):
        versions.roll_back()
    assert not root.exists()  # looking makes nothing


def test_each_training_is_a_version_and_the_newest_is_in_use(versions: Versions):
    first = add_model(versions)
    assert in_use(versions) == (first, None)
    second = add_model(versions)
    assert in_use(versions) == (second, first)
    found = {version.id: version for version in versions.all()}
    assert found.keys() == {first, second}
    assert (found[first].active, found[second].active) == (False, True)
    assert found[second].about == read_about(versions.folder_of(second))
    assert found[second].problem == ""


def test_the_newest_come_first(versions: Versions, monkeypatch: pytest.MonkeyPatch):
    added = [_add_at(versions, monkeypatch, minute) for minute in (5, 1, 9)]
    assert [version.id for version in versions.all()] == [added[2], added[0], added[1]]


def test_a_version_may_be_kept_without_being_used(versions: Versions):
    first = add_model(versions)
    second = add_model(versions, activate=False)
    assert in_use(versions) == (first, None)
    versions.activate(second)
    assert in_use(versions) == (second, first)


def test_rolling_back_twice_is_where_one_was(versions: Versions):
    first, second = add_model(versions), add_model(versions)
    assert versions.roll_back() == first
    assert in_use(versions) == (first, second)
    assert versions.roll_back() == second
    assert in_use(versions) == (second, first)


def test_without_another_there_is_no_way_back(versions: Versions):
    only = add_model(versions)
    with pytest.raises(NotFound, match="No other intent model"):
        versions.roll_back()
    assert in_use(versions) == (only, None)


def test_choosing_the_same_again_keeps_the_way_back_and_is_news(versions: Versions):
    first, second = add_model(versions), add_model(versions)
    before = versions.current()
    versions.activate(second)
    assert in_use(versions) == (second, first)
    assert versions.current() != before  # a desk that refused it looks again


def test_old_versions_go_but_never_the_one_in_use_or_the_one_before(
    versions: Versions, monkeypatch: pytest.MonkeyPatch
):
    before, active = (_add_at(versions, monkeypatch, minute) for minute in (0, 1))
    later = [
        _add_at(versions, monkeypatch, minute, activate=False) for minute in range(2, KEPT + 4)
    ]
    assert [v.id for v in versions.all()] == [*reversed(later[-KEPT:]), active, before]
    assert versions.roll_back() == before
    versions.activate(later[-1])
    newest = _add_at(versions, monkeypatch, 50)
    kept = [version.id for version in versions.all()]
    assert kept == [newest, *reversed(later[-KEPT + 1 :])]
    assert in_use(versions) == (newest, later[-1])


DAMAGED_POINTERS = {
    "cut off": b'{"version": "2026',
    "empty": b"",
    "a list": b"[]",
    "a text": b'"20260101"',
    "without a version": b'{"previous": null}',
    "not UTF-8": b"\xff\xfe",
}


@pytest.mark.parametrize("name", DAMAGED_POINTERS)
def test_a_damaged_pointer_is_told_and_mended_by_choosing_again(
    root: Path, versions: Versions, name: str
):
    first, second = add_model(versions), add_model(versions)
    (root / "current.json").write_bytes(DAMAGED_POINTERS[name])
    for look in (versions.current, versions.roll_back):
        with pytest.raises(ModelCorrupt, match=r"current\.json cannot be read.*intent use"):
            look()
    listed = versions.all()
    assert {version.id for version in listed} == {first, second}
    assert not any(version.active for version in listed)
    versions.activate(first)
    assert in_use(versions) == (first, None)


def test_with_a_damaged_pointer_nothing_is_pruned(
    root: Path, versions: Versions, monkeypatch: pytest.MonkeyPatch
):
    for minute in range(KEPT):
        _add_at(versions, monkeypatch, minute)
    (root / "current.json").write_text("{")
    _add_at(versions, monkeypatch, KEPT, activate=False)
    assert len(versions.all()) == KEPT + 1


def test_a_pointer_of_an_older_kefu_is_read(root: Path, versions: Versions):
    first = add_model(versions)
    (root / "current.json").write_text(json.dumps({"version": first}))
    assert in_use(versions) == (first, None)


NAMES = (
    "", ".", "..", "../versions", "/etc", "a/b", "nothing", ".draft", "a\x00b", "x" * 300, "字" * 90,
    "\ud800",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_none_finds_nothing(root: Path, versions: Versions, name: str):
    chosen = add_model(versions)
    save_model(root / "versions" / ".draft")
    for look in (versions.folder_of, versions.activate):
        with pytest.raises(NotFound, match="There is no intent model"):
            look(name)
    assert in_use(versions) == (chosen, None)


def test_a_folder_that_a_person_put_there_may_be_used(root: Path, versions: Versions):
    save_model(root / "versions" / "我的 model-2.1")
    versions.activate("我的 model-2.1")
    assert in_use(versions) == ("我的 model-2.1", None)


def test_an_unfinished_training_is_not_listed(root: Path, versions: Versions):
    listed: list[str] = []

    def look(folder: Path) -> None:
        save_model(folder.with_name(f".{folder.name}.draft"))
        listed.extend(version.id for version in versions.all())
        save_model(folder)

    added = versions.add(look)
    assert listed == []
    assert [version.id for version in versions.all()] == [added]


def test_a_training_that_fails_changes_nothing(root: Path, versions: Versions):
    first = add_model(versions)

    def fail(folder: Path) -> None:
        raise InvalidInput("nothing to tell apart")

    with pytest.raises(InvalidInput):
        versions.add(fail)
    assert in_use(versions) == (first, None)
    assert [version.id for version in versions.all()] == [first]


def test_what_is_damaged_is_listed_with_its_problem_and_cannot_be_used(versions: Versions):
    first, second = add_model(versions), add_model(versions, activate=False)
    (versions.folder_of(second) / "model.json").write_text("{")
    listed = {version.id: version for version in versions.all()}
    assert listed[second].about is None
    assert "damaged" in listed[second].problem
    with pytest.raises(ModelCorrupt):
        versions.activate(second)
    (versions.folder_of(second) / "model.json").unlink()
    with pytest.raises(ModelMissing):
        versions.activate(second)
    assert in_use(versions) == (first, None)


def test_a_pointer_is_never_half_written(
    root: Path, versions: Versions, monkeypatch: pytest.MonkeyPatch
):
    first, second = add_model(versions), add_model(versions, activate=False)

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ModelError, match="No space left"):
        versions.activate(second)
    assert in_use(versions) == (first, None)
    assert sorted(path.name for path in root.iterdir()) == ["current.json", "versions"]


def test_several_may_train_at_once(root: Path, versions: Versions):
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: add_model(Versions(root)), range(8)))
    assert len(set(added)) == 8
    assert {version.id for version in versions.all()} == set(added)
    chosen, _ = in_use(versions)
    assert chosen in added
    assert sorted(path.name for path in root.iterdir()) == ["current.json", "versions"]


def _add_at(
    versions: Versions, monkeypatch: pytest.MonkeyPatch, minute: int, *, activate: bool = True
) -> str:
    """As if it were trained in that minute."""

    class Clock(versions_module.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 1, 0, minute, tzinfo=tz)

    with monkeypatch.context() as patched:
        patched.setattr(versions_module, "datetime", Clock)
        return add_model(versions, activate=activate)
