"""Token counts without a tokeniser: an upper estimate, so that a prompt never overflows."""

from __future__ import annotations

import re

_WIDE = re.compile(r"[⺀-鿿豈-﫿＀-￯]")


def estimate_tokens(text: str) -> int:
    """At most this many tokens: a Chinese character is about one at worst, other text about one in
    three characters. Emoji and rare scripts can cost more; `MARGIN_TOKENS` is for them."""
    wide = len(_WIDE.findall(text))
    return wide + (len(text) - wide + 2) // 3


def cut_to_tokens(text: str, tokens: int) -> str:
    """The beginning of `text` that fits, with an ellipsis where something was cut."""
    if estimate_tokens(text) <= tokens:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if estimate_tokens(text[:middle]) < tokens:
            low = middle
        else:
            high = middle - 1
    return text[:low] + "…"
