"""A reply that is checked while it is written: what of it may already be sent.

Words do not keep to the pieces in which a model writes them, and what looks like a word may go on
to be another one. So a piece is sent as far as nothing in it can still become a listed word, and
the rest waits for what follows; usually that is a character or two.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial

from kefu.moderation.categories import Direction, Outcome
from kefu.moderation.checker import Checker
from kefu.moderation.policy import PASSED, Reason, Verdict, joined

CheckWords = Callable[[str], Verdict]
OpenFrom = Callable[[str], int]
CheckSentence = Callable[[str], Awaitable[Verdict]]

# How much of what is settled is read again with what follows, in characters: the words before and
# around decide whether two characters are a word of their own.
_LOOK_BACK = 64
# Text that long without a character of it settled is somebody's trick (a word with a thousand signs
# between its letters). It is read again when it has grown by this share, so that the work stays
# proportional to the text.
_REREAD_SHARE = 16

# With the marks and quotes that belong to it; possessive, so that it does not matter whether the
# last of them came in the same piece.
_BORDER = re.compile(
    r"""(?:(?P<sentence>[。！？!?…\n]++["'”’」』）)]*+|\.(?=\s))|[，；：、]|[,;:](?=\s))(?=.)""",
    re.DOTALL,
)
# A long sentence is sent by clauses of this many characters, each read with what stands before it:
# few enough that the first comes soon, enough to mean something. What is longer than a sentence
# can be (a list) begins anew, so that the work stays proportional to the text.
_SHORTEST_CLAUSE = 16
_LONGEST_SENTENCE = 160

_MASK = "＊"
_MAY_BE_SENT = (Outcome.ALLOW, Outcome.MASK)


class StreamGuard:
    """Give it the pieces of a reply with `add`, then `finish`; both return what may be sent now.

    Nothing of a word for which the whole reply would be held or blocked is ever returned, and after
    the text before it nothing more. `verdict` after `finish` is that of the whole text, however it
    was cut. `check_words(text)` and `open_from(text)` belong to one filter: from where on something
    could become a hit when more text follows. With `check_sentence` a sentence is sent once that
    has let it pass, and a long one clause by clause.
    """

    def __init__(
        self,
        check_words: CheckWords,
        open_from: OpenFrom,
        check_sentence: CheckSentence | None = None,
    ) -> None:
        self._check_words = check_words
        self._open_from = open_from
        self._check_sentence = check_sentence
        self._all = ""
        self._read = 0  # so long was the text when it was last searched for words
        self._settled = 0  # up to here no word will come or go
        self._sentence = 0  # where the sentence that is being written begins
        self._judged = 0  # up to here the meaning was checked
        self._sent = 0
        self._hidden: set[int] = set()  # places to be masked
        self._of_meaning = PASSED
        self.verdict = PASSED

    async def add(self, piece: str) -> str:
        """Take a piece; the text that may be sent now."""
        self._all += piece
        if self.is_stopped:
            return ""
        if self._is_worth_reading:
            self._settle()
        await self._judge_sentences()
        return self._take(self._cleared)

    async def finish(self) -> str:
        """Judge the whole; the text that may still be sent."""
        words = self._check_words(self._all)
        self.verdict = joined(words, self._of_meaning)
        self._hidden = _places_to_mask(words.reasons)
        self._settled = len(self._all)
        await self._judge_sentences()
        await self._judge(len(self._all))
        return self._take(len(self._all))

    @property
    def is_stopped(self) -> bool:
        """Nothing more is sent. A held reply is worth finishing: a person may let it pass."""
        return self.verdict.outcome not in _MAY_BE_SENT

    @property
    def has_sent(self) -> bool:
        return self._sent > 0

    @property
    def is_blocked(self) -> bool:
        """Nothing that follows could change it: leave off writing, then call `finish`."""
        return self.verdict.outcome is Outcome.BLOCK

    @property
    def text(self) -> str:
        """All of it as a customer may read it, once it is finished and not stopped."""
        return self._shown(0, len(self._all))

    @property
    def _is_worth_reading(self) -> bool:
        waiting = len(self._all) - self._settled
        return len(self._all) - self._read > waiting // _REREAD_SHARE

    def _settle(self) -> None:
        """Search what is not settled, with a little of the text before it."""
        begin = max(0, self._settled - _LOOK_BACK)
        part = self._all[begin:]
        open_from = begin + self._open_from(part)
        found = (_moved(reason, begin) for reason in self._check_words(part).reasons)
        new = [r for r in found if r.end > self._settled and r.start < open_from]
        self._read = len(self._all)
        self._settled = max(self._settled, open_from)
        self._hidden |= _places_to_mask(new)
        self.verdict = joined(self.verdict, Verdict(reasons=tuple(new)))

    async def _judge_sentences(self) -> None:
        place = self._judged
        while (
            self._check_sentence is not None
            and not self.is_stopped
            and (border := _BORDER.search(self._all, place, self._settled + 1))
        ):
            place = border.end()
            is_end = border["sentence"] is not None
            if is_end or place - self._judged >= _SHORTEST_CLAUSE:
                await self._judge(place)
            if is_end or place - self._sentence >= _LONGEST_SENTENCE:
                self._sentence = place

    async def _judge(self, end: int) -> None:
        """Check the meaning of the sentence as far as `end`."""
        is_new = self._all[self._judged : end].strip()
        self._judged = end
        if self._check_sentence is None or not is_new or self.is_stopped:
            return
        found = await self._check_sentence(self._all[self._sentence : end].strip())
        self._of_meaning = joined(self._of_meaning, found)
        self.verdict = joined(self.verdict, found)

    @property
    def _cleared(self) -> int:
        return self._settled if self._check_sentence is None else min(self._settled, self._judged)

    def _take(self, end: int) -> str:
        if self.is_stopped:
            return ""
        begin, self._sent = self._sent, max(self._sent, end)
        return self._shown(begin, self._sent)

    def _shown(self, begin: int, end: int) -> str:
        text = self._all[begin:end]
        if not self._hidden:
            return text
        return "".join(
            _MASK if place in self._hidden else character
            for place, character in enumerate(text, begin)
        )


def guard_of(checker: Checker, check_sentence: CheckSentence | None = None) -> StreamGuard:
    """A guard for one reply, with the words of this moment."""
    check_words = partial(checker.check_words, direction=Direction.REPLY)
    return StreamGuard(check_words, checker.filter.open_from, check_sentence)


def _moved(reason: Reason, by: int) -> Reason:
    return replace(reason, start=reason.start + by, end=reason.end + by)


def _places_to_mask(reasons: Iterable[Reason]) -> set[int]:
    return {
        place
        for reason in reasons
        if reason.outcome is Outcome.MASK
        for place in range(reason.start, reason.end)
    }
