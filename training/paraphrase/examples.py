"""Pairs of questions to learn from, and groups of questions that are held out: all from `data/`."""

from __future__ import annotations

import csv
import json
import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).parent / "data"

# One group in five is never learnt from.
_HELD_OUT_OF = 5

# Of a group: pairs among its rephrasings, pairs of a rephrasing and a look-alike.
_PAIRS_AMONG = 3


class Pair(NamedTuple):
    """Two questions, and whether they ask the same."""

    first: str
    second: str
    is_same: bool


@dataclass(frozen=True)
class Group:
    """A question, others that ask the same, and look-alikes that do not."""

    question: str
    equivalent: tuple[str, ...]
    not_equivalent: tuple[str, ...]

    @property
    def is_held_out(self) -> bool:
        """The same groups every time, whatever file they stand in."""
        return zlib.crc32(self.question.encode()) % _HELD_OUT_OF == 0

    @property
    def same(self) -> tuple[str, ...]:
        return self.question, *self.equivalent


def read_groups(folder: Path = DATA) -> list[Group]:
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in _lines(path)]
    return [
        Group(row["question"], tuple(row["equivalent"]), tuple(row["not_equivalent"]))
        for row in map(json.loads, lines)
    ]


def read_pairs(path: Path) -> list[Pair]:
    """Columns sentence1, sentence2, label."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Pair(row["sentence1"], row["sentence2"], row["label"] == "1")
            for row in csv.DictReader(file)
        ]


def own_pairs() -> list[Pair]:
    return [pair for path in sorted(DATA.glob("*.csv")) for pair in read_pairs(path)]


def pairs_with_question(groups: Sequence[Group]) -> list[Pair]:
    """Each question with all of its group: what is measured on held-out groups, too."""
    return [
        Pair(text, group.question, is_same)
        for group in groups
        for texts, is_same in ((group.equivalent, True), (group.not_equivalent, False))
        for text in texts
    ]


def pairs_among(groups: Sequence[Group], chance: random.Random) -> Iterator[Pair]:
    """Some pairs of a group without its question."""
    for group in groups:
        among = list(combinations(group.equivalent, 2))
        across = list(product(group.equivalent, group.not_equivalent))
        for pairs, is_same in ((among, True), (across, False)):
            for two in chance.sample(pairs, min(_PAIRS_AMONG, len(pairs))):
                yield Pair(*two, is_same)


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if line.strip()]
