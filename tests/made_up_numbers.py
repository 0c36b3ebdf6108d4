"""Numbers of nobody: made at random to the rules that real ones follow, or to all rules but one."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

PROVINCES = ("11", "31", "33", "44", "51", "65")
# The digits of the one with 15 are no date of birth, else it might be an old identity number.
CARD_KINDS = (
    ("62", 19),
    ("62", 16),
    ("622202", 19),
    ("4", 16),
    ("51", 16),
    ("3782820099", 15),
    ("9558", 19),
)
_CHECKS = "10X98765432"


def digits(random: Random, count: int) -> str:
    return "".join(random.choices("0123456789", k=count))


def birth(random: Random) -> date:
    return date(1930, 1, 1) + timedelta(days=random.randrange(33_000))


def id_number(random: Random) -> str:
    body = f"{random.choice(PROVINCES)}{digits(random, 4)}{birth(random):%Y%m%d}{digits(random, 3)}"
    return body + id_check(body)


def id_check(body: str) -> str:
    """By Horner's rule, unlike the product's table of weights."""
    total = 0
    for digit in body:
        total = (total + int(digit)) * 2 % 11
    return _CHECKS[total]


def old_id_number(random: Random) -> str:
    return f"{random.choice(PROVINCES)}{digits(random, 4)}{birth(random):%y%m%d}{digits(random, 3)}"


def card_number(random: Random, prefix: str, length: int) -> str:
    body = prefix + digits(random, length - len(prefix) - 1)
    return next(body + check for check in "0123456789" if passes_luhn(body + check))


def passes_luhn(number: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def with_wrong_check(random: Random, number: str) -> str:
    wrong = [check for check in "0123456789" if check != number[-1]]
    return number[:-1] + random.choice(wrong)


def mobile(random: Random) -> str:
    return f"1{random.choice('3456789')}{digits(random, 9)}"


def grouped(number: str, sizes: tuple[int, ...], gap: str = " ") -> str:
    parts, at = [], 0
    for size in sizes:
        parts.append(number[at : at + size])
        at += size
    return gap.join(part for part in (*parts, number[at:]) if part)


def full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
