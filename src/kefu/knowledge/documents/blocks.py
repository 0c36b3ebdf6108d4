"""What files are read into: a document is blocks in order, a workbook is sheets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

BlockKind = Literal["heading", "paragraph", "item", "row"]

# Below every heading that has a level of its own: a summary that opens, a term that is explained.
SMALLEST_LEVEL = 9


@dataclass(frozen=True)
class Block:
    """`level` is that of a heading, 1 the highest. One without text ends what such a one began."""

    kind: BlockKind
    text: str
    level: int = 0
    page: int | None = None


@dataclass(frozen=True)
class Document:
    """`title` names it where it has no headings; `notes` are for whoever imports it."""

    title: str
    blocks: Sequence[Block]
    notes: Sequence[str] = field(default=())


@dataclass(frozen=True)
class Sheet:
    """Of a workbook. `rows`: each with its number in the sheet; empty ones are left out."""

    name: str
    is_hidden: bool
    rows: Sequence[tuple[int, Sequence[str]]]
