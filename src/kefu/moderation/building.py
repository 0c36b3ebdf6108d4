"""Word filters of one lexicon after another."""

from __future__ import annotations

from kefu.moderation.filter import WordFilter
from kefu.moderation.layers import Filter, layered
from kefu.moderation.lexicon import Lexicon

# Up to here a whole filter is built in a fraction of a second.
SMALL = 20_000


class FilterBuilder:
    """Calls must not overlap. `small`: lexicons of so many words are built whole at every change;
    on top of a larger one a few changes are a layer.
    """

    def __init__(self, small: int = SMALL) -> None:
        self.small = small
        self._whole: tuple[WordFilter, Lexicon] | None = None

    def build(self, lexicon: Lexicon) -> Filter:
        """A filter that finds what `lexicon` lists. Blocks: seconds for 200,000 words."""
        if self._whole is not None and len(lexicon.words) > self.small:
            found = layered(*self._whole, lexicon)
            if found is not None:
                return found
        whole = WordFilter(lexicon.words.values(), lexicon.allowed)
        self._whole = (whole, lexicon)
        return whole
