"""Labelled texts in YAML, with line numbers: a list of rows, or the texts under their labels.

- text: Where is my parcel?        order_status:
  label: order_status                - Where is my parcel?
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import yaml

from kefu.errors import InvalidFile, RowProblem
from kefu.tables import MAX_ROWS, Row, Table, read_text


def is_yaml(name: str) -> bool:
    return name.lower().endswith((".yaml", ".yml"))


def read_yaml(
    source: Path | bytes,
    name: str,
    columns: Sequence[str],
    aliases: Mapping[str, str],
    note: Callable[[str], None],
) -> Table:
    """The rows of a YAML file. Nothing in it is ever constructed but texts. Raises `InvalidFile`."""
    name = name or (str(source) if isinstance(source, Path) else "The file")
    text = read_text(source, name, note)
    try:
        # Nodes instead of values: they know their lines, and an alias costs nothing.
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        raise InvalidFile(f"{name} is not YAML: {error}") from error
    if isinstance(root, yaml.SequenceNode):
        rows: Iterator[Row | RowProblem] = (_row(node, aliases) for node in root.value)
    elif isinstance(root, yaml.MappingNode):
        rows = _under_labels(root, columns)
    else:
        raise InvalidFile(f"{name} has neither a list of rows nor texts under labels.")
    found = list(islice(rows, MAX_ROWS + 1))  # aliases make a small file as long as they like
    if len(found) > MAX_ROWS:
        raise InvalidFile(f"{name} has more than {MAX_ROWS:,} rows. Give fewer.")
    sound = [row for row in found if isinstance(row, Row)]
    return Table(name, list(columns), sound, [row for row in found if isinstance(row, RowProblem)])


def _row(node: yaml.Node, aliases: Mapping[str, str]) -> Row | RowProblem:
    if not isinstance(node, yaml.MappingNode):
        return RowProblem(_line(node), "row", "has no text and label")
    cells: dict[str, str] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
            return RowProblem(_line(value), "row", "has something that is not a text")
        column = key.value.strip().lower()
        cells[aliases.get(column, column)] = value.value
    return Row(_line(node), dict(cells))


def _under_labels(root: yaml.MappingNode, columns: Sequence[str]) -> Iterator[Row | RowProblem]:
    text_column, label_column = columns
    for label, texts in root.value:
        if not isinstance(label, yaml.ScalarNode) or not isinstance(texts, yaml.SequenceNode):
            yield RowProblem(_line(label), "label", "has no list of texts under it")
            continue
        for text in texts.value:
            if isinstance(text, yaml.ScalarNode):
                yield Row(_line(text), {text_column: text.value, label_column: label.value})
            else:
                yield RowProblem(_line(text), "text", "is not a text")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
