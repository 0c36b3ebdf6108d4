"""What people decided, to learn from: texts with a label, without personal data."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from kefu.moderation.categories import Category, Direction


@dataclass(frozen=True)
class Example:
    """A judged text. `category` is what it was suspected of: rightly, or as a near miss of it."""

    review_id: str
    text: str
    is_bad: bool
    category: Category
    direction: Direction
    created_at_ms: int


def examples_csv(examples: Sequence[Example]) -> str:
    """`text,label,category`, as `kefu moderation train` reads it. The last word on a text counts.

    Personal data is found by rules and not learnt, so what was held for it is left out.
    """
    learnt = {e.text: e for e in examples if e.category is not Category.PERSONAL_DATA}
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("text", "label", "category"))
    for example in learnt.values():
        writer.writerow((example.text, int(example.is_bad), example.category.value))
    return table.getvalue()
