from __future__ import annotations

import pytest

from kefu.stores.database import Database
from kefu.stores.transcript import SqlTranscript
from tests.stores.transcript_contract import TranscriptContract


class TestSqlTranscript(TranscriptContract):
    @pytest.fixture
    def transcript(self, database: Database) -> SqlTranscript:
        return SqlTranscript(database)
