"""Which places of a word a disguise changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random


def choose_places(places: Sequence[int], random: Random, share: float = 0.0) -> frozenset[int]:
    """All the places half of the time, else some: at least one, and at least that share of them."""
    if not places or random.random() < 0.5:
        return frozenset(places)
    least = max(1, -int(-share * len(places) // 1))
    return frozenset(random.sample(places, random.randint(least, len(places))))


def replace_places(
    word: str, places: Sequence[int], random: Random, replacement: Callable[[str], str]
) -> str | None:
    """The word with some of those characters replaced; None where there is no such place."""
    chosen = choose_places(places, random)
    if not chosen:
        return None
    return "".join(
        replacement(char) if place in chosen else char for place, char in enumerate(word)
    )
