"""How rare each term is, of the languages of what is known: 12 bytes a term."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from kefu.knowledge.lexical import Rarity
from kefu.stores.pgvector.rows import Numbers

_CHANGED = text(
    "SELECT language, term, questions, texts, version FROM search_terms WHERE version > :version"
)
_LANGUAGES = text("SELECT language, questions, texts, text_units FROM search_languages")


@dataclass(frozen=True, eq=False)
class LanguageCounts:
    """`terms` (t,) in order; of each in how many questions and in how many texts it is, (t,)."""

    terms: Numbers
    in_questions: NDArray[np.int32]
    in_texts: NDArray[np.int32]
    questions: int
    texts: int
    text_units: int

    @property
    def average_units(self) -> float:
        """The length of a text."""
        return max(1.0, self.text_units / self.texts) if self.texts else 1.0

    def of_questions(self, ids: Numbers) -> Rarity:
        return Rarity(self.questions, self._found(self.in_questions, ids))

    def of_texts(self, ids: Numbers) -> Rarity:
        return Rarity(self.texts, self._found(self.in_texts, ids))

    def _found(self, counts: NDArray[np.int32], ids: Numbers) -> NDArray[np.int32]:
        """(ids + 1,): the last is any other term's."""
        found = np.zeros(len(ids) + 1, np.int32)
        if len(self.terms):
            places = np.minimum(np.searchsorted(self.terms, ids), len(self.terms) - 1)
            found[:-1] = np.where(self.terms[places] == ids, counts[places], 0)
        return found


_EMPTY = np.empty(0, np.int32)
_NOTHING = LanguageCounts(_EMPTY, _EMPTY, _EMPTY, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Counts:
    """`version`: of the last change that is in them."""

    version: int = 0
    languages: Mapping[str, LanguageCounts] = field(default_factory=dict)

    def of(self, language: str) -> LanguageCounts:
        return self.languages.get(language, _NOTHING)

    def caught_up(self, connection: Connection) -> Counts:
        """With what has changed since."""
        changed: dict[str, list[tuple[int, int, int]]] = {}
        version = self.version
        for language, term, questions, texts, since in connection.execute(
            _CHANGED, {"version": self.version}
        ):
            changed.setdefault(language, []).append((term, questions, texts))
            version = max(version, since)
        languages = {
            row.language: _merged(self.of(row.language), changed.get(row.language, []), *row[1:])
            for row in connection.execute(_LANGUAGES)
        }
        return Counts(version, languages)


def _merged(
    before: LanguageCounts,
    changed: list[tuple[int, int, int]],
    questions: int,
    texts: int,
    text_units: int,
) -> LanguageCounts:
    news = np.array(changed, np.int32).reshape(-1, 3)
    terms = np.concatenate((news[:, 0], before.terms))
    kept, first = np.unique(terms, return_index=True)  # the first of equal ones: what is new
    return LanguageCounts(
        kept,
        np.concatenate((news[:, 1], before.in_questions))[first],
        np.concatenate((news[:, 2], before.in_texts))[first],
        questions,
        texts,
        text_units,
    )
