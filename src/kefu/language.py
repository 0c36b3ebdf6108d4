"""Which of kefu's two languages a text is in."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Language = Literal["zh", "en"]

# Han characters with their extensions, and 〇 and 々, which Unicode files elsewhere.
CJK = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"

_CJK_CHARACTER = re.compile(f"[{CJK}]")
_LATIN_WORD = re.compile(r"[a-z]+(?:['’-][a-z]+)*", re.IGNORECASE)

# A Chinese word has about one and a half characters, so three Latin words (a product's name) may
# stand beside one Chinese word: "iPhone Pro Max 有货吗" is Chinese.
_CHINESE_SHARE = 0.3


def detect(text: str, default: Language = "zh") -> Language:
    """The language of a text; `default` where it has neither (digits, emoji, other scripts)."""
    folded = unicodedata.normalize("NFKC", text)
    cjk = len(_CJK_CHARACTER.findall(folded))
    latin = len(_LATIN_WORD.findall(folded))
    if not cjk and not latin:
        return default
    return "zh" if cjk / (cjk + latin) >= _CHINESE_SHARE else "en"
