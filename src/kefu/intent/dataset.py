"""Labelled examples from files people keep, and everything that is wrong with them, by line."""

from __future__ import annotations

import hashlib
import json
import random
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kefu.errors import InvalidFile, RowProblem
from kefu.intent.yaml_table import is_yaml, read_yaml
from kefu.language import detect
from kefu.tables import Cell, Table, read_table

# The label of messages that none of the others is about: they teach where the others end.
OUT_OF_SCOPE = "oos"

FEWEST_EXAMPLES = 3
MAX_TEXT = 4000
MAX_LABEL = 64
# One example of the other language is a slip; from this share on a file is meant to have both.
_SECOND_LANGUAGE = 0.05
_NAMED = 5

# Line breaks belong into texts; nothing else that is no character may pass.
_NOT_TEXT = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff"
FORBIDDEN = {
    "text": re.compile(f"[{_NOT_TEXT}]"),
    "label": re.compile(f"[{_NOT_TEXT}\t\r\n]"),
}

_COLUMNS = ("text", "label")
ALIASES = {
    "utterance": "text",
    "query": "text",
    "sentence": "text",
    "文本": "text",
    "句子": "text",
    "问题": "text",
    "用户说法": "text",
    "intent": "label",
    "标签": "label",
    "意图": "label",
    "类别": "label",
}

Note = Callable[[str], None]


@dataclass(frozen=True)
class Example:
    """What a customer wrote and which intent it is. `line` is where it stands in its file."""

    text: str
    label: str
    line: int = 0


def read_examples(
    source: Path | bytes, name: str = "", *, note: Note, lenient: bool = False
) -> list[Example]:
    """Read `text,label` rows of a CSV, JSON lines or YAML file, each text once.

    A row without text or label, a text with two labels and a label with fewer than
    `FEWEST_EXAMPLES` texts are problems; `lenient` leaves such rows out and `note` hears of it.
    Repetitions and mixed languages are noted and stop nothing. Raises `InvalidFile`.
    """
    examples = _checked(_read(source, name, note), note, lenient, FEWEST_EXAMPLES)
    _note_languages(examples, note)
    return examples


def read_files(files: Sequence[Path], *, note: Note, lenient: bool = False) -> list[Example]:
    """The examples of several files as one set. Raises `InvalidFile`, also where two disagree."""
    if len(files) == 1:
        return read_examples(files[0], str(files[0]), note=note, lenient=lenient)
    first_in: dict[str, tuple[Path, Example]] = {}
    found: list[Example] = []
    for file in files:
        for example in _checked(_read(file, str(file), note), note, lenient, fewest=1):
            earlier, other = first_in.setdefault(example.text, (file, example))
            if other.label != example.label:
                where = f"{other.label!r} in {earlier} (line {other.line})"
                reason = f"{example.label!r}, but the same text is {where}"
                problem = RowProblem(example.line, "label", reason)
                raise InvalidFile(f"{file} and {earlier} do not agree.", (problem,))
            if other is example:
                found.append(example)
    rare = _rare(found, FEWEST_EXAMPLES)
    labels = _few(sorted({example.label for example in rare}))
    if rare and not lenient:
        raise InvalidFile(
            f"The files have fewer than {FEWEST_EXAMPLES} texts of {labels}. Write more, or leave "
            "them out with --lenient."
        )
    if rare:
        note(f"{_rows(len(rare))} left out: fewer than {FEWEST_EXAMPLES} texts of {labels}.")
    left_out = set(map(id, rare))
    examples = [example for example in found if id(example) not in left_out]
    _note_languages(examples, note)
    return examples


def _checked(table: Table, note: Note, lenient: bool, fewest: int) -> list[Example]:
    examples, problems = _sound(table)
    examples, repeated = _once(examples)
    if repeated:
        note(f"{repeated} repeated rows count once.")
    contradicted = _contradicted(examples)
    examples = [example for example in examples if id(example) not in contradicted]
    rare = _rare(examples, fewest)
    counts = Counter(example.label for example in rare)
    problems += [*contradicted.values(), *(_too_few(e, counts[e.label]) for e in rare)]
    if problems and not lenient:
        raise _invalid(table.name, problems)
    if problems:
        note(f"{_rows(len(problems))} left out:")
        for problem in problems[:_NAMED]:
            note(f"  {problem}")
    left_out = set(map(id, rare))
    examples = [example for example in examples if id(example) not in left_out]
    if not examples:
        raise InvalidFile(f"{table.name} has no examples.")
    return examples


def _rare(examples: Sequence[Example], fewest: int) -> list[Example]:
    counts = Counter(example.label for example in examples)
    return [e for e in examples if counts[e.label] < fewest and e.label != OUT_OF_SCOPE]


def read_labelled(source: Path | bytes, name: str = "") -> list[Example]:
    """Read the rows of a test file as they are: repetitions and contradictions count too."""
    table = _read(source, name, lambda _: None)
    examples, problems = _sound(table)
    if problems:
        raise _invalid(table.name, problems)
    if not examples:
        raise InvalidFile(f"{table.name} has no examples.")
    return examples


def split(
    examples: Sequence[Example], share: float, seed: int = 0
) -> tuple[list[Example], list[Example]]:
    """Take about `share` of every label out; texts that differ only in form stay together.

    Each label keeps at least one example on both sides where it has two different texts.
    """
    groups: dict[str, dict[str, list[Example]]] = defaultdict(lambda: defaultdict(list))
    for example in examples:
        groups[example.label][folded(example.text)].append(example)
    shuffle = random.Random(seed).shuffle  # noqa: S311 - reproducible, not secret
    out: set[int] = set()
    for label in sorted(groups):
        same = list(groups[label].values())
        shuffle(same)
        wanted = min(max(1, round(share * len(same))), len(same) - 1) if share else 0
        out.update(id(example) for group in same[:wanted] for example in group)
    kept = [example for example in examples if id(example) not in out]
    return kept, [example for example in examples if id(example) in out]


def folded(text: str) -> str:
    """What two writings of the same words have in common: no case, width, spaces, punctuation."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold()) or text


def digest(examples: Iterable[Example]) -> str:
    """SHA-256 of the labelled texts, whatever file and order they came in."""
    lines = sorted(json.dumps([e.label, e.text]) for e in examples)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def label_in_words(label: str) -> str:
    """`refund_status`, `refundStatus` or `REFUND-STATUS` as a person would say it."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", label)
    return re.sub(r"[\W_]+", " ", parted).strip().lower()


def _read(source: Path | bytes, name: str, note: Note) -> Table:
    if is_yaml(name or str(source)):
        return read_yaml(source, name, _COLUMNS, ALIASES, note)
    return read_table(source, name, _COLUMNS, ALIASES, note)


def _sound(table: Table) -> tuple[list[Example], list[RowProblem]]:
    """The rows that have what an example needs, and what is wrong with the others."""
    examples, problems = [], list(table.problems)
    for row in table.rows:
        example = Example(_text(row.cells.get("text")), _text(row.cells.get("label")), row.line)
        if problem := _problem(row.line, example.text, example.label):
            problems.append(problem)
        else:
            examples.append(example)
    return examples, problems


def _problem(line: int, text: str, label: str) -> RowProblem | None:
    for column, value, longest in (("text", text, MAX_TEXT), ("label", label, MAX_LABEL)):
        if not value:
            return RowProblem(line, column, "is empty")
        if len(value) > longest:
            reason = f"has {len(value)} characters; {longest} are allowed"
            return RowProblem(line, column, reason)
        if found := FORBIDDEN[column].search(value):
            reason = f"has a character that is not text (U+{ord(found.group()):04X})"
            return RowProblem(line, column, reason)
    return None


def _text(cell: Cell) -> str:
    return "" if cell is None or isinstance(cell, list) else cell.strip()


def _once(examples: Sequence[Example]) -> tuple[list[Example], int]:
    seen: dict[tuple[str, str], Example] = {}
    for example in examples:
        seen.setdefault((example.text, example.label), example)
    return list(seen.values()), len(examples) - len(seen)


def _contradicted(examples: Sequence[Example]) -> dict[int, RowProblem]:
    """The examples (by `id`) whose text has another label too."""
    by_text: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_text[example.text].append(example)
    found = {}
    for same in by_text.values():
        for example in same if len(same) > 1 else ():
            others = [o for o in same[: _NAMED + 1] if o is not example]
            named = ", ".join(f"{o.label!r} (line {o.line})" for o in others)
            more = ", …" if len(same) > _NAMED + 1 else ""
            reason = f"{example.label!r}, but the same text is also {named}{more}"
            found[id(example)] = RowProblem(example.line, "label", reason)
    return found


def _too_few(example: Example, count: int) -> RowProblem:
    reason = f"{example.label!r} has {count} of at least {FEWEST_EXAMPLES} texts"
    return RowProblem(example.line, "label", reason)


def _note_languages(examples: Sequence[Example], note: Note) -> None:
    """Say where a language is missing: what is only taught in Chinese is known less in English."""
    languages = [detect(example.text) for example in examples]
    counts = Counter(languages)
    if len(counts) < 2:
        return
    minority, few = counts.most_common()[-1]
    if few / len(examples) < _SECOND_LANGUAGE:
        pairs = zip(examples, languages, strict=True)
        lines = [str(example.line) for example, language in pairs if language == minority]
        named = _few(lines)
        note(f"Languages are mixed: {few} of {len(examples)} texts look {minority} (line {named}).")
        return
    having = defaultdict(set)
    for example, language in zip(examples, languages, strict=True):
        having[example.label].add(language)
    if lacking := sorted(label for label, found in having.items() if len(found) < 2):
        named = _few(lacking)
        note(f"Languages are mixed, and {len(lacking)} labels have texts in only one: {named}.")


def _rows(count: int) -> str:
    return f"{count} row was" if count == 1 else f"{count} rows were"


def _few(names: Sequence[str]) -> str:
    return ", ".join([*names[:_NAMED], *(["…"] if len(names) > _NAMED else [])])


def _invalid(name: str, problems: Sequence[RowProblem]) -> InvalidFile:
    lines = len({problem.line for problem in problems})
    return InvalidFile(
        f"{name}: {lines} {'line' if lines == 1 else 'lines'} cannot be taken. Nothing was changed. "
        "Mend them, or leave them out with --lenient.",
        tuple(sorted(problems, key=lambda problem: problem.line)),
    )
