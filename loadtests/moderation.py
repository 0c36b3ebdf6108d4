"""What the word filter finds, what it disturbs, and how long it takes.

    python -m loadtests.moderation [--words 20000 200000] [--innocent FILE.csv] [--rounds 20] [--json]

Times of 50-character sentences with each number of words, beside pyahocorasick and better-profanity
where those are installed. Then, with the words that come with kefu: disguised words found and, with
the same disguises, clean text held or blocked, by kind (`loadtests/evasion.py`, which shares no table
with the filter); the traps of the tests; the innocent sentences of a file with a column `text`.
Nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadtests.evasion import KINDS, clean, sentences

from kefu.bench.moderation import ROUNDS, Report, compare_filters, make_sentences
from kefu.moderation.categories import Direction, Outcome, Severity
from kefu.moderation.filter import WordFilter
from kefu.moderation.lexicon import starter_lexicon
from kefu.moderation.policy import Policy
from kefu.settings import ModerationSettings

SEED = 5
DISGUISED = 200
CLEAN = 2_000
TRAPS = Path(__file__).parent.parent / "tests" / "data" / "moderation_traps.csv"


@dataclass(frozen=True)
class Rates:
    """Shares of texts. `blocked` counts the caring reply as well."""

    texts: int
    blocked: float
    held: float
    masked: float


@dataclass(frozen=True)
class Kind:
    """Words of all severities that are found, those found for certain, and the graver ones that are
    held or blocked; then the same disguise on ordinary words of clean sentences."""

    name: str
    lossless: bool
    texts: int
    found: float
    certain: float
    stopped: float
    clean: Rates


class Judge:
    """The starter words with the default settings."""

    def __init__(self) -> None:
        lexicon = starter_lexicon()
        self.filter = WordFilter(lexicon.words.values(), lexicon.allowed)
        self._policy = Policy(ModerationSettings(), {})

    def outcome_of(self, text: str) -> Outcome:
        return self._policy.of_words(self.filter.find(text), Direction.CUSTOMER).outcome

    def rates_of(self, texts: Sequence[str]) -> Rates:
        outcomes = Counter(map(self.outcome_of, texts))
        count = max(1, len(texts))
        return Rates(
            len(texts),
            (outcomes[Outcome.BLOCK] + outcomes[Outcome.CARE]) / count,
            outcomes[Outcome.HOLD] / count,
            outcomes[Outcome.MASK] / count,
        )


def measure_kind(judge: Judge, name: str, innocent: Sequence[str]) -> Kind:
    listed = judge.filter.words
    found = certain = stopped = grave = 0
    disguised = sentences(listed, name, DISGUISED, SEED)
    for text in disguised:
        hits = [
            hit
            for hit in judge.filter.find(text.text)
            if hit.start < text.end and hit.end > text.start
        ]
        found += bool(hits)
        certain += any(hit.is_certain for hit in hits)
        if listed[text.word].severity is not Severity.LOW:
            grave += 1
            stopped += judge.outcome_of(text.text).rank >= Outcome.HOLD.rank
    count = len(disguised)
    return Kind(
        name,
        KINDS[name].lossless,
        count,
        found / count,
        certain / count,
        stopped / max(1, grave),
        judge.rates_of(clean(innocent, name, CLEAN, SEED)),
    )


def texts_of(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def _speed_table(reports: Iterable[Report]) -> str:
    lines = [
        f"{'filter':22}{'words':>9}{'build s':>9}{'zh p50':>9}{'p99':>9}{'en p50':>9}{'p99 us':>9}"
    ]
    for row in (row for report in reports for row in report.rows):
        if row.missing:
            lines.append(f"{row.name:22}{row.words:>9}  missing: {row.missing}")
            continue
        times = "".join(f"{cell.p50_us:>9}{cell.p99_us:>9}" for cell in row.cells)
        lines.append(f"{row.name:22}{row.words:>9}{row.build_seconds:>9}{times}  {row.note}")
    return "\n".join(lines)


def _kinds_table(kinds: Iterable[Kind]) -> str:
    lines = [f"{'disguise':14}{'lossless':>9}{'found':>8}{'certain':>9}{'stopped':>9}   clean text"]
    for kind in kinds:
        lines.append(
            f"{kind.name:14}{'yes' if kind.lossless else 'no':>9}{kind.found:>8.1%}"
            f"{kind.certain:>9.1%}{kind.stopped:>9.1%}   {_rates(kind.clean)}"
        )
    return "\n".join(lines)


def _rates(rates: Rates) -> str:
    return (
        f"{rates.texts} texts: blocked {rates.blocked:.2%}, held {rates.held:.2%}, "
        f"masked {rates.masked:.2%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--words", type=int, nargs="*", default=[20_000, 200_000])
    parser.add_argument("--innocent", type=Path, help="CSV with a column `text`")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    reports = [compare_filters(count, chosen.rounds) for count in chosen.words]
    innocent = texts_of(chosen.innocent) if chosen.innocent else make_sentences("zh")
    judge = Judge()
    kinds = [measure_kind(judge, name, innocent) for name in KINDS]
    figures: dict[str, Any] = {
        "traps": judge.rates_of(texts_of(TRAPS)),
        "innocent": judge.rates_of(innocent),
    }
    if chosen.json:
        figures = {name: asdict(rates) for name, rates in figures.items()}
        speed = [report.as_json() for report in reports]
        print(
            json.dumps({"speed": speed, "kinds": [asdict(k) for k in kinds], **figures}, indent=2)
        )
        return
    print(_speed_table(reports), _kinds_table(kinds), sep="\n\n", end="\n\n")
    for name, rates in figures.items():
        print(f"{name:14}{_rates(rates)}")


if __name__ == "__main__":
    main()
