"""What commands about moderation open: the words in effect, and what checks texts with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kefu.inference.encoder.opening import open_encoder
from kefu.inference.encoder.protocol import SentenceEncoder
from kefu.moderation.building import FilterBuilder
from kefu.moderation.checker import Checker
from kefu.moderation.heads import HeadInUse, Heads
from kefu.moderation.lexicon import Lexicon, Starter, overlay, starter_lexicon
from kefu.settings import Settings
from kefu.stores.moderation import SqlModeration
from kefu.stores.opening import open_database


@dataclass(frozen=True)
class OpenedWords:
    """The operator's words on disk, and all that are in effect."""

    store: SqlModeration
    lexicon: Lexicon


@contextmanager
def opened_words(settings: Settings) -> Iterator[OpenedWords]:
    """Closed when the block ends."""
    starter = starter_lexicon() if settings.moderation.starter_lexicon else Starter()
    with open_database(settings.database_at) as database:
        store = SqlModeration(database)
        yield OpenedWords(store, overlay(starter, store.load()))


@dataclass(frozen=True)
class OpenedChecker:
    """What a desk checks texts with. Without an `encoder` only their words are looked at."""

    checker: Checker
    encoder: SentenceEncoder | None


def open_checker(settings: Settings, *, words_only: bool) -> OpenedChecker:
    """Raises `ModelMissing` or `ModelError` where meanings are wanted and cannot be had."""
    with opened_words(settings) as opened:
        found_by = FilterBuilder().build(opened.lexicon)
    if words_only:
        return OpenedChecker(Checker.of(found_by, None, settings.moderation), None)
    encoder = open_encoder(settings)
    in_use = HeadInUse(Heads(settings.moderation_dir), encoder.id)
    in_use.take_over()
    return OpenedChecker(Checker.of(found_by, in_use.head, settings.moderation), encoder)
