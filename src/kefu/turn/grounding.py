"""Does a passage say what the reply says? Checked while it is written, without another model.

A small model echoes the question, says yes to everything and mixes two passages into one; each
clause is therefore held against the passages before a customer reads it. The check is one-sided:
what it lets through is made of one passage's words and numbers, and a good paraphrase that it does
not recognise costs no more than a quotation instead. Figures: loadtests/replies.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from itertools import pairwise

from kefu.clauses import OUTER_SIGNS, clauses_of, ends_sentence, said, sentences_of
from kefu.knowledge.entry import Entry
from kefu.language import CJK
from kefu.paraphrase.rules import (
    CHINESE_FILLERS,
    ENGLISH_FILLERS,
    NEGATION,
    NOT_NEGATION,
    SYNONYMS,
)
from kefu.reading.reader import Told
from kefu.terms import fold, stem, without_apostrophes
from kefu.turn.quantities import WEB_ADDRESS, Quantity, find_quantities, without_quantities


class Verdict(StrEnum):
    """What is found of a clause. The first three are no faults."""

    SUPPORTED = "supported"
    POLITE = "polite"  # says nothing that could be wrong
    REPEATED = "repeated"  # begins with the customer's own words: what follows decides
    REFUSED = "refused"
    EMPTY = "empty"
    ECHO = "echo"
    ASKS = "asks"
    LOOP = "loop"
    NUMBER = "number"
    ADDRESS = "address"
    BORROWED = "borrowed"  # a word of the question that the passages do not have
    MIXED = "mixed"  # of two passages at once
    WORDS = "words"
    AFFIRMED = "affirmed"  # yes or no to something that the passages do not name
    CONTRADICTED = "contradicted"
    CUT_OFF = "cut_off"
    DOUBTED = "doubted"  # it stands there, and the reader does not think that it answers

    @property
    def is_fault(self) -> bool:
        return self not in (Verdict.SUPPORTED, Verdict.POLITE, Verdict.REPEATED)


# The share of a clause's words that one passage must have. Copies with small changes have more;
# inventions that stay on the topic have about half (loadtests/replies.py).
NEEDED_SHARE = 0.75
# The share of the question's words that a passage must have for a yes or a no to be about them.
NAMED_SHARE = 0.8

_POLITE = re.compile(
    r"您好|你好|亲爱的|亲，|请问|抱歉|对不起|不好意思|很高兴|谢谢|感谢|好的|没问题|麻烦|"
    r"让您久等(?:了)?|根据资料|资料(?:里|中)?(?:显示|提到|写明)|"
    r"\b(?:hello|hi|dear|sorry|thanks|thank you|please|certainly|of course|glad|happy to help|"
    r"unfortunately|according to the information)\b"
)
_FILLERS = ENGLISH_FILLERS | {"yes", "sure", "okay"}
_AFFIRMS = re.compile(
    r"(?:是的|可以|能[，。！]|能的|对的|支持|有的|会的|没问题|当然|yes\b|sure\b|certainly\b|of course\b)"
)
_DENIES = re.compile(r"(?:不可以|不能|不行|不支持|不会|不是|没有|暂不|no\b|not\b|unfortunately\b)")
_ASKS = re.compile(r"[?？]\W*$|[吗呢么]\W*$")
_LOOP = re.compile(r"(.{4,40}?)\1\1", re.DOTALL)
_LOOP_WINDOW = 120  # three times the longest

# "If it is returned, ...": what follows must be of the same sentence of the passage.
_CONDITION = re.compile(
    r"\s*(?:如果|若|要是|只要|只有|除非|\b(?:if|when|unless|for|after|before)\b)"
)
_LIST_MARK = re.compile(r"^\s*(?:[-*•]+|\d{1,2}[.、)])(?:\s+|$)")

_CJK_RUN = re.compile(f"[{CJK}]+")
_LATIN_WORD = re.compile(rf"[^\W\d_{CJK}][^\W_{CJK}]*")


def is_looping(clause: str) -> bool:
    """Whether it says the same three times over."""
    return _LOOP.search(clause) is not None


@dataclass(frozen=True)
class _Text:
    """What a piece of text says."""

    text: str

    @cached_property
    def terms(self) -> frozenset[str]:
        """Pairs of Han characters and stemmed words, without fillers and politeness."""
        folded = _POLITE.sub(" ", without_quantities(without_apostrophes(fold(self.text))))
        words = (w for w in _LATIN_WORD.findall(folded) if w not in _FILLERS)
        runs = _CJK_RUN.findall(CHINESE_FILLERS.sub(" ", folded))
        return frozenset((*map(stem, words), *(term for run in runs for term in _pairs(run))))

    @cached_property
    def quantities(self) -> frozenset[Quantity]:
        return frozenset(find_quantities(fold(self.text)))

    @cached_property
    def denies(self) -> bool:
        return NEGATION.search(NOT_NEGATION.sub(" ", fold(self.text))) is not None


class Passage:
    """One entry as evidence."""

    def __init__(self, entry: Entry) -> None:
        everything = " ".join((*entry.questions, entry.answer))
        self.folded = fold(everything)
        self.characters = frozenset(_with_synonyms(self.folded))
        self.terms = _Text(_with_synonyms(self.folded)).terms
        self.quantities = _Text(everything).quantities
        clauses = [_Text(clause) for clause in clauses_of(entry.answer)]
        self.copies = [said(clause.text) for clause in clauses]
        self.begins_with_denial = bool(_lead(entry.answer) == "no" or clauses[0].denies)
        self.denies = any(clause.denies for clause in clauses)
        self.clauses = clauses
        self.sentences = [_Text(sentence) for sentence in sentences_of(entry.answer)]
        self.question = _Text(" ".join(entry.questions))

    def share_of(self, terms: frozenset[str]) -> float:
        """How much of `terms` the passage has; a pair counts half where both characters stand."""
        return sum(map(self._credit, terms)) / len(terms) if terms else 1.0

    def lacks(self, term: str) -> bool:
        """A word, or a pair with a character, that stands nowhere in the passage."""
        return self._credit(term) == 0.0

    def place_of(self, clause: _Text) -> int:
        """Which of its sentences says most of a clause; the first of equal ones."""
        said = [
            len(clause.terms & own.terms) + len(clause.quantities & _loose(own.quantities))
            for own in self.sentences
        ]
        return said.index(max(said))

    def has(self, quantities: frozenset[Quantity], terms: frozenset[str]) -> bool:
        """Whether one sentence has all quantities and is about `terms`."""
        return any(
            quantities <= _loose(sentence.quantities)
            and _overlap(terms, sentence.terms | self.question.terms) >= 0.5
            for sentence in self.sentences
        )

    def denies_like(self, clause: _Text) -> bool:
        """Whether the passage's clause that is nearest to this one denies as much as it does."""
        nearest = max(self.clauses, key=lambda own: _overlap(clause.terms, own.terms))
        asked = _overlap(clause.terms, self.question.terms)
        if asked > _overlap(clause.terms, nearest.terms):
            return clause.denies == self.begins_with_denial
        return clause.denies == nearest.denies

    def judge_condition(self, sentence: str) -> Verdict:
        """A condition and what follows from it must be said in one sentence."""
        terms = _Text(sentence).terms
        if not _CONDITION.match(fold(sentence)) or any(
            _overlap(terms, own.terms | self.question.terms) >= NEEDED_SHARE
            for own in self.sentences
        ):
            return Verdict.SUPPORTED
        return Verdict.MIXED

    def _credit(self, term: str) -> float:
        if term in self.terms:
            return 1.0
        if not _CJK_RUN.fullmatch(term) or not self.characters.issuperset(term):
            return 0.0
        return 1.0 if len(term) == 1 else 0.5


@lru_cache(maxsize=4096)
def _passage(entry: Entry) -> Passage:
    """Reading an entry takes longer than judging a reply, and the same ones come again."""
    return Passage(entry)


class Grounding:
    """What one turn's question and passages let a reply say. Holds no state of the reply.

    `copies_only` lets nothing through but whole clauses of the passages and politeness: for models
    whose own words are not to be trusted. `told` is what a reader thinks of the passages' sentences:
    what one says that answers less likely than `tells_score` may not be said. Without, all may.
    """

    def __init__(
        self,
        question: str,
        entries: Sequence[Entry],
        *,
        copies_only: bool = False,
        told: Sequence[Told] | None = None,
        tells_score: float = 0.0,
    ) -> None:
        self._question = _Text(question)
        self._copies_only = copies_only
        self._passages = [_passage(entry) for entry in entries]
        self._answering = (
            None
            if told is None
            else frozenset((t.passage, t.place) for t in told if t.probability >= tells_score)
        )

    def judge(self, clause: str, before: str) -> tuple[Verdict, int | None]:
        """A complete clause of a reply that began with `before`; and the passage it stands on."""
        clause = _LIST_MARK.sub("", clause, count=1)
        if (number := self._copied_from(said(clause))) is not None:
            verdict = self._judge_lead(before + clause, self._passages[number])
        elif is_looping(clause):
            verdict = Verdict.LOOP
        else:
            verdict, number = self._judge_words(_Text(clause), before)
        if verdict is Verdict.SUPPORTED and self._is_loop(clause, before):
            verdict = Verdict.LOOP
        if verdict is Verdict.SUPPORTED and number is not None and self._doubts(clause, number):
            verdict = Verdict.DOUBTED
        if verdict is Verdict.SUPPORTED and number is not None:
            verdict = self._passages[number].judge_condition(_last_sentence(before) + clause)
        return verdict, number

    def is_copy_so_far(self, clause: str) -> bool:
        """Whether an incomplete clause is word for word the beginning of a passage's clause."""
        if _lead(clause):  # a yes or a no is judged when it is known to what
            return False
        begun = said(_POLITE.sub("", fold(clause)))
        return len(begun) > 1 and any(
            copy.startswith(begun) and not self._doubts(copy, number)
            for number, passage in enumerate(self._passages)
            for copy in passage.copies
        )

    def is_looping(self, clause: str) -> bool:
        """Whether an incomplete clause goes round in circles that no passage goes."""
        return not self.is_copy_so_far(clause) and is_looping(clause[-_LOOP_WINDOW:])

    def _doubts(self, clause: str, number: int) -> bool:
        """Whether the sentence of that passage which says it is not among those that answer."""
        if self._answering is None:
            return False
        place = self._passages[number].place_of(_Text(clause))
        return (number, place) not in self._answering

    def _copied_from(self, clause: str) -> int | None:
        numbers = (n for n, passage in enumerate(self._passages) if clause in passage.copies)
        return next(numbers, None) if clause else None

    def _judge_words(self, clause: _Text, before: str) -> tuple[Verdict, int | None]:
        if _ASKS.search(clause.text):
            return Verdict.ASKS, None
        if fault := self._strange_thing(clause):
            return fault, None
        if not clause.terms and not clause.quantities:
            return Verdict.POLITE, None
        number = self._nearest(clause.terms)
        passage = self._passages[number]
        verdict = (
            self._strange_word(clause, passage)
            or _strange_quantity(clause, passage)
            or self._echo(clause, before, passage)
            or _contradiction(clause, passage)
            or self._judge_lead(before + clause.text, passage)
        )
        if self._copies_only and not verdict.is_fault:
            return Verdict.WORDS, number
        return verdict, number

    def _strange_thing(self, clause: _Text) -> Verdict | None:
        """A number or an address that stands in no passage at all."""
        known = {q.value for passage in self._passages for q in passage.quantities}
        if any(quantity.value not in known for quantity in clause.quantities):
            return Verdict.NUMBER
        for found in WEB_ADDRESS.finditer(fold(clause.text)):
            if not any(found.group() in passage.folded for passage in self._passages):
                return Verdict.ADDRESS
        return None

    def _nearest(self, terms: frozenset[str]) -> int:
        shares = [passage.share_of(terms) for passage in self._passages]
        return shares.index(max(shares))

    def _strange_word(self, clause: _Text, passage: Passage) -> Verdict | None:
        missing = frozenset(term for term in clause.terms if passage.lacks(term))
        if missing & self._question.terms:
            return Verdict.ECHO if clause.terms <= self._question.terms else Verdict.BORROWED
        if any(missing & other.terms for other in self._passages):
            return Verdict.MIXED
        return Verdict.WORDS if passage.share_of(clause.terms) < NEEDED_SHARE else None

    def _echo(self, clause: _Text, before: str, passage: Passage) -> Verdict | None:
        """A question once more, the customer's or the passage's. Before a comma it may introduce
        the answer."""
        asked = self._question.terms | passage.question.terms
        if clause.terms - asked or clause.quantities - self._question.quantities:
            return None
        if _lead(before + clause.text):
            return None
        return Verdict.ECHO if ends_sentence(clause.text) else Verdict.REPEATED

    def _judge_lead(self, reply: str, passage: Passage) -> Verdict:
        """A reply that begins with yes or no must be about something that the passage names."""
        lead = _lead(reply)
        if lead and passage.share_of(self._question.terms) < NAMED_SHARE:
            return Verdict.AFFIRMED
        if (lead == "yes" and passage.begins_with_denial) or (lead == "no" and not passage.denies):
            return Verdict.CONTRADICTED
        return Verdict.SUPPORTED

    def _is_loop(self, clause: str, before: str) -> bool:
        """Said before in this reply, and more often than a passage says it."""
        copy = said(clause)
        times = sum(said(earlier) == copy for earlier in clauses_of(before))
        known = max((passage.copies.count(copy) for passage in self._passages), default=0)
        return times >= max(1, known)


def _strange_quantity(clause: _Text, passage: Passage) -> Verdict | None:
    """A number of the passage that it says of something else, or in another unit."""
    if not clause.quantities or passage.has(clause.quantities, clause.terms):
        return None
    return Verdict.NUMBER


def _contradiction(clause: _Text, passage: Passage) -> Verdict | None:
    return None if passage.denies_like(clause) else Verdict.CONTRADICTED


def _lead(reply: str) -> str | None:
    """Whether a reply begins with yes or with no."""
    begun = _POLITE.sub(" ", fold(reply)).lstrip(OUTER_SIGNS)
    if _DENIES.match(begun):
        return "no"
    return "yes" if _AFFIRMS.match(begun) else None


def _pairs(run: str) -> list[str]:
    return [a + b for a, b in pairwise(run)] if len(run) > 1 else [run]


def _overlap(terms: frozenset[str], others: frozenset[str]) -> float:
    return len(terms & others) / len(terms) if terms else 1.0


def _loose(quantities: frozenset[Quantity]) -> frozenset[Quantity]:
    """A quantity may be repeated without its unit."""
    return quantities | {Quantity(quantity.value, "") for quantity in quantities}


def _with_synonyms(text: str) -> str:
    others = [word for group in SYNONYMS if any(w in text for w in group) for word in group]
    return f"{text} {' '.join(others)}"


def _last_sentence(text: str) -> str:
    """The sentence that is not complete yet; empty where the last one is."""
    sentences = sentences_of(text)
    return "" if not sentences or ends_sentence(sentences[-1]) else sentences[-1]
