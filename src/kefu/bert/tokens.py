"""From texts to padded rows of token ids, the same way in training and at work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kefu.bert.manifest import damaged
from kefu.bert.optional import require_tokenizers

TokenIds = NDArray[np.int64]

# More than any token of the common vocabularies, and WordPiece takes a longer word for one unknown
# token. So this cut loses nothing but what follows pages of blanks, and a text of megabytes does
# not keep the tokeniser busy.
_MAX_CHARACTERS_PER_TOKEN = 100


def open_tokens(path: Path, max_tokens: int) -> Tokens:
    """Read a `tokenizer.json`. Raises `ModelCorrupt` or `NotInstalled`."""
    library = require_tokenizers()
    try:
        return Tokens(library.Tokenizer.from_file(str(path)), max_tokens)
    except Exception as error:  # the library raises plain `Exception`
        raise damaged(path, f"it is not a tokeniser ({error})") from error


class Tokens:
    """Texts to ids, and rows of ids to one array with its mask. `tokenizer` is from `tokenizers`."""

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        self._tokenizer = tokenizer
        padding = tokenizer.padding or {}
        self._pad_id = int(padding.get("pad_id", 0))
        self._pad_left = padding.get("direction") == "left"
        self._max_characters = max_tokens * _MAX_CHARACTERS_PER_TOKEN
        # One text at a time and padded below: the library's own batches use every core, whatever
        # `threads` says.
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens)

    def ids(self, text: str) -> list[int]:
        """At least one id. Lone surrogates are replaced: they cannot be written as UTF-8."""
        clean = text[: self._max_characters].encode("utf-8", "replace").decode("utf-8")
        return list(self._tokenizer.encode(clean).ids) or [self._pad_id]

    def padded(self, rows: Sequence[Sequence[int]]) -> tuple[TokenIds, TokenIds]:
        """(n, longest) ids, and a mask of the same shape: 1 where there is a token."""
        longest = max(map(len, rows))
        ids = np.full((len(rows), longest), self._pad_id, np.int64)
        mask = np.zeros_like(ids)
        for number, row in enumerate(rows):
            place = slice(longest - len(row), None) if self._pad_left else slice(len(row))
            ids[number, place] = row
            mask[number, place] = 1
        return ids, mask
