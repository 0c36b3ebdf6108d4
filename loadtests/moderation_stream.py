"""What checking a reply while it is written costs, and that nothing gets past it.

    python -m loadtests.moderation_stream [--replies 1000] [--words 20000] [--seed 1] [--meaning]
        [--json]

Every reply is cut at random characters and at random bytes and goes through the guard with the
starter lexicon (and, with `--words`, made-up words up to that many). `held_back`: characters that
were written and not sent, after each piece; `first_later_by`: characters that are written before the
first one is sent, more than without the guard. `--meaning`: as with a semantic head that lets
everything pass, for which a clause must be complete; its own time is not in it. `_us`: CPU time, in microseconds.
`differing`: replies whose verdict is not that of the whole text. `leaked`: replies of which
a character of a word was sent for which the whole is held or blocked. Both must be 0.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from random import Random
from statistics import median, quantiles

from loadtests.moderation_replies import CUTS, Streamed, made_replies

from kefu.moderation.categories import Category, Direction, Outcome, Severity
from kefu.moderation.checker import Checker
from kefu.moderation.filter import WordFilter
from kefu.moderation.hit import Word
from kefu.moderation.lexicon import starter_lexicon
from kefu.moderation.policy import PASSED, Verdict
from kefu.moderation.streaming import CheckSentence, guard_of
from kefu.settings import ModerationSettings

_GRAVE = (Outcome.HOLD, Outcome.BLOCK, Outcome.CARE)
# Common characters, so that made-up words share their beginnings with ordinary text.
_CHARACTERS = "的一是了我不在有这个上们来到时大地为子中你说生国年着就那和要她出也得里后自以会家可下而过天去能对小多然于心学么之都好看起发当没成只如事把还用第样道想作种开美总从无情己面最女但现前些所同日手又行意动方期它头经长儿回位分爱老因很给名法间斯知世什两次使身者被高已亲其进此话常与活正感"


@dataclass(frozen=True)
class Streaming:
    """Replies through the guard, one way of cutting."""

    cut: str
    replies: int
    stopped: int
    differing: int
    leaked: int
    held_back_median: float
    held_back_p99: float
    first_later_by_median: float
    piece_us_median: float
    piece_us_p99: float
    whole_us_median: float


@dataclass
class _Samples:
    held_back: list[int] = field(default_factory=list)
    first_later_by: list[int] = field(default_factory=list)
    piece_us: list[float] = field(default_factory=list)
    whole_us: list[float] = field(default_factory=list)
    stopped: int = 0
    differing: int = 0
    leaked: int = 0


def checker_of(count: int, seed: int, innocent: Iterable[str]) -> Checker:
    """The starter lexicon, and made-up words that are not found in the innocent texts."""
    starter = starter_lexicon()
    made_up = [w for w in _made_up(count - len(starter.words), seed) if w.text not in starter.words]
    by_chance = _found_in(innocent, made_up)
    words = [*starter.words.values(), *(word for word in made_up if word.text not in by_chance)]
    return Checker.of(WordFilter(words, starter.allowed), None, ModerationSettings())


def _found_in(texts: Iterable[str], words: Iterable[Word]) -> set[str]:
    words_of_chance = WordFilter(words)
    return {hit.word.text for text in texts for hit in words_of_chance.find(text)}


def _made_up(count: int, seed: int) -> Iterator[Word]:
    """Three or four characters in a row, as an operator's long list has them."""
    random = Random(seed)
    for _ in range(count):
        text = "".join(random.choices(_CHARACTERS, k=random.choice((3, 4))))
        yield Word(text, Category.ADVERTISING, Severity.MEDIUM)


async def measure(
    checker: Checker, replies: list[Streamed], cut: str, seed: int, check: CheckSentence | None
) -> Streaming:
    random, samples = Random(seed), _Samples()
    for reply in replies:
        pieces = [piece for piece in CUTS[cut](reply.text, random) if piece]
        await _stream(checker, reply.text, pieces, samples, check)
    return Streaming(
        cut=cut,
        replies=len(replies),
        stopped=samples.stopped,
        differing=samples.differing,
        leaked=samples.leaked,
        held_back_median=median(samples.held_back),
        held_back_p99=quantiles(samples.held_back, n=100)[98],
        first_later_by_median=median(samples.first_later_by),
        piece_us_median=round(median(samples.piece_us), 1),
        piece_us_p99=round(quantiles(samples.piece_us, n=100)[98], 1),
        whole_us_median=round(median(samples.whole_us), 1),
    )


async def _stream(
    checker: Checker,
    text: str,
    pieces: list[str],
    samples: _Samples,
    check: CheckSentence | None,
) -> None:
    guard, sent, written, first = guard_of(checker, check), "", 0, 0
    for piece in pieces:
        begun = time.thread_time()
        sent += await guard.add(piece)
        samples.piece_us.append((time.thread_time() - begun) * 1e6)
        written += len(piece)
        first = first or (written if sent else 0)
        if not guard.is_stopped:
            samples.held_back.append(written - len(sent))
    sent += await guard.finish()
    begun = time.thread_time()
    whole = checker.check_words(text, Direction.REPLY)
    samples.whole_us.append((time.thread_time() - begun) * 1e6)
    samples.first_later_by.append((first or len(text)) - len(pieces[0]))
    samples.stopped += guard.is_stopped
    samples.differing += guard.verdict != whole
    grave = [reason.start for reason in whole.reasons if reason.outcome in _GRAVE]
    samples.leaked += len(sent) > min(grave, default=len(text)) or not _begins(
        whole.masked(text), sent
    )


async def _innocent(sentence: str) -> Verdict:
    return PASSED


def _begins(text: str, sent: str) -> bool:
    return text.startswith(sent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--replies", type=int, default=1000)
    parser.add_argument("--words", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--meaning", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    made = made_replies(list(starter_lexicon().words), given.replies, given.seed)
    clean = [reply.text for reply in made if not reply.kind]
    checker = checker_of(given.words, given.seed, clean)
    groups = {"clean": [r for r in made if not r.kind], "with a word": [r for r in made if r.kind]}
    check = _innocent if given.meaning else None
    results = [
        {"what": what, **asdict(asyncio.run(measure(checker, replies, cut, given.seed, check)))}
        for what, replies in groups.items()
        for cut in CUTS
    ]
    if given.json:
        print(json.dumps(results, indent=2))
        return
    for result in results:
        print(", ".join(f"{name} {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
