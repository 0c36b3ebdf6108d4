"""What an import will change: entries that were read, compared with those that are known.

A document is the truth about its own entries: what is gone from it is deleted. They have no ids in
it, so they are recognised by their words and, where these changed, by their place. A table names
its entries; those that it no longer has are deleted only on demand, because people also import
tables in parts. Entries of other sources are never touched.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from kefu.errors import InvalidInput
from kefu.knowledge.entry import Entry
from kefu.knowledge.sources import Source

# What a table may leave to the people who edit entries one by one.
_KEPT_WITHOUT_COLUMN = ("alternatives", "tags", "enabled", "valid_from", "valid_until")
_KEPT_OF_DOCUMENTS = ("tags", "enabled", "valid_from", "valid_until")

# Two passages under the same headings are one that was rewritten when they share this much.
_SAME_PASSAGE = 0.3
# More comparisons than this are not worth an id: a section of a hundred passages, all rewritten.
_MAX_COMPARISONS = 10_000
_MAX_NAMED = 10


@dataclass(frozen=True)
class Change:
    before: Entry
    after: Entry


@dataclass(frozen=True)
class SourcePlan:
    """What one source adds, changes, leaves and removes.

    `kept`: entries that are gone from a table and stay, because nobody asked for their removal.
    """

    name: str
    added: tuple[Entry, ...] = ()
    changed: tuple[Change, ...] = ()
    unchanged: tuple[Entry, ...] = ()
    removed: tuple[Entry, ...] = ()
    kept: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class ImportPlan:
    sources: tuple[SourcePlan, ...]

    @property
    def written(self) -> list[Entry]:
        """Every entry to save."""
        changed = [change.after for plan in self.sources for change in plan.changed]
        return [entry for plan in self.sources for entry in plan.added] + changed

    @property
    def removed_ids(self) -> list[str]:
        return [entry.id for plan in self.sources for entry in plan.removed]

    def count(self, what: str) -> int:
        """How many are `added`, `changed`, `unchanged`, `removed` or `kept`."""
        return sum(len(getattr(plan, what)) for plan in self.sources)


def make_plan(
    known: Mapping[str, Entry], sources: Sequence[Source], replace_rows: bool = False
) -> ImportPlan:
    """Raises `InvalidInput` where an entry's id belongs to another source."""
    if replace_rows and any(not source.name for source in sources):
        raise InvalidInput(
            "Standard input has no name, so nothing is known that it could replace. Import a file."
        )
    by_source: dict[str, list[Entry]] = defaultdict(list)
    for entry in known.values():
        by_source[entry.source].append(entry)
    _check_names(sources)
    _check_owners(known, sources)
    return ImportPlan(
        tuple(
            _plan_table(source, known, by_source[source.name], replace_rows)
            if source.is_table
            else _plan_document(source, known, by_source[source.name])
            for source in sources
        )
    )


def _check_names(sources: Sequence[Source]) -> None:
    for name, times in Counter(source.name for source in sources).items():
        if times > 1:
            raise InvalidInput(
                f"Two of the files are called {name!r}. Import the folder that both are in, so that "
                "their names tell them apart."
            )


def _check_owners(known: Mapping[str, Entry], sources: Sequence[Source]) -> None:
    """An entry without a source was made by a person or before sources were kept: it is taken over."""
    taken: dict[str, str] = {}
    problems = []
    for source in sources:
        for entry in source.entries:
            before = known.get(entry.id)
            owner = taken.setdefault(entry.id, source.name)
            if owner == source.name and before and before.source and source.name:
                owner = before.source
            if owner != source.name:
                problems.append(f"{entry.id!r} of {source.name or 'standard input'} is in {owner}")
    if problems:
        more = f" and {len(problems) - _MAX_NAMED} more" if len(problems) > _MAX_NAMED else ""
        raise InvalidInput(
            f"Nothing was imported: ids belong to other sources. {'; '.join(problems[:_MAX_NAMED])}"
            f"{more}. Give these entries other ids, or first delete the other source "
            "(kefu kb delete --source NAME)."
        )


# --- tables --------------------------------------------------------------------------------------


def _plan_table(
    source: Source, known: Mapping[str, Entry], own: Sequence[Entry], replace_rows: bool
) -> SourcePlan:
    left = [name for name in _KEPT_WITHOUT_COLUMN if name not in source.columns]
    pairs = [
        (_with_kept(entry, known.get(entry.id), left), known.get(entry.id))
        for entry in source.entries
    ]
    given = {entry.id for entry in source.entries}
    gone = tuple(entry for entry in own if entry.id not in given) if source.name else ()
    plan = _sorted_out(source.name, pairs)
    return replace(plan, removed=gone) if replace_rows else replace(plan, kept=gone)


def _with_kept(entry: Entry, before: Entry | None, names: Iterable[str]) -> Entry:
    """An entry with what the file does not say as it was; without a name of its own, its source too."""
    if before is None:
        return entry
    kept = {name: getattr(before, name) for name in names}
    return replace(entry, **kept, source=entry.source or before.source)


def _sorted_out(name: str, pairs: Sequence[tuple[Entry, Entry | None]]) -> SourcePlan:
    return SourcePlan(
        name,
        added=tuple(after for after, before in pairs if before is None),
        changed=tuple(
            Change(before, after) for after, before in pairs if before and before != after
        ),
        unchanged=tuple(after for after, before in pairs if before == after),
    )


# --- documents -----------------------------------------------------------------------------------


def _plan_document(source: Source, known: Mapping[str, Entry], own: Sequence[Entry]) -> SourcePlan:
    old = list(own)
    matches: list[Entry | None] = [None] * len(source.entries)
    for key in (_words_and_place, _words):
        _match_by(key, source.entries, matches, old)
    _match_rewritten(source.entries, matches, old)
    taken = set(known)
    pairs = [(_in_place_of(e, m, taken), m) for e, m in zip(source.entries, matches, strict=True)]
    return replace(_sorted_out(source.name, pairs), removed=tuple(old))


def _in_place_of(entry: Entry, before: Entry | None, taken: set[str]) -> Entry:
    if before is not None:
        return replace(_with_kept(entry, before, _KEPT_OF_DOCUMENTS), id=before.id)
    # The words may have been those of a passage that was rewritten and kept its id.
    number, id_ = 1, entry.id
    while id_ in taken:
        number += 1
        id_ = f"{entry.id}-{number}"
    taken.add(id_)
    return replace(entry, id=id_)


def _words_and_place(entry: Entry) -> Hashable:
    return entry.kind, entry.question, entry.answer


def _words(entry: Entry) -> Hashable:
    return entry.kind, entry.answer


def _match_by(
    key: Callable[[Entry], Hashable],
    entries: Sequence[Entry],
    matches: list[Entry | None],
    old: list[Entry],
) -> None:
    """Give each entry without a match the old one with the same key; it leaves `old`."""
    waiting: dict[Hashable, list[Entry]] = defaultdict(list)
    for entry in reversed(old):
        waiting[key(entry)].append(entry)
    for at, entry in enumerate(entries):
        if matches[at] is None and waiting[key(entry)]:
            matches[at] = waiting[key(entry)].pop()
    _drop(old, matches)


def _match_rewritten(
    entries: Sequence[Entry], matches: list[Entry | None], old: list[Entry]
) -> None:
    """Passages under the same headings: the only one left, or the one that shares most words."""
    places: dict[Hashable, list[int]] = defaultdict(list)
    for at, entry in enumerate(entries):
        if matches[at] is None:
            places[entry.kind, entry.question].append(at)
    waiting: dict[Hashable, list[Entry]] = defaultdict(list)
    for entry in old:
        waiting[entry.kind, entry.question].append(entry)
    for place, numbers in places.items():
        for at, before in _likest([entries[n] for n in numbers], waiting[place]):
            matches[numbers[at]] = before
    _drop(old, matches)


def _likest(entries: Sequence[Entry], old: Sequence[Entry]) -> list[tuple[int, Entry]]:
    """Pairs of (number among `entries`, old one), each used once, the likest first."""
    if len(entries) == len(old) == 1:
        return [(0, old[0])]
    if len(entries) * len(old) > _MAX_COMPARISONS:
        return []
    pairs_new = [_letter_pairs(entry) for entry in entries]
    pairs_old = [_letter_pairs(entry) for entry in old]
    likeness = {
        (at, of): 2 * len(new & was) / max(1, len(new) + len(was))
        for at, new in enumerate(pairs_new)
        for of, was in enumerate(pairs_old)
    }
    found: dict[int, int] = {}  # by number of the new entry, that of the old one
    for (at, of), share in sorted(likeness.items(), key=lambda item: (-item[1], item[0])):
        if share >= _SAME_PASSAGE and at not in found and of not in found.values():
            found[at] = of
    return [(at, old[of]) for at, of in found.items()]


def _letter_pairs(entry: Entry) -> set[tuple[str, str]]:
    return set(pairwise(entry.answer))


def _drop(old: list[Entry], matches: Iterable[Entry | None]) -> None:
    used = {entry.id for entry in matches if entry is not None}
    old[:] = [entry for entry in old if entry.id not in used]
