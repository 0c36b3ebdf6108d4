"""小满百货, a made-up shop: the knowledge that `kefu serve --demo` and the tests answer from."""

from __future__ import annotations

from importlib import resources

from kefu.knowledge.entry import Entry
from kefu.knowledge.importing import read_entries

_FILES = ("faq.zh.csv", "faq.en.csv")


def sample_entries() -> list[Entry]:
    """The shop's entries, the Chinese ones first."""
    folder = resources.files(__name__)
    return [entry for name in _FILES for entry in read_entries((folder / name).read_bytes(), name)]
