"""What moderation looks for, how bad it is, and what may be done about it."""

from __future__ import annotations

from enum import StrEnum


class Category(StrEnum):
    """A kind of content that must not pass unseen. There is none for politics on purpose."""

    ABUSE = "abuse"
    ADULT = "adult"
    GAMBLING = "gambling"
    FRAUD = "fraud"
    CONTRABAND = "contraband"
    ADVERTISING = "advertising"
    SELF_HARM = "self_harm"
    PERSONAL_DATA = "personal_data"


class Severity(StrEnum):
    """How bad a listed word is: can hardly be innocent, doubtful, rude but everyday."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Direction(StrEnum):
    """Whose words they are."""

    CUSTOMER = "customer"
    REPLY = "reply"


class Outcome(StrEnum):
    """What becomes of a text, the mildest first. `CARE` is the answer to a person in danger."""

    ALLOW = "pass"
    MASK = "mask"
    HOLD = "hold"
    BLOCK = "block"
    CARE = "care"

    @property
    def rank(self) -> int:
        return list(Outcome).index(self)
