"""Deletes conversations that are older than the operator keeps them."""

from __future__ import annotations

import asyncio

import structlog

from kefu.conversations.transcript import Transcript
from kefu.errors import KefuError
from kefu.stamps import now_ms

log = structlog.get_logger("kefu.retention")

SWEEP_EVERY_SECONDS = 3600.0
MS_PER_DAY = 24 * 3600 * 1000


async def sweep(transcript: Transcript, retention_days: float) -> int:
    """Delete conversations without a turn for `retention_days`; how many turns went."""
    gone = await transcript.sweep(now_ms() - round(retention_days * MS_PER_DAY))
    if gone:
        log.info("transcripts_swept", turns=gone)
    return gone


async def sweep_for_ever(transcript: Transcript, retention_days: float) -> None:
    """Sweep now and every hour, until cancelled. A failed sweep is tried again at the next."""
    while True:
        try:
            await sweep(transcript, retention_days)
        except KefuError as error:
            log.warning("sweep_failed", reason=str(error))
        await asyncio.sleep(SWEEP_EVERY_SECONDS)
