"""Word lists that operators bring: read, checked line by line, and compared with what is listed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path

from kefu.errors import InvalidFile, InvalidInput, RowProblem
from kefu.moderation.categories import Category, Severity
from kefu.moderation.editing import Change
from kefu.moderation.lexicon import (
    MAX_WORD,
    MAX_WORDS,
    Lexicon,
    Listing,
    category_of,
    folded,
    reason_against,
    severity_of,
    shown,
)
from kefu.tables import Cell, Table, read_table, read_text

ALIASES = {
    "text": "word",
    "keyword": "word",
    "term": "word",
    "词": "word",
    "词语": "word",
    "敏感词": "word",
    "关键词": "word",
    "phrase": "word",
    "短语": "word",
    "白名单": "word",
    "label": "category",
    "类别": "category",
    "分类": "category",
    "类型": "category",
    "level": "severity",
    "级别": "severity",
    "等级": "severity",
    "严重程度": "severity",
}

_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
_NAMES_OF_WORD = {alias for alias, column in ALIASES.items() if column == "word"}
_ROWS_PER_STEP = 2_000

Note = Callable[[str], None]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class RawWord:
    """A line as it was written. Cells that a file does not have are empty."""

    line: int
    text: str
    category: str = ""
    severity: str = ""


@dataclass(frozen=True)
class Defaults:
    """For lines that do not say it themselves."""

    category: Category | None = None
    severity: Severity | None = Severity.MEDIUM


@dataclass(frozen=True)
class ListPlan:
    """What an import does. `changed`: with how they were listed before. `overridden`: words that
    come with kefu and are listed otherwise. `skipped`: lines that are left out, and why."""

    name: str
    added: Sequence[Listing] = ()
    changed: Sequence[tuple[Listing, Listing]] = ()
    unchanged: int = 0
    overridden: int = 0
    skipped: Sequence[RowProblem] = ()

    @property
    def change(self) -> Change:
        put = [*self.added, *(after for _, after in self.changed)]
        counts = {"added": len(self.added), "changed": len(self.changed)}
        counts["skipped"] = len(self.skipped)
        return Change("words_imported", self.name, put=put, details=counts)


@dataclass(frozen=True)
class PhrasePlan:
    """What an import of allowed phrases does."""

    name: str
    added: Sequence[str] = ()
    unchanged: int = 0
    skipped: Sequence[RowProblem] = ()

    @property
    def change(self) -> Change:
        counts = {"added": len(self.added), "skipped": len(self.skipped)}
        return Change("phrases_imported", self.name, allowed=self.added, details=counts)


# --- reading -------------------------------------------------------------------------------------


def read_list(source: Path | bytes, name: str, note: Note) -> list[RawWord]:
    """A word a line, or a table with a column `word`. Raises `InvalidFile`."""
    if name.lower().endswith(_TABLES):
        return words_of(read_table(source, name, ("word",), ALIASES, note))
    text = read_text(source, name, note)
    if _has_header(text):
        return words_of(read_table(text.encode(), name, ("word",), ALIASES, note))
    return _plain(text, name)


def words_of(table: Table) -> list[RawWord]:
    """The lines of a table. Raises `InvalidFile` for a file that is torn."""
    if table.problems:
        raise _refused(table.name, table.problems, "cannot be read")
    found = [
        RawWord(row.line, *(_text(row.cells.get(column)) for column in _COLUMNS))
        for row in table.rows
    ]
    return _required(found, table.name)


_COLUMNS = ("word", "category", "severity")


def _plain(text: str, name: str) -> list[RawWord]:
    """Lines that begin with # are remarks; commas at the end are left over from a table."""
    lines = ((number, line.strip(" \t\r,;，；")) for number, line in enumerate(text.split("\n"), 1))
    found = [RawWord(number, line) for number, line in lines if line and not line.startswith("#")]
    return _required(found, name)


def _required(found: list[RawWord], name: str) -> list[RawWord]:
    if not found:
        raise InvalidFile(f"{name} has no words.")
    if len(found) > MAX_WORDS:
        raise InvalidFile(f"{name} has {len(found):,} words; {MAX_WORDS:,} are allowed.")
    return found


def _has_header(text: str) -> bool:
    """Whether a text whose name does not tell is a table with words."""
    first = text.lstrip().split("\n", 1)[0]
    cells = {cell.strip(' "\r').lower() for cell in re.split(r"[,;|\t，]", first)}
    return first.startswith("{") or bool(cells & {"word", *_NAMES_OF_WORD})


def _text(cell: Cell) -> str:
    return "" if cell is None or isinstance(cell, list) else cell.strip()


# --- comparing -----------------------------------------------------------------------------------


@dataclass
class _Sorting:
    """Lines on their way to a plan."""

    first: dict[str, tuple[RawWord, Listing]] = field(default_factory=dict)
    skipped: list[RowProblem] = field(default_factory=list)
    wrong: list[RowProblem] = field(default_factory=list)
    conflicts: list[RowProblem] = field(default_factory=list)

    def take(self, row: RawWord, listing: Listing) -> None:
        before = self.first.setdefault(listing.text, (row, listing))
        if before[0] is row:
            return
        if before[1] == listing:
            reason = f"{shown(row.text)} is on line {before[0].line} already"
            self.skipped.append(RowProblem(row.line, "word", reason))
            return
        reason = f"{shown(row.text)} is {listing} here, and {before[1]} on line {before[0].line}"
        self.conflicts.append(RowProblem(row.line, "word", reason))
        self.first[listing.text] = (row, listing)  # counts where the file may win


def plan_words(
    rows: Sequence[RawWord],
    lexicon: Lexicon,
    name: str,
    defaults: Defaults,
    *,
    force: bool = False,
    replace: bool = False,
    on_progress: Progress | None = None,
) -> ListPlan:
    """What an import of these lines does to the operator's words.

    Lines that cannot be listed are skipped. Raises `InvalidFile` where a category is not known,
    where nothing is left, where there are too many, and, unless `replace`, where a word is
    listed otherwise already.
    """
    sorting = _Sorting()
    for row in _counted(rows, on_progress):
        _sort(row, sorting, defaults, force)
    if sorting.wrong:
        raise _refused(name, sorting.wrong, "cannot be taken")
    plan = _compared(sorting, lexicon, name)
    if not replace:
        _require_agreement(sorting, plan)
    if lexicon.own.count + len(plan.added) > MAX_WORDS:
        raise InvalidFile(
            f"{name} would make {lexicon.own.count + len(plan.added):,} words of your own; "
            f"{MAX_WORDS:,} are allowed. Nothing was changed."
        )
    return plan


def plan_phrases(
    rows: Sequence[RawWord], lexicon: Lexicon, name: str, *, force: bool = False
) -> PhrasePlan:
    """What an import of allowed phrases does. Raises `InvalidFile` where nothing is left."""
    skipped: list[RowProblem] = []
    found: dict[str, int] = {}
    for row in rows:
        phrase = folded(row.text[: 2 * MAX_WORD])
        reason = reason_against(row.text, phrase, force=force)
        if reason is None and phrase in found:
            reason = f"is on line {found[phrase]} already"
        if reason is not None:
            skipped.append(RowProblem(row.line, "phrase", f"{shown(row.text)} {reason}"))
        else:
            found[phrase] = row.line
    _require_some(found, name, skipped)
    added = [phrase for phrase in found if phrase not in lexicon.allowed]
    if len(lexicon.own.allowed) + len(added) > MAX_WORDS:
        raise InvalidFile(f"{name} would make over {MAX_WORDS:,} phrases. Nothing was changed.")
    return PhrasePlan(name, added, len(found) - len(added), skipped)


def _sort(row: RawWord, sorting: _Sorting, defaults: Defaults, force: bool) -> None:
    word = folded(row.text[: 2 * MAX_WORD])
    reason = reason_against(row.text, word, force=force)
    if reason is not None:
        sorting.skipped.append(RowProblem(row.line, "word", f"{shown(row.text)} {reason}"))
        return
    try:
        category = category_of(row.category) if row.category else defaults.category
        severity = severity_of(row.severity) if row.severity else defaults.severity
    except InvalidInput as error:
        sorting.wrong.append(RowProblem(row.line, "category or severity", str(error)))
        return
    if category is None:
        reason = "has no category; name one in the file or with --category"
        sorting.wrong.append(RowProblem(row.line, "category", f"{shown(row.text)} {reason}"))
        return
    sorting.take(row, Listing(word, category, severity))


def _compared(sorting: _Sorting, lexicon: Lexicon, name: str) -> ListPlan:
    added: list[Listing] = []
    changed: list[tuple[Listing, Listing]] = []
    unchanged = overridden = 0
    for _, listing in sorting.first.values():
        before = lexicon.own.find(listing.text)
        if before is None:
            added.append(listing)
            starter = lexicon.starter.words.get(listing.text)
            overridden += starter is not None and starter.severity != listing.severity
        elif before == listing:
            unchanged += 1
        else:
            changed.append((before, listing))
    _require_some(sorting.first, name, sorting.skipped)
    return ListPlan(name, added, changed, unchanged, overridden, tuple(sorting.skipped))


def _require_agreement(sorting: _Sorting, plan: ListPlan) -> None:
    conflicts = list(sorting.conflicts)
    for before, after in plan.changed:
        reason = f"{shown(after.text)} is {after} here, and listed as {before}"
        conflicts.append(RowProblem(sorting.first[after.text][0].line, "word", reason))
    if conflicts:
        raise InvalidFile(
            f"{plan.name}: {len(conflicts)} "
            f"{'word is' if len(conflicts) == 1 else 'words are'} listed otherwise already. Nothing "
            "was changed; --replace lets the file (and its last line) win.",
            tuple(sorted(conflicts, key=lambda problem: problem.line)),
        )


def _require_some(found: Sized, name: str, skipped: Sequence[RowProblem]) -> None:
    if not found:
        raise InvalidFile(f"{name} has no word that can be listed.", tuple(skipped))


def _counted(rows: Sequence[RawWord], on_progress: Progress | None) -> Iterator[RawWord]:
    for number, row in enumerate(rows):
        if on_progress is not None and number % _ROWS_PER_STEP == 0:
            on_progress(number, len(rows))
        yield row


def _refused(name: str, problems: Sequence[RowProblem], what: str) -> InvalidFile:
    lines = len({problem.line for problem in problems})
    return InvalidFile(
        f"{name}: {lines} {'line' if lines == 1 else 'lines'} {what}. Nothing was changed.",
        tuple(sorted(problems, key=lambda problem: problem.line)),
    )
