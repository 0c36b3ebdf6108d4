"""Rows of tables as text that says what each cell is: 尺码：M；胸围：90."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from kefu.knowledge.documents.sentences import clean
from kefu.language import detect


def labelled_row(header: Sequence[str], cells: Sequence[str]) -> str:
    """A row on one line, each cell after the heading of its column. "" for an empty row."""
    texts = [clean(cell).replace("\n", " ") for cell in cells]
    if not any(texts):
        return ""
    labels = [clean(label).replace("\n", " ") for label in header]
    colon, mark = ("：", "；") if detect(" ".join((*labels, *texts))) == "zh" else (": ", "; ")
    labelled = [
        f"{label}{colon}{text}" if label and label != text else text
        for label, text in zip_longest(labels, texts, fillvalue="")
        if text
    ]
    return mark.join(labelled)
