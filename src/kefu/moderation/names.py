"""What disguises are called, for the person who decides."""

from __future__ import annotations

import unicodedata

from kefu.moderation.folding import is_enclosed, is_seen
from kefu.moderation.patterns import Found
from kefu.terms import simplified


def name_of(written: str, found: Found) -> str:
    """What it took to read `written` as the word, "" where it stands there as it is."""
    word = found.word.text
    if found.guesses:
        return ", ".join(sorted(found.guesses))
    if written.casefold().rstrip("s") == word.casefold().rstrip("s"):
        return ""
    if found.stretch.is_repeated:
        return "repeats"
    return _name_of_letters(written) or "separated"


def _name_of_letters(written: str) -> str:
    """The first that is found: what is disguised in two ways is named once."""
    letters = "".join(filter(str.isalnum, written))
    plain = unicodedata.normalize("NFKC", letters)
    if any(map(is_enclosed, written)):
        return "enclosed letters"
    if not all(map(is_seen, written)):
        return "invisible characters or marks"
    if simplified(plain) != plain:
        return "traditional"
    return "full width" if plain != letters else ""
