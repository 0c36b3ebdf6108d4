from __future__ import annotations

import pytest

from kefu.stores.sqlite import Database
from kefu.stores.sqlite_transcript import SqliteTranscript
from tests.stores.transcript_contract import TranscriptContract


class TestSqliteTranscript(TranscriptContract):
    @pytest.fixture
    def transcript(self, database: Database) -> SqliteTranscript:
        return SqliteTranscript(database)
