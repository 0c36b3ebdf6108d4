"""The labelled messages that the shipped head is made of, and the texts that it is measured on."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kefu.intent.sample_shop import sample_examples
from kefu.knowledge.sample_shop import sample_entries
from kefu.moderation.categories import Category
from kefu.moderation.examples import Example, read_examples
from kefu.terms import exact_key

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]

SEED = 0
# Of the English questions that were asked of banks, voice assistants and shops.
_ENGLISH_SERVICE = 4000
_ENGLISH_FILES = ("banking77_train", "clinc150_train", "hwu64_train", "bitext27_train")

# How much a text counts. What was written for kefu is of a shop's chat and must not drown; tweets
# called offensive are often only of a dialect, and sexism is one narrow kind of abuse.
_OWN, _SWSR, _DAVIDSON = 3.0, 0.5, 0.3


@dataclass(frozen=True)
class Labelled:
    """Texts, and which are bad."""

    texts: list[str]
    is_bad: list[bool]


def training_examples(data: Path) -> list[Example]:
    """All of them, each text once and none that is measured on; our own come first."""
    measured = {exact_key(text) for text in measured_texts(data)}
    seen: dict[str, Example] = {}
    for example in _all_examples(data):
        key = exact_key(example.text)
        if key and key not in measured:
            seen.setdefault(key, example)
    return list(seen.values())


def cold_dev(data: Path) -> Labelled:
    rows = _rows(data / "moderation" / "cold_dev.csv")
    return Labelled([row["TEXT"] for row in rows], list(map(_is_labelled, rows)))


def crosswoz(data: Path) -> list[str]:
    """Innocent: talk about hotels, restaurants and sights."""
    return [row["text"] for row in _rows(data / "moderation" / "crosswoz_val_utterances.csv")]


def shop_questions() -> list[str]:
    """Innocent: the questions to a shop that kefu's other tests ask."""
    folder = REPOSITORY / "tests" / "data"
    texts = [row["text"] for row in _rows(folder / "intent_questions.csv")]
    texts += [row["query"] for row in _lines(folder / "shop_questions.jsonl")]
    for dialogue in _lines(folder / "shop_dialogues.jsonl"):
        texts += [turn["customer"] for turn in dialogue["turns"]]
    return list(dict.fromkeys(texts))


def measured_texts(data: Path) -> list[str]:
    """And those of the tests of moderation, traps and bad ones."""
    tests = sorted((REPOSITORY / "tests" / "data").glob("moderation_*.csv"))
    own = [row["text"] for path in tests for row in _rows(path)]
    return [*cold_dev(data).texts, *crosswoz(data), *shop_questions(), *own]


def _all_examples(data: Path) -> Iterator[Example]:
    for example in read_examples(HERE / "examples.csv", note=print):
        yield replace(example, weight=_OWN)
    yield from (Example(text, is_bad=False) for text in _everyday(data))
    folder = data / "moderation"
    yield from _abuse(folder / "cold_train.csv", "TEXT", _is_labelled, 1.0)
    yield from _abuse(folder / "swsr_train.csv", "comment_text", _is_labelled, _SWSR)
    yield from _abuse(folder / "davidson_en_train.csv", "tweet", _is_offensive, _DAVIDSON)


def _abuse(
    path: Path, column: str, is_bad: Callable[[dict[str, str]], bool], weight: float
) -> Iterator[Example]:
    """What is innocent here is about the same things and people as what is bad: near misses."""
    for row in _rows(path):
        text = row[column].strip()
        yield Example(text, is_bad(row), Category.ABUSE, weight=weight, elsewhere=True)


def _is_labelled(row: dict[str, str]) -> bool:
    return row["label"] == "1"


def _is_offensive(row: dict[str, str]) -> bool:
    """0 is hate, 1 is offensive, 2 is neither."""
    return row["class"] != "2"


def _everyday(data: Path) -> Iterator[str]:
    """What customers ask and shops answer, and questions to other services."""
    yield from (HERE / "everyday.txt").read_text("utf-8").splitlines()
    yield from (example.text for example in sample_examples())
    for entry in sample_entries():
        yield from (entry.question, entry.answer)
    english = [
        row.get("text") or row["utterance"]
        for name in _ENGLISH_FILES
        for row in _rows(data / "intent" / f"{name}.csv")
    ]
    yield from random.Random(SEED).sample(english, _ENGLISH_SERVICE)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
