"""`kefu conversations show`: what customers thought of the replies."""

from __future__ import annotations

import asyncio
import json

from typer.testing import CliRunner

from kefu.cli.conversations import app
from kefu.conversations.ratings import Rating
from kefu.conversations.transcript import Turn
from kefu.settings import Settings
from kefu.stores.database import Database
from kefu.stores.transcript import SqlTranscript


def test_ratings_are_shown(settings: Settings, database: Database) -> None:
    transcript = SqlTranscript(database)

    async def fill() -> None:
        for turn_id, rating in (
            ("a", Rating("down", "答非所问")),
            ("b", Rating("up")),
            ("c", None),
        ):
            await transcript.save(Turn("ann", "talk", "运费", "8元", "faq", turn_id=turn_id))
            await transcript.rate("ann", turn_id, rating)

    asyncio.run(fill())
    shown = CliRunner().invoke(app, ["show", "ann"], obj=settings)
    assert shown.exit_code == 0, shown.output
    rated = [line.strip() for line in shown.stdout.splitlines() if "rated" in line]
    assert rated == ["rated down: 答非所问", "rated up"]
    programs = CliRunner().invoke(app, ["show", "ann", "--json"], obj=settings)
    turns = json.loads(programs.stdout)["turns"]
    assert [turn["rating"] and turn["rating"]["value"] for turn in turns] == ["down", "up", None]
