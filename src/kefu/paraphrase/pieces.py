"""Splits a text into the pieces of a SentencePiece unigram vocabulary (Kudo 2018).

Plain Python: two questions take a tenth of a millisecond, and `tokenizers` is not needed to
serve. A word is the most probable sequence of pieces (Viterbi); a character that no piece has is
unknown, and a run of them is one unknown.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from kefu.errors import ModelCorrupt

BEGIN, PADDING, END, UNKNOWN = range(4)
_SPECIAL = 4

# What stands for a space, in the pieces and before each word.
SPACE: Final = "\u2581"

# Far below any piece: chosen only where nothing else fits.
_UNKNOWN_PENALTY = 20.0

# What is read of a text, and of one word of it, before the limit in tokens: a text of megabytes
# does not keep the desk busy.
_MAX_CHARACTERS = 4096
_MAX_WORD = 1024


class Pieces:
    """A vocabulary. The first four of `pieces` are special and match no text."""

    def __init__(self, pieces: Sequence[str], scores: Iterable[float]) -> None:
        self._pieces = tuple(pieces)
        self._ids = {piece: number for number, piece in enumerate(pieces) if number >= _SPECIAL}
        self._scores = array("d", scores)  # a third of the memory of a list
        if len(self._scores) != len(pieces):
            raise ValueError(f"{len(pieces)} pieces have {len(self._scores)} scores")
        self.count = len(pieces)
        self._unknown_score = min(self._scores[_SPECIAL:]) - _UNKNOWN_PENALTY
        self._longest: dict[str, int] = {}
        for piece in self._ids:
            self._longest[piece[0]] = max(len(piece), self._longest.get(piece[0], 0))

    def ids(self, text: str, limit: int) -> list[int]:
        """Of the beginning of `text`, at most `limit` ids. Any text is taken, the empty one too."""
        words = unicodedata.normalize("NFKC", text[:_MAX_CHARACTERS]).replace(SPACE, " ").split()
        every = (number for word in words for number in self._word(SPACE + word[:_MAX_WORD]))
        return list(islice(every, limit))

    def piece(self, number: int) -> str:
        """The text that an id stands for, with `SPACE` for a space."""
        return self._pieces[number]

    def _word(self, word: str) -> Iterator[int]:
        """Backwards over the best beginnings, then the right way round."""
        ends = self._best_beginnings(word)
        found: list[int] = []
        end = len(word)
        while end:
            begin, number = ends[end]
            if number != UNKNOWN or not found or found[-1] != UNKNOWN:
                found.append(number)
            end = begin
        return reversed(found)

    def _best_beginnings(self, word: str) -> list[tuple[int, int]]:
        """For each end within the word: where the best last piece begins, and its id."""
        length = len(word)
        best: list[float] = [0.0] + [float("-inf")] * length
        before = [(0, UNKNOWN)] * (length + 1)
        ids, scores, longest = self._ids, self._scores, self._longest
        for begin in range(length):
            so_far = best[begin]
            has_single = False
            for end in range(begin + 1, min(begin + longest.get(word[begin], 0), length) + 1):
                number = ids.get(word[begin:end])
                if number is None:
                    continue
                has_single = has_single or end == begin + 1
                score = so_far + scores[number]
                if score > best[end]:
                    best[end], before[end] = score, (begin, number)
            score = so_far + self._unknown_score
            if not has_single and score > best[begin + 1]:
                best[begin + 1], before[begin + 1] = score, (begin, UNKNOWN)
        return before


def read_pieces(path: Path) -> Pieces:
    """A line for each id: piece, tab, score. Raises `ModelCorrupt`."""
    try:
        rows = [line.rsplit("\t", 1) for line in path.read_text("utf-8").split("\n")[:-1]]
        # The scores are float32, and sums of them decide: read as such, then counted in float64.
        scores = np.array([score for _, score in rows], np.float32).astype(float).tolist()
        return Pieces([piece for piece, _ in rows], scores)
    except (OSError, ValueError, IndexError) as error:
        raise ModelCorrupt(
            f"{path} is not a list of pieces with their scores ({error}). Delete {path.parent} "
            "and pull the model again."
        ) from error
