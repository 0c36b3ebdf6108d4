"""Personal details in texts: numbers of identity and bank cards, telephones, e-mail, addresses.

What can be checked is checked (check digits, dates of birth, the words beside a number), so that
order numbers, prices, coordinates and ISBNs are left alone. Names are not looked for: in Chinese
they are made of everyday words.
"""

from __future__ import annotations

import re

from kefu.personal_data.addresses import find_addresses, find_emails, region_of
from kefu.personal_data.cards import find_cards
from kefu.personal_data.details import Kind, PersonalData
from kefu.personal_data.phones import find_mobiles, find_phones
from kefu.personal_data.plain import plain

__all__ = ["Kind", "PersonalData", "find", "is_masked_of", "mask"]

# Every detail has a digit, an @ or the name of a place in it; most lines of a log have none.
_CANDIDATE = re.compile(
    r"[\d@＠²-¹⁰-₉①-⓿❶-➓\U0001d7ce-\U0001d7ff零〇一二三四五六七八九幺市盟州京海津庆]"
)

_FINDERS_OF_PLACES = (find_emails, find_addresses)
_FINDERS = (*_FINDERS_OF_PLACES, find_cards, find_mobiles, find_phones)

# Nine digits: as many as the shortest telephone number abroad.
_LONG_NUMBER = re.compile(r"\d(?:[ ().-]{0,3}\d){8}")
_RANKS = {kind: rank for rank, kind in enumerate(Kind)}

# Which letters and digits of a number are hidden; what stands between them stays.
_HIDDEN = {
    Kind.ID_NUMBER: slice(3, -2),
    Kind.BANK_CARD: slice(4, -4),
    Kind.MOBILE: slice(-8, -4),
    Kind.PHONE: slice(-7, -3),
}
_HIDING = "***"


def find(text: str) -> list[PersonalData]:
    """The personal details in a text, by place; none overlaps another."""
    if not _CANDIDATE.search(text):
        return []
    folded = plain(text)
    finders = _FINDERS if _LONG_NUMBER.search(folded.text) else _FINDERS_OF_PLACES
    found = [detail for finder in finders for detail in finder(folded.text)]
    found.sort(key=lambda detail: (detail.start, -detail.end, _RANKS[detail.kind]))
    kept: list[PersonalData] = []
    for detail in found:
        if not kept or detail.start >= kept[-1].end:
            kept.append(detail)
    return [PersonalData(*folded.span(d.start, d.end), d.kind) for d in kept]


def mask(text: str) -> str:
    """`text` with the greater part of every personal detail made unreadable.

    What is masked already stays as it is.
    """
    details = find(text)
    if not details:
        return text
    pieces, at = [], 0
    for detail in details:
        pieces += [text[at : detail.start], _masked(text[detail.start : detail.end], detail.kind)]
        at = detail.end
    return "".join((*pieces, text[at:]))


def is_masked_of(kept: str, text: str) -> bool:
    """Whether `kept` is `text`, as it is or masked: for a text that may have been kept masked."""
    return kept == text or kept == mask(text)


def _masked(detail: str, kind: Kind) -> str:
    if kind is Kind.EMAIL:
        name, at, domain = re.split(r"([@＠])", detail, maxsplit=1)
        return name[0] + _HIDING + at + domain
    if kind is Kind.ADDRESS:
        return region_of(detail) + _HIDING
    characters = list(detail)
    places = [place for place, character in enumerate(characters) if character.isalnum()]
    for place in places[_HIDDEN[kind]]:
        characters[place] = "*"
    return "".join(characters)
