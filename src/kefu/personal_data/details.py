"""What a personal detail is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What belongs to one person. The earlier one counts where two are found in one place."""

    EMAIL = "email"
    ID_NUMBER = "id_number"  # of a Chinese identity card
    BANK_CARD = "bank_card"
    MOBILE = "mobile"  # of mainland China
    PHONE = "phone"  # a landline, or any number abroad
    ADDRESS = "address"


@dataclass(frozen=True)
class PersonalData:
    """`text[start:end]` is a detail of this kind."""

    start: int
    end: int
    kind: Kind
