"""Numbers of identity cards and of bank cards, told from all other long numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date

from kefu.personal_data.beside import ORDERED, label_of, stands_alone
from kefu.personal_data.details import Kind, PersonalData

Span = tuple[int, int]

_LONG = re.compile(r"\d(?:[ -]{0,3}\d){12,}[Xx]?")
_GROUP = re.compile(r"\d+[Xx]?")
_LONGEST = 19
_SHORTEST = 13

_PROVINCES = frozenset(
    str(code)
    for region in (
        range(11, 16),
        range(21, 24),
        range(31, 38),
        range(41, 47),
        range(50, 55),
        range(61, 66),
        (71, 81, 82, 83),
    )
    for code in region
)
# ISO 7064 MOD 11-2, as GB 11643 prescribes.
_ID_WEIGHTS = tuple(2**place % 11 for place in range(17, 0, -1))
_ID_CHECKS = "10X98765432"
_FIRST_YEAR = 1900
_OLD_ID_LENGTH = 15

# Leading digits of cards and the lengths that go with them (ISO/IEC 7812 and what UnionPay's banks
# issued before it had 62).
_CARD_PREFIXES = (
    (re.compile(r"62|81"), frozenset(range(16, 20))),
    (re.compile(r"4"), frozenset({13, 16, 19})),
    (re.compile(r"5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)"), frozenset({16})),
    (re.compile(r"3[47]"), frozenset({15})),
    (re.compile(r"3(?:0[0-5]|[689])"), frozenset({14, 16})),
    (re.compile(r"35(?:2[89]|[3-8])"), frozenset(range(16, 20))),
    (re.compile(r"6011|64[4-9]|65"), frozenset({16, 19})),
    (re.compile(r"5[0678]|6[03]"), frozenset({16, 18, 19})),
    (re.compile(r"9558"), frozenset({19})),
)
# How people group the digits of a card; all of one length, the last one shorter, fit as well.
_CARD_SHAPES = frozenset({(4, 6, 5), (4, 6, 4), (6, 10), (6, 12), (6, 13), (8, 8, 3)})
_CARD_GROUPS = frozenset({1, 4, 8})


def find_cards(text: str) -> Iterator[PersonalData]:
    """Numbers of identity and of bank cards."""
    for run in _LONG.finditer(text):
        groups = [group.span() for group in _GROUP.finditer(text, run.start(), run.end())]
        place = 0
        while place < len(groups):
            end, found = _longest_card(text, groups, place)
            if found:
                yield found
            place = end


def _longest_card(text: str, groups: Sequence[Span], place: int) -> tuple[int, PersonalData | None]:
    """The card whose number begins with the group of digits at `place`, and the place after it."""
    for last in _ends_that_fit(groups, place):
        parts = groups[place:last]
        start, end = parts[0][0], parts[-1][1]
        shape = tuple(b - a for a, b in parts)
        kind = _kind_of_card("".join(text[a:b] for a, b in parts).upper(), shape)
        if kind and stands_alone(text, start, end) and _is_called(text, start, end, kind, shape):
            return last, PersonalData(start, end, kind)
    return place + 1, None


def _ends_that_fit(groups: Sequence[Span], place: int) -> list[int]:
    """Up to which groups there are as many digits as a card has, the longest first."""
    if groups[place][1] - groups[place][0] == 1:
        # Digits that stand by themselves are one number or none.
        return [len(groups)] if place == 0 and _SHORTEST <= len(groups) <= _LONGEST else []
    digits, ends = 0, []
    for last in range(place, min(place + _LONGEST, len(groups))):
        digits += groups[last][1] - groups[last][0]
        if digits > _LONGEST:
            break
        if digits >= _SHORTEST:
            ends.append(last + 1)
    return ends[::-1]


def _kind_of_card(digits: str, shape: tuple[int, ...]) -> Kind | None:
    if not _SHORTEST <= len(digits) <= _LONGEST:
        return None
    if is_id_number(digits) and (len(digits) > _OLD_ID_LENGTH or len(shape) == 1):
        return Kind.ID_NUMBER
    return Kind.BANK_CARD if _is_card_shape(shape) and is_card_number(digits) else None


def _is_card_shape(shape: tuple[int, ...]) -> bool:
    *whole, last = shape
    if shape in _CARD_SHAPES or not whole:
        return True
    return len(set(whole)) == 1 and whole[0] in _CARD_GROUPS and last <= whole[0]


def _is_called(text: str, start: int, end: int, kind: Kind, shape: tuple[int, ...]) -> bool:
    """Whether nothing beside it speaks against it; the checksum and the date of birth in 18 digits
    need no such help."""
    label = label_of(text, start, end)
    if kind is Kind.BANK_CARD:
        return label not in ORDERED
    return label not in ORDERED or sum(shape) > _OLD_ID_LENGTH


def is_id_number(digits: str) -> bool:
    """A number of a Chinese identity card: 18 characters with their checksum, or 15 digits as
    until 1999."""
    if len(digits) == _OLD_ID_LENGTH:
        return digits.isdigit() and _has_origin(digits[:6]) and _is_birth("19" + digits[6:12])
    if len(digits) != len(_ID_WEIGHTS) + 1 or not digits[:-1].isdigit():
        return False
    if not (_has_origin(digits[:6]) and _is_birth(digits[6:14])):
        return False
    total = sum(int(d) * w for d, w in zip(digits[:-1], _ID_WEIGHTS, strict=True))
    return digits[-1] == _ID_CHECKS[total % 11]


def _has_origin(region: str) -> bool:
    """Two digits for the province, two for the city and two for the district."""
    return region[:2] in _PROVINCES and (region[2:] != "9999")


def _is_birth(digits: str) -> bool:
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return born.year >= _FIRST_YEAR and born <= date.today()


def is_card_number(digits: str) -> bool:
    """Leading digits that banks have, as many digits as these have, and the check digit (Luhn)."""
    is_issued = any(
        len(digits) in lengths and prefix.match(digits) for prefix, lengths in _CARD_PREFIXES
    )
    return is_issued and digits.isdigit() and len(set(digits)) > 1 and _luhn(digits) == 0


def _luhn(digits: str) -> int:
    """The remainder that the check digit of a number makes 0 (ISO/IEC 7812-1, annex B)."""
    doubled = (sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10
