"""Opens the reader."""

from __future__ import annotations

import structlog

from kefu.errors import ModelError
from kefu.inference.models.resolve import resolve_reader
from kefu.reading.reader import Reader
from kefu.settings import Settings

log = structlog.get_logger("kefu.reading")


def open_reader(settings: Settings) -> Reader | None:
    """The reader, where the settings want one and its model is there.

    Blocking for a third of a second. A model that is missing or damaged is logged, with the command
    that brings it: the desk can do without.
    """
    if not settings.replies.reader:
        return None
    try:
        return Reader(resolve_reader(settings).directory)
    except ModelError as error:
        log.warning("no_reader", reason=str(error))
        return None
