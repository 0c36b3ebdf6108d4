"""The model card: what a model was made of and how good it is, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_CONFUSIONS_SHOWN = 15


def write_card(about: Mapping[str, Any]) -> str:
    """Markdown from the contents of `model.json`."""
    return "\n".join(_lines(about)) + "\n"


def _lines(about: Mapping[str, Any]) -> Iterator[str]:
    yield from ("# Intent model", "")
    yield f"Made {about['created_at']} by kefu {about['kefu']} in {about['seconds']:.0f} s."
    yield f"Kind: {about['kind']}. It knows {len(about['labels'])} intents from {about['examples']:,} examples"
    yield f"(SHA-256 of the labelled texts: `{about['trained_on']}`)."
    yield f"Sentence encoder: {about['encoder_id'] or 'none, it reads the text itself'}."
    if about["figures"] is None:
        yield from ("", "Nothing was measured: no labelled texts were given with it.")
        return
    yield from _how_good(about["figures"], about["tested_on"])
    yield from _out_of_scope(about)
    yield from _each_intent(about["figures"])


def _how_good(found: Mapping[str, Any], tested_on: str) -> Iterator[str]:
    yield from ("", "## How good it is", "", f"Measured on {tested_on}.", "")
    yield from ("| figure | value |", "|---|---|")
    yield f"| texts | {found['n']:,} |"
    for name, key in _FIGURES:
        yield f"| {name} | {_percent(found[key])} |"
    yield f"| expected calibration error | {found['expected_calibration_error']:.3f} |"


def _out_of_scope(about: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Out of scope", "")
    yield (
        f"A message is called out of scope where the probability of that is over "
        f"{about['calibration']['threshold']:.4f}, so that at most "
        f"{_percent(about['false_rejections'])} of the messages recognised rightly are lost."
    )
    if not about["trade_offs"]:
        yield "No out-of-scope examples were given, so how many it finds is not known."
        return
    yield from ("", "| threshold | out-of-scope found | known sent away |", "|---|---|---|")
    for item in about["trade_offs"]:
        shares = f"{_percent(item['oos_recall'])} | {_percent(item['false_oos'])}"
        yield f"| {item['threshold']:.4f} | {shares} |"


def _each_intent(found: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Each intent, the weakest first", "")
    yield from ("| intent | texts | precision | recall | F1 |", "|---|---|---|---|---|")
    for item in sorted(found["labels"], key=lambda item: item["f1"]):
        figures = (_percent(item[key]) for key in ("precision", "recall", "f1"))
        yield f"| {_cell(item['label'])} | {item['examples']} | {' | '.join(figures)} |"
    yield from ("", "## What it mixes up", "", "| is | was called | texts |", "|---|---|---|")
    for item in found["confusions"][:_CONFUSIONS_SHOWN]:
        yield f"| {_cell(item['label'])} | {_cell(item['predicted'])} | {item['count']} |"


_FIGURES = (
    ("right, all texts", "accuracy"),
    ("macro F1", "macro_f1"),
    ("right, texts with an intent", "in_scope_accuracy"),
    ("the same if nothing were called out of scope", "in_scope_accuracy_unrejected"),
    ("out-of-scope texts found", "oos_recall"),
    ("texts with an intent called out of scope", "false_oos"),
    ("AUROC of out-of-scope", "oos_auroc"),
)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}%"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
