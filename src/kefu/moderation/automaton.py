"""Finds many words in a text at once, and what at its end may become one."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

from daachorse import CharwiseDoubleArrayAhoCorasick

Match = tuple[int, int, int]


class Automaton:
    """Aho-Corasick. Immutable, so any thread may scan. Building releases the GIL for most of it."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = CharwiseDoubleArrayAhoCorasick(list(patterns)) if patterns else None

    def scan(self, text: str) -> list[Match]:
        """Where patterns stand, also within each other: `(start, end, number of the pattern)`."""
        if self._patterns is None:
            return []
        try:
            return self._patterns.find_overlapping(text)
        except UnicodeEncodeError:  # half a character, which no pattern has
            whole = text.encode("utf-8", "replace").decode("utf-8")
            return self._patterns.find_overlapping(whole)


class Prefixes:
    """Patterns by how they begin. Kept in many short lists: sorting a single long one would stop all
    other threads for the time that it takes."""

    def __init__(self, patterns: Iterable[str]) -> None:
        by_first = defaultdict[str, list[str]](list)
        self.longest = 0
        for pattern in patterns:
            by_first[pattern[0]].append(pattern)
            self.longest = max(self.longest, len(pattern))
        for listed in by_first.values():
            listed.sort()
        self._by_first = dict(by_first)

    def open_from(self, text: str) -> int:
        """The first place from which everything to the end of the text begins a pattern (or is
        one); the length of the text where there is none."""
        places = range(max(0, len(text) - self.longest), len(text))
        return next((place for place in places if self.begins_one(text[place:])), len(text))

    def begins_one(self, text: str) -> bool:
        """Whether a pattern begins with this, or is it."""
        listed = self._by_first.get(text[0], ())
        place = bisect_left(listed, text)
        return place < len(listed) and listed[place].startswith(text)


def undecided_from(automaton: Automaton, prefixes: Prefixes, text: str, last: int) -> int:
    """The first place from which a pattern may still come about or, ending after `last`, be judged
    otherwise when the text goes on. Only the end of the text is looked at."""
    growing = prefixes.open_from(text)
    tail = max(0, min(last, len(text)) - prefixes.longest)
    matches = automaton.scan(text[tail:])
    unsure = (tail + start for start, end, _ in matches if tail + end > last)
    return min(growing, min(unsure, default=growing))
