"""Folders appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from kefu.errors import InvalidInput
from kefu.inference.models.whole_folder import written_whole


def test_appears_when_the_block_ends_and_replaces_an_older_one(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder"
    for content in ("one", "two"):
        with written_whole(target, "marker") as made:
            (made / "marker").write_text(content)
            (made / content).write_text("")
    assert sorted(p.name for p in target.iterdir()) == ["marker", "two"]
    assert [p.name for p in target.parent.iterdir()] == ["folder"]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "marker").write_text("old")

    def fail_half_way() -> None:
        with written_whole(target, "marker") as made:
            (made / "marker").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert (target / "marker").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_somebody_elses_things_are_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InvalidInput, match="has other things"), written_whole(tmp_path, "marker"):
        pass
    with (
        pytest.raises(InvalidInput, match="is a file"),
        written_whole(tmp_path / "thesis.txt", "marker"),
    ):
        pass
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
